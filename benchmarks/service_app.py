"""A web service that streams and loads, to measure its other responses: `python -m benchmarks.service_app`.

It prints its port, and ends when standard input ends.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import tempfile
import threading
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Response

from afas_async import AfasClient
from afas_async.integrations.fastapi import Afas, json_response, lifespan, ndjson_response
from benchmarks.contestants.afas_async_stream import WIDE


def make_app(base_url: str) -> FastAPI:
    """Return the app, whose client uses a simulator."""
    app = FastAPI(lifespan=lifespan(lambda: AfasClient(base_url=base_url, auth=os.environ["AFAS_SIMULATOR_TOKEN"])))

    @app.get("/health")
    async def health() -> dict[str, str]:  # pyright: ignore[reportUnusedFunction]
        return {"status": "ok"}

    @app.get("/rows")
    async def rows(afas: Afas) -> Response:  # pyright: ignore[reportUnusedFunction]
        return ndjson_response(afas.rows(WIDE))

    @app.post("/load")
    async def load(afas: Afas, elements: int) -> Response:  # pyright: ignore[reportUnusedFunction]
        with tempfile.TemporaryDirectory() as folder:
            async with afas.load("KnSubject", journal=Path(folder) / "journal") as load:
                for number in range(elements):
                    await load.add({"StId": 1, "Ds": f"Reference {number}", "St": "A"})
        return json_response(load.report.counts)

    return app


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--base-url", required=True)
    app = make_app(parser.parse_args().base_url)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    # asyncio disables Nagle only if the protocol is set. Else a small response waits 40 ms for an acknowledgement.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        print(listening.getsockname()[1], flush=True)

        def wait_for_the_end() -> None:
            sys.stdin.read()
            server.should_exit = True

        threading.Thread(target=wait_for_the_end, daemon=True).start()
        server.run(sockets=[listening])


if __name__ == "__main__":
    main()
