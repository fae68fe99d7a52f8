"""A session together with the options of one view of the client."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Final, TypeVar, cast

import msgspec

from afas_async.errors import AfasError
from afas_async.http.call import Call
from afas_async.http.events import Operation, is_heard
from afas_async.http.host import Job
from afas_async.http.options import Options
from afas_async.http.session import Session
from afas_async.http.statistics import Statistics

MethodT = TypeVar("MethodT", bound=Callable[..., Coroutine[Any, Any, Any]])

_OPERATION: Final[ContextVar[Operation | None]] = ContextVar("afas_async_operation", default=None)


@dataclass(frozen=True)
class Channel:
    """Sends the calls of a client. Each view of the client has its own channel.

    Args:
        session: The transport, limiter and tasks that all views share.
        options: The time-out, retries, language and events of this view.
        operation: The user's call that it serves, if somebody listens.
    """

    session: Session
    options: Options
    operation: Operation | None = None

    @property
    def bulk(self) -> Channel:
        """The same channel for bulk reads and loads: interactive calls go first, unless the options set a priority."""
        if self.options.priority is not None:
            return self
        return replace(self, options=msgspec.structs.replace(self.options, priority="background"))

    def check(self) -> None:
        """Raise UsageError unless the client is open in this event loop and process; see `Session.check`."""
        self.session.check()

    def start(self, work: Coroutine[Any, Any, Any]) -> Job:
        """Start a job of the session; see `Host.start`."""
        return self.session.start(work)

    async def send(self, call: Call, failure: AfasError | None = None) -> AfasError | None:
        """Send a call until it succeeds or fails for good, and return the failure; see `Engine.send`."""
        call.operation = self.operation
        if self.operation is not None:
            self.operation.begin()
        return await self.session.engine.send(call, self.options, failure)

    def counters(self, connector: str) -> tuple[Statistics | Operation, ...]:
        """Return everything that counts the rows which the user receives."""
        counters = self.session.engine.counts.of(connector)
        return counters if self.operation is None else (*counters, self.operation)

    def end(self, error: BaseException | None = None) -> None:
        """Report the end of the user's call as an event."""
        if self.operation is not None:
            self.operation.end(error)


class Caller:
    """Base of the parts of a client: each has a session and options, and makes calls with them."""

    _session: Session
    _options: Options

    @property
    def _channel(self) -> Channel:
        """The channel of the running operation."""
        return Channel(self._session, self._options, _OPERATION.get())

    def _begin(self, name: str) -> Channel:
        """Return the channel of a new operation, which `Channel.end` ends."""
        return Channel(self._session, self._options, _operation(name, self._session, self._options))


def _operation(name: str, session: Session, options: Options) -> Operation | None:
    """Return a new operation, if anybody listens."""
    if not is_heard(options.on_event):
        return None
    return Operation(name, session.engine.sender.environment, options.on_event)


def operation(method: MethodT) -> MethodT:
    """Make a method of a client one operation: its requests have one id, and its end is an event."""

    @wraps(method)
    async def call(self: Any, *arguments: Any, **options: Any) -> Any:
        running = _operation(method.__name__, self._session, self._options)
        before = _OPERATION.get()
        _OPERATION.set(running)
        try:
            if running is not None:
                running.begin()
            result = await method(self, *arguments, **options)
        except BaseException as error:
            if running is not None:
                running.end(error)
            raise
        else:
            if running is not None:
                running.end()
            return result
        finally:
            _OPERATION.set(before)  # no reset: a task that is left for good is closed in another context

    return cast("MethodT", call)
