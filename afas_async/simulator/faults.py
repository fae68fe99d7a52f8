"""Scripted faults: you choose what goes wrong, for which requests, and how often."""

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
Refusal = Literal["locked", "out of memory", "out of time"]

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
    """One thing that goes wrong, for `simulator.faults`.

    You test your retries against a service that is in maintenance first, and then loses a response halfway:

        async with Simulator(rows=1_000) as simulator:
            with simulator.faults.expect(  # both must happen
                Fault(connector="Profit_Article", status=503, retry_after=2),
                Fault(connector="Profit_Article", cut="reset", at=10_000),
            ):
                assert len(await your_reader(simulator.base_url, simulator.token)) == 1_000
            assert [request.status for request in simulator.requests][:2] == [503, 200]

    | You write | What happens |
    |---|---|
    | `Fault(status=503)` | the request is not carried out |
    | `Fault(method="POST", cut="reset")` | the write is done, but your client gets no response |
    | `Fault(method="POST", status=503, cut="reset")` | the write is not done, and your client gets no response |
    | `Fault(method="POST", cut="reset", works_after=600)` | the write is done ten minutes after the reset |
    | `Fault(refusal="locked", times=3)` | records are locked for three requests |

    Attributes:
        connector: Only requests with this name as a whole segment of their path; letter case does not count.
        path: Only requests with this text in their path; letter case does not count.
        method: Only requests with this HTTP method. By default any but OPTIONS, which a browser sends first.
        after: How many matching requests pass first, counted from when you add the fault.
        times: How many matching requests get it, or None for all of them.
        delay: Seconds before the first byte, on top of the simulator's latency.
        status: The HTTP status of the response.
        body: The text of that response, such as a page of HTML. Empty by default.
        refusal: Refuse with this message of the service, in the language that the request asks for, and do not carry
            the request out. "locked" is a record that another user has locked: you should retry
            (docs.afas.help, "Troubleshooting"). The others are a service that is short of memory or of time.
        works_after: Carry the write out this many seconds later, by the event loop's clock. They count from the
            response of the fault, or from when it breaks the connection. Only writes get such a fault.
        retry_after: Seconds that a 503 or 429 asks your client to wait.
        retry_after_in: Where it asks: in the header, in a body in the service's own form, or in both
            (docs.afas.help, "Troubleshooting": the body of a 503).
        content_type: The content type, whatever the body is.
        headers: Further headers; they replace those of the same name.
        cut: How the response ends too early. `stall`: nothing more comes until your client leaves or the simulator
            stops. `reset`: the connection is reset. `close`: it is closed normally, without the end of a chunked body.
            `end`: the response ends as if it were complete, and only its text is too short.
        at: Cut after this many bytes of the body as sent, after compression. 0 cuts after the headers, None before
            them. A shorter body lacks only its end mark. After a `reset` your client may get fewer bytes, because it
            loses those that it has not read yet.

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
    refusal: Refusal | None = None
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
                "give either `refusal` or `status`, not both",
            ),
            *self._wrong_work(),
            (
                self.retry_after is not None and self.status not in _WAITING,
                "`retry_after` needs a status of 503 or 429",
            ),
            (self.retry_after is not None and self.retry_after < 0, "`retry_after` must be 0 or more seconds"),
            (
                self.body is not None and self.retry_after is not None and self.retry_after_in != "header",
                'a `body` of your own has no `retry_after` in it: use retry_after_in="header"',
            ),
            (self.retry_after is None and self.retry_after_in != "both", "`retry_after_in` needs `retry_after`"),
            (self.at is not None and self.cut is None, "`at` needs a `cut`"),
            (self.at is not None and self.at < 0, "`at` must be 0 or more bytes"),
            (
                self.cut == "end" and self.at is None,
                "a response can only end after its headers: give `at` for this `cut`",
            ),
            (
                not _FRAMING.isdisjoint(name.lower() for name in self.headers),
                "`headers` cannot change Content-Length, Transfer-Encoding or Connection: use `cut`",
            ),
            (
                not all(map(_TOKEN.fullmatch, self.headers)),
                "`headers`: a header name has letters, digits and some signs only",
            ),
            (
                not all(map(_PRINTABLE.fullmatch, (*self.headers.values(), self.content_type or ""))),
                "`headers` and `content_type` can only have printable ASCII characters",
            ),
            (
                self._does_nothing(),
                "the fault does nothing: give `status`, `refusal`, `cut`, `delay`, `content_type` or `headers`",
            ),
        ):
            if wrong:
                raise ValueError(reason)

    def meets(self, method: str, path: str) -> bool:
        """Whether a request with this method and path matches."""
        path = path.lower()
        return (
            (method != "OPTIONS" if self.method is None else self.method.upper() == method)
            and (self.works_after is None or method in WRITES)
            and self.path.lower() in path
            and (self.connector is None or self.connector.lower() in path.split("/"))
        )

    def answer_body(self) -> bytes:
        """The body of the response with this fault's `status`."""
        if self.retry_after is None or self.retry_after_in == "header":
            return (self.body or "").encode()
        message = "Service temporarily unavailable due to scheduled maintenance."
        return msgspec.json.encode({
            "error": {"code": str(self.status), "message": message},
            "retry_after": self.retry_after,
        })

    def answer_headers(self) -> dict[str, str]:
        """The headers that the fault adds to a response, or replaces."""
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
        yield self.method is not None and self.method.upper() not in WRITES, "`works_after` is only for writes"
        yield not answers and self.cut is None, "`works_after` needs a `status`, `refusal` or `cut`"
        yield not answers and self.at is not None, "`works_after` cuts before the response, so leave out `at`"

    def _does_nothing(self) -> bool:
        changes = (self.status, self.refusal, self.cut, self.content_type)
        return changes == (None, None, None, None) and not self.delay and not self.headers


class Faults:
    """Your script of faults, as `simulator.faults`. You can use it from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._script: list[Fault] = []

    @property
    def left(self) -> list[Fault]:
        """The faults that have not happened yet, in the order in which you added them.

        `after` and `times` count down, so a fault that you see here with `times=2` happens twice more.
        """
        return list(self._script)

    def add(self, *faults: Fault) -> None:
        """Add faults to your script.

        A request gets one fault at most: the first that matches it and has no more requests to let pass. The `after`
        of a fault counts all requests that match it.

            simulator.faults.add(Fault(status=503, retry_after=1), Fault(cut="reset", after=2))
        """
        with self._lock:
            self._script.extend(faults)

    @contextmanager
    def expect(self, *faults: Fault) -> Generator[None, None, None]:
        """Add faults that must happen in the block.

        Your test cannot pass because a fault did not happen.

            with simulator.faults.expect(Fault(connector="FbSales", refusal="locked")):
                ...  # your code

        Args:
            faults: The faults. Those with `times=None` may happen or not.

        Raises:
            AssertionError: A fault in your script did not happen as often as it should, also if you added it before
                the block. A block that raises keeps its own exception.
        """
        self.add(*faults)
        yield
        check_all_happened(self.left)

    def add_json(self, content: bytes) -> None:
        """Add a fault, or an array of faults, in JSON.

        Raises:
            ValueError: The text is not JSON, or not a fault.
        """
        faults = msgspec.json.decode(content, type=Fault | list[Fault])
        self.add(*([faults] if isinstance(faults, Fault) else faults))

    def clear(self) -> None:
        """Remove all faults from your script."""
        with self._lock:
            self._script.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """Count a request, and return the fault that it gets."""
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
    """Check that no fault is left that had to happen.

    Raises:
        AssertionError: One is left.
    """
    if missed := [fault for fault in left if fault.times is not None]:
        raise AssertionError(f"faults that did not happen: {', '.join(map(repr, missed))}")
