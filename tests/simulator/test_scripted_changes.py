"""Scripted changes, as a client sees them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from anyio.from_thread import BlockingPortal

from afas_async.simulator import Change, Fault, Latency, Simulator, SimulatorError
from afas_async.simulator.remote import SimulatorProcess
from tests.simulator.conftest import Client
from tests.support.virtual_time import VirtualTimeLoop

ARTICLE = "/connectors/Profit_Article"
LINES = "/connectors/Profit_JournalLines"
WIDE = "/connectors/Profit_Wide"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Latency lasts long, and takes no time."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}


async def codes(client: Client, simulator: Simulator, skip: int, take: int) -> list[str]:
    reply = await client.get(simulator, ARTICLE, skip=skip, take=take, orderbyfieldids="ItemCode")
    return [row["ItemCode"] for row in reply.rows]


async def test_the_moment(client: Client, simulator: Simulator) -> None:
    """A change comes between two pages: the first `after` are as before, and the next one shows it."""
    simulator.changes.add(
        Change(connector="profit_ARTICLE", after=2, delete=[{"ItemCode": "000001"}], insert=[{"ItemCode": "000011a"}])
    )
    found = [await codes(client, simulator, skip, 4) for skip in (0, 4, 8, 12)]
    assert found == [
        ["000001", "000002", "000003", "000004"],
        ["000005", "000006", "000007", "000008"],
        ["000010", "000011", "000011a", "000012"],  # 000009 is lost to a reader that skips
        ["000013", "000014", "000015", "000016"],
    ]
    assert simulator.changes.left == []


async def test_every_kind_of_change(client: Client, simulator: Simulator) -> None:
    """Rows vanish, change also in their key, and appear, in this order and with null in fields that are not given."""
    simulator.changes.add(
        Change(
            connector="Profit_Article",
            delete=[{"ItemCode": "000002"}, {"ItemCode": "no such row"}],
            update=[({"ItemCode": "000001"}, {"ItemCode": "000002", "Price": 1.5, "Blocked": True})],
            insert=[{"ItemCode": "000001", "Stock": 7, "ModifiedOn": "2024-01-31T09:30:00Z"}],
        )
    )
    first, second, *_ = (await client.get(simulator, ARTICLE, take=2, orderbyfieldids="ItemCode")).rows
    assert first == dict.fromkeys(first) | {"ItemCode": "000001", "Stock": 7, "ModifiedOn": "2024-01-31T09:30:00Z"}
    assert (second["ItemCode"], second["Price"], second["Blocked"]) == ("000002", 1.5, True)
    assert simulator.store.count("Profit_Article") == 300


async def test_composite_keys(client: Client, simulator: Simulator) -> None:
    """A row is named by all fields of its key; fewer name every row that has them."""
    lines = [{"UnitId": 1, "EntryNo": 1, "LineNo": 2}]
    simulator.changes.add(
        Change(connector="Profit_JournalLines", delete=lines),
        Change(connector="Profit_JournalLines", after=1, delete=[{"UnitId": 1}]),
    )
    keys = [
        [(row["UnitId"], row["EntryNo"], row["LineNo"]) for row in (await client.get(simulator, LINES, take=999)).rows]
        for _ in range(2)
    ]
    assert len(keys[0]) == 149
    assert (1, 1, 2) not in keys[0]
    assert set(keys[1]) == {key for key in keys[0] if key[0] != 1}


async def test_own_rows(client: Client) -> None:
    """Rows of your own change as well, also where a field is null, and so do exact decimals."""
    rows: list[dict[str, Any]] = [{"Id": 1, "Price": 0.1}, {"Id": 2, "Price": None}, {"Id": 2, "Price": 0.3}]
    async with Simulator(connectors={"My_Rows": rows}) as simulator:
        simulator.changes.add(
            Change(
                connector="My_Rows",
                update=[({"Id": 2, "Price": None}, {"Price": 0.25})],
                insert=[{"Id": 3, "Price": 4.5}],
            )
        )
        reply = await client.get(simulator, "/connectors/My_Rows", orderbyfieldids="Id,Price")
    assert [(row["Id"], row["Price"]) for row in reply.rows] == [(1, 0.1), (2, 0.25), (2, 0.3), (3, 4.5)]


async def test_which_requests_count(client: Client, simulator: Simulator) -> None:
    """Requests for rows of the connector count, also refused ones. Others, and those that a fault answers, do not."""
    simulator.changes.add(Change(connector="Profit_Article", after=2, delete=[{"Unit": "Box"}]))
    simulator.faults.add(Fault(status=503, connector="Profit_Article", times=3))
    for _ in range(3):
        assert (await client.get(simulator, ARTICLE)).status == 503
    assert (await client.get(simulator, ARTICLE, headers={})).status == 401
    for path in ("/metainfo/get/Profit_Article", "/connectors/Profit_Debtor", "/connectors/Profit_Nothing"):
        await client.get(simulator, path)
    assert [change.after for change in simulator.changes.left] == [2]
    assert (await client.get(simulator, ARTICLE, take=-7)).status == 500
    assert simulator.changes.left[0].after == 1
    assert (await client.get(simulator, f"{ARTICLE}/Unit/Box", skip=-1)).rows
    assert simulator.changes.left[0].after == 0
    assert (await client.get(simulator, f"{ARTICLE}/Unit/Box", skip=-1)).rows == []


async def test_several_at_one_moment(client: Client, simulator: Simulator) -> None:
    """Changes of one moment come in the order in which they were added; those of other moments wait for theirs."""
    simulator.changes.add(
        Change(connector="Profit_Article", after=1, insert=[{"ItemCode": "9"}]),
        Change(connector="Profit_Article", insert=[{"ItemCode": "7"}]),
        Change(connector="Profit_Article", update=[({"ItemCode": "7"}, {"ItemCode": "8"})]),
    )
    assert await codes(client, simulator, 299, 9) == ["000300", "8"]
    assert await codes(client, simulator, 299, 9) == ["000300", "8", "9"]


async def test_answers_that_are_on_their_way(client: Client) -> None:
    """A change during a long response removes no other row from it and doubles none."""
    async with Simulator(rows=20_000, latency=Latency(base=1)) as simulator:
        gone = [{"Id": 3 * n + 1} for n in range(0, 20_000, 97)]
        simulator.changes.add(
            Change(connector="Profit_Wide", after=1, delete=gone, insert=[{"Id": 3 * n} for n in range(0, 20_000, 89)])
        )
        reading = asyncio.create_task(client.get(simulator, WIDE, skip=-1, orderbyfieldids="Id"))
        await client.until(lambda: simulator.counters.requests == 1)
        during = asyncio.create_task(client.get(simulator, WIDE, take=1))
        ids = [row["Id"] for row in (await reading).rows]
        await during
        assert simulator.changes.left == []
    deleted = {row["Id"] for row in gone}
    assert 0 < len(deleted.intersection(ids)) < len(deleted)  # the change did come during this response
    assert set(ids) >= {3 * n + 1 for n in range(20_000)} - deleted
    assert ids == sorted(set(ids))


async def test_a_key_that_is_there(client: Client, simulator: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    """A change that would give two rows the same key fails loudly, is undone as a whole, and is removed."""
    twice: list[dict[str, Any]] = [
        {"insert": [{"ItemCode": "000005"}]},
        {"update": [({"ItemCode": "000004"}, {"ItemCode": "000005"})]},
    ]
    for change in twice:
        simulator.changes.add(Change(connector="Profit_Article", delete=[{"ItemCode": "000001"}], **change))
        assert (await client.get(simulator, ARTICLE)).status == 500
        assert await codes(client, simulator, 0, 2) == ["000001", "000002"]
        assert "two rows of Profit_Article the same key" in caplog.text
        caplog.clear()


@pytest.mark.parametrize(
    ("nonsense", "reason"),
    [
        ({}, "does nothing"),
        ({"delete": []}, "does nothing"),
        ({"delete": [{}]}, "must name a field"),
        ({"update": [({}, {"Stock": 1})]}, "must name a field"),
        ({"update": [({"ItemCode": "000001"}, {})]}, "must name a field"),
        ({"insert": [{}]}, "must name a field"),
        ({"delete": [{"ItemCode": "000001"}], "after": -1}, "`after`"),
        ({"delete": [{"Itemcode": "000001"}]}, "Profit_Article has no field 'Itemcode'"),
        ({"update": [({"ItemCode": "1"}, {"json": "{}"})]}, "no field 'json'"),
        ({"insert": [{"ItemCode": "1", 'x" = 1; --': 1}]}, "no field 'x"),
    ],
    ids=str,
)
async def test_nonsense(simulator: Simulator, nonsense: dict[str, Any], reason: str) -> None:
    """A change that does nothing, or names an unknown field or connector, is refused with those added beside it."""
    good = Change(connector="Profit_Article", delete=[{"ItemCode": "000001"}])
    with pytest.raises(ValueError, match=reason):
        simulator.changes.add(good, Change(connector="Profit_Article", **nonsense))
    with pytest.raises(ValueError, match="no connector 'Profit_Articles'"):
        simulator.changes.add(good, Change(connector="Profit_Articles", insert=[{"ItemCode": "1"}]))
    assert simulator.changes.left == []


async def test_over_http(client: Client, simulator: Simulator) -> None:
    """Other processes and languages script changes by JSON: POST adds, GET lists, DELETE clears."""
    url = simulator.base_url.replace("profitrestservices", "simulator/changes")
    one = {"connector": "Profit_Article", "delete": [{"ItemCode": "000001"}]}
    two = {
        "connector": "Profit_Article",
        "after": 3,
        "update": [[{"ItemCode": "000002"}, {"Blocked": True, "Price": None}]],
        "insert": [{"ItemCode": "x", "Price": 0.5, "Stock": 2}],
    }
    async with aiohttp.ClientSession() as session:
        for content, left in ((one, [one]), ([two], [one, two]), ([], [one, two])):
            async with session.post(url, json=content) as response:
                assert (response.status, await response.json()) == (200, left)
        for text, reason in (
            ("nonsense", "malformed"),
            ('{"conector": "Profit_Article"}', "conector"),
            ('{"connector": "Profit_Article"}', "does nothing"),
            ('{"connector": "Profit_Article", "delete": [{"ItemCode": ["x"]}]}', "array"),
            ('{"connector": "Profit_Nothing", "delete": [{"Id": 1}]}', "no connector"),
            ('{"connector": "Profit_Article", "delete": [{"Id": 1}]}', "no field 'Id'"),
        ):
            async with session.post(url, data=text) as response:
                assert response.status == 400
                assert reason in await response.text()
        assert (await codes(client, simulator, 0, 1)) == ["000002"]
        async with session.get(url) as response:
            assert await response.json() == [two | {"after": 2}]
        async with session.delete(url) as response:
            assert await response.json() == []
    assert simulator.changes.left == []


def test_in_a_process(apart: tuple[BlockingPortal, SimulatorProcess]) -> None:
    """A simulator in another process takes its script over HTTP, and reports refused changes."""
    portal, there = apart

    async def use() -> list[int]:
        async with aiohttp.ClientSession() as session:
            await there.changes.add(Change(connector="Profit_Article", after=1, delete=[{"ItemCode": "000001"}]))
            with pytest.raises(SimulatorError, match="'changes': Profit_Article has no field 'Id'"):
                await there.changes.add(Change(connector="Profit_Article", delete=[{"Id": 1}]))
            counts: list[int] = []
            for _ in range(2):
                async with session.get(there.base_url + ARTICLE, headers=Client.authorization(there)) as response:
                    counts.append(len(json.loads(await response.read())["rows"]))
            return counts

    assert portal.call(use) == [5, 4]
