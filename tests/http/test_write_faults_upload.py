"""What the server sees of a write, and what goes wrong while it is sent: rows 16, 17 and 72."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from afas_async import AfasClient, AfasError, AuthenticationError, OutcomeUnknownError, WriteResult, __version__
from afas_async.policy.verdicts import upload_seconds
from tests.http.test_transport import SIGNED
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.read_table import End, client, end, framed
from tests.support.thoroughness import by_default
from tests.support.write_table import (
    BODIES,
    KEYS,
    RESULT,
    WRITES,
    Desk,
    check_unknown,
    every_method,
)

FILE = bytes(range(256)) * by_default(20_000, 30_000)  # in base64 more than a connection buffers: 6.8 or 10.2 MB

Upload = Callable[[AfasClient], Awaitable[WriteResult]]
UPLOADS: dict[str, Upload] = {
    "POST": lambda afas: afas.insert("KnSubject", {"StId": 1, "FileStream": FILE}),
    "PUT": lambda afas: afas.update("KnSubject", {"@SbId": 201, "FileStream": FILE}),
}
every_upload = pytest.mark.parametrize("method", UPLOADS)


class Gate(RawServer):
    """Says something after so many bytes of a request, while the rest is still on its way.

    Args:
        most: Bytes that are read before.
        then: What happens then.
    """

    def __init__(self, most: int, then: Callable[[Connection], Awaitable[None]]) -> None:
        super().__init__(self._never, on_connect=self._read)
        self._most = most
        self._then = then
        self.heads: list[bytes] = []

    async def _never(self, connection: Connection, received: Received) -> None:
        raise AssertionError((connection, received.method))

    async def _read(self, connection: Connection) -> None:
        self.heads.append(await connection.reader.readuntil(b"\r\n\r\n"))
        left = self._most
        while left > 0 and (data := await connection.reader.read(min(left, 1 << 16))):
            left -= len(data)
        await self._then(connection)
        await asyncio.Event().wait()


async def upload(server: RawServer, method: str, **options: Any) -> WriteResult | AfasError:
    """Return the outcome of a large write."""
    async with client(server, **options) as afas:
        try:
            return await UPLOADS[method](afas)
        except AfasError as error:
            return error


# --- what arrives ---


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/rest/connectors/KnSubject"),
        ("PUT", "/rest/connectors/KnSubject"),
        ("DELETE", "/rest/connectors/KnSubject/KnSubject/@SbId/201"),
    ],
)
async def test_request(method: str, target: str) -> None:
    """A write has the documented path, headers and body, and no others."""
    async with Desk() as server, client(server, integration_id="12345_678900", language="nl-be") as afas:
        assert (await WRITES[method](afas)).keys == KEYS
        host = server.base_url.split("/")[2]
    (received,) = server.requests
    assert (received.method, received.target, received.body) == (method, target, BODIES[method])
    content = {"content-type": "application/json;charset=utf-8", "content-length": str(len(BODIES[method]))}
    assert {name: value for name, value in received.headers.items() if name != "content-length" or value != "0"} == {
        "host": host,
        "accept": "application/json",
        "accept-encoding": "gzip",
        "accept-language": "nl-be",
        "user-agent": f"afas_async/{__version__}",
        "integrationid": "12345_678900",
        "authorization": SIGNED,
        **(content if BODIES[method] else {}),
    }


@pytest.mark.parametrize("text", ["Café €", "ﷺ漢字", "😀", "\x00\x1f\x7f\u2028", '"\\/', "é" * 300_000, ""])
async def test_texts_arrive(text: str) -> None:
    """Every text arrives unchanged, in UTF-8, as the content type says."""
    async with Desk() as server, client(server) as afas:
        await afas.insert("KnSubject", {"Ds": text})
        await afas.update("KnSubject", {"@SbId": "1", "Ds": text})
    for received in server.requests:
        assert json.loads(received.body.decode())["KnSubject"]["Element"]["Fields"] == {"Ds": text}
        assert received.headers["content-length"] == str(len(received.body))
        assert received.headers["content-type"] == "application/json;charset=utf-8"


@every_upload
async def test_attachments_arrive(method: str) -> None:
    """A body of many MB arrives intact, with its length, and without a warning."""
    async with Desk() as server, client(server) as afas:
        assert (await UPLOADS[method](afas)).keys == KEYS
    (received,) = server.requests
    assert len(received.body) > by_default(6_000_000, 10_000_000)
    fields = json.loads(received.body)["KnSubject"]["Element"]["Fields"]
    assert base64.b64decode(fields["FileStream"]) == FILE
    assert "transfer-encoding" not in received.headers


PATHS: list[tuple[Upload, str, str]] = [
    (lambda afas: afas.insert("KnPerson", {"@BcCo": "1"}, sub="KnAddress"), "POST", "KnPerson/KnAddress"),
    (lambda afas: afas.update("KnPerson", {"@BcCo": "1"}, sub="KnAddress"), "PUT", "KnPerson/KnAddress"),
    (
        lambda afas: afas.delete("KnEmployee", key={"EmId": "Floor A", "ViSe": "U"}),
        "DELETE",
        "KnEmployee/AfasEmployee/@EmId,@ViSe/Floor%20A,U",
    ),
    (
        lambda afas: afas.delete("FiEntries", key={"UnId": 1, "JoCo": "73"}, sub="FiEntries", sub_key={"EnNo": 70001}),
        "DELETE",
        "FiEntries/FiEntryPar/@UnId,@JoCo/1,73/FiEntries/@EnNo/70001",
    ),
]


@pytest.mark.parametrize(("write", "method", "path"), PATHS)
async def test_paths(write: Upload, method: str, path: str) -> None:
    """Lines of an object, and keys of several fields, are named in the path."""
    async with Desk() as server, client(server) as afas:
        await write(afas)
    assert [(each.method, each.target) for each in server.requests] == [(method, f"/rest/connectors/{path}")]


# --- what goes wrong ---


@pytest.mark.sampled(6)
@every_upload
@pytest.mark.parametrize("most", [0, 1, 1 << 16, 5_000_000])
@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_broken_off(method: str, most: int, how: End) -> None:
    """A connection that breaks during the upload leaves the write unknown, and it is not sent again."""

    async def break_off(connection: Connection) -> None:
        await end(connection, how)

    async with Gate(most, break_off) as server:
        error = await upload(server, method)
        assert len(server.heads) == server.connections == 1
    assert isinstance(error, OutcomeUnknownError)
    check_unknown(error)


@every_upload
async def test_server_stops_reading(method: str) -> None:
    """A server that stops reading is abandoned when the slowest line would have sent the whole body, not before."""

    async def hold(_: Connection) -> None:
        await asyncio.Event().wait()

    loop = asyncio.get_running_loop()
    started = loop.time()
    async with Gate(1 << 16, hold) as server:
        error = await upload(server, method, timeout=5)
        assert len(server.heads) == 1
    assert isinstance(error, OutcomeUnknownError)
    assert error.stage == "sent"
    most = upload_seconds(len(base64.b64encode(FILE)))
    assert most <= loop.time() - started < most + 10


@pytest.mark.sampled(8)
@every_upload
@pytest.mark.parametrize("most", [0, 1 << 16, 5_000_000])
@pytest.mark.parametrize("then", ["reads on", "holds", "fin", "rst"])
async def test_refused_during_the_upload(method: str, most: int, then: str) -> None:
    """A refusal that arrives before the body is sent counts if it can be read; the rest is not sent again."""

    async def refuse(connection: Connection) -> None:
        await connection.send(framed(b"", "Connection: close", status="401 Unauthorized"))
        if then == "reads on":
            await connection.reader.read()
        elif then != "holds":
            await end(connection, "rst" if then == "rst" else "fin")

    loop = asyncio.get_running_loop()
    started = loop.time()
    async with Gate(most, refuse) as server:
        error = await upload(server, method)
        assert len(server.heads) == 1
    if then in {"reads on", "holds"}:
        assert isinstance(error, AuthenticationError), repr(error)
    else:
        assert isinstance(error, (AuthenticationError, OutcomeUnknownError)), repr(error)
    assert loop.time() - started < 10


@every_upload
async def test_applied_during_the_upload(method: str) -> None:
    """A success that arrives before the body is sent is a success: the service's word counts."""

    async def answer(connection: Connection) -> None:
        await connection.send(framed(RESULT))

    async with Gate(1 << 16, answer) as server:
        result = await upload(server, method)
    assert isinstance(result, WriteResult)
    assert result.keys == KEYS


@every_method
async def test_refused_before_anything_is_sent(method: str) -> None:
    """Elements that cannot be sent are refused before a connection is made."""
    wrong: dict[str, Upload] = {
        "POST": lambda afas: afas.insert("KnSubject", {"Ds": object()}),
        "PUT": lambda afas: afas.update("KnSubject", {"Ds": None}),
        "DELETE": lambda afas: afas.delete("KnSubject", key={"SbId": "a/b"}),
    }
    async with Desk() as server, client(server) as afas:
        with pytest.raises(AfasError):
            await wrong[method](afas)
        assert (server.connections, afas.statistics().requests) == (0, 0)
