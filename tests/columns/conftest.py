"""Two connectors of a simulator, with pages so small that a read has several."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from afas_async import AfasClient
from afas_async.columns import groups
from afas_async.simulator import Simulator
from tests.support import canary
from tests.support.postgres import postgres


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(rows=1_300, token=canary.TOKEN) as running:
        yield running


@pytest.fixture
async def afas(simulator: Simulator) -> AsyncIterator[AfasClient]:
    async with AfasClient(base_url=simulator.base_url, auth=simulator.token) as client:
        yield client


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URI of a PostgreSQL, for all tests that need one."""
    with postgres() as uri:
        yield uri


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a batch of about each page, so that a read has several."""
    monkeypatch.setattr(groups, "GROUP_BYTES", 20_000)
