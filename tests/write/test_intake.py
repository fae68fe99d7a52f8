"""What a load accepts and sends: elements of every form, every action, their keys, and their order."""

from __future__ import annotations

import asyncio
import json
import random
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from afas_async import AfasClient, Element, Outcome, UpdateConnector
from afas_async.simulator import Fault, Latency, Rules, Simulator
from afas_async.write.intake import Intake
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.read_table import client
from tests.support.thoroughness import by_default
from tests.support.written_service import SUBJECT, agree, element, posts, serving, statuses, written

MANY = by_default(60, 120)


class Subject(msgspec.Struct, rename={"type": "StId", "subject": "Ds", "status": "St"}):
    """A dossier item with field names of its own."""

    type: int
    subject: str
    status: str | msgspec.UnsetType = msgspec.UNSET


async def test_forms(simulator: Simulator, afas: AfasClient) -> None:
    """Elements may be dicts, Structs and Elements, all in one load, and may be changed once they are added."""
    changing = element(0)
    async with afas.load(SUBJECT) as load:
        await load.add(changing)
        changing["Ds"] = "changed"
        await load.add(Subject(1, "element 1"))
        await load.add(Element({"StId": 1, "Ds": "element 2"}))
        await load.add(Subject(1, "element 3", "C"))
    assert written(simulator) == {0: 1, 1: 1, 2: 1, 3: 1}
    agree(load.report, simulator)


async def test_update_and_delete() -> None:
    """A load updates and deletes as well; a delete is one element in a call."""
    async with serving(rows=200) as (simulator, afas):
        async with afas.load(SUBJECT, action="update", max_elements=10) as load:
            for number in range(1, 101):
                await load.add({"@SbId": number, "Ds": f"element {number}"})
        assert load.report.counts["applied"] == 100
        assert set(written(simulator)) == set(range(1, 101))
        assert {record.method for record in simulator.requests} == {"GET", "PUT"}
        first = simulator.counters.writes
        async with afas.load(SUBJECT, action="delete") as load:
            for number in range(1, 51):
                await load.add(Element(key={"SbId": number}))
            await load.add({"@SbId": 5_000})
            await load.add({"@SbId": "a/b"})
            await load.add({"Ds": "without a key"})
        assert load.report.counts == {"applied": 50, "rejected": 1, "unknown": 0, "not_sent": 2}
        assert simulator.counters.writes - first == 51
        assert set(written(simulator)) == set(range(51, 101))


async def test_one_element_a_call() -> None:
    """A connector that takes one element gets one, without a tag."""
    async with serving() as (simulator, afas):
        async with afas.load(UpdateConnector(SUBJECT, single=True)) as load:
            for number in range(20):
                await load.add(element(number))
        assert posts(simulator) == [1] * 20
        agree(load.report, simulator)


async def _root_of(root: str, described: str | None, **options: Any) -> set[str]:
    """Return the names of the elements that a load sends."""
    sent = set[str]()

    async def script(connection: Connection, received: Received) -> None:
        if received.method == "GET":
            fields = [{"fieldId": "Ds", "label": "", "dataType": "string", "length": 9}]
            body = {"id": "Own", "name": described, "fields": fields}
            await connection.answer(json.dumps(body).encode())
        else:
            sent.update(json.loads(received.body))
            await connection.answer(b"", status=201)

    async with RawServer(script) as server, client(server) as afas:
        async with afas.load(UpdateConnector("Own", root=root or None), **options) as load:
            await load.add({"Ds": "x"})
        load.report.raise_for_failures()
    return sent


@pytest.mark.parametrize(
    ("root", "described", "validate", "expected"),
    [
        ("", "OwnElement", True, "OwnElement"),
        ("Mine", "OwnElement", True, "Mine"),
        ("", "OwnElement", False, "Own"),
        ("", "", True, "Own"),
    ],
)
async def test_root(root: str, described: str, expected: str, *, validate: bool) -> None:
    """The element's name comes from the connector, or else from the service, if it is asked."""
    assert await _root_of(root, described, validate=validate) == {expected}


async def test_a_root_that_the_service_knows() -> None:
    """An employee's element has another name than its connector."""
    async with serving(rows=20) as (simulator, afas):
        async with afas.load("KnEmployee", action="update") as load:
            for (number,) in simulator.store.execute("SELECT EmployeeId FROM Profit_Employees"):
                await load.add({"@EmId": number, "Fte": Decimal("0.5")})
        load.report.raise_for_failures()
        assert simulator.store.execute("SELECT DISTINCT FTE FROM Profit_Employees") == [(0.5,)]


async def test_keys() -> None:
    """The key of each outcome is that of the row its element became, in whatever order the calls finish."""
    async with serving(latency=Latency(per_element=0.01)) as (simulator, afas):
        items = [element(number) for number in range(300)]
        async with afas.outcomes(SUBJECT, items, max_elements=20) as outcomes:
            keys = [outcome.key async for outcome in outcomes]
        rows = dict(simulator.store.execute("SELECT SubjectId, Subject FROM Profit_Subjects"))
        for number, key in enumerate(keys):
            assert key is not None
            assert rows[int(key["SbId"])] == f"element {number}"


async def test_keys_that_are_not_answered() -> None:
    """Half of the connectors return no keys: the outcomes then have no key."""
    async with serving(rules=Rules(results="empty")) as (simulator, afas):
        async with afas.outcomes(SUBJECT, [element(number) for number in range(10)]) as outcomes:
            found = [outcome async for outcome in outcomes]
        assert set(statuses(found)) == {"applied"}
        assert all(outcome.key is None for outcome in found)
        agree(outcomes.report, simulator)


async def test_one_key_for_several_elements() -> None:
    """A service without lists returns one key: the other elements are unknown, and nothing is sent again."""
    async with serving(rules=Rules(results="first")) as (simulator, afas):
        async with afas.outcomes(SUBJECT, [element(number) for number in range(10)]) as outcomes:
            found = [outcome async for outcome in outcomes]
        assert statuses(found) == ["applied", *["unknown"] * 9]
        assert found[0].key is not None
        assert "10 elements were sent, but the response has 1 of their keys" in str(found[1].error)
        assert simulator.counters.writes == 1


def shuffling(simulator: Simulator, seed: int) -> None:
    """Give each response a different delay."""
    chance = random.Random(seed)  # noqa: S311
    for after in range(300):
        simulator.faults.add(Fault(method="PUT", delay=chance.random(), after=after))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("keys", [1, 3, 40])
async def test_elements_with_the_same_key_keep_their_order(keys: int) -> None:
    """However long each call takes, an element waits until the one before it with its key is applied."""
    order = random.Random(keys)  # noqa: S311
    async with serving(rows=200, latency=Latency(base=0.1, per_element=0.02)) as (simulator, afas):
        items = [order.randrange(1, keys + 1) for _ in range(MANY)]
        done: dict[int, int] = {}
        overtaken: list[int] = []
        latest: dict[int, int] = {}
        shuffling(simulator, keys)

        def follow(outcome: Outcome) -> None:
            key = items[outcome.index]
            overtaken.extend([outcome.index] if outcome.index < done.get(key, -1) else [])
            done[key] = outcome.index

        async with afas.load(SUBJECT, action="update", max_elements=7, on_outcome=follow) as load:
            for number, key in enumerate(items):
                # A key is the same whether it is given as a number or as text, or among the fields.
                name = order.choice(["@SbId", "SbId"])
                await load.add({name: order.choice([key, str(key)]), "Ds": f"element {number}"})
                latest[key] = number
        assert load.report.counts["applied"] == MANY
        assert (overtaken, set(done)) == ([], set(items))
        rows = dict(simulator.store.execute("SELECT SubjectId, Subject FROM Profit_Subjects"))
        assert {key: rows[key] for key in latest} == {key: f"element {number}" for key, number in latest.items()}
        if keys == 40:
            assert simulator.counters.peak_in_flight == 4


def test_keys_that_the_service_takes_for_equal() -> None:
    """Keys that differ only in letter case or in blanks at their ends share a lane; other keys do not."""
    intake = Intake(UpdateConnector("FbItemArticle"), "update", transaction=True, metainfo=None)

    def lane(key: str) -> object:
        return intake.piece(0, {"@ItCd": key, "Ds": "x"}).lane

    assert {lane(key) for key in ("ab", "AB", "Ab ", " aB")} == {lane("ab")}
    assert len({lane(key) for key in ("ab", "a b", "abc", "ac")}) == 4


@pytest.mark.parametrize(
    ("fault", "status"),
    [(Fault(method="PUT", cut="reset", works_after=50), "unknown"), (Fault(method="PUT", status=400), "rejected")],
)
async def test_held_back(fault: Fault, status: Any) -> None:
    """After an element that is not applied, later ones with its key are not sent; all others are."""
    async with serving(rows=200, latency=Latency(base=0.1)) as (simulator, afas):
        simulator.faults.add(fault)
        async with afas.load(SUBJECT, action="update", max_elements=1) as load:
            for number in range(40):
                await load.add({"@SbId": 1 + number % 4, "Ds": f"element {number}"})
        (failed,) = load.report.listed(status)
        assert failed.index == 0
        assert [outcome.index for outcome in load.report.not_sent] == list(range(4, 40, 4))
        assert "held back" in str(load.report.not_sent[0].error)
        assert load.report.counts["applied"] == 30
        assert simulator.counters.writes == 31
        await asyncio.sleep(60)
        subjects = simulator.store.execute(
            "SELECT Subject FROM Profit_Subjects WHERE SubjectId <= 4 ORDER BY SubjectId"
        )
        assert subjects[1:] == [("element 37",), ("element 38",), ("element 39",)]
        assert (subjects[0] == ("element 0",)) == (status == "unknown")


async def test_held_back_when_they_come_later() -> None:
    """An element that is added when its key is already closed is not sent either."""
    async with serving(rows=200) as (simulator, afas):
        simulator.faults.add(Fault(method="PUT", cut="reset"))
        async with afas.load(SUBJECT, action="update") as load:
            await load.add({"@SbId": 1, "Ds": "element 0"})
            await asyncio.sleep(1)
            await load.add({"@SbId": 1, "Ds": "element 1"})
            await load.add({"@SbId": 2, "Ds": "element 2"})
        assert load.report.counts == {"applied": 1, "rejected": 0, "unknown": 1, "not_sent": 1}
        assert simulator.counters.writes == 2


@pytest.mark.parametrize("where", ["load", "connector"])
async def test_nulls_of_a_load(where: str) -> None:
    """The option applies per load or per connector; a single write follows the connector."""
    async with serving(rows=5) as (simulator, afas):
        connector = UpdateConnector(SUBJECT, nulls="omit" if where == "connector" else "refuse")
        options: dict[str, Any] = {"nulls": "omit"} if where == "load" else {}
        async with afas.load(connector, **options) as load:
            await load.add({**element(0), "SbTx": None})
        assert load.report.counts["applied"] == 1
        if where == "connector":
            await afas.insert(connector, {**element(1), "SbTx": None})
            assert await afas.validate(connector, [{**element(2), "SbTx": None}]) == []
        async with afas.load(connector, nulls="refuse") as load:
            await load.add({**element(3), "SbTx": None})
        assert "None is ambiguous" in str(load.report.not_sent[0].error)
        assert 0 in written(simulator)


async def test_a_single_write_knows_the_element_by_metainfo() -> None:
    """Once a client has a connector's metainfo, it uses the service's name for the element."""
    bodies = list[bytes]()

    async def answer(connection: Connection, received: Received) -> None:
        if received.method == "GET":
            await connection.answer(b'{"id":"HrCostCentre","name":"HrCentre","fields":[{"fieldId":"Ds"}]}')
        else:
            bodies.append(received.body)
            await connection.answer(b"", status=201)

    async with RawServer(answer) as server, client(server) as afas:
        await afas.insert("HrCostCentre", {"Ds": "x"})
        await afas.update_metainfo("HrCostCentre")
        await afas.insert("HrCostCentre", {"Ds": "x"})
        await afas.insert(UpdateConnector("HrCostCentre", root="Own"), {"Ds": "x"})
    assert [next(iter(json.loads(body))) for body in bodies] == ["HrCostCentre", "HrCentre", "Own"]
