"""What the server sees of a request, and what the HTTP library must not do by itself."""

from __future__ import annotations

import asyncio
import base64
import gc
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from afas_async import AfasClient, AfasError, ApiError, ConnectError, __version__
from afas_async.http.transport import _socket
from tests.support import canary
from tests.support.canary import TOKEN, leaks, spelled
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.read_table import CONNECTOR, ROWS, Table, client, end, framed, head, page_of, read, replies, says
from tests.support.thoroughness import by_default

SIGNED = "AfasToken " + base64.b64encode(TOKEN.encode()).decode()


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-"])
@pytest.mark.parametrize("reused", [False, True])
async def test_sent_once(how: str, sent: bytes, reused: bool) -> None:  # noqa: FBT001
    """Without retries a request reaches the server once, also when a fresh or a reused connection breaks."""
    async with Table(says(sent, how), page=1) as server, client(server, max_retries=0) as afas:
        if reused:
            await afas.page(CONNECTOR)
        with pytest.raises(AfasError):
            await afas.page(CONNECTOR, skip=10)
        await asyncio.sleep(1)
        assert server.asked[1] == 1
        assert server.connections == 1


async def test_request() -> None:
    """A request for rows has the documented path, query and headers, and no others."""
    async with Table() as server, client(server, integration_id="12345_678900", language="nl-be") as afas:
        await afas.page("Profit_Article.v2", skip=20, take=5, order_by=["-Price", "ItemCode"])
        await afas.page(CONNECTOR)
        await afas.page("X")
        host = server.base_url.split("/")[2]
    first, second, third = server.requests
    assert first.method == "GET"
    assert first.target == "/rest/connectors/Profit_Article.v2?skip=20&take=5&orderbyfieldids=-Price%2CItemCode"
    assert second.target == "/rest/connectors/X?skip=0&take=100&orderbyfieldids=Id"
    assert third.target == "/rest/connectors/X?skip=0&take=100"
    assert first.headers == {
        "host": host,
        "accept": "application/json",
        "accept-encoding": "gzip",
        "accept-language": "nl-be",
        "user-agent": f"afas_async/{__version__}",
        "integrationid": "12345_678900",
        "authorization": SIGNED,
    }
    assert first.body == b""


async def test_defaults() -> None:
    """Without options the IntegrationId is absent, and the language is Dutch. A view may use another language."""
    async with Table() as server, client(server) as afas:
        await afas.page(CONNECTOR)
        await afas.with_options(language="en-us").page(CONNECTOR)
    assert [received.headers["accept-language"] for received in server.requests] == ["nl-nl", "en-us"]
    assert "integrationid" not in server.requests[0].headers
    assert "cookie" not in server.requests[0].headers


async def test_connections_are_reused() -> None:
    """Requests in turn share one connection, and no header asks to close it."""
    async with Table() as server, client(server) as afas:
        for _ in range(5):
            await afas.page(CONNECTOR)
        assert server.connections == 1
        assert all("connection" not in received.headers for received in server.requests)


async def test_errors_keep_the_connection() -> None:
    """An error response that was read to its end leaves its connection to the next request."""
    async with Table(replies(404, b"{}"), page=1) as server, client(server) as afas:
        with pytest.raises(ApiError):
            await afas.page(CONNECTOR, skip=10)
        await afas.page(CONNECTOR)
        assert server.connections <= 2


async def test_server_says_close() -> None:
    """A connection that the server wants to close is not used again."""
    async with Table(says(lambda body: framed(body, "Connection: close"), "fin")) as server:
        assert await read(server) == ROWS
        assert [received.connection for received in server.requests] == [1, 2, 2, 2]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_no_variable_holds_the_header(method: str) -> None:
    """During a request, no frame of the library has the credential in a variable for a crash report."""

    async def forever(_: Connection, __: Received) -> None:
        await asyncio.Event().wait()

    async with RawServer(forever) as server, client(server) as afas:
        call = afas.page(CONNECTOR) if method == "GET" else afas.insert("KnSubject", {"Ds": "x"})
        task = asyncio.ensure_future(call)
        await asyncio.sleep(1)
        assert server.requests[0].headers["authorization"] == SIGNED
        found = [frame for each in asyncio.all_tasks() for frame in _frames(each) if "/afas_async/" in _file(frame)]
        assert any(_file(frame).endswith("/http/transport.py") for frame in found)
        shown = [name for frame in found for name, value in frame.f_locals.items() if leaks(spelled(value))]
        assert shown == []
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def _frames(task: asyncio.Task[Any]) -> Iterator[FrameType]:
    """Return all frames of a task, from its coroutine to the innermost one it waits for."""
    awaited: Any = task.get_coro()
    while (frame := getattr(awaited, "cr_frame", None)) is not None:
        yield frame
        awaited = awaited.cr_await


def _file(frame: FrameType) -> str:
    return frame.f_code.co_filename


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"])
async def test_no_proxy_from_the_environment(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A proxy named in the environment never sees a request."""
    async with Table() as proxy, Table() as server:
        monkeypatch.setenv(name, proxy.base_url.removesuffix("/rest"))
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert await read(server) == ROWS
        assert proxy.connections == 0


async def test_explicit_proxy() -> None:
    """A proxy that you give gets the request for the server's URL."""
    async with Table() as proxy, Table() as server:
        assert await read(server, proxy=proxy.base_url.removesuffix("/rest")) == ROWS
        assert server.connections == 0
        assert proxy.requests[0].target.startswith(f"{server.base_url}/connectors/X?")


async def test_no_netrc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A password for the host in the user's netrc file is not used."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login user password secret\nmachine 127.0.0.1 login user password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    async with Table() as server:
        await read(server)
    assert {received.headers["authorization"] for received in server.requests} == {SIGNED}


async def test_no_cookies() -> None:
    """A cookie that the server sets is not sent back."""
    cookies = says(lambda body: framed(body, "Set-Cookie: session=1; Path=/", "Set-Cookie: other=2"))
    async with Table(cookies) as server:
        assert await read(server, base_url=server.base_url.replace("127.0.0.1", "localhost")) == ROWS
    assert len(server.requests) == 4
    assert all("cookie" not in received.headers for received in server.requests)


def test_socket_options() -> None:
    """Sockets keep silent connections alive: first after 30 seconds, then every 10."""
    with _socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 0))) as made:
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        if sys.platform == "linux":
            assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
            assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 10
            assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 6


@pytest.mark.skipif(sys.platform != "linux", reason="reads the kernel's table of connections")
async def test_connections_are_kept_alive() -> None:
    """The connections of a client really have the kernel's keep-alive timer."""
    timers: list[str] = []

    async def look(connection: Connection, received: Received) -> None:
        port = connection.writer.get_extra_info("peername")[1]
        table = Path("/proc/net/tcp").read_text(encoding="ascii")  # noqa: ASYNC240 - no real file
        lines = [line.split() for line in table.splitlines()]
        established = "01"
        timers.extend(line[5] for line in lines if (line[1], line[3]) == (f"0100007F:{port:04X}", established))
        await connection.answer(page_of(received))

    async with RawServer(look) as server, client(server) as afas:
        await afas.page(CONNECTOR)
    assert [timer.partition(":")[0] for timer in timers] == ["02"]


@pytest.mark.parametrize("limit", [1, 2, 5, 8])
async def test_never_more_than_the_limit(limit: int) -> None:
    """However many tasks and views use a client, the server never sees more requests at once than its limit."""

    async def slowly(connection: Connection, received: Received) -> None:
        await asyncio.sleep(0.5)
        await connection.answer(page_of(received))

    async with RawServer(slowly) as server, client(server, max_concurrency=limit) as afas:
        view = afas.with_options(timeout=60, max_retries=0)
        count = by_default(16, 40)
        pages = [(afas, view)[number % 2].page(CONNECTOR, skip=number) for number in range(count)]
        reads = [(afas, view)[number % 2].rows(CONNECTOR, take=3, window=1).to_list() for number in range(count // 5)]
        results = await asyncio.gather(*pages, *reads)
        assert results[count:] == [ROWS] * (count // 5)
        assert server.peak_in_flight == limit
        assert server.connections <= limit
        statistics = afas.statistics()
    assert statistics.peak_in_flight == limit
    assert statistics.in_flight == 0
    assert statistics.requests == len(server.requests)
    assert statistics.seconds_waited > 1


async def test_dropped_pages_count() -> None:
    """Pages that a read requested beyond the end keep their slots while the server works on them."""

    async def slowly(connection: Connection, received: Received) -> None:
        await asyncio.sleep(0.5)
        await connection.answer(page_of(received))

    async with RawServer(slowly) as server, client(server, max_concurrency=5) as afas:
        assert await asyncio.gather(*[afas.rows(CONNECTOR, take=3).to_list() for _ in range(8)]) == [ROWS] * 8
        assert server.peak_in_flight <= 5


async def test_limit_holds_under_faults() -> None:
    """Broken, refused and cancelled responses release their slots, each once."""

    async def unsteady(connection: Connection, received: Received) -> None:
        number = len(server.requests)
        await asyncio.sleep(0.5)
        if number % 5 == 0:
            await end(connection, "rst")
        elif number % 7 == 0:
            await connection.answer(b"", status=503)
        else:
            await connection.answer(page_of(received))

    async with RawServer(unsteady) as server, client(server, max_concurrency=3, max_retries=9) as afas:
        tasks = [asyncio.create_task(afas.rows(CONNECTOR, take=3).to_list()) for _ in range(9)]
        await asyncio.sleep(0.7)
        for task in tasks[:3]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert results[3:] == [ROWS] * 6
        assert all(isinstance(result, asyncio.CancelledError) for result in results[:3])
        assert server.peak_in_flight <= 3 + 3  # the server notices a cancelled request late
        await asyncio.sleep(1)  # requests beyond the end of a read keep their slots until their responses arrive
        statistics = afas.statistics()
        assert (statistics.peak_in_flight, statistics.in_flight) == (3, 0)


async def test_proxy_in_trouble() -> None:
    """A proxy that is unavailable may be back soon. Nothing was sent, so the request is repeated."""

    async def refuse(connection: Connection, _: Received) -> None:
        await connection.send(head("Content-Length: 0", status="503 Service Unavailable"))

    async with RawServer(refuse) as proxy:
        url = proxy.base_url.removesuffix("/rest")
        async with AfasClient(base_url="https://localhost:1/x", auth=canary.TOKEN, proxy=url, max_retries=2) as afas:
            with pytest.raises(ConnectError) as raised:
                await afas.page(CONNECTOR)
    assert (raised.value.permanent, raised.value.sent, len(proxy.requests)) == (False, "no", 3)


async def test_a_connection_forgets_its_answers(afas: AfasClient) -> None:
    """A connection that is used for days keeps none of its responses in memory."""

    def kept() -> int:
        gc.collect()
        return sum(type(found).__name__ == "_AiohttpResponse" for found in gc.get_objects())

    await afas.page("Profit_Article", take=by_default(300, 3_000))
    before = kept()
    for _ in range(20):
        await afas.page("Profit_Article", take=by_default(300, 3_000))
    assert kept() <= before
