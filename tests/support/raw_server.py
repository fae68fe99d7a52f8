"""A server on loopback that sends exactly the bytes that a test gives it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Received:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int
    query: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.query = dict(parse_qsl(urlsplit(self.target).query))


class Connection:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.reader = reader
        self.writer = writer
        self.number = number

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(
        self, body: bytes, *, status: int = 200, headers: tuple[str, ...] = (), content_type: str = "application/json"
    ) -> None:
        """Send a complete response with a Content-Length."""
        head = [f"HTTP/1.1 {status} Reason", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *headers]
        await self.send("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body)

    def fin(self) -> None:
        """Close politely."""
        self.writer.close()

    def rst(self) -> None:
        """Close with a reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Connection, Received], Awaitable[None]]


class RawServer:
    """Runs a script for each request.

    Args:
        script: Called with the connection and the request; nothing else is sent.
        on_connect: Called for each connection before its first request; may close it.
        context: Serve TLS.

    Attributes:
        requests: All requests that arrived completely, in order.
        connections: How many connections were made.
        in_flight: Scripts running now.
        peak_in_flight: The most at a time.
    """

    def __init__(
        self,
        script: Script,
        *,
        on_connect: Callable[[Connection], Awaitable[None]] | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self.in_flight = 0
        self.peak_in_flight = 0
        self._script = script
        self._on_connect = on_connect
        self._context = context
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    @property
    def base_url(self) -> str:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return f"http{'s' if self._context else ''}://{'localhost' if self._context else '127.0.0.1'}:{port}/rest"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        connection = Connection(reader, writer, self.connections)
        try:
            if self._on_connect is not None:
                await self._on_connect(connection)
            while (received := await _read_request(connection)) is not None:
                self.requests.append(received)
                self.in_flight += 1
                self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
                try:
                    await self._script(connection, received)
                finally:
                    self.in_flight -= 1
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            pass
        finally:
            self._open.discard(task)
            writer.transport.abort()


async def _read_request(connection: Connection) -> Received | None:
    try:
        head = await connection.reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await connection.reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, target, headers, body, connection.number)
