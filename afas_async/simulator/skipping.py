"""An event loop whose clock skips waits, so that no test sits through a `Retry-After` or a time-out."""

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

_GRACE_SECONDS: Final = 0.00005  # what is on its way within one event loop has arrived by then


class _SkippingSelector(selectors.DefaultSelector):
    """Waits for nothing that only the clock can bring.

    Attributes:
        skipped: The seconds that it did not wait.
        threads: How many threads are at work for the event loop.
        processes: Those that the event loop has started.
        wakes: The descriptor by which threads wake the event loop.
    """

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0
        self.threads = 0
        self.processes: list[asyncio.SubprocessTransport] = []
        self.wakes = -1
        self._addresses = set[Any]()  # of all sockets that this event loop has ever had
        self._inside = set[int]()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= _GRACE_SECONDS or self.threads:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            time.sleep(_GRACE_SECONDS)  # a selector may wait for whole milliseconds
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
        """Whether nothing can arrive there but what this event loop itself sends."""
        address, peer = _ends(descriptor)
        inside = descriptor == self.wakes or (address is not None and (peer == "listening" or peer in self._addresses))
        if inside:
            self._inside.add(descriptor)
        return inside


class SkippingLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop that skips waits in which nothing can happen.

    It skips a wait only while all of its connections are within this event loop, as those of a `Simulator` and its
    client are. A connection to anything else, such as a database or a simulator in another thread or process, makes all
    waits real, and so does work in `asyncio.to_thread`, `run_in_executor` or a process that it has started. It does not
    know of threads that you start otherwise, and who waits for these may see time-outs. `time.monotonic` and
    `datetime.now` skip nothing.

    Give it as the `loop_factory` of `asyncio.Runner`, or of anyio's pytest plugin:

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
        """Return the time, with what was skipped."""
        return super().time() + self._skipping.skipped

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Call a function in a thread, while which the clock skips nothing."""
        future = super().run_in_executor(executor, func, *args)
        self._skipping.threads += 1
        future.add_done_callback(self._thread_ended)
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        """Wait for the threads, while which the clock skips nothing."""
        self._skipping.threads += 1
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self._skipping.threads -= 1

    async def subprocess_exec(self, *args: Any, **kwargs: Any) -> Any:
        """Start a program, until whose end the clock skips nothing."""
        transport, protocol = await super().subprocess_exec(*args, **kwargs)
        self._skipping.processes.append(transport)
        return transport, protocol

    async def subprocess_shell(self, *args: Any, **kwargs: Any) -> Any:
        """Start a shell, until whose end the clock skips nothing."""
        transport, protocol = await super().subprocess_shell(*args, **kwargs)
        self._skipping.processes.append(transport)
        return transport, protocol

    def _thread_ended(self, _: asyncio.Future[Any]) -> None:
        self._skipping.threads -= 1


def _ends(descriptor: int) -> tuple[Any, Any]:
    """Return the address of a TCP socket, and that of its peer, "listening" or None; twice None for anything else."""
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
