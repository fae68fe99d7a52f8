"""An ASGI app on a port of this machine, served by uvicorn in the event loop of the test."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import uvicorn


class Got(NamedTuple):
    """A response, and whether it was whole, as some responses must not be."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[int]:
    """Serve an app, and yield its port."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="on"))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:
            await asyncio.sleep(0.01)
            assert not serving.done(), "the app did not start"
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


async def until(fact: Callable[[], object]) -> float:
    """Wait until a condition holds, and return how many seconds that took."""
    clock = asyncio.get_running_loop().time
    began = clock()
    while not fact():
        assert clock() - began < 60, "it never is so"
        await asyncio.sleep(0.001)
    return clock() - began


async def get(port: int, path: str, *, method: str = "GET") -> Got:
    """Send a request, read the response, and close the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    whole = True
    if "chunked" in headers.get("transfer-encoding", ""):
        body, whole = _without_chunks(body)
    return Got(int(status.split()[1]), headers, body, whole)


def _without_chunks(body: bytes) -> tuple[bytes, bool]:
    pieces = list[bytes]()
    while body:
        size, _, body = body.partition(b"\r\n")
        if int(size, 16) == 0:
            return b"".join(pieces), True
        pieces.append(body[: int(size, 16)])
        body = body[int(size, 16) + 2 :]
    return b"".join(pieces), False
