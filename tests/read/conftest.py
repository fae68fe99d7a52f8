"""Two services: a slow one, so that pages are in flight when a reader leaves, and one with any rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from afas_async import AfasClient
from afas_async.simulator import Latency, Simulator
from tests.support import canary
from tests.support.thoroughness import by_default

SIMULATED = by_default(1_300, 3_000)  # enough for a third page, which is requested after 1,100 rows
SLOW = by_default(400, 1_500)

Serve = Callable[..., Awaitable[tuple[Simulator, AfasClient]]]


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(rows=SIMULATED, token=canary.TOKEN) as running:
        yield running


@pytest.fixture
async def slow() -> AsyncIterator[Simulator]:
    async with Simulator(rows=SLOW, token=canary.TOKEN, latency=Latency(base=0.05)) as running:
        yield running


@pytest.fixture
async def reader(slow: Simulator) -> AsyncIterator[AfasClient]:
    async with AfasClient(base_url=slow.base_url, auth=slow.token) as client:
        yield client


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a simulator, whose arguments are given, and a client of it."""
    async with AsyncExitStack() as stack:

        async def start(*, max_concurrency: int = 5, **options: Any) -> tuple[Simulator, AfasClient]:
            simulator = await stack.enter_async_context(Simulator(token=canary.TOKEN, **options))
            client = AfasClient(base_url=simulator.base_url, auth=simulator.token, max_concurrency=max_concurrency)
            return simulator, await stack.enter_async_context(client)

        yield start
