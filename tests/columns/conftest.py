"""Two connectors of a simulator, with pages so small that a read has several."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from afas_async import AfasClient
from afas_async.columns import groups
from afas_async.simulator import Simulator
from tests.support import canary


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(rows=1_300, token=canary.TOKEN) as running:
        yield running


@pytest.fixture
async def afas(simulator: Simulator) -> AsyncIterator[AfasClient]:
    async with AfasClient(base_url=simulator.base_url, auth=simulator.token) as client:
        yield client


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a batch for about each page, so that there are several of them."""
    monkeypatch.setattr(groups, "GROUP_BYTES", 20_000)
