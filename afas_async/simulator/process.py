"""A simulator in another process, so that it does not take processor time from the code that you measure."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import aiohttp
import anyio
import msgspec

from afas_async.simulator.command import TOKEN_VARIABLE
from afas_async.simulator.latency import NO_LATENCY, Latency
from afas_async.simulator.own.documents import read_document
from afas_async.simulator.own.get_connectors import OwnGetConnector
from afas_async.simulator.own.update_connectors import UpdateSource, resolved
from afas_async.simulator.remote import SimulatorError, SimulatorProcess, last_line
from afas_async.simulator.rules import Rules

_START_SECONDS: Final = 30
_END_SECONDS: Final = 2


@asynccontextmanager
async def spawn(
    *,
    rows: int = 1_000,
    seed: int = 1,
    latency: Latency = NO_LATENCY,
    gzip: bool = False,
    token: str | None = None,
    connectors: Mapping[str, str | os.PathLike[str] | OwnGetConnector] | None = None,
    updates: Mapping[str, UpdateSource] | None = None,
    recording: str | os.PathLike[str] | None = None,
    rules: Rules = Rules(),  # noqa: B008 (frozen)
) -> AsyncGenerator[SimulatorProcess, None]:
    """Run a simulator in another process until your block ends.

    The process also ends when yours dies, even if it is killed.

        async with spawn(rows=100_000) as simulator:
            ...  # your code calls simulator.base_url with simulator.token
            print(len(await simulator.requests()))

    You pass the arguments of `Simulator`, without `host` and `port`. Give the rows of `connectors` as the path of a
    file: the other process cannot see your objects.

    Yields:
        The running simulator, for you to call and to script.

    Raises:
        SimulatorError: The process did not start within 30 seconds, or ended during its start.
        TypeError: You gave the rows of a connector as objects.
        ValueError: The metainfo of your own connector is wrong.
        OSError: A file with metainfo cannot be read.
    """
    arguments = [
        "--json",
        f"--rows={rows}",
        f"--seed={seed}",
        f"--latency={latency}",
        f"--rules={msgspec.json.encode(rules).decode()}",
        *(["--gzip"] if gzip else []),
        *([] if recording is None else [f"--from={os.fspath(recording)}"]),
    ]
    with tempfile.TemporaryFile() as stderr, tempfile.TemporaryDirectory() as folder:
        arguments += _own_connectors(connectors or {}, Path(folder))
        arguments += _own_updates(updates or {}, Path(folder))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "afas_async.simulator",
            *arguments,
            # Not an argument, which every user of the computer can see. An empty variable hides an inherited token.
            env={**os.environ, TOKEN_VARIABLE: token or ""},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,  # so that Ctrl+C reaches only this process, which then ends the other
        )
        try:
            line = await _first_line(process)
            if not line:
                raise SimulatorError(f"the simulator did not start: {last_line(stderr) or 'its process ended'}")
            start = json.loads(line)
            async with aiohttp.ClientSession() as session:
                yield SimulatorProcess(start["base_url"], start["token"], process.pid, session, stderr)
        finally:
            with anyio.CancelScope(shield=True):
                await _end(process)


def _own_connectors(connectors: Mapping[str, str | os.PathLike[str] | OwnGetConnector], folder: Path) -> Iterator[str]:
    """Return the arguments for GetConnectors, and write their metainfo to a folder."""
    for number, (name, source) in enumerate(connectors.items()):
        rows = source.rows if isinstance(source, OwnGetConnector) else source
        if isinstance(source, OwnGetConnector):
            file = folder / f"get{number}.json"
            file.write_bytes(msgspec.json.encode(read_document(name, source.metainfo)))
            yield f"--metainfo={name}={file}"
        if isinstance(rows, (str, os.PathLike)):
            yield f"--connector={name}={os.fspath(rows)}"
        elif rows or not isinstance(source, OwnGetConnector):
            raise TypeError(f"{name}: give the rows as the path of a file; the other process cannot see your objects")


def _own_updates(updates: Mapping[str, UpdateSource], folder: Path) -> Iterator[str]:
    """Return the arguments for UpdateConnectors, and write their metainfo to a folder."""
    for number, (name, source) in enumerate(updates.items()):
        file = folder / f"update{number}.json"
        file.write_bytes(msgspec.json.encode(resolved(name, source)))
        yield f"--update={name}={file}"


async def _first_line(process: Process) -> bytes:
    if process.stdout is None:
        return b""
    try:
        return await asyncio.wait_for(process.stdout.readline(), _START_SECONDS)
    except TimeoutError:
        raise SimulatorError(f"the simulator did not start within {_START_SECONDS} seconds") from None


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
