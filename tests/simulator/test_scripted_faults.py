"""Scripted faults, as a client sees them."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest
from anyio.from_thread import BlockingPortal

from afas_async import AfasClient
from afas_async.simulator import Fault, Latency, Simulator
from afas_async.simulator.remote import SimulatorProcess
from tests.simulator.conftest import Client
from tests.support.virtual_time import VirtualTimeLoop

ARTICLE = "/connectors/Profit_Article"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Delays and stalls last long, and take no time."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}


@asynccontextmanager
async def connection(
    simulator: Simulator, target: str = ARTICLE
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A raw connection that has asked for the articles."""
    host, port = simulator.base_url.split("/")[2].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    token = Client.authorization(simulator)["Authorization"]
    request = f"GET /profitrestservices{target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\n\r\n"
    writer.write(request.encode())
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def read_until_closed(reader: asyncio.StreamReader) -> tuple[bytes, bytes, type[BaseException] | None]:
    """Return the head and the body, in its chunks, and how the connection ends."""
    received, error = b"", None
    try:
        while data := await reader.read(65_536):
            received += data
    except ConnectionResetError as reset:
        error = type(reset)
    head, _, body = received.partition(b"\r\n\r\n")
    return head, body, error


def chunks(body: bytes) -> tuple[bytes, bool]:
    """The content of a chunked body, and whether its end has come."""
    content = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        if size == b"0":
            return content, True
        content, body = content + body[: int(size, 16)], body[int(size, 16) + 2 :]
    return content, False


async def test_status_in_place_of_the_answer(client: Client, simulator: Simulator) -> None:
    """A fault responds once with its status, body, content type and headers; then all is as before."""
    fault = Fault(status=502, body="<h1>Bad gateway</h1>", content_type="text/html", headers={"Via": "1.1 proxy"})
    simulator.faults.add(fault)
    reply = await client.get(simulator, ARTICLE)
    assert (reply.status, reply.body, reply.headers["Content-Type"]) == (502, b"<h1>Bad gateway</h1>", "text/html")
    assert (reply.headers["Via"], reply.headers["Content-Length"]) == ("1.1 proxy", "20")
    assert len((await client.get(simulator, ARTICLE)).rows) == 100
    assert [(record.status, record.fault) for record in simulator.requests] == [(502, fault), (200, None)]
    assert simulator.faults.left == []
    assert simulator.counters.answered == 2


async def test_status_without_a_body(client: Client, simulator: Simulator) -> None:
    """A status alone gives a response like the service's own without a body: empty, and claiming to be XML."""
    simulator.faults.add(Fault(status=401))
    reply = await client.get(simulator, ARTICLE)
    assert (reply.status, reply.body) == (401, b"")
    assert reply.headers["Content-Type"] == "application/xml; charset=utf-8"


@pytest.mark.parametrize(
    ("place", "header", "body"), [("header", "7", None), ("body", None, 7), ("both", "7", 7), (None, "7", 7)]
)
async def test_retry_after(client: Client, simulator: Simulator, place: Any, header: str | None, body: Any) -> None:
    """A 503 says how long to wait in the header, in the documented body, or in both."""
    simulator.faults.add(Fault(status=503, retry_after=7, **({"retry_after_in": place} if place else {})))
    reply = await client.get(simulator, ARTICLE)
    assert reply.status == 503
    assert reply.headers.get("Retry-After") == header
    assert (reply.json["retry_after"] if reply.body else None) == body
    if body:
        assert reply.json["error"]["code"] == "503"
        assert set(reply.json["error"]) == {"code", "message"}


async def test_html_with_status_200(client: Client, simulator: Simulator) -> None:
    """A page of HTML can come as a success."""
    simulator.faults.add(Fault(status=200, body="<html>Log in</html>", content_type="text/html"))
    reply = await client.get(simulator, ARTICLE)
    assert (reply.status, reply.body, reply.headers["Content-Type"]) == (200, b"<html>Log in</html>", "text/html")


async def test_wrong_content_type_on_a_right_body(client: Client, simulator: Simulator) -> None:
    """The content type can be wrong while the rows are right."""
    simulator.faults.add(Fault(content_type="text/plain", headers={"cache-control": "public"}))
    reply = await client.get(simulator, ARTICLE)
    assert reply.headers["Content-Type"] == "text/plain"
    assert reply.headers["Cache-Control"] == "public"
    assert len(reply.rows) == 100


async def test_delay(client: Client) -> None:
    """A delay comes on top of the latency."""
    async with Simulator(rows=5, latency=Latency(base=2)) as simulator:
        simulator.faults.add(Fault(delay=30))
        for _ in range(2):
            assert len((await client.get(simulator, ARTICLE)).rows) == 5
        first, second = [record.ended - record.started for record in simulator.requests]
        assert 32 <= first < 33
        assert 2 <= second < 3


@pytest.mark.parametrize("at", [None, 0, 1000])
async def test_reset(simulator: Simulator, at: int | None) -> None:
    """The connection is reset, not closed: before the response, after its head or in its body."""
    simulator.faults.add(Fault(cut="reset", at=at))
    async with connection(simulator) as (reader, _):
        head, body, error = await read_until_closed(reader)
    assert error is ConnectionResetError
    assert head.startswith(b"HTTP/1.1 200" if at is not None else b"")
    content, ended = chunks(body)
    assert (len(content), ended) == (at or 0, False)
    record = simulator.requests[0]
    assert (record.status, record.bytes) == (None if at is None else 200, at or 0)
    assert (simulator.counters.answered, simulator.counters.cancelled, simulator.counters.in_flight) == (0, 0, 0)


@pytest.mark.parametrize("at", [None, 0, 1000, 10**9])
async def test_close(simulator: Simulator, at: int | None) -> None:
    """A chunked body is cut by closing the connection in good order; a shorter body lacks only its end mark."""
    simulator.faults.add(Fault(cut="close", at=at))
    async with connection(simulator) as (reader, _):
        head, body, error = await read_until_closed(reader)
    assert error is None
    assert (b"chunked" in head) == (at is not None)
    content, ended = chunks(body)
    assert not ended
    if at == 10**9:
        assert len(json.loads(content)["rows"]) == 100
    else:
        assert len(content) == (at or 0)


@pytest.mark.parametrize("at", [0, 1, 500, 10_000_000])
async def test_end_too_early(client: Client, at: int) -> None:
    """A body can be well-framed while its JSON is cut; one that is shorter is whole."""
    async with Simulator(rows=4_500) as simulator:
        whole = await client.get(simulator, "/connectors/Profit_Wide", skip=-1, orderbyfieldids="Id")
        simulator.faults.add(Fault(cut="end", at=at))
        reply = await client.get(simulator, "/connectors/Profit_Wide", skip=-1, orderbyfieldids="Id")
        assert reply.body == whole.body[:at]
        assert simulator.requests[1].bytes == len(reply.body)
        assert simulator.counters.answered == 2


async def test_end_too_early_in_a_refusal(client: Client, simulator: Simulator) -> None:
    """An error's body can be cut as well."""
    simulator.faults.add(Fault(status=500, body='{"externalMessage":"x"}', cut="end", at=5))
    reply = await client.get(simulator, ARTICLE)
    assert (reply.status, reply.body) == (500, b'{"ext')


async def test_cuts_count_bytes_as_sent() -> None:
    """The position of a cut counts the compressed bytes of a compressed response."""
    async with Simulator(rows=300, gzip=True) as simulator, aiohttp.ClientSession(auto_decompress=False) as session:
        headers = Client.authorization(simulator) | {"Accept-Encoding": "gzip"}
        simulator.faults.add(Fault(cut="end", at=100))
        bodies = []
        for _ in range(2):
            async with session.get(simulator.base_url + ARTICLE, headers=headers) as response:
                bodies.append(await response.read())
        assert len(bodies[0]) == 100
        with pytest.raises(EOFError):
            gzip.decompress(bodies[0])
        assert len(json.loads(gzip.decompress(bodies[1]))["rows"]) == 100


@pytest.mark.parametrize("at", [None, 0, 1000])
async def test_stall(client: Client, simulator: Simulator, at: int | None) -> None:
    """Nothing more comes, however long one waits, until the client goes; and others are served meanwhile."""
    simulator.faults.add(Fault(cut="stall", at=at))
    async with connection(simulator) as (reader, _):
        reading = asyncio.create_task(read_until_closed(reader))
        await asyncio.sleep(10_000)
        assert not reading.done()
        assert simulator.requests[0].bytes == (at or 0)
        assert simulator.requests[0].status == (None if at is None else 200)
        assert len((await client.get(simulator, ARTICLE)).rows) == 100
        assert simulator.counters.in_flight == 1
    head, body, _ = await reading
    assert head.startswith(b"HTTP/1.1 200" if at is not None else b"")
    assert (len(chunks(body)[0]), chunks(body)[1]) == (at or 0, False)
    await client.until(lambda: simulator.counters.cancelled == 1)
    assert simulator.counters.in_flight == 0


@pytest.mark.parametrize("at", [None, 1000])
async def test_stall_ends_with_the_simulator(client: Client, at: int | None) -> None:
    """Stopping does not wait for a response that stalls."""
    async with Simulator(rows=300) as simulator:
        simulator.faults.add(Fault(cut="stall", at=at))
        asking = asyncio.create_task(client.get(simulator, ARTICLE))
        await client.until(lambda: simulator.counters.requests == 1)
        started = asyncio.get_running_loop().time()
        await simulator.stop()
        assert asyncio.get_running_loop().time() - started < 2
        with pytest.raises(aiohttp.ClientError):
            await asking


async def test_which_requests(client: Client, simulator: Simulator) -> None:
    """A fault is for a connector's own name, for a part of a path, and for a method, in any case of letters."""
    for fault, met in (
        (Fault(status=418, connector="profit_ARTICLE"), ["/connectors/Profit_Article", "/metainfo/get/profit_article"]),
        (Fault(status=418, connector="Profit_Art"), []),
        (Fault(status=418, path="/METAINFO"), ["/metainfo", "/metainfo/get/profit_article"]),
        (Fault(status=418, method="get", path="profit_d"), ["/connectors/Profit_Debtor"]),
        (Fault(status=418, method="POST"), []),
    ):
        simulator.faults.add(msgspec.structs.replace(fault, times=None))
        found = [
            path
            for path in (
                "/connectors/Profit_Article",
                "/connectors/Profit_Debtor",
                "/metainfo",
                "/metainfo/get/profit_article",
            )
            if (await client.get(simulator, path)).status == 418
        ]
        assert found == met
        simulator.faults.clear()


async def test_questions_ahead(client: Client, simulator: Simulator) -> None:
    """A browser's preflight request uses up no fault, unless the fault is for that method."""
    simulator.faults.add(Fault(status=503))
    assert (await client.get(simulator, ARTICLE, method="OPTIONS")).status == 200
    assert (await client.get(simulator, ARTICLE)).status == 503
    simulator.faults.add(Fault(status=503, method="options"))
    assert (await client.get(simulator, ARTICLE)).status == 200
    assert (await client.get(simulator, ARTICLE, method="OPTIONS")).status == 503


async def test_after_and_times(client: Client, simulator: Simulator) -> None:
    """`after` lets requests pass, `times` counts down, and each fault counts the requests that others meet."""
    simulator.faults.add(
        Fault(path="article", status=503, after=1, times=2),
        Fault(path="article", status=429, after=2),
        Fault(path="article", status=500, after=5, times=None),
    )
    await client.get(simulator, "/connectors/Profit_Debtor")
    assert [(await client.get(simulator, ARTICLE)).status for _ in range(8)] == [200, 503, 503, 429, 200, 500, 500, 500]
    assert [(fault.status, fault.after, fault.times) for fault in simulator.faults.left] == [(500, 0, None)]
    simulator.faults.clear()
    assert (await client.get(simulator, ARTICLE)).status == 200


async def test_a_status_without_carrying_out(client: Client, simulator: Simulator) -> None:
    """With a status the request is not carried out, so it does not matter whether the request is valid."""
    simulator.faults.add(Fault(status=503))
    assert (await client.get(simulator, "/nothing", headers={})).status == 503
    assert (await client.get(simulator, "/nothing", headers={})).status == 401


@pytest.mark.parametrize(
    "nonsense",
    [
        {},
        {"times": 3},
        {"status": 503, "times": 0},
        {"status": 503, "after": -1},
        {"status": 100},
        {"status": 600},
        {"body": "x"},
        {"retry_after": 3},
        {"status": 500, "retry_after": 3},
        {"status": 503, "retry_after": -1},
        {"status": 503, "retry_after_in": "header"},
        {"status": 503, "retry_after": 3, "body": "x"},
        {"delay": -1.0},
        {"delay": float("inf")},
        {"at": 3},
        {"status": 503, "at": 3},
        {"cut": "reset", "at": -1},
        {"cut": "end"},
        {"headers": {"Content-length": "3"}},
        {"headers": {"X": "a\r\nb"}},
        {"headers": {"X": "caf\N{LATIN SMALL LETTER E WITH ACUTE}"}},
        {"headers": {"X A": "b"}},
        {"headers": {"X:": "b"}},
        {"headers": {"": "b"}},
        {"content_type": "a\nb"},
        {"status": 500, "content_type": "a\0b"},
    ],
    ids=str,
)
def test_nonsense(nonsense: dict[str, Any]) -> None:
    """A fault that does nothing, or whose parts contradict each other, is refused."""
    with pytest.raises(ValueError, match=r"`|header"):
        Fault(**nonsense)


async def test_over_http(simulator: Simulator) -> None:
    """Other processes and languages script faults by JSON: POST adds, GET lists, DELETE clears."""
    url = simulator.base_url.replace("profitrestservices", "simulator/faults")
    one, two = {"status": 503, "retry_after": 2}, {"cut": "reset", "at": 10, "times": None}
    async with aiohttp.ClientSession() as session:
        for content, status, left in ((one, 200, [one]), ([two], 200, [one, two]), ([], 200, [one, two])):
            async with session.post(url, json=content) as response:
                assert (response.status, await response.json()) == (status, left)
        for text, reason in (
            ("nonsense", "malformed"),
            ('{"stattus": 503}', "stattus"),
            ('{"cut": "off"}', "off"),
            ('[{"status": 503, "times": 0}]', "`times`"),
        ):
            async with session.post(url, data=text) as response:
                assert response.status == 400
                assert reason in await response.text()
        async with session.get(url) as response:
            assert await response.json() == [one, two]
        async with session.delete(url) as response:
            assert await response.json() == []
        async with session.put(url) as response:
            assert response.status == 404
    assert simulator.faults.left == []
    assert simulator.counters.requests == 0


def test_in_a_process(apart: tuple[BlockingPortal, SimulatorProcess]) -> None:
    """A simulator in another process takes its script over HTTP."""
    portal, there = apart

    async def use() -> list[int]:
        async with aiohttp.ClientSession() as session:
            await there.faults.add(Fault(status=503), Fault(status=429, after=1))
            statuses = []
            for _ in range(3):
                async with session.get(there.base_url + ARTICLE, headers=Client.authorization(there)) as response:
                    statuses.append(response.status)
            return statuses

    assert portal.call(use) == [503, 429, 200]


async def test_this_library_survives_what_it_should(simulator: Simulator) -> None:
    """A read continues through maintenance, cut responses and a reset, and yields every row once."""
    simulator.faults.add(
        Fault(connector="Profit_Article", status=503, retry_after=2),
        Fault(connector="Profit_Article", cut="end", at=5_000, after=2),
        Fault(connector="Profit_Article", cut="close", at=700, after=3),
        Fault(connector="Profit_Article", cut="reset", after=4),
        Fault(connector="Profit_Article", cut="reset", at=5_000, after=5),
    )
    async with AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas:
        rows = await afas.rows("Profit_Article", key="ItemCode", take=50).to_list()
    assert [row["ItemCode"] for row in rows] == [f"{number:06}" for number in range(1, 301)]
    assert simulator.faults.left == []


async def test_a_fault_that_does_not_happen(client: Client, simulator: Simulator) -> None:
    """It fails the test, unless the test fails anyway. A fault with `times=None` may also not happen."""
    faults = simulator.faults
    with faults.expect(Fault(status=503), Fault(path="metainfo", status=500, times=None)):
        assert (await client.get(simulator, ARTICLE)).status == 503
    faults.clear()
    missed = r"^faults that did not happen: Fault\(connector='FbSales', refusal='locked'\), Fault\(status=503\)$"
    hidden = Fault(connector="FbSales", refusal="locked")
    with pytest.raises(AssertionError, match=missed), faults.expect(hidden, Fault(status=503, times=2)):
        assert (await client.get(simulator, ARTICLE)).status == 503
    with pytest.raises(KeyError), faults.expect(Fault(status=503)):
        raise KeyError
