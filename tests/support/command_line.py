"""What the tests of the commands share: a simulator outside the command's event loop, and what a command leaves."""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from anyio.from_thread import start_blocking_portal

from afas_async.commands import cli
from afas_async.simulator import Simulator
from afas_async.simulator.remote import SimulatorProcess
from afas_async.simulator.storage.store import Store
from tests.support import canary


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ended:
    """Run a command, whose output must not show the token."""
    status = cli.run(list(arguments))
    shown = capsys.readouterr()
    assert not canary.leaks(shown.out + shown.err)
    return Ended(status, shown.out, shown.err)


def refused(ended: Ended) -> str:
    """Return the one line that a command left that failed."""
    assert ended.status == 1
    assert ended.err.startswith("python -m afas_async: ")
    assert ended.err.count("\n") == 1
    return ended.err


@contextmanager
def environment(
    monkeypatch: pytest.MonkeyPatch, *, rows: int = 3_000, prepare: Callable[[Store], object] = lambda _: None
) -> Iterator[Simulator]:
    """Run a simulator in a thread of its own, and have the AFAS_* variables name it, as they name a real service."""

    @asynccontextmanager
    async def simulated() -> AsyncIterator[Simulator]:
        async with Simulator(rows=rows, token=canary.TOKEN) as simulator:
            prepare(simulator.store)
            yield simulator

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(simulated()) as simulator:
        monkeypatch.setenv("AFAS_BASE_URL", simulator.base_url)
        monkeypatch.setenv("AFAS_TOKEN", simulator.token)
        yield simulator


def simulate_within(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a command run its simulator in its own event loop, which spares a test the start of a process."""

    @asynccontextmanager
    async def spawn(**options: Any) -> AsyncIterator[SimulatorProcess]:
        async with Simulator(**options) as simulator, aiohttp.ClientSession() as session:
            yield SimulatorProcess(simulator.base_url, simulator.token, os.getpid(), session, io.BytesIO())

    for module in ("afas_async.commands.demo", "afas_async.simulator"):
        monkeypatch.setattr(f"{module}.spawn", spawn)
