"""An event loop that skips waits, so that your tests need not sit through a `Retry-After` or a time-out."""

from __future__ import annotations

import asyncio
import selectors
import socket
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Final, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_GRACE_SECONDS: Final = 0.00005  # bytes sent within one event loop have arrived by then


class _SkippingSelector(selectors.DefaultSelector):
    """Skips a wait that only the clock can end.

    Attributes:
        skipped: The seconds skipped so far.
        threads: How many threads work for the event loop.
        processes: The processes that the event loop has started.
        wakes: The descriptor by which threads wake the event loop.
    """

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0
        self.threads = 0
        self.processes: list[asyncio.SubprocessTransport] = []
        self.wakes = -1
        self._addresses = set[Any]()  # of all sockets that this event loop has had
        self._inside = set[int]()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= _GRACE_SECONDS or self.threads:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            time.sleep(_GRACE_SECONDS)  # not the selector, which may round up to whole milliseconds
            ready = super().select(0)
        if ready:
            return ready
        self.processes = [process for process in self.processes if process.get_returncode() is None]
        is_inside = all(key.fd in self._inside or self._is_inside(key.fd) for key in self.get_map().values())
        if self.processes or not is_inside:
            return super().select(timeout)
        self.skipped += timeout - _GRACE_SECONDS
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = super().register(fileobj, events, data)
        address, _ = _ends(key.fd)
        self._addresses.add(address)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        key = super().unregister(fileobj)
        self._inside.discard(key.fd)
        return key

    def _is_inside(self, descriptor: int) -> bool:
        """Whether only this event loop itself can send something there."""
        address, peer = _ends(descriptor)
        inside = descriptor == self.wakes or (address is not None and (peer == "listening" or peer in self._addresses))
        if inside:
            self._inside.add(descriptor)
        return inside


class SkippingLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop that skips waits in which nothing can happen, for your tests.

    It skips while all its connections are within the loop, as those of your `Simulator` and your client are. All waits
    are real while you have:

    - another connection, such as to a database or to a simulator in another thread or process;
    - work in `asyncio.to_thread` or `run_in_executor`;
    - a process that the loop has started.

    It does not see threads that you start in other ways: code that waits for them may run into time-outs.
    `time.monotonic` and `datetime.now` do not skip.

    Pass it as the `loop_factory` of `asyncio.Runner`, or of anyio's pytest plugin:

        @pytest.fixture
        def anyio_backend():
            return "asyncio", {"loop_factory": SkippingLoop}

    Example:
        >>> from afas_async import AfasClient
        >>> from afas_async.simulator import Fault, Simulator, SkippingLoop
        >>> async def main():
        ...     async with (
        ...         Simulator(rows=1_000) as simulator,
        ...         AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
        ...     ):
        ...         simulator.faults.add(Fault(status=503, retry_after=60))
        ...         return len(await afas.rows("Profit_Article", key="ItemCode").to_list())
        >>> with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        ...     runner.run(main())  # at once
        1000
    """

    def __init__(self) -> None:
        self._skipping = _SkippingSelector()
        super().__init__(self._skipping)
        self._skipping.wakes = next(iter(self._skipping.get_map().values())).fd

    def time(self) -> float:
        """Return the time in seconds, including skipped waits."""
        return super().time() + self._skipping.skipped

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Call a function in a thread. Until it ends, all waits are real."""
        future = super().run_in_executor(executor, func, *args)
        self._skipping.threads += 1
        future.add_done_callback(self._thread_ended)
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        """Wait for the threads to end. Until then, all waits are real."""
        self._skipping.threads += 1
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self._skipping.threads -= 1

    async def subprocess_exec(self, *args: Any, **kwargs: Any) -> Any:
        """Start a program. Until it ends, all waits are real."""
        transport, protocol = await super().subprocess_exec(*args, **kwargs)
        self._skipping.processes.append(transport)
        return transport, protocol

    async def subprocess_shell(self, *args: Any, **kwargs: Any) -> Any:
        """Start a shell. Until it ends, all waits are real."""
        transport, protocol = await super().subprocess_shell(*args, **kwargs)
        self._skipping.processes.append(transport)
        return transport, protocol

    def _thread_ended(self, _: asyncio.Future[Any]) -> None:
        self._skipping.threads -= 1


def _ends(descriptor: int) -> tuple[Any, Any]:
    """Return the address of a TCP socket, and its peer's address or "listening"; (None, None) for anything else."""
    try:
        found = socket.socket(fileno=descriptor)
    except OSError:
        return None, None
    try:
        if found.family not in {socket.AF_INET, socket.AF_INET6} or found.type != socket.SOCK_STREAM:
            return None, None
        if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return found.getsockname(), "listening"
        return found.getsockname(), found.getpeername()
    except OSError:
        return None, None
    finally:
        found.detach()
