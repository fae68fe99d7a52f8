"""What happens to the requests of a client: events for logs, metrics and traces, which never hold a value."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from afas_async.errors import AfasError, ConfigurationError
from afas_async.http.clock import loop_time

EventKind: TypeAlias = Literal["sent", "answered", "failed", "cancelled", "retrying", "ended"]

log: logging.Logger = logging.getLogger("afas_async")
event_log: logging.Logger = logging.getLogger("afas_async.events")

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a request or to an operation: what `on_event` is called with.

    An *operation* is one call of yours, such as `page`, a stream or a load. It sends any number of requests; each of
    them is made in one or more *attempts*. Requests beyond the last row of a stream may be answered after its end.

    An event never holds a value: no condition, no record, no key, no header and no text of the service. So you can log
    it, and send it to your metrics. What you give as a connector's name or a path is in it.

    `on_event` runs in the event loop: it must not block. The context variables (`contextvars`) of whoever made the call
    are set in it. What it raises is logged.

    Attributes:
        kind: Of an attempt: "sent" (its last byte has left), "answered" (received to its end, with a success),
            "failed", "cancelled"; or "retrying", before the wait for the next one. Of an operation: "ended". Rows are
            decoded later, so what is wrong with them is no failure of an attempt, but a "retrying" or the `error` of
            the operation.
        operation: The id of the operation, the same in all its events; empty for a request for an access token.
        name: The method that you called, such as "page", "rows" or "load".
        environment: The host that is called, such as "12345.rest.afas.online".
        connector: The connector or path.
        method: The HTTP method; empty for "ended".
        attempt: The number of the attempt, from 1; for "ended", how many attempts there were.
        status: The HTTP status of the answer, the last one for "ended"; 0 if none has come.
        waited: Seconds that the attempt waited for a slot; for "ended", all attempts together.
        seconds: How long the attempt has taken, or the operation; for "retrying", seconds until the next attempt.
        bytes: Bytes of bodies received, as they came over the connection.
        rows: Rows handed out by the operation; 0 for attempts.
        elements: Records in a write; for "ended", in those that were answered.
        error: The class of the error, such as "UnavailableError"; empty if there is none.
        trace_id: By what AFAS finds the call; empty if no answer came, or it does not say (see `AfasError`).
    """

    kind: EventKind
    operation: str = ""
    name: str = ""
    environment: str = ""
    connector: str = ""
    method: str = ""
    attempt: int = 0
    status: int = 0
    waited: float = 0.0
    seconds: float = 0.0
    bytes: int = 0
    rows: int = 0
    elements: int = 0
    error: str = ""
    trace_id: str = ""

    def __str__(self) -> str:
        facts = {
            "status": self.status,
            "error": self.error,
            "attempt": self.attempt,
            "waited": round(self.waited, 3),
            "seconds": round(self.seconds, 3),
            "bytes": self.bytes,
            "rows": self.rows,
            "elements": self.elements,
            "environment": self.environment,
            "operation": self.operation,
            "trace_id": self.trace_id,
        }
        what = f"{self.name} {self.method} {self.connector}".replace("  ", " ")
        return f"{what}: {self.kind} " + " ".join(f"{name}={fact}" for name, fact in facts.items() if fact)


Listener: TypeAlias = Callable[[Event], None]


class Operation:
    """One call of the user, and what it has taken so far; made only while somebody listens.

    Args:
        name: The method that was called.
        environment: The host.
        listener: The user's function, if any.
    """

    def __init__(self, name: str, environment: str, listener: Listener | None) -> None:
        self.id: str = f"{random.getrandbits(64):016x}"
        self.name: str = name
        self.rows: int = 0
        self._connector = ""  # of its first request
        self._environment = environment
        self._listener = listener
        self._started: float | None = None
        self._attempts = self._status = self._bytes = self._elements = 0
        self._waited = 0.0
        self._trace_id = ""
        self._has_ended = False

    def begin(self) -> None:
        """Take note of when it began: with its first request at the latest."""
        if self._started is None:
            self._started = loop_time()

    def note(self, event: Event) -> None:
        """Take note of how one of its attempts has ended."""
        self._connector = self._connector or event.connector
        self._attempts += 1
        self._status, self._trace_id = event.status, event.trace_id
        self._bytes += event.bytes
        self._elements += event.elements if event.kind == "answered" else 0
        self._waited += event.waited

    def end(self, error: BaseException | None = None) -> None:
        """Tell that it has ended, once; one that needed no request and had no error is not told."""
        if self._has_ended or not (self._attempts or error):
            return
        self._has_ended = True
        event = Event(
            kind="ended",
            operation=self.id,
            name=self.name,
            environment=self._environment,
            connector=self._connector or getattr(error, "connector", ""),
            attempt=self._attempts,
            status=self._status,
            waited=self._waited,
            seconds=0.0 if self._started is None else loop_time() - self._started,
            bytes=self._bytes,
            rows=self.rows,
            elements=self._elements,
            error="" if error is None else type(error).__name__,
            trace_id=(error.trace_id if isinstance(error, AfasError) else "") or self._trace_id,
        )
        tell(event, self._listener)


def is_heard(listener: Listener | None) -> bool:
    """Whether anybody wants to know: nobody pays for events that nobody hears."""
    return listener is not None or event_log.isEnabledFor(logging.DEBUG)


def tell(event: Event, listener: Listener | None) -> None:
    """Log an event, and call the user's function with it; its fault must not cost a row."""
    event_log.debug("%s", event)
    if listener is not None:
        try:
            listener(event)
        except Exception:
            log.exception("on_event raised")


def log_as_asked(variables: Mapping[str, str]) -> None:
    """Log what `AFAS_LOG` asks for: "debug" has a line for each event, "info" one for each retry.

    Without a configuration of logging, lines go to standard error.

    Raises:
        ConfigurationError: If it is another word.
    """
    if not (word := variables.get("AFAS_LOG", "")):
        return
    if word.lower() not in _LEVELS:
        raise ConfigurationError(f"AFAS_LOG must be {', '.join(_LEVELS)}, not {word!r}")
    log.setLevel(_LEVELS[word.lower()])
    if not log.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        log.addHandler(handler)
