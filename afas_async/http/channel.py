"""A session together with the options of one view of the client."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from afas_async.errors import AfasError
from afas_async.http.call import Call
from afas_async.http.host import Job
from afas_async.http.options import Options
from afas_async.http.session import Session
from afas_async.http.statistics import Statistics


@dataclass(frozen=True)
class Channel:
    """Sends the calls of a client. Each view of the client has its own channel.

    Args:
        session: The transport, limiter and tasks that all views share.
        options: The time-out, retries, language and events of this view.
    """

    session: Session
    options: Options

    @property
    def statistics(self) -> Statistics:
        """The counters of the session."""
        return self.session.engine.statistics

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
        return await self.session.engine.send(call, self.options, failure)


class Caller:
    """Base of the parts of a client: each has a session and options, and makes calls with them."""

    _session: Session
    _options: Options

    @property
    def _channel(self) -> Channel:
        return Channel(self._session, self._options)
