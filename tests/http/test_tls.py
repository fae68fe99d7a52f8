"""TLS: whom the client trusts, and what happens when the handshake breaks (rows 4 to 11 and 34 of the fault matrix)."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from afas_async import AfasClient, AfasError, ConfigurationError, ConnectError
from afas_async.http.events import Event
from tests.http.conftest import Certificates
from tests.support.canary import TOKEN
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.read_table import CONNECTOR, ROWS, Table, client, end, head, page_of, read, says


def secure(server: RawServer) -> str:
    """Return the https URL of a server that starts TLS on its connections by itself."""
    return server.base_url.replace("http://127.0.0.1", "https://localhost")


def handshakes(context: ssl.SSLContext) -> Callable[[Connection], Awaitable[None]]:
    """Return a script that makes a plain server speak TLS; unlike a TLS server, it counts failed handshakes too."""

    async def start(connection: Connection) -> None:
        await connection.writer.start_tls(context)

    return start


async def refused(server: RawServer, context: ssl.SSLContext | None) -> ConnectError:
    """Assert that a client refuses a server for good after one connection, and sends it nothing."""
    async with client(server, base_url=secure(server), ssl_context=context) as afas:
        with pytest.raises(ConnectError) as raised:
            await afas.page(CONNECTOR)
    assert (server.connections, server.requests) == (1, [])
    assert (raised.value.permanent, raised.value.sent) == (True, "no")
    return raised.value


async def test_trusted(certificates: Certificates) -> None:
    """A server whose certificate is signed by a trusted authority is read from."""
    async with Table(context=certificates.server()) as server:
        assert await read(server, ssl_context=certificates.client()) == ROWS
        assert server.connections == 1


@pytest.mark.parametrize("name", ["other", "expired"])
async def test_wrong_certificate(certificates: Certificates, name: str) -> None:
    """A certificate for another host, or one that has expired, ends the first attempt, before anything is sent."""
    async with Table(on_connect=handshakes(certificates.server(name))) as server:
        await refused(server, certificates.client())


async def test_unknown_authority(certificates: Certificates) -> None:
    """A certificate of an unknown authority is not trusted by default."""
    async with Table(on_connect=handshakes(certificates.server())) as server:
        await refused(server, None)


async def test_old_protocol(certificates: Certificates) -> None:
    """A server that speaks nothing newer than TLS 1.1 is refused."""
    context = certificates.server()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1

    async def alert(connection: Connection) -> None:
        """Send the alert with which the handshake ends; asyncio's own server closes without it."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(await connection.reader.read(4_096))
        with pytest.raises(ssl.SSLError):
            tls.do_handshake()
        await connection.send(outgoing.read())
        connection.fin()

    async with Table(on_connect=alert) as server:
        await refused(server, certificates.client())
        assert server.connections == 1


async def test_plain_answer() -> None:
    """Plain HTTP on the port for TLS is refused, and the token is not sent to it in clear text."""
    seen = b""

    async def answer(connection: Connection) -> None:
        nonlocal seen
        seen = await connection.reader.read(4_096)
        await connection.send(head("Content-Length: 0", status="400 Bad Request"))
        connection.fin()

    async with Table(on_connect=answer) as server:
        await refused(server, None)
    assert seen[:1] == b"\x16"  # a handshake, and no request


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("after", ["accept", "hello"])
async def test_broken_handshake(certificates: Certificates, how: Any, after: str) -> None:
    """A handshake that breaks off once is made again, and the request is sent once."""
    start = handshakes(certificates.server())

    async def break_first(connection: Connection) -> None:
        if connection.number > 1:
            await start(connection)
            return
        if after == "hello":
            await connection.reader.read(4_096)
        await end(connection, how)

    async with Table(on_connect=break_first) as server:
        assert await read(server, base_url=secure(server), ssl_context=certificates.client()) == ROWS
        assert server.asked[0] == 1
        assert server.connections == 2


@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_handshake_breaks_for_ever(certificates: Certificates, how: Any) -> None:
    """A handshake that always breaks off is a ConnectError after four attempts: nothing was sent."""

    async def break_off(connection: Connection) -> None:
        await end(connection, how)

    events: list[Event] = []
    async with Table(on_connect=break_off) as server:
        options = {"base_url": secure(server), "ssl_context": certificates.client(), "on_event": events.append}
        async with client(server, **options) as afas:
            with pytest.raises(ConnectError) as raised:
                await afas.page(CONNECTOR)
        assert (raised.value.sent, raised.value.permanent) == ("no", False)
        assert server.connections == 4
        assert [event.kind for event in events].count("retrying") == 3


async def test_silent_handshake(certificates: Certificates) -> None:
    """A handshake without a response is abandoned after ten seconds, and made again."""
    start = handshakes(certificates.server())

    async def silent_first(connection: Connection) -> None:
        await (start(connection) if connection.number > 1 else end(connection, "hold"))

    loop = asyncio.get_running_loop()
    started = loop.time()
    async with Table(on_connect=silent_first) as server:
        assert await read(server, base_url=secure(server), ssl_context=certificates.client()) == ROWS
        assert server.connections == 2
    assert 10 <= loop.time() - started < 12


@pytest.mark.parametrize("cut", [1, 60, 300])
async def test_cut_without_farewell(certificates: Certificates, cut: int) -> None:
    """An unframed body whose connection ends without TLS's close alert is not taken for complete."""

    async def break_off(connection: Connection, received: Received) -> None:
        await connection.send(head() + page_of(received)[:-cut])
        connection.writer.transport.abort()

    async with Table(break_off, page=1, times=1, context=certificates.server()) as server:
        assert await read(server, ssl_context=certificates.client()) == ROWS
        assert server.asked[1] == 2


async def test_breaks_after_the_handshake(certificates: Certificates) -> None:
    """A TLS connection that breaks after the request is a lost response, not a failed connection."""
    async with Table(says(b"", "rst"), page=1, times=1, context=certificates.server()) as server:
        assert await read(server, ssl_context=certificates.client()) == ROWS
        assert server.asked[1] == 2


def lax(**changes: Any) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for name, value in changes.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            setattr(context, name, value)
    return context


LAX: list[Callable[[], ssl.SSLContext]] = [
    lambda: lax(check_hostname=False),
    lambda: lax(check_hostname=False, verify_mode=ssl.CERT_NONE),
    lambda: lax(check_hostname=False, verify_mode=ssl.CERT_OPTIONAL),
    lambda: lax(minimum_version=ssl.TLSVersion.TLSv1_1),
    lambda: lax(minimum_version=ssl.TLSVersion.MINIMUM_SUPPORTED),
    ssl._create_unverified_context,  # noqa: S323
]


@pytest.mark.parametrize("make", LAX, ids=range(len(LAX)))
async def test_lax_context(make: Callable[[], ssl.SSLContext]) -> None:
    """A context that accepts any server or an old protocol is refused, except for this very machine."""
    context = make()
    for where in ({"environment": "12345"}, {"base_url": "https://name.example/rest"}):
        with pytest.raises(ConfigurationError):
            AfasClient(**where, auth=TOKEN, ssl_context=context)
    AfasClient(base_url="https://localhost:1/rest", auth=TOKEN, ssl_context=context)


async def test_no_session_keys(certificates: Certificates, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No session key is written to the file that SSLKEYLOGFILE names: with it the token could be read."""
    log = tmp_path / "keys"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    monkeypatch.setenv("SSL_CERT_FILE", certificates.write_authority(tmp_path / "authority.pem"))
    async with Table(context=certificates.server()) as server:
        assert await read(server, ssl_context=None) == ROWS
    lines = log.read_text().splitlines() if log.exists() else []
    assert [line for line in lines if not line.startswith("#")] == []


@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "403 Forbidden"])
async def test_proxy_refuses(status: str) -> None:
    """A proxy that refuses the tunnel is a final error; neither it nor the server ever sees the token."""

    async def refuse(connection: Connection, _: Received) -> None:
        await connection.send(head("Content-Length: 0", status=status))

    async with RawServer(refuse) as proxy, Table() as server:
        url = proxy.base_url.removesuffix("/rest")
        async with client(server, base_url=secure(server), proxy=url, ssl_context=None) as afas:
            with pytest.raises(AfasError) as raised:
                await afas.page(CONNECTOR)
        assert isinstance(raised.value, ConnectError)
        assert (raised.value.permanent, raised.value.sent) == (True, "no")
        assert (len(proxy.requests), server.connections) == (1, 0)
        assert proxy.requests[0].method == "CONNECT"
        assert "authorization" not in proxy.requests[0].headers
