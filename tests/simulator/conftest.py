"""A running simulator, and a plain client that knows nothing of this library."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from afas_async.simulator import Latency, Rules, Simulator, spawn
from afas_async.simulator.remote import SimulatorProcess


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def rows(self) -> list[dict[str, Any]]:
        assert self.status == 200
        return self.json["rows"]


class Client:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def get(
        self,
        simulator: Simulator,
        path: str,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        **query: Any,
    ) -> Reply:
        if headers is None:
            headers = self.authorization(simulator)
        url = simulator.base_url + path
        async with self._session.request(method, url, params=query, headers=headers) as response:
            return Reply(response.status, response.headers, await response.read())

    @staticmethod
    def authorization(simulator: Simulator | SimulatorProcess) -> dict[str, str]:
        return {"Authorization": "AfasToken " + base64.b64encode(simulator.token.encode()).decode()}

    @staticmethod
    async def until(condition: Callable[[], bool]) -> None:
        for _ in range(10_000):
            if condition():
                return
            await asyncio.sleep(0.001)
        pytest.fail("the condition never came true")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(session)


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(rows=300, seed=1) as running:
        yield running


INHERITED = "<token><version>1</version><data>CANA4Y</data></token>"


@pytest.fixture(scope="session")
def apart() -> Iterator[tuple[BlockingPortal, SimulatorProcess]]:
    """Run a simulator in a process of its own, and what talks to it in a thread.

    Each test that uses it changes something else. A token that is not for it stands in the environment.
    """
    with pytest.MonkeyPatch.context() as environment, start_blocking_portal() as portal:
        environment.setenv("AFAS_SIMULATOR_TOKEN", INHERITED)
        with portal.wrap_async_context_manager(
            spawn(rows=5, latency=Latency(per_element=0.001), rules=Rules(written=200, time_limit=2))
        ) as simulator:
            environment.undo()
            yield portal, simulator
