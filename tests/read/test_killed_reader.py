"""A reader that is killed at any moment resumes after the last cursor that it stored."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread

import pytest

from afas_async.simulator import Latency, spawn
from tests.support import canary
from tests.support.kill_reader import ROWS_PER_CURSOR
from tests.support.thoroughness import by_default

ROOT = Path(__file__).parents[2]
ROUNDS = int(os.environ.get("AFAS_KILL_ROUNDS", "1"))
ROWS = by_default(1_500, 3_000)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Run a service in a process of its own."""
    found: list[str] = []
    started, over = Event(), Event()

    async def serve() -> None:
        async with spawn(rows=ROWS, token=canary.TOKEN, latency=Latency(base=0.03)) as simulator:
            found.append(simulator.base_url)
            started.set()
            await asyncio.to_thread(over.wait)

    thread = Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    with ExitStack() as stack:
        stack.callback(thread.join)
        stack.callback(over.set)
        assert started.wait(60)
        yield found[0]


def _start(folder: Path, url: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.kill_reader", str(folder), url],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


@pytest.mark.timeout(900)
def test_killed_at_any_moment(url: str, tmp_path: Path) -> None:
    """All rows are there in the end, and only those after a stored cursor may be there twice."""
    chance = random.Random(1)  # noqa: S311
    kills = 0
    for number in range(ROUNDS):
        folder = tmp_path / str(number)
        folder.mkdir()
        most = chance.randint(1, 2)
        for attempt in range(most + 1):
            process = _start(folder, url)
            try:
                if attempt < most:
                    _wait(folder, chance)
                    process.kill()
                    kills += process.poll() is None
                _, said = process.communicate(timeout=60)
            finally:
                process.kill()
                process.wait()
            assert said == b""
        assert (folder / "done").exists()
        _judge((folder / "rows").read_text(encoding="ascii"), kills_at_most=most)
    assert kills > 0


def _wait(folder: Path, chance: random.Random) -> None:
    """Wait until rows are coming, and a little more."""
    before = _size(folder)
    deadline = time.monotonic() + 10
    while _size(folder) == before and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(chance.random() * by_default(0.2, 0.4))


def _size(folder: Path) -> int:
    return (folder / "rows").stat().st_size if (folder / "rows").exists() else 0


def _judge(text: str, *, kills_at_most: int) -> None:
    lines = [line for line in text.split("\n") if line]
    ids = Counter(line for line in lines if line != "stored")
    # The last line before a kill may be cut off; it comes again whole.
    whole = {str(3 * number + 1) for number in range(ROWS)}
    assert whole <= set(ids)
    assert sum(count - 1 for line, count in ids.items() if line in whole) <= 2 * ROWS_PER_CURSOR * kills_at_most
    assert max(ids.values()) <= kills_at_most + 1
