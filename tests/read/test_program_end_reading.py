"""The end of a program in the middle of a read: nothing on standard error but the program's own."""

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
import asyncio, gc
from afas_async import AfasClient, GetConnector

ARTICLES = GetConnector("Profit_Article", key="ItemCode")

async def main():
    asyncio.get_running_loop().slow_callback_duration = 60  # of a busy machine, debug mode would complain
    afas = AfasClient.from_env()
{body}

{run}
print("done")
"""

RUN = "asyncio.run(main())"

BODIES = {
    "open and forgotten": ("await afas.open()", RUN),
    "never opened": ("afas.rows(ARTICLES)", RUN),
    "half read": ("await afas.open()\nrows = afas.rows(ARTICLES, take=100)\nawait anext(rows)", RUN),
    "left by break": (
        "await afas.open()\nasync for row in afas.rows(ARTICLES, take=100):\n    break",
        RUN,
    ),
    "generator alive": (
        "await afas.open()\nglobal kept\nkept = aiter(afas.rows(ARTICLES, take=100))\nawait anext(kept)",
        RUN,
    ),
    "batches alive": (
        "await afas.open()\nglobal kept\nkept = afas.rows(ARTICLES, take=100).batches()\nawait anext(kept)",
        RUN,
    ),
    "another task reading": (
        (
            "await afas.open()\nglobal kept\nkept = asyncio.create_task(afas.rows(ARTICLES, take=50).to_list())\n"
            "await asyncio.sleep(0.015)"
        ),
        RUN,
    ),
    "fetching a credential": (
        (
            "import os\nasync def vault():\n    await asyncio.sleep(60)\n"
            "afas = AfasClient(base_url=os.environ['AFAS_BASE_URL'], auth=vault)\nawait afas.open()\n"
            "global kept\nkept = asyncio.create_task(afas.page(ARTICLES))\nawait asyncio.sleep(0.01)"
        ),
        RUN,
    ),
    "in a block": (
        (
            "async def read():\n    async with afas, afas.rows(ARTICLES, take=50) as rows:\n"
            "        async for row in rows:\n            await asyncio.sleep(0.001)\n"
            "global kept\nkept = asyncio.create_task(read())\nawait asyncio.sleep(0.03)"
        ),
        RUN,
    ),
    "interrupted": (
        "async with afas:\n    async for row in afas.rows(ARTICLES, take=100):\n        raise KeyboardInterrupt",
        "try:\n    asyncio.run(main())\nexcept KeyboardInterrupt:\n    pass",
    ),
    "loop closed by hand": (
        "await afas.open()\nglobal kept\nkept = afas.rows(ARTICLES, take=100)\nawait anext(kept)\nawait afas.aclose()",
        "loop = asyncio.new_event_loop()\nloop.run_until_complete(main())\nloop.close()\ndel kept\ngc.collect()",
    ),
    "collected after the loop": (
        "await afas.open()\nglobal kept\nkept = [afas, afas.rows(ARTICLES, take=100)]\nawait anext(kept[1])",
        f"{RUN}\nkept.clear()\ngc.collect()",
    ),
}


@pytest.fixture(scope="module")
def variables() -> Iterator[dict[str, str]]:
    """A service in a thread of this process, and the environment of a program that uses it."""
    started: Future[tuple[str, Callable[[], object]]] = Future()

    async def run() -> None:
        async with Simulator(rows=2_000, latency=Latency(base=0.01), token=canary.TOKEN) as simulator:
            loop, over = asyncio.get_running_loop(), asyncio.Event()
            started.set_result((simulator.base_url, lambda: loop.call_soon_threadsafe(over.set)))
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    base_url, stop = started.result(timeout=30)
    yield {"PATH": os.environ["PATH"], "AFAS_BASE_URL": base_url, "AFAS_TOKEN": canary.TOKEN}
    stop()
    thread.join()


@pytest.mark.sampled(6)
@pytest.mark.parametrize("name", BODIES)
def test_silent_end(name: str, variables: dict[str, str]) -> None:
    """A program that ends in the middle of a read prints nothing on standard error, with every warning an error."""
    body, run = BODIES[name]
    script = FRAME.format(body=textwrap.indent(body, "    "), run=run)
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", script],
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
