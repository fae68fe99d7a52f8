"""Writes that cannot be sent: rows 1 to 11 of the fault matrix, and time-outs before anything left."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from afas_async import AfasError, ConnectError, RequestTimeoutError, TransportError
from afas_async.http.events import Event
from tests.http.conftest import Certificates
from tests.http.test_read_faults_connect import FOR_NOW, UNKNOWN, Names
from tests.http.test_tls import handshakes, secure
from tests.support.heard import attempts
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.read_table import End, client, end, head
from tests.support.write_table import KEYS, WRITES, Desk, every_method, says, write

names = pytest.mark.parametrize("error", [UNKNOWN, FOR_NOW], ids=["unknown", "for now"])


@contextmanager
def silent_host() -> Generator[socket.socket]:
    """A port that swallows connections: its queue is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0)
            filler.connect_ex(listener.getsockname())
        yield listener


def url(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}/rest"


def not_sent(failure: AfasError | None, kind: type[TransportError], *, permanent: bool = False) -> None:
    """Assert that an error says for certain that nothing was sent."""
    assert type(failure) is kind, repr(failure)
    assert isinstance(failure, TransportError)
    assert (failure.sent, failure.connector) == ("no", "KnSubject")
    assert getattr(failure, "permanent", False) is permanent


@names
@every_method
async def test_no_such_name_for_a_while(monkeypatch: pytest.MonkeyPatch, error: OSError, method: str) -> None:
    """A name lookup that fails is repeated, and the write is sent once."""
    async with Desk() as server:
        found_names = Names(error, 3)
        monkeypatch.setattr(socket, "getaddrinfo", found_names)
        found = await write(server, method, base_url=server.base_url.replace("127.0.0.1", "localhost"))
        assert (found.verdict, len(found.requests), found_names.asked) == ("applied", 1, 4)


@names
@every_method
async def test_no_such_name(monkeypatch: pytest.MonkeyPatch, error: OSError, method: str) -> None:
    """A name that is never found is a ConnectError after four look-ups."""
    found_names = Names(error, 100)
    monkeypatch.setattr(socket, "getaddrinfo", found_names)
    async with Desk() as server:
        found = await write(server, method, base_url="https://name.example/rest")
        assert (found_names.asked, server.connections) == (4, 0)
    not_sent(found.failure, ConnectError)


@pytest.mark.parametrize("max_retries", [0, 3])
@every_method
async def test_refused(method: str, max_retries: int) -> None:
    """A refused connection is tried again, as no write can have been sent."""
    events: list[Event] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        async with Desk() as server:
            options: dict[str, Any] = {"base_url": url(listener), "max_retries": max_retries}
            found = await write(server, method, on_event=events.append, **options)
    not_sent(found.failure, ConnectError)
    assert [event.kind for event in attempts(events)] == ["failed", "retrying"] * max_retries + ["failed"]


@every_method
async def test_refused_then_accepted(method: str) -> None:
    """A connection that is refused twice and then accepted costs nothing but time; the write arrives once."""
    listening = asyncio.Event()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(0)

        def after_two(event: Event) -> None:
            if event.kind == "retrying" and event.attempt == 2:
                listener.listen()
                listening.set()

        async def open_late(server: Desk) -> None:
            await listening.wait()
            connection, _ = await asyncio.get_running_loop().sock_accept(listener)
            reader, writer = await asyncio.open_connection(sock=connection)
            await server._serve(reader, writer)

        async with Desk() as server:
            late = asyncio.create_task(open_late(server))
            found = await write(server, method, base_url=url(listener), on_event=after_two)
            await late
    assert (found.verdict, len(found.requests)) == ("applied", 1)


@every_method
async def test_no_answer_to_the_connection(method: str) -> None:
    """A host that swallows connections is given up after ten seconds each time."""
    with silent_host() as listener:
        async with Desk() as server:
            found = await write(server, method, base_url=url(listener), max_retries=2)
    not_sent(found.failure, ConnectError)
    assert 30 <= found.seconds < 35


@pytest.mark.parametrize("timeout", [0.5, 5.0, 15.0])
@every_method
async def test_time_out_before_anything_was_sent(method: str, timeout: float) -> None:
    """The client's time-out ends the attempts to send, and the error says that nothing was sent."""
    with silent_host() as listener:
        async with Desk() as server:
            found = await write(server, method, base_url=url(listener), timeout=timeout)
    not_sent(found.failure, RequestTimeoutError)
    assert isinstance(found.failure, TimeoutError)
    assert timeout <= found.seconds < timeout + 1


async def test_the_wait_for_a_slot_is_no_time_out() -> None:
    """A write that waits for its own client's requests is neither timed out nor sent meanwhile."""

    async def slowly(connection: Connection, _: Received) -> None:
        await asyncio.sleep(100)
        await connection.answer(b'{"results":{"KnSubject":{"SbId":"201"}}}')

    async with RawServer(slowly) as server, client(server, max_concurrency=1, timeout=1) as afas:
        results = await asyncio.gather(*(WRITES["POST"](afas) for _ in range(4)))
        assert [result.keys for result in results] == [KEYS] * 4
        assert server.peak_in_flight == 1


# --- TLS ---


@every_method
async def test_trusted(certificates: Certificates, method: str) -> None:
    """A server whose certificate is signed by a trusted authority is written to."""
    async with Desk(context=certificates.server()) as server:
        found = await write(server, method, ssl_context=certificates.client())
        assert (found.verdict, server.connections) == ("applied", 1)


async def _refused_for_good(server: RawServer, context: ssl.SSLContext | None) -> None:
    found = await write(server, base_url=secure(server), ssl_context=context)
    not_sent(found.failure, ConnectError, permanent=True)
    assert (server.connections, server.requests) == (1, [])


@pytest.mark.parametrize("name", ["other", "expired", "localhost"])
async def test_wrong_certificate(certificates: Certificates, name: str) -> None:
    """A certificate for another host, an old one, or one of an unknown authority ends the first attempt."""
    async with Desk(on_connect=handshakes(certificates.server(name))) as server:
        await _refused_for_good(server, None if name == "localhost" else certificates.client())


async def test_old_protocol(certificates: Certificates) -> None:
    """A server that refuses our version of TLS receives nothing."""

    async def alert(connection: Connection) -> None:
        await connection.reader.read(4_096)
        await connection.send(b"\x15\x03\x01\x00\x02\x02\x46")  # alert: protocol version
        connection.fin()

    async with Desk(on_connect=alert) as server:
        await _refused_for_good(server, certificates.client())


async def test_plain_answer() -> None:
    """Plain HTTP on the port for TLS is refused, and nothing of the write is sent in clear text."""
    seen = b""

    async def answer(connection: Connection) -> None:
        nonlocal seen
        seen = await connection.reader.read(4_096)
        await connection.send(head("Content-Length: 0", status="400 Bad Request"))
        connection.fin()

    async with Desk(on_connect=answer) as server:
        await _refused_for_good(server, None)
    assert seen[:1] == b"\x16"  # a handshake, and no request


def breaks(start: Callable[[Connection], Awaitable[None]] | None, how: End, stage: str, times: int) -> Any:
    """Return a script that ends the first handshakes of a server."""

    async def on_connect(connection: Connection) -> None:
        if connection.number > times and start is not None:
            await start(connection)
            return
        if stage == "hello":
            await connection.reader.read(4_096)
        await end(connection, how)

    return on_connect


@pytest.mark.sampled(2)
@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("stage", ["accept", "hello"])
@every_method
async def test_broken_handshake(certificates: Certificates, how: End, stage: str, method: str) -> None:
    """Handshakes that break off are made again, and the write is sent once; if all do, nothing was sent."""
    options: dict[str, Any] = {"ssl_context": certificates.client()}
    async with Desk(on_connect=breaks(handshakes(certificates.server()), how, stage, 3)) as server:
        found = await write(server, method, base_url=secure(server), **options)
        assert (found.verdict, len(found.requests), server.connections) == ("applied", 1, 4)
    async with Desk(on_connect=breaks(None, how, stage, 99)) as server:
        found = await write(server, method, base_url=secure(server), **options)
        assert server.connections == 4
    not_sent(found.failure, ConnectError)


async def test_silent_handshake(certificates: Certificates) -> None:
    """A handshake without a response is abandoned after ten seconds, and made again."""
    start = handshakes(certificates.server())
    async with Desk(on_connect=breaks(start, "hold", "accept", 1)) as server:
        found = await write(server, base_url=secure(server), ssl_context=certificates.client())
        assert (found.verdict, len(found.requests)) == ("applied", 1)
        assert 10 <= found.seconds < 12


async def test_time_out_within_a_handshake(certificates: Certificates) -> None:
    """The client's time-out may fall into the handshake: nothing was sent."""
    async with Desk(on_connect=breaks(None, "hold", "accept", 9)) as server:
        found = await write(server, base_url=secure(server), ssl_context=certificates.client(), timeout=5)
    not_sent(found.failure, RequestTimeoutError)


@pytest.mark.parametrize("how", ["fin", "rst"])
@every_method
async def test_breaks_after_the_handshake(certificates: Certificates, how: End, method: str) -> None:
    """A TLS connection that breaks after the request is not a failed connection: the write is unknown."""
    async with Desk(says(b"", how), context=certificates.server()) as server:
        found = await write(server, method, ssl_context=certificates.client())
        assert (found.verdict, len(found.requests), server.connections) == ("unknown", 1, 1)


@pytest.mark.parametrize(("sent", "verdict"), [(115, "unknown"), (40, "lost"), (1, "lost"), (0, "applied")])
async def test_cut_without_farewell(certificates: Certificates, sent: int, verdict: str) -> None:
    """An unframed body without TLS's close alert may be complete: its JSON decides."""
    whole = head() + b'{"results":{"KnSubject":{"SbId":"201"}}}'

    async def break_off(connection: Connection, _: Received) -> None:
        await connection.send(whole[: max(0, len(whole) - sent)])
        connection.writer.transport.abort()

    async with Desk(break_off, context=certificates.server()) as server:
        found = await write(server, ssl_context=certificates.client())
    assert (found.verdict, len(found.requests)) == (verdict, 1)


# --- proxies ---


@pytest.mark.parametrize(
    ("status", "tunnels"), [("407 Proxy Authentication Required", 1), ("403 Forbidden", 1), ("503 Unavailable", 4)]
)
async def test_proxy_refuses(status: str, tunnels: int) -> None:
    """A proxy that refuses the tunnel gets neither the write nor the token; one in trouble may be back soon."""

    async def refuse(connection: Connection, _: Received) -> None:
        await connection.send(head("Content-Length: 0", status=status))

    async with RawServer(refuse) as proxy, Desk() as server:
        options: dict[str, Any] = {"proxy": proxy.base_url.removesuffix("/rest"), "ssl_context": None}
        found = await write(server, base_url=secure(server), **options)
        assert (len(proxy.requests), server.connections) == (tunnels, 0)
        assert {(received.method, received.body) for received in proxy.requests} == {("CONNECT", b"")}
        assert all("authorization" not in received.headers for received in proxy.requests)
    not_sent(found.failure, ConnectError, permanent=tunnels == 1)
