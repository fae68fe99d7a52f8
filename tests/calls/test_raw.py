"""Raw calls: to any path below the base URL, by the rules of all other calls."""

from __future__ import annotations

import asyncio
import base64
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from afas_async import (
    AfasClient,
    AnswerError,
    ApiError,
    BusinessError,
    ClientClosedError,
    ConnectError,
    NotFoundError,
    OutcomeUnknownError,
    RawAnswer,
    UsageError,
    __version__,
)
from afas_async.simulator import Fault, Simulator
from tests.support import canary
from tests.support.census import census
from tests.support.raw_server import Connection, RawServer, Received, Script
from tests.support.read_table import chunked, client, end, framed, head
from tests.wire.test_raw_requests import ESCAPES

SIGNED = "AfasToken " + base64.b64encode(canary.TOKEN.encode()).decode()
WRITES = ("POST", "PUT", "PATCH", "DELETE")
every_method = pytest.mark.parametrize("method", ["GET", *WRITES])
every_write = pytest.mark.parametrize("method", WRITES)


def says(*answers: bytes, how: Any = "keep") -> Script:
    """Return a script that sends the responses in turn, and then repeats the last."""
    left = list(answers)

    async def script(connection: Connection, _: Received) -> None:
        answer = left.pop(0) if len(left) > 1 else left[0]
        await connection.send(answer)
        if answer is not answers[-1] or len(answers) == 1:
            await end(connection, how)

    return script


def reply(status: str, body: bytes = b"", *lines: str) -> bytes:
    return framed(body, *lines, status=status)


# --- requests ---


@every_method
async def test_what_is_sent(method: Any) -> None:
    """Method, path, query, headers and body are sent unchanged, with the signature and headers of the client."""
    async with (
        RawServer(says(framed(b"{}"))) as server,
        client(server, integration_id="12345_678900", language="nl-be") as afas,
    ):
        content = {} if method == "GET" else {"json": {"naam": "caf\u00e9"}}
        answer = await afas.request(
            method, "bi/My Model/@a,b", params={"$top": 5, "x y": "a&b"}, headers={"x-new": "1"}, **content
        )
        host = server.base_url.split("/")[2]
    assert answer.status == 200
    (received,) = server.requests
    assert (received.method, received.target) == (method, "/rest/bi/My%20Model/@a,b?%24top=5&x%20y=a%26b")
    body = b"" if method == "GET" else '{"naam":"caf\u00e9"}'.encode()
    assert received.body == body
    expected = {
        "host": host,
        "accept": "application/json",
        "accept-encoding": "gzip",
        "accept-language": "nl-be",
        "user-agent": f"afas_async/{__version__}",
        "integrationid": "12345_678900",
        "authorization": SIGNED,
        "x-new": "1",
    }
    if body:
        expected |= {"content-type": "application/json;charset=utf-8", "content-length": str(len(body))}
    assert received.headers == expected


async def test_nothing_goes_elsewhere() -> None:
    """A path that leads out of the base URL is refused, and no connection is made."""
    async with RawServer(says(framed(b"{}"))) as server, client(server) as afas:
        for path in ESCAPES:
            for refused in (afas.request("GET", path), afas.request("POST", path, json={})):
                try:
                    await refused
                except UsageError:
                    continue
                pytest.fail(f"{path!r} was not refused")
        assert server.connections == 0


async def test_a_header_in_place_of_the_clients() -> None:
    """You can replace `Accept`, and it is sent once."""
    async with RawServer(says(framed(b"{}"))) as server, client(server) as afas:
        await afas.request("GET", "x", headers={"accept": "text/csv"})
    assert server.requests[0].headers["accept"] == "text/csv"


@every_method
async def test_redirects_are_not_followed(method: Any) -> None:
    """A redirect is an error, and for a write an unknown outcome; the token goes nowhere else."""
    for status in ("301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"):
        async with (
            RawServer(says(framed(b"{}"))) as other,
            RawServer(says(reply(status, b"", f"Location: {other.base_url}/x"))) as server,
            client(server) as afas,
        ):
            with pytest.raises(ApiError if method == "GET" else OutcomeUnknownError, match="redirect"):
                await afas.request(method, "x")
            assert len(server.requests) == 1
            assert other.connections == 0


# --- responses ---


async def test_against_the_simulator(afas: AfasClient) -> None:
    """You can call everything the service has: read, write, read again, delete."""
    listed = await afas.request("GET", "metainfo")
    assert {"getConnectors", "updateConnectors", "info"} <= set(listed.json())
    params = {"skip": 0, "take": 2, "orderbyfieldids": "-ItemCode"}
    rows = await afas.request("GET", "connectors/Profit_Article", params=params)
    assert [row["ItemCode"] for row in rows.json()["rows"]] == ["003000", "002999"]

    element = {"KnSubject": {"Element": {"Fields": {"StId": 1, "Ds": "Raw"}}}}
    made = await afas.request("POST", "connectors/KnSubject", json=element)
    assert (made.status, made.path) == (201, "connectors/KnSubject")
    number = made.json()["results"]["KnSubject"]["SbId"]
    gone = await afas.request("DELETE", f"connectors/KnSubject/KnSubject/@SbId/{number}")
    assert (gone.status, gone.data) == (200, b"")
    assert made.headers["content-type"] == "application/json; charset=utf-8"
    with pytest.raises(BusinessError):
        await afas.request("DELETE", f"connectors/KnSubject/KnSubject/@SbId/{number}")
    with pytest.raises(NotFoundError):
        await afas.request("GET", "no/such/path")


async def test_json() -> None:
    """`json` returns the body as Python values or as a type; a mismatch is an error of the library."""

    class Told(msgspec.Struct):
        a: int

    answer = RawAnswer("x", 200, {}, b'\xef\xbb\xbf{"a":1,"b":1.10}')
    assert answer.json() == {"a": 1, "b": Decimal("1.10")}
    assert answer.json(Told) == Told(1)
    for data in (b"", b"{", b"\xff", b'{"a":"x"}', b"[" * 100_000):
        with pytest.raises(AnswerError):
            RawAnswer("x", 200, {}, data).json(Told)


async def test_what_is_shown(watch: canary.Watch) -> None:
    """The body of a response may be secret: no repr shows it."""
    assert repr(RawAnswer("x", 200, {}, b"geheim")) == "RawAnswer(path='x', status=200, 6 bytes)"
    async with (
        RawServer(says(framed(b'{"a":"geheim"}'))) as server,
        client(server, on_event=lambda event: watch.texts.append(repr(event))) as afas,
    ):
        await afas.request("POST", "x", params={"p": "privat"}, json={"token": "verborgen"})
    assert watch.texts
    assert not any(word in text for text in watch.texts for word in ("geheim", "privat", "verborgen"))


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("answer", "data"),
    [
        (framed(b'{"a":1}'), b'{"a":1}'),
        (framed(b""), b""),
        (chunked(b"a", b"bc"), b"abc"),
        (framed(b"%PDF").replace(b"application/json", b"application/pdf"), b"%PDF"),
        (reply("201 Created", b"[]"), b"[]"),
        (framed(b'"text"'), b'"text"'),
        (framed(b"5"), b"5"),
        (framed(b"<x/>").replace(b"application/json", b"application/xml"), b"<x/>"),
    ],
    ids=["json", "empty", "text in chunks", "pdf", "201", "a text", "a number", "xml"],
)
@every_method
async def test_every_success(method: Any, answer: bytes, data: bytes) -> None:
    """A success may have any content that the path returns."""
    async with RawServer(says(answer)) as server, client(server) as afas:
        found = await afas.request(method, "x")
        assert found.data == data
        assert not found.result_lost
        assert len(server.requests) == 1


@every_write
async def test_no_content(method: Any) -> None:
    """204 is a success of a write."""
    async with RawServer(says(head(status="204 No Content"))) as server, client(server) as afas:
        found = await afas.request(method, "x")
    assert (found.status, found.data, found.result_lost) == (204, b"", False)


async def test_a_refusal_in_a_success() -> None:
    """After Profit's refusal with a 200, a read has failed, and a write is unknown."""
    refusal = framed(b'{"externalMessage":"Niet toegestaan","profitLogReference":"A"}')
    async with RawServer(says(refusal)) as server, client(server) as afas:
        with pytest.raises(BusinessError, match="Niet toegestaan"):
            await afas.request("GET", "x")
        with pytest.raises(OutcomeUnknownError, match="Niet toegestaan"):
            await afas.request("POST", "x")


# --- the client's own rules ---


async def test_it_takes_a_slot_and_is_counted(afas: AfasClient, simulator: Simulator) -> None:
    """Raw calls wait for a slot as all others do, and show in the statistics."""
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(afas.request("GET", "metainfo"))
            group.create_task(afas.request("GET", "profitversion"))
    assert simulator.counters.peak_in_flight == 5
    assert afas.statistics().requests == 40


async def test_cancelled_anywhere(afas: AfasClient, simulator: Simulator) -> None:
    """A call that is cancelled at any step leaves no task and no slot taken."""
    finished = steps = 0
    while finished < 2:
        async with census(afas, simulator):
            call = asyncio.create_task(afas.request("GET", "metainfo"))
            for _ in range(steps):
                await asyncio.sleep(0)
            call.cancel()
            try:
                await call
            except asyncio.CancelledError:
                pass
            else:
                finished += 1
        steps += 1
    assert steps > 5


async def test_not_open() -> None:
    """A client that is not open, or closed, sends nothing."""
    afas = AfasClient("12345", auth=canary.TOKEN)
    for method in ("GET", "POST"):
        with pytest.raises(ClientClosedError):
            await afas.request(method, "x")  # type: ignore[arg-type]


async def test_nobody_there() -> None:
    """Without a connection nothing was sent, and a write says so too."""
    async with RawServer(says(b"")) as server:
        base_url = server.base_url
    async with AfasClient(base_url=base_url, auth=canary.TOKEN) as afas:
        for method in ("GET", "POST"):
            with pytest.raises(ConnectError) as raised:
                await afas.request(method, "x")  # type: ignore[arg-type]
            assert raised.value.sent == "no"


async def test_faults_of_the_simulator(afas: AfasClient, simulator: Simulator) -> None:
    """A write whose response gets lost was applied once."""
    simulator.faults.add(Fault(method="POST", cut="reset"))
    before = simulator.store.count("Profit_Subjects")
    with pytest.raises(OutcomeUnknownError):
        await afas.request(
            "POST", "connectors/KnSubject", json={"KnSubject": {"Element": {"Fields": {"StId": 1, "Ds": "x"}}}}
        )
    assert simulator.store.count("Profit_Subjects") == before + 1
