"""What every test runs with: virtual time, the canary, and a census of what it leaves."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import settings

from afas_async import AfasClient, AfasError
from afas_async.simulator import Simulator
from tests.support import canary
from tests.support.thoroughness import FULL, left_out
from tests.support.virtual_time import VirtualTimeLoop

# The processes that tests start, and those in which they run, keep what they compile: that is a third of their time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A full run makes as many examples of a property as CI can bear.
settings.register_profile("sampled", max_examples=20, deadline=None)
settings.register_profile("full", max_examples=300, deadline=None)
settings.load_profile("full" if FULL else "sampled")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests that a sample leaves out, unless you name them by their id."""
    if not FULL and not any("[" in argument for argument in config.args):
        left = {id(item) for item in left_out(items)}
        config.hook.pytest_deselected(items=[item for item in items if id(item) in left])
        items[:] = [item for item in items if id(item) not in left]


def pytest_collection_finish() -> None:
    """Exclude everything imported before the first test from the garbage collection after each test."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"debug": FULL, "loop_factory": VirtualTimeLoop}


@pytest.fixture(autouse=True)
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[canary.Watch]:
    """Fail the test if the token shows in anything that it leaves."""
    watch = canary.Watch()
    make = AfasError.__init__

    def record(self: AfasError, *args: Any) -> None:
        watch.errors.append(self)
        make(self, *args)

    monkeypatch.setattr(AfasError, "__init__", record, raising=False)
    root = logging.getLogger()
    root.addHandler(watch)
    level = root.level
    root.setLevel(logging.DEBUG)
    logging.getLogger("asyncio").setLevel(logging.INFO)  # at DEBUG it notes each connection, with no word of a request
    logging.getLogger("afas_async.events").setLevel(logging.INFO)  # each event is watched on its own
    gc.collect()
    gc.freeze()  # so that the collection after this test looks only at what it has made
    with warnings.catch_warnings(record=False):
        yield watch
    found = watch.found()
    watch.errors.clear()
    gc.collect()
    root.setLevel(level)
    root.removeHandler(watch)
    assert found == [], "the token shows"
    assert watch.complaints == [], "the event loop complains"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the environment variables of the person who runs the tests."""
    for name in ("TOKEN", "CLIENT_ID", "CLIENT_SECRET", "ENVIRONMENT", "ENVIRONMENT_TYPE", "BASE_URL", "LOG"):
        monkeypatch.delenv(f"AFAS_{name}", raising=False)


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(rows=3_000, token=canary.TOKEN) as running:
        yield running


@pytest.fixture
async def afas(simulator: Simulator, watch: canary.Watch) -> AsyncIterator[AfasClient]:
    """A client of the simulator, whose events are watched; it must leave no task."""
    async with AfasClient(
        base_url=simulator.base_url, auth=simulator.token, on_event=lambda event: watch.texts.append(repr(event))
    ) as client:
        yield client
        engine = client._session.engine
        for _ in range(100):
            if not engine.counts.total.in_flight:
                break
            await asyncio.sleep(0)
        assert engine.counts.total.in_flight == 0
        assert engine._limiter.in_flight == 0
