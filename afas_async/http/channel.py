"""A session, and the options with which calls go through it."""

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
    """What every call of a client goes through; a view of the client has another one.

    Args:
        session: The transport, limiter and tasks that all views share.
        options: Time-out, retries, language and events of this view.
    """

    session: Session
    options: Options

    @property
    def statistics(self) -> Statistics:
        """What the session has done so far."""
        return self.session.engine.statistics

    @property
    def bulk(self) -> Channel:
        """The same for bulk reads and loads, which interactive calls pass unless the options say otherwise."""
        if self.options.priority is not None:
            return self
        return replace(self, options=msgspec.structs.replace(self.options, priority="background"))

    def check(self) -> None:
        """Raise a clear error unless calls can be made here and now; see `Session.check`."""
        self.session.check()

    def start(self, work: Coroutine[Any, Any, Any]) -> Job:
        """Start a job of the session; see `Host.start`."""
        return self.session.start(work)

    async def send(self, call: Call, failure: AfasError | None = None) -> AfasError | None:
        """Send a call until it succeeds or fails for good, and return the failure; see `Engine.send`."""
        return await self.session.engine.send(call, self.options, failure)


class Caller:
    """What makes calls: it has a session, and options of its own."""

    _session: Session
    _options: Options

    @property
    def _channel(self) -> Channel:
        return Channel(self._session, self._options)
