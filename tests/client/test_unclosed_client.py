"""Programs that end without closing their client: only their own output is printed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
import asyncio, gc, json
from afas_async import AfasClient

async def serve(reader, writer):
    while True:
        head = await reader.readuntil(b"\\r\\n\\r\\n")
        query = dict(pair.split("=") for pair in head.split(b" ")[1].decode().partition("?")[2].split("&"))
        skip, take = int(query["skip"]), int(query["take"])
        first = int(query.get("filtervalues", 0)) + skip
        if first >= 29:
            held.set()
            await asyncio.sleep(3600)
        rows = [dict(Id=number) for number in range(first, first + take)]
        body = json.dumps(dict(skip=skip, take=take, rows=rows)).encode()
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)

async def quiet(reader, writer):
    try:
        await serve(reader, writer)
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
        pass
    finally:
        writer.transport.abort()

held = asyncio.Event()

async def main():
    asyncio.get_running_loop().slow_callback_duration = 60  # of a busy machine, debug mode would complain
    server = await asyncio.start_server(quiet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    afas = AfasClient(base_url=f"http://127.0.0.1:{port}/rest", auth="0" * 64)
    await afas.open()
    rows = afas.rows("X", key="Id", take=10, window=2)
BODY
    server.close()
    print("done")

asyncio.run(main())
"""

ENDINGS = {
    "opened": "",
    "a request made": 'await afas.page("X", take=3)',
    "in a stream": "await anext(rows)",
    "in a stream with pages on their way": "for _ in range(30): await anext(rows)",
    "a task reads": "task = asyncio.create_task(rows.to_list()); await held.wait()",
    "a generator is left": "async for row in rows: break",
    "a stream is dropped": "await anext(rows); del rows; gc.collect()",
    "a task waits for a page": 'task = asyncio.create_task(afas.page("X", skip=30)); await held.wait()',
    "closed": "await anext(rows); await afas.aclose()",
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("ending", ENDINGS)
def test_ends_without_a_farewell(ending: str) -> None:
    """A program that ends without closing its client prints no warning and no traceback."""
    program = PROGRAM.replace("BODY", f"    {ENDINGS[ending]}")
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "always", "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.stderr, done.stdout, done.returncode) == ("", "done\n", 0)
