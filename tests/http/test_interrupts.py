"""Interrupts of a program or a request: no frame of the traceback holds the token."""

from __future__ import annotations

import asyncio
from asyncio.selector_events import _SelectorSocketTransport  # type: ignore[attr-defined]
from collections.abc import Coroutine
from typing import Any

import aiohttp
import pytest

from afas_async.http.transport import AiohttpTransport
from afas_async.vocabulary.credentials import AppToken, ClientCredentials
from afas_async.wire.requests import Request, token_request
from tests.support import canary
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.read_table import CONNECTOR, client, framed

REQUESTS = {
    "read": Request("GET", "x", "", "x"),
    "write": Request("POST", "x", "", "x", b"{}"),
    "token": token_request(ClientCredentials("5f0c2b1e", canary.SECRET)),
}
CREDENTIALS = {"read": AppToken(canary.TOKEN), "write": AppToken(canary.TOKEN), "token": None}


def shown(error: BaseException) -> list[str]:
    """The variables of an exception's frames, and of what led to it, that show the token or the secret."""
    values = [value for each in canary.chain_of(error) for value in canary.local_values(each)]
    return [text for text in map(canary.spelled, values) if canary.leaks(text)]


def interrupted(main: Coroutine[Any, Any, None], kind: type[BaseException]) -> list[str]:
    """Return where an interrupt that ends a program shows the token."""
    with pytest.raises(kind) as raised:
        _run(main)
    return shown(raised.value)


def _run(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner() as runner:
        # Nobody looks at what the task that was interrupted raised, which asyncio would report as a fault.
        runner.get_loop().set_exception_handler(lambda *_: None)
        runner.run(main)


async def silent(_: Connection, __: Received) -> None:
    await asyncio.Event().wait()


async def answers(connection: Connection, _: Received) -> None:
    await connection.send(framed(b'{"skip":0,"take":100,"rows":[]}'))


def interrupt(monkeypatch: pytest.MonkeyPatch, place: str, kind: type[BaseException]) -> None:
    """Raise an exception where the operating system may interrupt a program: in the middle of aiohttp."""

    def written(self: Any, data: bytes) -> None:
        if b"Authorization: " in data or canary.SECRET[:20].encode() in data:
            raise kind
        write(self, data)

    async def answered(*_: object) -> None:
        raise kind

    write = _SelectorSocketTransport.write
    if place == "written":
        monkeypatch.setattr(_SelectorSocketTransport, "write", written)
    else:
        monkeypatch.setattr(aiohttp.ClientResponse, "start", answered)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("place", ["written", "answered"])
@pytest.mark.parametrize("name", REQUESTS)
def test_interrupted_in_the_http_library(
    monkeypatch: pytest.MonkeyPatch, name: str, place: str, kind: type[BaseException]
) -> None:
    """An interrupt ends the program as usual, and drops the frames that hold the header in a variable."""
    interrupt(monkeypatch, place, kind)

    async def main() -> None:
        async with RawServer(answers) as server, AiohttpTransport(server.base_url) as transport:
            await transport.send(REQUESTS[name], {}, lambda: None, lambda: None, CREDENTIALS[name])

    assert interrupted(main(), kind) == []


@pytest.mark.parametrize("call", ["read", "write"])
def test_interrupted_client(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """An interrupted client has the header in no frame either, whichever task is interrupted."""
    interrupt(monkeypatch, "written", KeyboardInterrupt)

    async def main() -> None:
        async with RawServer(answers) as server, client(server) as afas:
            await (afas.page(CONNECTOR) if call == "read" else afas.insert("KnSubject", {"Ds": "x"}))

    assert interrupted(main(), KeyboardInterrupt) == []


@pytest.mark.parametrize("name", REQUESTS)
async def test_cancelled_in_the_http_library(name: str) -> None:
    """A cancellation, which becomes the cause of other errors, has no such frame either."""
    async with RawServer(silent) as server, AiohttpTransport(server.base_url) as transport:
        with pytest.raises(TimeoutError) as raised:
            async with asyncio.timeout(1):
                await transport.send(REQUESTS[name], {}, lambda: None, lambda: None, CREDENTIALS[name])
        assert server.requests
    assert isinstance(raised.value.__cause__, asyncio.CancelledError)
    assert shown(raised.value) == []
