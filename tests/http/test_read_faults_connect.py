"""No connection at all: rows 1 to 3 of the fault matrix."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from afas_async import ConnectError
from afas_async.http.events import Event
from tests.support.heard import attempts
from tests.support.read_table import CONNECTOR, ROWS, Table, client, read


class Names:
    """Counts the look-ups of host names, and fails the first of them."""

    def __init__(self, error: OSError, times: int) -> None:
        self.asked = 0
        self._error = error
        self._times = times
        self._real = socket.getaddrinfo

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.asked += 1
        if self.asked <= self._times:
            raise self._error
        return self._real(*args, **options)


UNKNOWN = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
FOR_NOW = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


@pytest.mark.parametrize("error", [UNKNOWN, FOR_NOW], ids=["unknown", "for now"])
async def test_no_such_name_for_a_while(monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    """A name lookup that fails once is repeated."""
    async with Table() as server:
        names = Names(error, 1)
        monkeypatch.setattr(socket, "getaddrinfo", names)
        assert await read(server, base_url=server.base_url.replace("127.0.0.1", "localhost")) == ROWS
        assert names.asked == 2


@pytest.mark.parametrize("error", [UNKNOWN, FOR_NOW], ids=["unknown", "for now"])
async def test_no_such_name(monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    """A name that is never found is a ConnectError after four look-ups, and nothing was sent."""
    names = Names(error, 100)
    monkeypatch.setattr(socket, "getaddrinfo", names)
    async with Table() as server, client(server, base_url="https://name.example/rest") as afas:
        with pytest.raises(ConnectError) as raised:
            await afas.page(CONNECTOR)
        assert server.connections == 0
    assert names.asked == 4
    assert (raised.value.sent, raised.value.connector, raised.value.permanent) == ("no", "X", False)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket with a port of its own that does not listen yet."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        made.settimeout(0)
        yield made


def url(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}/rest"


async def test_refused(listener: socket.socket) -> None:
    """A connection that is always refused is a ConnectError after four attempts."""
    events: list[Event] = []
    async with Table() as server, client(server, base_url=url(listener), on_event=events.append) as afas:
        with pytest.raises(ConnectError) as raised:
            await afas.page(CONNECTOR)
    assert (raised.value.sent, raised.value.permanent) == ("no", False)
    assert [event.kind for event in attempts(events)] == ["failed", "retrying"] * 3 + ["failed"]


async def test_refused_then_accepted(listener: socket.socket) -> None:
    """A connection that is refused twice and then accepted costs nothing but time; the request arrives once."""
    listening = asyncio.Event()

    def after_two(event: Event) -> None:
        if event.kind == "retrying" and event.attempt == 2:
            listener.listen()
            listening.set()

    async def open_late(server: Table) -> None:
        await listening.wait()
        connection, _ = await asyncio.get_running_loop().sock_accept(listener)
        reader, writer = await asyncio.open_connection(sock=connection)
        await server._serve(reader, writer)

    async with Table() as server:
        late = asyncio.create_task(open_late(server))
        assert await read(server, base_url=url(listener), on_event=after_two) == ROWS
        assert server.asked[0] == 1
        await late


async def test_no_answer_to_the_connection(listener: socket.socket) -> None:
    """A host that swallows connections is given up after ten seconds, and tried again."""
    listener.listen(0)
    with ExitStack() as fillers:
        for _ in range(8):  # the queue of connections is full after some of these
            filler = fillers.enter_context(socket.socket())
            filler.settimeout(0)
            filler.connect_ex(listener.getsockname())
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with Table() as server, client(server, base_url=url(listener), max_retries=1) as afas:
            with pytest.raises(ConnectError) as raised:
                await afas.page(CONNECTOR)
            assert 20 <= loop.time() - started < 23
            assert raised.value.sent == "no"
            assert server.connections == 0
