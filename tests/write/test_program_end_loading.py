"""The end of a program in the middle of a load: standard error has only the program's own output."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from afas_async.simulator import Latency, Simulator
from tests.support import canary

ROOT = Path(__file__).parents[2]

FRAME = """
import asyncio, gc, itertools
from afas_async import AfasClient

def elements():
    return ({{"StId": 1, "Ds": str(number)}} for number in itertools.count())

async def fill(load):
    async with load:
        for element in elements():
            await load.add(element)

async def main():
    global kept
    asyncio.get_running_loop().slow_callback_duration = 60  # of a busy machine, debug mode would complain
    afas = AfasClient.from_env()
    await afas.open()
{body}

{run}
gc.collect()
print("done")
"""

RUN = "asyncio.run(main())"

BODIES = {
    "made": ('kept = afas.load("KnSubject")', RUN),
    "entered": ('kept = afas.load("KnSubject")\nawait kept.__aenter__()\nawait kept.add({"StId": 1})', RUN),
    "in a task": ('kept = asyncio.create_task(fill(afas.load("KnSubject")))\nawait asyncio.sleep(0.03)', RUN),
    "opening in a task": ('kept = asyncio.create_task(fill(afas.load("KnSubject")))\nawait asyncio.sleep(0.001)', RUN),
    "a stream": ('kept = afas.outcomes("KnSubject", elements())\nawait anext(kept)', RUN),
    "a stream left by break": ('async for _ in afas.outcomes("KnSubject", elements()):\n    break', RUN),
    "a stream never read": ('kept = afas.outcomes("KnSubject", elements())', RUN),
    "interrupted": (
        'async with afas.load("KnSubject") as load:\n    await load.add({"StId": 1})\n    raise KeyboardInterrupt',
        f"try:\n    {RUN}\nexcept KeyboardInterrupt:\n    pass",
    ),
    "closed": (
        (
            'kept = asyncio.create_task(fill(afas.load("KnSubject")))\nawait asyncio.sleep(0.03)\nawait afas.aclose()\n'
            "kept.cancel()"
        ),
        RUN,
    ),
}


@pytest.fixture(scope="module")
def variables() -> Iterator[dict[str, str]]:
    """A service in a thread of this process, and the environment of a program that uses it."""
    started: Future[tuple[str, Callable[[], object]]] = Future()

    async def run() -> None:
        async with Simulator(rows=0, latency=Latency(base=0.01), token=canary.TOKEN) as simulator:
            loop, over = asyncio.get_running_loop(), asyncio.Event()
            started.set_result((simulator.base_url, lambda: loop.call_soon_threadsafe(over.set)))
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    base_url, stop = started.result(timeout=30)
    yield {"PATH": os.environ["PATH"], "AFAS_BASE_URL": base_url, "AFAS_TOKEN": canary.TOKEN}
    stop()
    thread.join()


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", BODIES)
def test_silent_end(name: str, variables: dict[str, str]) -> None:
    """Every warning is an error, and none occurs."""
    body, run = BODIES[name]
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", FRAME.format(body=textwrap.indent(body, "    "), run=run)],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ended.stderr == ""
    assert ended.stdout == "done\n"
    assert ended.returncode == 0
