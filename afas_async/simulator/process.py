"""A simulator in a process of its own, so that it does not share the processor core of what it is used to measure."""

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
from afas_async.simulator.remote import SimulatorError, SimulatorProcess, last_words
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
    """Run a simulator in a process of its own until the block ends.

    The process also ends when this one dies, in whatever way. The arguments are those of `Simulator`, but that the rows
    of `connectors` come out of files: the other process cannot see dicts of this one.

    Raises:
        SimulatorError: The process did not come up within 30 seconds, or ended before.
        TypeError: The rows of a connector are not a path.
        ValueError: Something is wrong with the metainfo of a connector of your own.
        OSError: A file of metainfo cannot be read.
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
    with tempfile.TemporaryFile() as said, tempfile.TemporaryDirectory() as folder:
        arguments += _own_connectors(connectors or {}, Path(folder))
        arguments += _own_updates(updates or {}, Path(folder))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "afas_async.simulator",
            *arguments,
            # Not an argument: every user of a computer sees those. An empty one is none, whatever is inherited.
            env={**os.environ, TOKEN_VARIABLE: token or ""},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=said,
            start_new_session=True,  # Ctrl+C is for this process, which ends that one
        )
        try:
            line = await _first_line(process)
            if not line:
                raise SimulatorError(f"the simulator did not come up: {last_words(said) or 'its process ended'}")
            start = json.loads(line)
            async with aiohttp.ClientSession() as session:
                yield SimulatorProcess(start["base_url"], start["token"], process.pid, session, said)
        finally:
            with anyio.CancelScope(shield=True):
                await _end(process)


def _own_connectors(connectors: Mapping[str, str | os.PathLike[str] | OwnGetConnector], folder: Path) -> Iterator[str]:
    """The arguments for GetConnectors, whose metainfo is written to a folder."""
    for number, (name, source) in enumerate(connectors.items()):
        rows = source.rows if isinstance(source, OwnGetConnector) else source
        if isinstance(source, OwnGetConnector):
            file = folder / f"get{number}.json"
            file.write_bytes(msgspec.json.encode(read_document(name, source.metainfo)))
            yield f"--metainfo={name}={file}"
        if isinstance(rows, (str, os.PathLike)):
            yield f"--connector={name}={os.fspath(rows)}"
        elif rows or not isinstance(source, OwnGetConnector):
            raise TypeError(
                f"{name}: give the rows as the path of a file: another process cannot see those of this one"
            )


def _own_updates(updates: Mapping[str, UpdateSource], folder: Path) -> Iterator[str]:
    """The arguments for UpdateConnectors, which are written to a folder."""
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
        raise SimulatorError(f"the simulator did not come up within {_START_SECONDS} seconds") from None


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
