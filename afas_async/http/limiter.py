"""Limits the requests in flight: never more than allowed, and fewer after signs of overload."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import AbstractAsyncContextManager
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakValueDictionary

import anyio

from afas_async.errors import AfasError, ConfigurationError, UsageError
from afas_async.http.back_pressure import BackPressure
from afas_async.http.clock import loop_time
from afas_async.http.shared_limiter import ADVISED, KEPT_SECONDS, MOST, SharedLimiter
from afas_async.vocabulary.arguments import check_type

CLEAN_ANSWERS_TO_GROW = 20
# After a call has waited this long for a slot among all processes, responses that wait for their readers make way.
PATIENCE_SECONDS = 1.0
RETURN_SECONDS = 5.0

log: logging.Logger = logging.getLogger("afas_async")


class Limiter:
    """The slots for requests to one environment, which your clients can share.

    You rarely create one: your clients of one environment share a limiter in each event loop, because the service
    counts their requests together. If you give a client `max_concurrency`, it has its own limiter. To share a limit
    between processes, give your clients a `FileLimiter`.

    Interactive calls (`page`, single writes, metainfo, files) get the next free slot, before bulk reads and loads. For
    30 seconds after such a call, bulk work leaves one slot free, so the next call need not wait for a long page. Calls
    of the same kind wait in turn. With `with_options(priority="background")` you turn any call into bulk work.

    Args:
        limit: The highest number of requests in flight at a time, 1 to 8. AFAS advises at most 5 (GET connector).
        shared: A limiter for several processes, from which each request takes a slot as well.

    Raises:
        UsageError: If the limit is not a whole number; later, if two event loops use the limiter at the same time.
        ConfigurationError: If the limit is not 1 to 8.

    Example:
        >>> from afas_async import Limiter
        >>> async def main():
        ...     limiter = Limiter(5)
        ...     async with Simulator(rows=500) as sim:
        ...         one = AfasClient(base_url=sim.base_url, auth=sim.token, limiter=limiter)
        ...         other = AfasClient(base_url=sim.base_url, auth=sim.token, limiter=limiter)
        ...         async with one, other:
        ...             pages = await asyncio.gather(*[afas.page("Profit_Article") for afas in [one, other] * 10])
        ...         return len(pages), sim.counters.peak_in_flight <= 5
        >>> asyncio.run(main())
        (20, True)
    """

    def __init__(self, limit: int = ADVISED, *, shared: SharedLimiter | None = None) -> None:
        check_type("limit", limit, int, f"a whole number from 1 to {MOST}")
        check_type("shared", shared, SharedLimiter | None, "a SharedLimiter, such as a FileLimiter")
        if not 1 <= limit <= MOST:
            raise ConfigurationError(f"limit must be 1 to {MOST}, not {limit}")
        self._limit = limit
        self._slots = limit  # the current number, at most the limit
        self._takers: set[object] = set()
        self._shared = shared
        self._leases: dict[object, AbstractAsyncContextManager[Any]] = {}
        self._leasing: set[object] = set()  # calls that have waited long for a slot among all processes
        self._interactive: deque[tuple[asyncio.Future[None], object]] = deque()
        self._background: deque[tuple[asyncio.Future[None], object]] = deque()
        self._kept_until = 0.0
        self._clean_answers = 0
        self._paused: set[BackPressure] = set()
        self._held_until = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def limit(self) -> int:
        """The highest number of requests in flight at a time."""
        return self._limit

    @property
    def in_flight(self) -> int:
        """The number of slots that are taken now."""
        return len(self._takers)

    async def take(self, call: object, *, background: bool) -> float:
        """Wait in turn for a slot, and for the end of a wait that the service has requested; return the seconds.

        Args:
            call: The call that takes the slot.
            background: Whether the call is bulk work, so that interactive calls go first.
        """
        self._check_home()
        started = loop_time()
        has_waited = await self._acquire(call, background=background)
        while (left := self._held_until - loop_time()) > 0 or (self._shared is not None and call not in self._leases):
            has_waited = True
            if left > 0:
                await self.leave(call)
                await anyio.sleep(left)
                await self._acquire(call, background=background)
            elif self._shared is not None:
                await self._lease(self._shared, call, background=background)
        return loop_time() - started if has_waited else 0.0

    async def leave(self, call: object) -> None:
        """Give back the slot that `take` took, for good or until the end of a wait."""
        lease = self._leases.pop(call, None)
        try:
            if lease is not None:
                with anyio.move_on_after(RETURN_SECONDS, shield=True):
                    await lease.__aexit__(None, None, None)
        except Exception as error:  # noqa: BLE001 - the user's limiter may raise anything, but the request is over
            log.warning("the shared limiter raised %s when a slot was given back", type(error).__name__)
        finally:
            self.give_back(call)

    def give_back(self, call: object) -> None:
        """Give the slot in this process to the next call."""
        self._takers.remove(call)
        self._hand_on()

    async def _lease(self, shared: SharedLimiter, call: object, *, background: bool) -> None:
        """Wait for a slot among all processes, for a call that already has one in this process."""
        failure = None
        patience = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._waits_long, call)
        try:
            lease = shared.slot("background" if background else "interactive")
            await lease.__aenter__()
            self._leases[call] = lease
        except AfasError:
            raise
        except Exception as error:  # noqa: BLE001 - the user's limiter may raise anything
            failure = ConfigurationError(f"the shared limiter raised {type(error).__name__}; nothing was sent")
            failure.__cause__ = error
        finally:
            patience.cancel()
            self._leasing.discard(call)
            if call not in self._leases:
                self.give_back(call)
        if failure is not None:
            raise failure

    def _waits_long(self, call: object) -> None:
        self._leasing.add(call)
        self._hand_on()

    def hold(self, seconds: float) -> None:
        """Give no slots for some seconds, because the service has requested a wait."""
        self._held_until = max(self._held_until, loop_time() + seconds)

    async def pause(self, back_pressure: BackPressure, scope: anyio.CancelScope) -> None:
        """Pause a response until its reader has caught up. The time-out of its scope does not run meanwhile."""
        left, scope.deadline = scope.deadline - loop_time(), float("inf")
        self._paused.add(back_pressure)
        self._hand_on()
        try:
            await back_pressure.wait()
        finally:
            self._paused.discard(back_pressure)
            scope.deadline = loop_time() + left

    def calm(self) -> None:
        """Halve the number of slots, because the service is overloaded."""
        self._clean_answers = 0
        self._slots = max(1, self._slots // 2)

    def grow(self) -> None:
        """Count a success. After 20 of them, add one slot again, up to the limit."""
        self._clean_answers += 1
        if self._clean_answers >= CLEAN_ANSWERS_TO_GROW and self._slots < self._limit:
            self._clean_answers = 0
            self._slots += 1
            self._hand_on()

    async def _acquire(self, call: object, *, background: bool) -> bool:
        """Take a slot of this process, and return whether there was none at once."""
        if not background:
            self._kept_until = loop_time() + KEPT_SECONDS
        queue = self._background if background else self._interactive
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append((waiter, call))
        self._hand_on()
        if waiter.done():
            return False
        try:
            await waiter
        except asyncio.CancelledError:
            if call in self._takers:  # the call got its slot at the same moment
                self._takers.remove(call)
            elif (waiter, call) in queue:
                queue.remove((waiter, call))
            self._hand_on()
            raise
        return True

    def _hand_on(self) -> None:
        """Give free slots to waiting calls, interactive calls first."""
        self._give(self._interactive, kept=0)
        if not self._interactive:
            self._give(self._background, kept=self._kept())
        if (self._waiting or self._leasing) and len(self._paused) >= len(self._takers) - len(self._leasing):
            # All slots are taken by responses that wait for their readers. The call that waits for a slot may be such
            # a reader, in the same loop that should read them. It is better to use memory than to wait forever.
            for back_pressure in self._paused:
                back_pressure.release()

    def _give(self, queue: deque[tuple[asyncio.Future[None], object]], *, kept: int) -> None:
        while queue and len(self._takers) < self._slots - kept:
            waiter, call = queue.popleft()
            if not waiter.done():  # a waiter that is done was just cancelled
                self._takers.add(call)
                waiter.set_result(None)

    def _kept(self) -> int:
        """Return the number of slots that bulk work leaves free; 0 if every taken slot waits for its reader."""
        if self._takers and len(self._paused) >= len(self._takers):
            return 0
        return 1 if self._slots > 1 and loop_time() < self._kept_until else 0

    @property
    def _waiting(self) -> bool:
        return bool(self._interactive or self._background)

    def _check_home(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        if self._loop is not None and self._loop.is_closed():
            self._takers.clear()
            self._leases.clear()
            self._leasing.clear()
            self._interactive.clear()
            self._background.clear()
        if self._takers or self._waiting:
            raise UsageError("the limiter is in use in another event loop: create one limiter per event loop")
        self._loop = loop


_COMMON: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[object, Limiter]]] = WeakKeyDictionary()


def limiter_of(whose: Limiter | SharedLimiter | str) -> Limiter:
    """Return the limiter for a client that opens in the running event loop.

    Args:
        whose: A limiter, which is returned; or the URL of an environment or a `SharedLimiter`. Clients that give the
            same URL or `SharedLimiter` in this loop get the same limiter.
    """
    if isinstance(whose, Limiter):
        return whose
    common = _COMMON.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    limiter = common.get(whose)
    if limiter is None:
        shared = None if isinstance(whose, str) else whose
        limiter = common[whose] = Limiter(limit_of(whose), shared=shared)
    return limiter


def limit_of(whose: Limiter | SharedLimiter | str) -> int:
    """Return the highest number of requests that such a limiter allows in flight in this process."""
    return ADVISED if isinstance(whose, str) else min(MOST, whose.limit)
