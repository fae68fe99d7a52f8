"""A write is carried out at the end of its time, also if its client has gone or has got another response."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from anyio.from_thread import BlockingPortal

from afas_async import AfasClient
from afas_async.simulator import Fault, Latency, Rules, Simulator
from afas_async.simulator.remote import SimulatorProcess
from afas_async.wire.error_answers import LOCKED
from tests.simulator.conftest import Client, Reply
from tests.support.raw_writes import ARTICLE, BOLT, article, elements, said, send
from tests.support.virtual_time import VirtualTimeLoop

SUBJECT = "connectors/KnSubject"
WRITES = [
    ("POST", SUBJECT, elements("KnSubject", {"StId": 1, "Ds": "reference"})),
    ("PUT", SUBJECT, elements("KnSubject", {"SbId": 3, "Ds": "reference"})),
    ("DELETE", f"{SUBJECT}/KnSubject/@SbId/3", None),
]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Latency lasts long, and takes no time."""
    return "asyncio", {"debug": True, "loop_factory": VirtualTimeLoop}


def is_done(simulator: Simulator, method: str) -> bool:
    """Return whether the write of this method has been carried out, and check that it was only once."""
    ((marked, third),) = simulator.store.execute(
        "SELECT sum(Subject = 'reference'), sum(SubjectId = 3) FROM Profit_Subjects"
    )
    assert marked <= 1
    return third == 0 if method == "DELETE" else marked == 1


def seconds() -> float:
    return asyncio.get_running_loop().time()


async def in_time(simulator: Simulator, count: int) -> tuple[Reply, float]:
    """Write that many elements, and return how long it took."""
    started = seconds()
    reply = await send(simulator, "POST", SUBJECT, elements("KnSubject", *[{"StId": 1}] * count))
    return reply, seconds() - started


@pytest.mark.parametrize(("method", "target", "body"), WRITES)
async def test_a_write_is_carried_out_at_the_end_of_its_time(method: str, target: str, body: bytes | None) -> None:
    """Until shortly before the response nothing is written, and with the response it is."""
    async with Simulator(rows=9, latency=Latency(base=2, per_element=8)) as simulator:
        sent = asyncio.create_task(send(simulator, method, target, body))
        await asyncio.sleep(9.9)
        assert not is_done(simulator, method)
        assert (await sent).status == (200 if method == "DELETE" else 201)
        assert is_done(simulator, method)
        (record,) = simulator.requests
        assert record.ended is not None
        assert 10 <= record.ended - record.started < 10.5
        assert record.elements == 1


async def test_seconds_per_element() -> None:
    """Each element takes its time, which may change while the simulator runs; a refusal takes it too."""
    async with Simulator(rows=9, latency=Latency(base=1, per_element=0.5)) as simulator:
        for latency, expected in ((simulator.latency, 5), (Latency(base=1, per_element=5), 41), (Latency(), 0)):
            simulator.latency = latency
            reply, took = await in_time(simulator, 8)
            assert reply.status == 201
            assert expected <= took < expected + 0.5
        simulator.latency = Latency(per_element=10)
        started = seconds()
        assert "bestaat niet" in said(await send(simulator, "PUT", SUBJECT, elements("KnSubject", {"SbId": 99})))
        assert 10 <= seconds() - started < 10.5
        assert (await send(simulator, "GET", "connectors/Profit_Subjects")).status == 200
        assert [record.elements for record in simulator.requests] == [8, 8, 8, 1, 0]
        assert (simulator.counters.writes, simulator.counters.requests) == (4, 5)


async def test_a_change_is_for_the_requests_after_it() -> None:
    """A write under way keeps the time that it was to take."""
    async with Simulator(rows=9, latency=Latency(per_element=10)) as simulator:
        sent = asyncio.create_task(in_time(simulator, 2))
        await asyncio.sleep(5)
        simulator.latency = Latency(per_element=1)
        _, took = await sent
        assert 20 <= took < 20.5


@pytest.mark.parametrize(("method", "target", "body"), WRITES)
async def test_a_client_that_goes(method: str, target: str, body: bytes | None) -> None:
    """The service continues a write whose client has gone, and carries it out at the end of its time."""
    async with Simulator(rows=9, latency=Latency(base=30)) as simulator:
        sent = asyncio.create_task(send(simulator, method, target, body))
        await asyncio.sleep(5)
        sent.cancel()
        await asyncio.sleep(10)
        assert (simulator.counters.cancelled, simulator.counters.in_flight) == (1, 0)
        assert not is_done(simulator, method)
        await asyncio.sleep(20)
        assert is_done(simulator, method)
        assert len(simulator.requests) == 1


async def test_a_refusal_that_nobody_hears() -> None:
    """A write that is refused after its client has gone leaves no complaint in the log."""
    async with Simulator(rows=9, latency=Latency(base=30)) as simulator:
        sent = asyncio.create_task(send(simulator, "PUT", SUBJECT, elements("KnSubject", {"SbId": 99})))
        await asyncio.sleep(5)
        sent.cancel()
        await asyncio.sleep(60)
        assert simulator.counters.cancelled == 1


async def test_a_request_that_never_was_complete() -> None:
    """Half a body is not a write, however long its client stays away."""
    async with Simulator(rows=9) as simulator:
        host, port = simulator.base_url.split("/")[2].split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        token = Client.authorization(simulator)["Authorization"]
        head = f"POST /profitrestservices/{ARTICLE} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
        writer.write(head.encode() + b"Content-Length: %d\r\n\r\n" % len(BOLT) + BOLT[:-1])
        await asyncio.sleep(5)
        writer.transport.abort()
        await asyncio.sleep(600)
        assert article(simulator, "B1") is None
        assert simulator.counters.cancelled == 1


@pytest.mark.parametrize("late", [True, False])
async def test_time_limit(late: bool) -> None:  # noqa: FBT001
    """A write that would take longer is refused when the limit has passed. It is carried out in its time, or never."""
    rules = Rules(time_limit=10, finish_late=late)
    async with Simulator(rows=9, latency=Latency(per_element=1), rules=rules) as simulator:
        reply, took = await in_time(simulator, 10)
        assert (reply.status, took < 10.5) == (201, True)
        reply, took = await in_time(simulator, 25)
        assert said(reply).startswith("De maximale tijdsduur")
        assert 10 <= took < 10.5
        await asyncio.sleep(14)
        assert simulator.store.count("Profit_Subjects") == 19
        await asyncio.sleep(2)
        assert simulator.store.count("Profit_Subjects") == (44 if late else 19)


async def test_stop_leaves_nothing_behind() -> None:
    """Writes that are not carried out when the simulator stops never will be."""
    latency, rules = Latency(per_element=100), Rules(time_limit=10)
    others = asyncio.all_tasks()
    async with Simulator(rows=9, latency=latency, rules=rules) as simulator:
        simulator.faults.add(Fault(connector="FbItemArticle", cut="reset", works_after=600))
        with pytest.raises(aiohttp.ClientError):
            await send(simulator, "POST", ARTICLE, BOLT)
        await in_time(simulator, 2)
        assert len(asyncio.all_tasks() - others) > 1
        stopped = seconds()
    assert seconds() - stopped < 1
    await asyncio.sleep(0)
    assert asyncio.all_tasks() - others == set()


@pytest.mark.parametrize(("method", "target", "body"), WRITES)
@pytest.mark.parametrize("cut", ["reset", "close"])
async def test_cut_after_the_work(method: str, target: str, body: bytes | None, cut: Any) -> None:
    """A connection that breaks in place of the response does so when the work has just been done."""
    async with Simulator(rows=9, latency=Latency(base=10)) as simulator:
        simulator.faults.add(Fault(method=method, cut=cut))
        started = seconds()
        with pytest.raises(aiohttp.ClientError):
            await send(simulator, method, target, body)
        assert 10 <= seconds() - started < 10.5
        assert is_done(simulator, method)
        assert len(simulator.requests) == 1


@pytest.mark.parametrize(("method", "target", "body"), WRITES)
async def test_cut_before_the_work(method: str, target: str, body: bytes | None) -> None:
    """A connection that breaks in place of a fault's own response leaves nothing done, however long you wait."""
    async with Simulator(rows=9, latency=Latency(base=10)) as simulator:
        simulator.faults.add(Fault(method=method, status=503, cut="reset"))
        with pytest.raises(aiohttp.ClientError):
            await send(simulator, method, target, body)
        await asyncio.sleep(1_000)
        assert not is_done(simulator, method)


async def test_a_delay_is_on_the_way_back() -> None:
    """A fault's delay holds the response to a write that has been done in its time."""
    async with Simulator(rows=9, latency=Latency(per_element=10)) as simulator:
        simulator.faults.add(Fault(delay=50))
        method, target, body = WRITES[0]
        sent = asyncio.create_task(send(simulator, method, target, body))
        await asyncio.sleep(10.5)
        assert is_done(simulator, method)
        assert not sent.done()
        await asyncio.sleep(49)
        assert not sent.done()
        assert (await sent).status == 201
        simulator.faults.add(Fault(delay=50))
        started = seconds()
        assert (await send(simulator, "PUT", SUBJECT, elements("KnSubject", {"SbId": 99}))).status == 500
        assert 60 <= seconds() - started < 60.5


@pytest.mark.parametrize(("method", "target", "body"), WRITES)
@pytest.mark.parametrize(
    "fault",
    [
        Fault(cut="reset", works_after=600),
        Fault(cut="stall", works_after=600),
        Fault(status=504, works_after=600),
        Fault(status=504, cut="close", at=0, works_after=600),
        Fault(refusal="out of time", works_after=600),
        Fault(refusal="locked", delay=5, works_after=595),
    ],
    ids=str,
)
async def test_work_after_the_answer(method: str, target: str, body: bytes | None, fault: Fault) -> None:
    """A write can be carried out long after its client got another response, or none."""
    async with Simulator(rows=9, latency=Latency(base=10)) as simulator:
        simulator.faults.add(fault)
        started = seconds()
        try:
            async with asyncio.timeout(20):
                assert (await send(simulator, method, target, body)).status in {500, 504}
        except (aiohttp.ClientError, TimeoutError):
            assert fault.cut is not None
        await asyncio.sleep(started + 604 - seconds())
        assert not is_done(simulator, method)
        await asyncio.sleep(7)
        assert is_done(simulator, method)
        assert [record.fault for record in simulator.requests] == [fault]


async def test_work_after_a_refused_request(simulator: Simulator) -> None:
    """An invalid request is not carried out later either, and such a fault ignores a read."""
    simulator.faults.add(Fault(status=504, works_after=10))
    assert (await send(simulator, "GET", "connectors/Profit_Article")).status == 200
    assert (await send(simulator, "POST", ARTICLE, b"{")).status == 504
    await asyncio.sleep(20)
    assert simulator.store.count("Profit_Article") == 300


@pytest.mark.parametrize(
    ("language", "text"), [("nl", "geblokkeerd door een andere gebruiker"), ("en", "locked by another user")]
)
async def test_locked_records(simulator: Simulator, language: str, text: str) -> None:
    """The records of a connector are locked for a number of requests, in words that a client knows to be transient."""
    simulator.faults.add(Fault(connector="KnSubject", refusal="locked", times=2))
    for method, target, body in WRITES[:2]:
        message = said(await send(simulator, method, target, body, {"Accept-Language": language}))
        assert text in message
        assert any(phrase in message.casefold() for phrase in LOCKED)
        assert not is_done(simulator, method)
    assert (await send(simulator, "POST", ARTICLE, BOLT)).status == 201
    assert (await send(simulator, *WRITES[0])).status == 201


async def test_this_library_reads_on_when_a_lock_is_gone() -> None:
    """A locked GetConnector is read again, and in the end completely."""
    async with (
        Simulator(rows=50) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ):
        simulator.faults.add(Fault(refusal="locked", times=2))
        assert len(await afas.rows("Profit_Article", key="ItemCode").to_list()) == 50
        assert [record.status for record in simulator.requests][:3] == [500, 500, 200]


@pytest.mark.parametrize(
    "nonsense",
    [
        {"works_after": 5},
        {"works_after": -1, "cut": "reset"},
        {"works_after": float("inf"), "cut": "reset"},
        {"works_after": 5, "cut": "reset", "at": 10},
        {"works_after": 5, "cut": "reset", "method": "get"},
        {"refusal": "locked", "status": 500},
        {"refusal": "locked", "body": "x"},
    ],
    ids=str,
)
def test_faults_that_are_none(nonsense: dict[str, Any]) -> None:
    """Faults that could not happen are refused where they are scripted."""
    with pytest.raises(ValueError, match="`"):
        Fault(**nonsense)


def test_a_simulator_in_a_process(apart: tuple[BlockingPortal, SimulatorProcess]) -> None:
    """One in another process takes the rules, the latency, faults, and another latency while it runs."""
    portal, there = apart

    async def use() -> tuple[int, int]:
        async with aiohttp.ClientSession() as session:

            async def post() -> int:
                url = f"{there.base_url}/{SUBJECT}"
                body = WRITES[0][2]
                async with session.post(url, data=body, headers=Client.authorization(there)) as response:
                    await response.read()
                    return response.status

            before, rows = (await there.counters()).writes, (await there.checksum("Profit_Subjects")).rows
            assert await post() == 200
            await there.faults.add(Fault(refusal="locked"))
            assert await post() == 500
            await there.set_latency(Latency(per_element=0.2))
            await post()
            return (await there.checksum("Profit_Subjects")).rows - rows, (await there.counters()).writes - before

    assert portal.call(use) == (2, 3)


async def test_latency_over_http(simulator: Simulator) -> None:
    """Other programs request the latency and set it. An invalid latency is refused and changes nothing."""
    url = simulator.base_url.replace("profitrestservices", "simulator") + "/latency"
    async with aiohttp.ClientSession() as session:
        async with session.post(url, data=b'{"base":0.5,"per_element":2}') as response:
            assert (response.status, json.loads(await response.read())["per_element"]) == (200, 2)
        for wrong in (b'{"base":-1}', b'{"base":"x"}', b"{", b'{"base":1e999}'):
            async with session.post(url, data=wrong) as response:
                assert response.status == 400
        async with session.get(url) as response:
            assert json.loads(await response.read())["base"] == 0.5
    assert simulator.latency == Latency(base=0.5, per_element=2)
    assert simulator.counters.requests == 0
