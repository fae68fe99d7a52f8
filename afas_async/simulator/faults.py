"""Scripted faults: what goes wrong, with which requests, and how often."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final, Literal

import msgspec

Cut = Literal["stall", "reset", "close", "end"]
Says = Literal["locked", "out of memory", "out of time"]

WRITES: Final = frozenset({"POST", "PUT", "DELETE"})

_FRAMING = frozenset({"content-length", "transfer-encoding", "connection"})
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_PRINTABLE: Final = re.compile(r"[ -~]*")
_WAITING = frozenset({HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS})


class Fault(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    repr_omit_defaults=True,
):
    """One thing that goes wrong.

    A test of your own retrying code against a service that is in maintenance first, and then loses an answer halfway:

        async with Simulator(rows=1_000) as simulator:
            with simulator.faults.expect(  # both must happen
                Fault(connector="Profit_Article", status=503, retry_after=2),
                Fault(connector="Profit_Article", cut="reset", at=10_000),
            ):
                assert len(await your_reader(simulator.base_url, simulator.token)) == 1_000
            assert [request.status for request in simulator.requests][:2] == [503, 200]

    With a `status` the request is not carried out. Without one it is, also when its answer is cut: so
    `Fault(method="POST", cut="reset")` is a write that was done and whose outcome nobody heard of, and
    `Fault(method="POST", status=503, cut="reset")` one that was not done. `Fault(refusal="locked", times=3)` locks
    records for three requests, and `Fault(method="POST", cut="reset", works_after=600)` is a write that is done ten
    minutes after its client has lost the connection.

    Attributes:
        connector: Only requests that have this name as a part of their path between slashes, in any case of letters.
        path: Only requests with this text in their path, in any case of letters.
        method: Only requests with this HTTP method; by default with any but OPTIONS, which a browser sends ahead.
        after: How many such requests pass first, counted from when the fault is added.
        times: How many such requests it meets, or None for all of them.
        delay: Seconds before the first byte, on top of the simulator's latency.
        status: Answer with this HTTP status instead.
        body: The text of that answer, such as a page of HTML; none by default.
        refusal: Refuse with this message of the service, in the language asked, and do not carry the request out:
            records that another user has locked (docs.afas.help, "Troubleshooting": to be tried again), or a service
            that is short of memory or time.
        works_after: How many seconds after the fault's own answer, or after the connection that it breaks, a write is
            carried out, on the event loop's clock. Other requests do not meet such a fault.
        retry_after: Seconds to wait that a 503 or 429 asks for.
        retry_after_in: Where it asks: in the header, in a body in the service's own form, or in both
            (docs.afas.help, "Troubleshooting": the body of a 503).
        content_type: The content type, whatever the body is.
        headers: Further headers, in place of those of the same name.
        cut: How the answer ends too early. `stall`: nothing more comes, until the client goes or the simulator stops;
            `reset`: the connection is reset; `close`: it is closed in good order, without the end of a chunked body;
            `end`: the answer ends as if it were complete, so that only its text is too short.
        at: After how many bytes of the body, as sent (compressed, if it is), the cut comes: 0 is just behind the
            headers, None before any of the answer. Of a body that is shorter only its end mark is missing. A reset
            overtakes what the client has not read yet, so that of a long body less than this may arrive.

    Raises:
        ValueError: The fault does nothing, or its parts do not fit together.
    """

    connector: str | None = None
    path: str = ""
    method: str | None = None
    after: int = 0
    times: int | None = 1
    delay: float = 0.0
    status: int | None = None
    body: str | None = None
    refusal: Says | None = None
    works_after: float | None = None
    retry_after: int | None = None
    retry_after_in: Literal["header", "body", "both"] = "both"
    content_type: str | None = None
    headers: dict[str, str] = {}
    cut: Cut | None = None
    at: int | None = None

    def __post_init__(self) -> None:
        for wrong, reason in (
            (self.after < 0, "`after` must be 0 or more"),
            (self.times is not None and self.times < 1, "`times` must be 1 or more, or None for always"),
            (not (math.isfinite(self.delay) and self.delay >= 0), "`delay` must be 0 or more seconds"),
            (self.status is not None and not 200 <= self.status <= 599, "`status` must be between 200 and 599"),
            (self.body is not None and self.status is None, "`body` needs a `status`"),
            (
                self.refusal is not None and self.status is not None,
                "give either `refusal` or `status`",
            ),
            *self._wrong_work(),
            (
                self.retry_after is not None and self.status not in _WAITING,
                "`retry_after` needs a status of 503 or 429",
            ),
            (self.retry_after is not None and self.retry_after < 0, "`retry_after` must be 0 or more seconds"),
            (
                self.body is not None and self.retry_after is not None and self.retry_after_in != "header",
                'a `body` leaves no room for `retry_after` in it: use retry_after_in="header"',
            ),
            (self.retry_after is None and self.retry_after_in != "both", "`retry_after_in` needs `retry_after`"),
            (self.at is not None and self.cut is None, "`at` needs a `cut`"),
            (self.at is not None and self.at < 0, "`at` must be 0 or more bytes"),
            (self.cut == "end" and self.at is None, "an answer can end well only after its headers: give `at`"),
            (
                not _FRAMING.isdisjoint(name.lower() for name in self.headers),
                "the headers that frame a body are the server's own: use `cut`",
            ),
            (not all(map(_TOKEN.fullmatch, self.headers)), "the name of a header has letters, digits and signs only"),
            (
                not all(map(_PRINTABLE.fullmatch, (*self.headers.values(), self.content_type or ""))),
                "a header and `content_type` have printable characters of ASCII only",
            ),
            (
                self._does_nothing(),
                "the fault does nothing: give `status`, `refusal`, `cut`, `delay`, `content_type` or `headers`",
            ),
        ):
            if wrong:
                raise ValueError(reason)

    def meets(self, method: str, path: str) -> bool:
        """Whether the fault is for a request of this method and path."""
        path = path.lower()
        return (
            (method != "OPTIONS" if self.method is None else self.method.upper() == method)
            and (self.works_after is None or method in WRITES)
            and self.path.lower() in path
            and (self.connector is None or self.connector.lower() in path.split("/"))
        )

    def answer_body(self) -> bytes:
        """The body of the answer that takes the place of the service's own."""
        if self.retry_after is None or self.retry_after_in == "header":
            return (self.body or "").encode()
        message = "Service temporarily unavailable due to scheduled maintenance."
        return msgspec.json.encode({
            "error": {"code": str(self.status), "message": message},
            "retry_after": self.retry_after,
        })

    def answer_headers(self) -> dict[str, str]:
        """The headers that the fault adds to an answer, or changes in it."""
        headers = dict(self.headers)
        if self.content_type is not None:
            headers["Content-Type"] = self.content_type
        if self.retry_after is not None and self.retry_after_in != "body":
            headers["Retry-After"] = str(self.retry_after)
        return headers

    def _wrong_work(self) -> Iterator[tuple[bool, str]]:
        after = self.works_after
        if after is None:
            return
        answers = self.status is not None or self.refusal is not None
        yield not (math.isfinite(after) and after >= 0), "`works_after` must be 0 or more seconds"
        yield self.method is not None and self.method.upper() not in WRITES, "`works_after` is for a write"
        yield not answers and self.cut is None, "`works_after` needs a `status`, `refusal` or `cut`"
        yield not answers and self.at is not None, "before the work there is no answer to cut: give no `at`"

    def _does_nothing(self) -> bool:
        changes = (self.status, self.refusal, self.cut, self.content_type)
        return changes == (None, None, None, None) and not self.delay and not self.headers


class Faults:
    """The script of a simulator: the faults that are still to come; for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._script: list[Fault] = []

    @property
    def left(self) -> list[Fault]:
        """The faults still to come, in the order in which they were added, with what is left of `after` and `times`."""
        return list(self._script)

    def add(self, *faults: Fault) -> None:
        """Put faults at the end of the script.

        A request meets one fault at most: the first in the script that is for it and lets no more requests pass. Each
        fault counts for its `after` all requests that it is for.
        """
        with self._lock:
            self._script.extend(faults)

    @contextmanager
    def expect(self, *faults: Fault) -> Generator[None, None, None]:
        """Add faults that must happen in the block, so that no test passes because they did not.

        Args:
            faults: The faults. One with `times=None` may happen or not.

        Raises:
            AssertionError: At the end of a block that raises nothing: the faults in the script that did not happen as
                often as they should, also those that were added before.
        """
        self.add(*faults)
        yield
        check_all_happened(self.left)

    def add_json(self, content: bytes) -> None:
        """Put one fault, or an array of them, in JSON at the end of the script.

        Raises:
            ValueError: It is not JSON, or no fault.
        """
        faults = msgspec.json.decode(content, type=Fault | list[Fault])
        self.add(*([faults] if isinstance(faults, Fault) else faults))

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._script.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault that a request meets, and count the request."""
        with self._lock:
            return self._take(method, path)

    def _take(self, method: str, path: str) -> Fault | None:
        met: Fault | None = None
        left: list[Fault] = []
        for fault in self._script:
            if not fault.meets(method, path):
                left.append(fault)
            elif fault.after:
                left.append(msgspec.structs.replace(fault, after=fault.after - 1))
            elif met is not None or fault.times is None:
                left.append(fault)
                met = met or fault
            else:
                met = fault
                if fault.times > 1:
                    left.append(msgspec.structs.replace(fault, times=fault.times - 1))
        self._script = left
        return met


def check_all_happened(left: Iterable[Fault]) -> None:
    """Check that the faults still to come are those that need not happen.

    Raises:
        AssertionError: They are not.
    """
    if missed := [fault for fault in left if fault.times is not None]:
        raise AssertionError(f"faults that did not happen: {', '.join(map(repr, missed))}")
