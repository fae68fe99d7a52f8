"""A service that takes its time, so that pages are under way when a reader leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from afas_async import AfasClient
from afas_async.simulator import Latency, Simulator
from tests import canary


@pytest.fixture
async def slow() -> AsyncIterator[Simulator]:
    async with Simulator(rows=1_500, token=canary.TOKEN, latency=Latency(base=0.05)) as running:
        yield running


@pytest.fixture
async def reader(slow: Simulator) -> AsyncIterator[AfasClient]:
    async with AfasClient(base_url=slow.base_url, auth=slow.token) as client:
        yield client
