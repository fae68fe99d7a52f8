"""The life of a simulator, its counters and its request log."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest
from yarl import URL

from afas_async.simulator import Latency, Simulator, serve
from tests.simulator.conftest import Client
from tests.support.raw_writes import send

ARTICLE = "/connectors/Profit_Article"


async def test_request_log(client: Client, simulator: Simulator) -> None:
    """The log holds each request in order of arrival, with its outcome."""
    await client.get(simulator, ARTICLE, take=3, orderbyfieldids="ItemCode")
    reply = await client.get(simulator, "/Nothing")
    first, second = simulator.requests
    assert (first.method, first.path, first.status) == ("GET", "/profitrestservices/connectors/Profit_Article", 200)
    assert first.query == {"take": "3", "orderbyfieldids": "ItemCode"}
    assert first.headers["Host"] in simulator.base_url
    assert first.peer[0] == "127.0.0.1"
    assert first.peer == second.peer
    assert first.started <= first.ended <= second.started <= second.ended
    assert (second.status, second.bytes, reply.body) == (404, 0, b"")


async def test_log_is_in_order_of_arrival(client: Client) -> None:
    """A request stands in the log as soon as it arrives."""
    async with Simulator(rows=100, latency=Latency(per_row=0.0005)) as simulator:
        async with asyncio.TaskGroup() as group:
            group.create_task(client.get(simulator, ARTICLE, take=100))
            await client.until(lambda: len(simulator.requests) == 1)
            assert simulator.requests[0].ended is None
            group.create_task(client.get(simulator, ARTICLE, take=1))
        slow, quick = simulator.requests
        assert slow.query["take"] == "100"
        assert quick.ended < slow.ended


async def test_counters(client: Client, simulator: Simulator) -> None:
    """The counters add up requests, rows and bytes, errors included."""
    replies = [
        await client.get(simulator, ARTICLE),
        await client.get(simulator, ARTICLE, take=7),
        await client.get(simulator, "/connectors/Profit_Nothing"),
    ]
    counters = simulator.counters
    assert (counters.requests, counters.answered, counters.cancelled, counters.rows) == (3, 3, 0, 107)
    assert (counters.in_flight, counters.peak_in_flight) == (0, 1)
    assert counters.bytes == sum(len(reply.body) for reply in replies)
    assert [record.bytes for record in simulator.requests] == [len(reply.body) for reply in replies]


async def test_requests_in_flight(client: Client) -> None:
    """Requests under way are counted, and so is their peak."""
    async with Simulator(rows=10, latency=Latency(base=0.05)) as simulator:
        async with asyncio.TaskGroup() as group:
            for _ in range(7):
                group.create_task(client.get(simulator, ARTICLE))
            await client.until(lambda: simulator.counters.in_flight == 7)
        assert (simulator.counters.in_flight, simulator.counters.peak_in_flight) == (0, 7)


async def test_an_answer_that_is_read_is_over(client: Client) -> None:
    """A client that has read a response to its end is never counted as two requests at once."""
    async with Simulator(rows=8000) as simulator:
        for _ in range(10):
            await client.get(simulator, "/connectors/Profit_Wide", skip=-1)
            assert simulator.counters.in_flight == 0
        assert simulator.counters.peak_in_flight == 1


async def test_client_goes_away(client: Client) -> None:
    """A client that goes away is counted, and the next one is served."""
    async with Simulator(rows=10, latency=Latency(base=0.05)) as simulator:
        waiting = asyncio.create_task(client.get(simulator, ARTICLE))
        await client.until(lambda: simulator.counters.in_flight == 1)
        waiting.cancel()
        await client.until(lambda: simulator.counters.cancelled == 1)
        assert (simulator.counters.in_flight, simulator.counters.answered) == (0, 0)
        assert simulator.requests[0].ended is not None
        assert len((await client.get(simulator, ARTICLE)).rows) == 10


async def test_client_goes_away_in_the_middle_of_an_answer(client: Client) -> None:
    """A client that leaves while rows are being sent is counted too."""
    async with Simulator(rows=30_000) as simulator, aiohttp.ClientSession() as session:
        url = f"{simulator.base_url}/connectors/Profit_Wide?skip=-1"
        async with session.get(url, headers=client.authorization(simulator)) as response:
            await response.content.readany()
            response.close()
        await client.until(lambda: simulator.counters.cancelled == 1)
        assert 0 < simulator.counters.rows < 30_000


async def test_a_reader_that_waits_holds_the_rows_back(client: Client) -> None:
    """A whole table is sent as it is read, and never assembled in memory. Stopping does not wait for the reader."""
    async with Simulator(rows=30_000) as simulator, aiohttp.ClientSession() as session:
        url = f"{simulator.base_url}/connectors/Profit_Wide?skip=-1"
        async with session.get(url, headers=client.authorization(simulator)) as response:
            await asyncio.sleep(0.1)
            assert simulator.counters.rows < 30_000
            assert simulator.counters.in_flight == 1
            started = time.perf_counter()
            await simulator.stop()
            assert time.perf_counter() - started < 2
            response.close()


async def test_stop_is_quick(client: Client) -> None:
    """Stopping does not wait for requests under way, and stopping twice is harmless."""
    async with Simulator(rows=10, latency=Latency(base=60)) as simulator:
        waiting = [asyncio.create_task(client.get(simulator, ARTICLE)) for _ in range(3)]
        await client.until(lambda: simulator.counters.in_flight == 3)
        started = time.perf_counter()
        await simulator.stop()
        assert time.perf_counter() - started < 2
        assert simulator.counters.in_flight == 0
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(outcome, aiohttp.ClientError) for outcome in outcomes)
        await simulator.stop()


async def test_start_and_stop(client: Client) -> None:
    """Start and stop do what the block does, and starting twice is harmless."""
    simulator = Simulator(rows=5)
    with pytest.raises(RuntimeError, match="before start"):
        _ = simulator.base_url
    await simulator.start()
    await simulator.start()
    assert len((await client.get(simulator, ARTICLE)).rows) == 5
    await simulator.stop()
    with pytest.raises(aiohttp.ClientError):
        await client.get(simulator, ARTICLE)
    with pytest.raises(RuntimeError, match="make a new one"):
        await simulator.start()


async def test_stop_without_start() -> None:
    """A simulator that never started can be stopped."""
    await Simulator().stop()


async def test_port_in_use(simulator: Simulator) -> None:
    """A port that is taken is an OSError."""
    port = int(simulator.base_url.rsplit(":", 1)[1].split("/")[0])
    with pytest.raises(OSError, match="in use"):
        await Simulator(port=port).start()


async def test_serve(client: Client) -> None:
    """Serve runs until it is cancelled, and leaves nothing running."""
    simulator = Simulator(rows=5)
    await simulator.start()
    serving = asyncio.create_task(serve(simulator))
    assert len((await client.get(simulator, ARTICLE)).rows) == 5
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    with pytest.raises(aiohttp.ClientError):
        await client.get(simulator, ARTICLE)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2", "::1"])
async def test_loopback_hosts(client: Client, host: str) -> None:
    """Every loopback address will do."""
    async with Simulator(rows=5, host=host) as simulator:
        assert len((await client.get(simulator, ARTICLE)).rows) == 5


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "::", "example.com", ""])  # noqa: S104
def test_other_hosts(host: str) -> None:
    """The simulator is never reachable from another computer."""
    with pytest.raises(ValueError, match="loopback"):
        Simulator(host=host)


def test_bad_options() -> None:
    """Invalid options are refused. The refusal does not show an invalid token."""
    with pytest.raises(ValueError, match="0 or more"):
        Simulator(rows=-1)
    for port in (-1, 65_536):
        with pytest.raises(ValueError, match="between 0 and 65535"):
            Simulator(port=port)
    with pytest.raises(ValueError, match="whole XML") as caught:
        Simulator(token="5EC4E7CANA4Y")
    assert "5EC4E7" not in str(caught.value)


async def test_token(client: Client) -> None:
    """A token may be given; otherwise it is the whole XML with 64 random hexadecimal digits."""
    token = "<token><version>1</version><data>CANA4Y</data></token>"
    async with Simulator(rows=5, token=token) as simulator, Simulator() as one, Simulator() as other:
        assert simulator.token == token
        assert len((await client.get(simulator, ARTICLE)).rows) == 5
        assert one.token != other.token
        assert len(one.token) == len("<token><version>1</version><data></data></token>") + 64


async def test_token_is_never_shown(client: Client, simulator: Simulator) -> None:
    """Neither the simulator nor its log shows the token, plain or in base64."""
    headers = client.authorization(simulator)
    await client.get(simulator, ARTICLE, headers={"aUTHORIZATION": headers["Authorization"]})
    assert simulator.requests[0].status == 200
    shown = f"{simulator!r} {simulator!s} {list(simulator.requests)} {simulator.counters}"
    assert simulator.token.split("<data>")[1][:64] not in shown
    assert headers["Authorization"].split()[1] not in shown
    assert simulator.base_url in repr(simulator)


@pytest.mark.parametrize(
    "request_of",
    [
        b"GET /profitrestservices/metainfo HTTP/1.1\r\nHost: x\r\nAuthorization: AfasToken %b\x01\r\n\r\n",
        b"GET /profitrestservices/metainfo?filtervalues=Caf\xc3\xa9&token=%b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /profitrestservices/metainfo?token=%b" + b"A" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%b\r\n",
        b"G\x01ET /%b HTTP/1.1\r\n\r\n",
    ],
    ids=["header", "query", "long line", "body", "method"],
)
async def test_requests_that_are_no_http(
    simulator: Simulator, caplog: pytest.LogCaptureFixture, request_of: bytes
) -> None:
    """A request that cannot be read is refused, and no line of it comes into the log."""
    caplog.set_level("DEBUG")
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(simulator.base_url).port)
    writer.write(request_of % b"SECRET")
    assert (await reader.readline()).startswith((b"HTTP/1.0 400 ", b"HTTP/1.1 400 "))
    writer.close()
    assert "SECRET" not in caplog.text


async def test_a_body_that_is_not_what_it_claims(
    client: Client, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """A body that cannot be decoded is refused, and is not logged as a fault of the simulator."""
    async with aiohttp.ClientSession() as session:
        headers = client.authorization(simulator) | {"Content-Encoding": "gzip"}
        async with session.post(f"{simulator.base_url}/otprequest", data=b"{}", headers=headers) as response:
            assert (response.status, await response.read()) == (400, b"")
    assert simulator.counters.answered == 1
    assert caplog.records == []


async def test_what_goes_wrong_inside_is_logged(
    client: Client, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of the simulator itself does come into the log."""
    simulator.store.close()
    assert (await client.get(simulator, ARTICLE)).status == 500
    assert "Cannot operate on a closed database" in caplog.text


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [
        ("gzip", True),
        ("deflate, GZIP ; q=0.5", True),
        ("identity, gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("identity", False),
        ("ungzip", False),
        ("", False),
    ],
)
async def test_who_takes_gzip(client: Client, accepted: str, compressed: bool) -> None:  # noqa: FBT001
    """A response is compressed for whoever accepts it, and for nobody else."""
    async with Simulator(rows=5, gzip=True) as simulator:
        headers = client.authorization(simulator) | {"Accept-Encoding": accepted}
        reply = await client.get(simulator, ARTICLE, headers)
        assert (reply.headers.get("Content-Encoding") == "gzip") == compressed
        assert len(reply.rows) == 5


async def test_control_routes(client: Client, simulator: Simulator) -> None:
    """Other programs can request counters and checksums, without a token and without being counted."""
    assert (await client.get(simulator, "/../simulator/checksum/profit_article", headers={})).json == {
        "rows": 300,
        "crc32": simulator.store.checksum("Profit_Article").crc32,
        "crc32_sum": simulator.store.checksum("Profit_Article").crc32_sum,
    }
    assert (await client.get(simulator, "/../simulator/counters", headers={})).json["requests"] == 0
    assert (await client.get(simulator, "/../simulator/checksum/nothing", headers={})).status == 404


async def test_written_and_reset_over_http(client: Client, simulator: Simulator) -> None:
    """Other programs can request the written elements, and can reset the simulator."""
    body = b'{"KnSubject":{"Element":{"Fields":{"StId":1,"Ds":"x"}}}}'
    await send(simulator, "POST", "connectors/KnSubject", body)
    there = "/../simulator"
    written = await client.get(simulator, f"{there}/written/knsubject", headers={})
    assert written.json == simulator.written("KnSubject") == [{"@Action": "insert", "StId": 1, "Ds": "x"}]
    assert (await client.get(simulator, f"{there}/written/nothing", headers={})).status == 404
    assert (await client.get(simulator, f"{there}/reset", headers={})).status == 404
    assert (await client.get(simulator, f"{there}/reset", headers={}, method="POST")).json["requests"] == 0
    assert (simulator.written("KnSubject"), len(simulator.requests)) == ([], 0)
