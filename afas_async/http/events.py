"""Events of the requests of a client, for logs, metrics and traces. They never hold a value."""

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
    """Something that happened to one of your requests or operations: `on_event` is called with it.

    An *operation* is one call of yours, such as `page`, a stream or a load. It sends any number of requests, each in
    one or more *attempts*. Requests past the last row of a stream may get their responses after its end.

    You can log an event and send it to your metrics. It has the connector or path that you gave, but never a condition,
    a record, a key, a header or a text of the service.

    Your `on_event` runs in the event loop, so it must not block. It sees the `contextvars` of the task that made the
    call. If it raises, the exception is logged.

    Attributes:
        kind: For an attempt: "sent" (its last byte was sent), "answered" (a success, received to its end), "failed",
            "cancelled", or "retrying" before the wait for the next attempt. For an operation: "ended". A fault in a row
            is found later: it gives no "failed", but a "retrying" or the `error` of the operation.
        operation: The id of the operation, the same in all its events; empty for a request for an access token.
        name: The method that you called, such as "page", "rows" or "load".
        environment: The host of the service, such as "12345.rest.afas.online".
        connector: The connector or path.
        method: The HTTP method; empty for "ended".
        attempt: The number of the attempt, from 1; for "ended", the number of all attempts.
        status: The HTTP status of the response; for "ended", of the last one; 0 without a response.
        waited: The time that the attempt waited for a slot, in seconds; for "ended", of all attempts together.
        seconds: The duration of the attempt or operation in seconds; for "retrying", the time until the next attempt.
        bytes: The size of the received bodies in bytes, as they came over the connection.
        rows: The rows that you received from the operation; 0 for attempts.
        elements: The records in a write; for "ended", the records in all writes that were "answered".
        error: The class of the error, such as "UnavailableError"; empty without an error.
        trace_id: The id by which AFAS finds the call; empty without a response or an id (see `AfasError`).

    Example:
        >>> async def main():
        ...     events = []
        ...     async with (
        ...         Simulator() as sim,
        ...         AfasClient(base_url=sim.base_url, auth=sim.token, on_event=events.append) as afas,
        ...     ):
        ...         await afas.page("Profit_Article")
        ...     return [event.kind for event in events]
        >>> asyncio.run(main())
        ['sent', 'answered', 'ended']
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
    """Collects the facts of one call of the user. It exists only if somebody listens to events.

    Args:
        name: The method that was called.
        environment: The host.
        listener: The user's function, if any.
    """

    def __init__(self, name: str, environment: str, listener: Listener | None) -> None:
        self.id: str = f"{random.getrandbits(64):016x}"
        self.name: str = name
        self.rows: int = 0
        self._connector = ""  # the connector of the first request
        self._environment = environment
        self._listener = listener
        self._started: float | None = None
        self._attempts = self._status = self._bytes = self._elements = 0
        self._waited = 0.0
        self._trace_id = ""
        self._has_ended = False

    def begin(self) -> None:
        """Record the start: the first request at the latest."""
        if self._started is None:
            self._started = loop_time()

    def note(self, event: Event) -> None:
        """Record the end of an attempt."""
        self._connector = self._connector or event.connector
        self._attempts += 1
        self._status, self._trace_id = event.status, event.trace_id
        self._bytes += event.bytes
        self._elements += event.elements if event.kind == "answered" else 0
        self._waited += event.waited

    def end(self, error: BaseException | None = None) -> None:
        """Report the end, once. An operation with neither a request nor an error is not reported."""
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
        emit(event, self._listener)


def is_heard(listener: Listener | None) -> bool:
    """Whether somebody listens. Otherwise no events are made, as they cost time."""
    return listener is not None or event_log.isEnabledFor(logging.DEBUG)


def emit(event: Event, listener: Listener | None) -> None:
    """Log an event, and call the user's function with it. If that raises, the request continues."""
    event_log.debug("%s", event)
    if listener is not None:
        try:
            listener(event)
        except Exception:
            log.exception("on_event raised; the call continues")


def log_as_asked(variables: Mapping[str, str]) -> None:
    """Set the log level from `AFAS_LOG`: "debug" logs each event, "info" each retry.

    If the program has not configured logging, the lines go to standard error.

    Raises:
        ConfigurationError: If it is not the name of a level.
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
