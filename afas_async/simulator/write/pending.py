"""Pending writes: each is carried out at its moment, even if its client has gone.

The service continues with a request after its client has gone (docs.afas.help, "Troubleshooting": time-outs).
"""

from __future__ import annotations

import asyncio

from afas_async.simulator.answer import Answer, RefusalError
from afas_async.simulator.write.updates import Work


class PendingWork:
    """Carries out writes in one event loop."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Answer | RefusalError]] = set()

    def begin(self, work: Work, moment: float) -> asyncio.Task[Answer | RefusalError]:
        """Carry a write out later, at a moment in seconds of the event loop's clock."""
        task = asyncio.create_task(_carry_out(work, moment))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def outcome(self, work: Work, moment: float) -> Answer:
        """Carry a write out at a moment, and return its response. If you are cancelled, the write goes on.

        Raises:
            RefusalError: The write is refused.
        """
        outcome = await asyncio.shield(self.begin(work, moment))
        if isinstance(outcome, RefusalError):
            raise outcome
        return outcome

    def abandon(self) -> None:
        """Abandon the writes that are not carried out yet."""
        for task in self._tasks:
            task.cancel()

    async def stop(self) -> None:
        """Abandon the writes that are not carried out yet, and wait until their tasks have ended."""
        self.abandon()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _carry_out(work: Work, moment: float) -> Answer | RefusalError:
    await asyncio.sleep(moment - asyncio.get_running_loop().time())
    try:
        return work.carry_out()
    except RefusalError as refusal:  # returned, because there may be no caller to catch it
        return refusal
