"""A simulator in a process of its own, so that it does not share the processor core of what it is used to measure."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import anyio
import msgspec

from afas_async.simulator.command import TOKEN_VARIABLE
from afas_async.simulator.faults import Fault
from afas_async.simulator.latency import NO_LATENCY, Latency
from afas_async.simulator.service import API_ROOT, CONTROL_ROOT
from afas_async.simulator.store import Checksum
from afas_async.simulator.traffic import Counters

_START_SECONDS: Final = 30
_END_SECONDS: Final = 2


@dataclass(frozen=True, slots=True)
class SimulatorProcess:
    """A simulator that runs in another process.

    Attributes:
        base_url: The URL of the service, ending in `/profitrestservices`.
        token: The whole XML token.
        pid: The id of the process.
    """

    base_url: str
    token: str = field(repr=False)
    pid: int
    _session: aiohttp.ClientSession = field(repr=False)

    async def checksum(self, connector: str) -> Checksum:
        """Ask for what a complete reading of the connector must add up to.

        Raises:
            aiohttp.ClientResponseError: There is no such connector.
        """
        return msgspec.json.decode(await self._ask(f"checksum/{connector}"), type=Checksum)

    async def counters(self) -> Counters:
        """Ask for the counters as they are now."""
        return msgspec.json.decode(await self._ask("counters"), type=Counters)

    async def script(self, *faults: Fault) -> None:
        """Put faults at the end of the simulator's script, as `Simulator.faults.add` does."""
        await self._ask("faults", "POST", msgspec.json.encode(faults))

    async def _ask(self, path: str, method: str = "GET", content: bytes | None = None) -> bytes:
        url = f"{self.base_url.removesuffix(API_ROOT)}{CONTROL_ROOT}/{path}"
        async with self._session.request(method, url, data=content, raise_for_status=True) as response:
            return await response.read()


@asynccontextmanager
async def spawn(
    *, rows: int = 10_000, seed: int = 1, latency: Latency = NO_LATENCY, gzip: bool = False, token: str | None = None
) -> AsyncGenerator[SimulatorProcess, None]:
    """Run a simulator in a process of its own until the block ends.

    The process also ends when this one dies, in whatever way. The arguments are those of `Simulator`.

    Raises:
        RuntimeError: The process ended before it was ready; its standard error says why.
        TimeoutError: The process was not ready within 30 seconds.
    """
    environment = dict(os.environ)
    if token is not None:
        environment[TOKEN_VARIABLE] = token  # not an argument: every user of a computer sees those
    arguments = [
        "--json",
        f"--rows={rows}",
        f"--seed={seed}",
        f"--base-latency={latency.base}",
        f"--per-row-latency={latency.per_row}",
        f"--per-skip-latency={latency.per_skip}",
        *(["--gzip"] if gzip else []),
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "afas_async.simulator",
        *arguments,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        line = await asyncio.wait_for(_first_line(process), _START_SECONDS)
        if not line:
            raise RuntimeError("the simulator's process ended before it was ready; its standard error says why")
        start = json.loads(line)
        async with aiohttp.ClientSession() as session:
            yield SimulatorProcess(start["base_url"], start["token"], process.pid, session)
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)


async def _first_line(process: Process) -> bytes:
    return b"" if process.stdout is None else await process.stdout.readline()


async def _end(process: Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.communicate(), _END_SECONDS)
    except TimeoutError:
        process.kill()
        await process.communicate()
