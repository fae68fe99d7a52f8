"""A service over HTTP with as many rows as a test needs, and clients of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from afas_async import AfasClient
from afas_async.simulator import Simulator
from tests import canary

Serve = Callable[..., Awaitable[tuple[Simulator, AfasClient]]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a simulator, whose arguments are given, and a client of it."""
    async with AsyncExitStack() as stack:

        async def start(*, max_concurrency: int = 5, **options: Any) -> tuple[Simulator, AfasClient]:
            simulator = await stack.enter_async_context(Simulator(token=canary.TOKEN, **options))
            client = AfasClient(base_url=simulator.base_url, auth=simulator.token, max_concurrency=max_concurrency)
            return simulator, await stack.enter_async_context(client)

        yield start
