"""How many requests are in flight at a time: never more than allowed, and fewer after signs of overload."""

from __future__ import annotations

import anyio

from afas_async.http.back_pressure import BackPressure
from afas_async.http.clock import loop_time
from afas_async.http.statistics import Statistics

CLEAN_ANSWERS_TO_GROW = 20


class Limiter:
    """The slots of a client.

    Args:
        limit: How many there are at most.
        statistics: Where waiting is noted.
    """

    def __init__(self, limit: int, statistics: Statistics) -> None:
        self._limit = limit
        self._statistics = statistics
        self._slots = anyio.CapacityLimiter(limit)
        self._clean_answers = 0
        self._waiting = 0
        self._paused: set[BackPressure] = set()
        self._held_until = 0.0

    @property
    def borrowed_tokens(self) -> int:
        """How many slots are taken."""
        return self._slots.borrowed_tokens

    async def take(self, call: object) -> None:
        """Wait for a slot, in turn; and for the end of a wait that the service has asked for."""
        await self._acquire(call)
        while (left := self._held_until - loop_time()) > 0:
            self.give_back(call)
            self._statistics.seconds_waited += left
            await anyio.sleep(left)
            await self._acquire(call)

    def hold(self, seconds: float) -> None:
        """Give no slot for some seconds: the service has asked to wait."""
        self._held_until = max(self._held_until, loop_time() + seconds)

    async def _acquire(self, call: object) -> None:
        try:
            self._slots.acquire_on_behalf_of_nowait(call)
        except anyio.WouldBlock:
            started = loop_time()
            self._waiting += 1
            self._relieve()
            try:
                await self._slots.acquire_on_behalf_of(call)
            finally:
                self._waiting -= 1
                self._statistics.seconds_waited += loop_time() - started

    def give_back(self, call: object) -> None:
        """End what `take` began."""
        self._slots.release_on_behalf_of(call)
        self._relieve()

    async def pause(self, back_pressure: BackPressure, scope: anyio.CancelScope) -> None:
        """Hold an answer that outgrows its reader's memory; the time-out of its scope stands still meanwhile."""
        left, scope.deadline = scope.deadline - loop_time(), float("inf")
        self._paused.add(back_pressure)
        self._relieve()
        try:
            await back_pressure.wait()
        finally:
            self._paused.discard(back_pressure)
            scope.deadline = loop_time() + left

    def calm(self) -> None:
        """Halve the slots: the service is short of something."""
        self._clean_answers = 0
        self._slots.total_tokens = max(1, self._slots.total_tokens // 2)

    def grow(self) -> None:
        """After many clean answers, allow one more request in flight again."""
        self._clean_answers += 1
        if self._clean_answers >= CLEAN_ANSWERS_TO_GROW and self._slots.total_tokens < self._limit:
            self._clean_answers = 0
            self._slots.total_tokens += 1

    def _relieve(self) -> None:
        """Let paused answers go on if they hold all slots while another call waits for one.

        That call may come from the very loop that should read them: better to spend memory than to wait for ever.
        """
        if self._waiting and len(self._paused) >= self._slots.borrowed_tokens:
            for back_pressure in self._paused:
                back_pressure.release()
