"""The writes under way: each is carried out at its moment, also when nobody waits for it any longer.

The service goes on with a request whose client has gone (docs.afas.help, "Troubleshooting": time-outs).
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
        """Have a write carried out at a moment, in seconds of the event loop's clock."""
        task = asyncio.create_task(_carry_out(work, moment))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def outcome(self, work: Work, moment: float) -> Answer:
        """Wait for the answer to a write that is carried out at a moment; who stops waiting does not stop it.

        Raises:
            RefusalError: The write is refused.
        """
        outcome = await asyncio.shield(self.begin(work, moment))
        if isinstance(outcome, RefusalError):
            raise outcome
        return outcome

    def give_up(self) -> None:
        """Give up what has not been carried out yet."""
        for task in self._tasks:
            task.cancel()

    async def stop(self) -> None:
        """Give up what has not been carried out yet, and wait until that is done."""
        self.give_up()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _carry_out(work: Work, moment: float) -> Answer | RefusalError:
    await asyncio.sleep(moment - asyncio.get_running_loop().time())
    try:
        return work.carry_out()
    except RefusalError as refusal:  # a value: nobody may be there to catch it
        return refusal
