"""One open client for each tenant of a service: opened when you need it, shared while it is used, closed later."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from contextvars import ContextVar
from types import TracebackType
from typing import Final, Self, cast

import anyio
import msgspec

from afas_async.client.client import AfasClient
from afas_async.errors import ClientClosedError, UsageError
from afas_async.http.clock import loop_time
from afas_async.http.host import Host, Job, wait_ended
from afas_async.http.statistics import Statistics
from afas_async.vocabulary.arguments import check_type, type_name

PATIENCE_SECONDS: Final = 30.0

log: logging.Logger = logging.getLogger("afas_async")


class _Hold:
    """A client of a pool in use: by the task that entered the block, and by the tasks that it awaits."""

    def __init__(self, pool: ClientPool, before: _Hold | None) -> None:
        self.pool = pool
        self.before = before
        self.is_over = False


# The clients that the running task uses: it must not wait for another one to become free. Tasks that it starts inherit
# this, and may outlive the block.
_HOLDING: ContextVar[_Hold | None] = ContextVar("afas_async_holding", default=None)


class PoolStatistics(msgspec.Struct, frozen=True):
    """The counts of a pool: since it was made, and at this moment.

    Attributes:
        open: Clients that are open, opening or closing.
        in_use: Those of them that somebody uses.
        waiting: Tenants that wait until another client can be closed.
        opened: Clients opened since the pool was made.
        closed: Clients closed since then.
        clients: The statistics of each open client, by tenant.
    """

    open: int
    in_use: int
    waiting: int
    opened: int
    closed: int
    clients: dict[str, Statistics]


class _Tenant:
    """One client of a pool, and its number of users."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.users = 0
        self.job: Job | None = None  # that opens the client
        self.client: AfasClient | None = None
        self.view: AfasClient | None = None
        self.waiter: asyncio.Future[None] | None = None  # for a place among the open clients
        self.idle_since = 0.0


class ClientPool:
    """Clients for many tenants: `async with pool.client("acme") as afas:` gives you an open one.

    Open the pool once, with `async with`, in your service's event loop. A client is opened when you first ask for
    it. All tasks that ask for the same tenant share it, and it is never closed while somebody uses it.

    If `most` clients are open, the one that was unused for the longest time makes room. If all are in use, the next
    tenant waits for one, 30 seconds at most. A task that already uses a client of this pool does not wait at all,
    because it might wait for itself. After the wait, one more client is opened.

    Args:
        make: Called with the name of a tenant; returns its client, not yet open. It may be an async function. Everybody
            who waits for that tenant gets its exception; raise your own for an unknown one. The next call tries again.
        most: Clients open at a time. Each takes about 20 KiB; its connections close after 15 silent seconds.
        idle: Seconds after which an unused client is closed.

    Raises:
        UsageError: If an argument has the wrong type or is out of range.

    Example:
        >>> async def main():
        ...     async with Simulator(rows=500) as sim:
        ...         def make(tenant):
        ...             return AfasClient(base_url=sim.base_url, auth=sim.token)  # by tenant, in your service
        ...         async with ClientPool(make, most=20) as pool:
        ...             async with pool.client("acme") as afas:
        ...                 page = await afas.page("Profit_Article", take=3)
        ...             return len(page.rows), pool.statistics().open
        >>> asyncio.run(main())
        (3, 1)
    """

    def __init__(
        self, make: Callable[[str], AfasClient | Awaitable[AfasClient]], *, most: int = 50, idle: float = 300.0
    ) -> None:
        if not callable(make):
            raise UsageError("make: expected a function that returns the client of a tenant")
        check_type("most", most, int, "a whole number such as 50")
        check_type("idle", idle, int | float, "a number of seconds such as 300")
        if most < 1 or not idle >= 0:
            raise UsageError(f"most must be 1 or more and idle 0 seconds or more, not {most} and {idle}")
        self._make = make
        self._most = most
        self._idle_seconds = idle
        self._tenants: dict[str, _Tenant] = {}
        self._idle: dict[str, _Tenant] = {}  # unused clients, the longest unused first
        self._open: set[_Tenant] = set()
        self._places = 0  # taken by clients that are open, opening or closing
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._closing = 0
        self._opened = self._closed = 0
        self._host: Host | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_left = False

    async def __aenter__(self) -> Self:
        if self._host is not None:
            raise UsageError("a pool is opened once: make a new one")
        self._loop = asyncio.get_running_loop()
        self._host = Host(nullcontext())
        await self._host.wait_open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close all clients, also those in use, as `AfasClient.aclose` does."""
        self._is_left = True
        if self._timer is not None:
            self._timer.cancel()
        assert self._host is not None  # noqa: S101 - it was entered
        try:
            await self._host.close()
        finally:
            clients = [tenant.client for tenant in self._open if tenant.client is not None]
            await wait_ended(*[asyncio.create_task(client.aclose()) for client in clients])
            self._closed += len(clients)
            self._open.clear()
            self._tenants.clear()
            self._idle.clear()

    @asynccontextmanager
    async def client(self, tenant: str) -> AsyncGenerator[AfasClient, None]:
        """Use the open client of a tenant, in an `async with` block.

        The first block opens the client, and later ones share it. If you are cancelled while you wait, the client is
        still opened for the others who wait for it. See the class for what happens when too many are open.

        Args:
            tenant: The name, as your `make` takes it.

        Yields:
            The client: a view that you cannot close, shared with all others who use it.

        Raises:
            UsageError: If the pool was opened in another event loop, the name is not text, or `make` returns something
                else.
            ClientClosedError: If the pool is not open, or is closed while you wait.
            Exception: Whatever `make` raises, or the reason why the client cannot be opened.
        """
        check_type("tenant", tenant, str, "the name of a tenant")
        self._check()
        used = self._tenants.get(tenant) or self._start(tenant)
        used.users += 1
        self._idle.pop(tenant, None)
        if self._holds_client:
            self._give_place(used.waiter)
        hold = _Hold(self, before=_HOLDING.get())
        try:
            view = used.view or await self._wait_open(used)
            _HOLDING.set(hold)
            yield view
        finally:
            hold.is_over = True
            _HOLDING.set(hold.before)
            used.users -= 1
            self._release(used)

    def forget(self, tenant: str) -> None:
        """Make the next use of a tenant call `make` again, for example after you have rotated its token.

        Blocks that use the old client keep it, and its requests go on. It is closed when the last of them ends. You can
        call this as often as you like; a tenant without a client is ignored.

        Args:
            tenant: The name of the tenant.
        """
        if (forgotten := self._tenants.pop(tenant, None)) is not None:
            self._idle.pop(tenant, None)
            self._release(forgotten)

    def statistics(self) -> PoolStatistics:
        """Return the counts of the pool: its clients now, and how many were opened and closed so far.

        Publish them as metrics, to see whether `most` suits your service: while `waiting` is often above 0, requests of
        tenants wait for each other. `clients` has the statistics of each open client, such as its requests and its
        rows.

        Returns:
            A copy, which does not change afterwards.
        """
        return PoolStatistics(
            len(self._open),
            sum(tenant.users > 0 for tenant in self._open),
            len(self._waiters),
            self._opened,
            self._closed,
            {name: tenant.client.statistics() for name, tenant in self._tenants.items() if tenant.client is not None},
        )

    def _check(self) -> None:
        if self._is_left:
            raise ClientClosedError("the pool is closed")
        if self._host is None:
            raise ClientClosedError("the pool is not open: use `async with pool:`")
        if asyncio.get_running_loop() is not self._loop:
            raise UsageError("the pool was opened in another event loop: make one per event loop")

    # --- opening ---

    def _start(self, name: str) -> _Tenant:
        assert self._host is not None  # noqa: S101 - it was checked
        tenant = self._tenants[name] = _Tenant(name)
        tenant.job = self._host.start(self._open_one(tenant, nested=self._holds_client))
        return tenant

    @property
    def _holds_client(self) -> bool:
        """Whether the running task already uses a client, so that it must not wait for a place."""
        hold = _HOLDING.get()
        while hold is not None and (hold.is_over or hold.pool is not self):
            hold = hold.before
        return hold is not None

    async def _wait_open(self, tenant: _Tenant) -> AfasClient:
        """Wait for the job that opens a client. If this wait is cancelled, the job goes on for the others."""
        assert tenant.job is not None  # noqa: S101 - it was started with the tenant
        await asyncio.wait([tenant.job])
        if tenant.job.cancelled():
            raise ClientClosedError("the pool was closed while the client was opened")
        found: AfasClient | Exception = tenant.job.result()
        if isinstance(found, Exception):
            raise found
        return found

    async def _open_one(self, tenant: _Tenant, *, nested: bool) -> AfasClient | Exception:
        """Open the client of a tenant. Return its view, or the exception for those who wait."""
        try:
            await self._wait_for_place(tenant, nested=nested)
        except BaseException:
            self._forget(tenant)
            raise
        self._open.add(tenant)
        try:
            _HOLDING.set(_Hold(self, before=None))  # `make` may use the client of another tenant
            client = await self._new_client(tenant.name)
            await client.open()
        except Exception as error:  # noqa: BLE001 - it travels to those who wait
            self._end(tenant)
            return error
        except BaseException:
            self._end(tenant)
            raise
        tenant.client, tenant.view = client, client.with_options()
        self._opened += 1
        self._release(tenant)  # nobody may be waiting any more
        return tenant.view

    async def _new_client(self, name: str) -> AfasClient:
        made = cast("object", self._make(name))  # its type hint may be wrong
        try:
            if inspect.isawaitable(made):
                made = await made
            if isinstance(made, AfasClient):
                return made
            given = type_name(made)
        finally:
            del made  # it may be a token, which must not stand among the locals
        raise UsageError(f"make: expected it to return an AfasClient, got {given}")

    async def _wait_for_place(self, tenant: _Tenant, *, nested: bool) -> None:
        """Wait until one more client may be open."""
        if nested or (self._places < self._most and not self._waiters):
            self._places += 1
            return
        waiter = tenant.waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._make_room()
        try:
            with anyio.move_on_after(PATIENCE_SECONDS):
                await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():  # it got its place at the moment of the cancellation
                self._free_place()
            raise
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
        if waiter.cancelled():
            log.warning("all %d clients of a pool are in use for %g s: opening one more", self._most, PATIENCE_SECONDS)
            self._places += 1

    def _free_place(self) -> None:
        self._places -= 1
        while self._waiters and self._places < self._most:
            self._give_place(self._waiters.popleft())
        self._make_room()

    def _give_place(self, waiter: asyncio.Future[None] | None) -> None:
        if waiter is not None and not waiter.done():
            self._places += 1
            waiter.set_result(None)

    # --- closing ---

    def _release(self, tenant: _Tenant) -> None:
        """Keep an unused client for its next user, or close it if it can have none."""
        if tenant.users or self._is_left:
            return
        if tenant.client is None:
            if tenant.job is not None:
                tenant.job.cancel()  # nobody waits for it any more
            self._forget(tenant)
        elif self._tenants.get(tenant.name) is not tenant:
            self._close_soon(tenant)
        else:
            tenant.idle_since = loop_time()
            self._idle[tenant.name] = tenant
            self._make_room()
            self._set_timer()

    def _make_room(self) -> None:
        while self._idle and self._closing < self._places - self._most + len(self._waiters):
            self._close_soon(next(iter(self._idle.values())))

    def _set_timer(self) -> None:
        if self._timer is None and self._idle:
            first = next(iter(self._idle.values()))
            self._timer = asyncio.get_running_loop().call_at(first.idle_since + self._idle_seconds, self._expire)

    def _expire(self) -> None:
        self._timer = None
        for tenant in list(self._idle.values()):
            if tenant.idle_since + self._idle_seconds <= loop_time():
                self._close_soon(tenant)
        self._set_timer()

    def _close_soon(self, tenant: _Tenant) -> None:
        assert self._host is not None  # noqa: S101 - it was checked
        self._forget(tenant)
        self._closing += 1
        self._host.start(self._close(tenant))

    async def _close(self, tenant: _Tenant) -> None:
        assert tenant.client is not None  # noqa: S101 - only an open one is closed
        try:
            await tenant.client.aclose()
        finally:
            self._closing -= 1
            self._closed += 1
            self._end(tenant)

    def _forget(self, tenant: _Tenant) -> None:
        if self._tenants.get(tenant.name) is tenant:
            del self._tenants[tenant.name]
            self._idle.pop(tenant.name, None)

    def _end(self, tenant: _Tenant) -> None:
        """Give the place of a closed client to the first tenant that waits for one."""
        self._forget(tenant)
        self._open.discard(tenant)
        self._free_place()
