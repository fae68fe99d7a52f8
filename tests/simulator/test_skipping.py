"""The event loop that skips waits."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import anyio
import pytest

from afas_async import AfasClient
from afas_async.simulator import Fault, Latency, Simulator, SkippingLoop, spawn

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> tuple[T, float, float]:
    """Return the result of a coroutine, the real seconds that it took, and the seconds by its event loop's clock."""
    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        loop = runner.get_loop()
        began, first = time.perf_counter(), loop.time()
        outcome = runner.run(main)
        return outcome, time.perf_counter() - began, loop.time() - first


def test_sleeps() -> None:
    """A sleep takes no time, but the clock advances."""

    async def main() -> None:
        await asyncio.gather(asyncio.sleep(3_600), anyio.sleep(60))
        with anyio.move_on_after(1_000):
            await asyncio.Event().wait()

    _, real, passed = run(main())
    assert real < 1
    assert 4_600 <= passed < 4_601


@pytest.mark.parametrize("faults", [1, 2])
def test_a_service_that_asks_to_wait(faults: int) -> None:
    """A client of a simulator waits no real second for a `Retry-After` or a slow response."""

    async def main() -> int:
        async with (
            Simulator(rows=5_000, latency=Latency(base=2, per_row=0.01)) as simulator,
            AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
        ):
            simulator.faults.add(Fault(status=503, retry_after=30, times=faults), Fault(cut="reset", at=5_000))
            return len(await afas.rows("Profit_Wide", key="Id").to_list())

    rows, real, passed = run(main())
    assert rows == 5_000
    assert passed > 30 * faults
    assert real < 5


def test_nothing_times_out_that_is_at_work() -> None:
    """Results of threads, processes and outside connections come before a time-out that is due later."""

    async def main() -> None:
        async with asyncio.timeout(30):
            await asyncio.to_thread(time.sleep, 0.05)
            code = "import time; time.sleep(0.05); print('done')"
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
            assert (await process.communicate())[0].strip() == b"done"
            async with (
                spawn(rows=5, latency=Latency(base=0.05)) as there,
                AfasClient(base_url=there.base_url, auth=there.token) as afas,
            ):
                assert len(await afas.rows("Profit_Article", key="ItemCode").to_list()) == 5
            with Simulator.running(rows=5, latency=Latency(base=0.05)) as simulator:
                async with AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas:
                    assert len(await afas.rows("Profit_Article", key="ItemCode").to_list()) == 5

    _, real, passed = run(main())
    assert passed < real + 10  # it skips waits between these works, such as the pause before an attempt to connect


def test_threads_that_work_on_at_the_end() -> None:
    """The end of the event loop waits for threads, without giving up as by the clock."""
    ended: list[bool] = []

    def work() -> None:
        time.sleep(0.05)
        ended.append(True)

    async def main() -> None:
        asyncio.get_running_loop().run_in_executor(None, work)
        await asyncio.sleep(0)

    run(main())
    assert ended == [True]


def test_a_connection_to_elsewhere_stops_the_skipping() -> None:
    """Waits are real while there is a connection to another thread or computer, and are skipped again after it."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as elsewhere:
            _, writer = await asyncio.open_connection(*elsewhere.getsockname())
            began = time.perf_counter()
            await asyncio.sleep(0.05)
            assert time.perf_counter() - began >= 0.04
            writer.close()
            await writer.wait_closed()
        began = loop.time()
        await asyncio.sleep(1_000)
        assert loop.time() - began >= 1_000

    _, real, _ = run(main())
    assert real < 2
