"""A client belongs to one event loop of one process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from afas_async import AfasClient, GetConnector, UsageError
from afas_async.simulator import Simulator
from tests.support.census import census

ARTICLES = GetConnector("Profit_Article", key="ItemCode")

Call = Callable[[AfasClient], Awaitable[Any]]
CALLS: dict[str, Call] = {
    "rows": lambda afas: afas.rows(ARTICLES).to_list(),
    "pages": lambda afas: anext(afas.pages(ARTICLES)),
    "page": lambda afas: afas.page(ARTICLES),
    "first": lambda afas: afas.rows(ARTICLES).first(),
    "fields": lambda afas: afas.rows("Profit_Article").to_list(),
    "open": lambda afas: afas.open(),
    "close": lambda afas: afas.aclose(),
}


def in_a_new_loop(work: Callable[[], Awaitable[Any]]) -> BaseException | None:
    """Run the work in an event loop of its own and return what it raised."""

    async def run() -> None:
        await work()

    try:
        asyncio.run(run())
    except Exception as error:  # noqa: BLE001 - it is what the test asks for
        return error
    return None


def exit_code(child: int) -> int:
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


@pytest.mark.parametrize("call", CALLS)
async def test_another_event_loop(afas: AfasClient, simulator: Simulator, call: str) -> None:
    """Every call from another event loop is refused with a text that says why, and disturbs nothing."""
    found: list[BaseException | None] = []
    async with census(afas, simulator, usable=ARTICLES):
        requests = len(simulator.requests)
        found.append(await asyncio.to_thread(in_a_new_loop, lambda: CALLS[call](afas)))
        assert len(simulator.requests) == requests
    assert isinstance(found[0], UsageError)
    assert ("loop" in str(found[0])) == (call != "open")


async def test_a_stream_taken_to_another_event_loop(afas: AfasClient, simulator: Simulator) -> None:
    """A stream that started in one event loop is refused in another."""
    found: list[BaseException | None] = []
    rows = afas.rows(ARTICLES, take=100)
    await anext(rows)
    await asyncio.sleep(0.1)  # until pages are there, which need no waiting

    async def read_on() -> None:
        async for _ in rows:
            pass

    found.append(await asyncio.to_thread(in_a_new_loop, read_on))
    assert isinstance(found[0], UsageError)
    await rows.aclose()
    async with census(afas, simulator, usable=ARTICLES):
        pass


def test_one_client_per_loop_in_turn() -> None:
    """A client that was closed in one event loop is not opened in the next."""

    async def main() -> AfasClient:
        async with Simulator(rows=5) as simulator:
            async with AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas:
                assert len((await afas.page(ARTICLES)).rows) == 5
            return afas

    afas = asyncio.run(main())
    assert isinstance(in_a_new_loop(afas.open), UsageError)
    assert isinstance(in_a_new_loop(lambda: afas.page(ARTICLES)), UsageError)
    assert in_a_new_loop(afas.aclose) is None


def test_a_client_left_open_by_its_loop() -> None:
    """A client whose loop ended without closing it is refused in the next loop, and hangs nowhere."""

    async def main() -> AfasClient:
        async with Simulator(rows=5) as simulator:
            afas = AfasClient(base_url=simulator.base_url, auth=simulator.token)
            await afas.open()
            await anext(afas.rows(ARTICLES))
            return afas

    afas = asyncio.run(main())
    assert isinstance(in_a_new_loop(lambda: afas.page(ARTICLES)), UsageError)


@pytest.mark.parametrize("call", CALLS)
async def test_a_forked_process(afas: AfasClient, simulator: Simulator, call: str) -> None:
    """A forked process is refused with a text that says why; the parent continues undisturbed."""
    rows = afas.rows(ARTICLES, take=500)
    await anext(rows)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            error = in_a_new_loop(lambda: CALLS[call](afas))
            if isinstance(error, UsageError):
                code = 0 if "fork" in str(error) or call == "open" else 2
        finally:
            os._exit(code)
    assert exit_code(child) == 0
    async with census(afas, simulator, seconds=1, usable=ARTICLES):
        assert len(await rows.to_list()) == 2_999


async def test_a_stream_collected_in_a_forked_process(afas: AfasClient) -> None:
    """A stream that is collected in the child does not cut the parent's requests."""
    holder = [afas.rows(ARTICLES, take=100)]
    await anext(holder[0])
    child = os.fork()
    if child == 0:
        try:
            holder.clear()
        finally:
            os._exit(0)
    assert exit_code(child) == 0
    assert len(await holder[0].to_list()) == 2_999


def test_a_new_client_in_a_forked_process() -> None:
    """A child can make its own client."""

    async def main() -> int:
        async with (
            Simulator(rows=50) as simulator,
            AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
        ):
            return len(await afas.rows(ARTICLES).to_list())

    assert asyncio.run(main()) == 50
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if asyncio.run(main()) == 50 else 2
        finally:
            os._exit(code)
    assert exit_code(child) == 0
