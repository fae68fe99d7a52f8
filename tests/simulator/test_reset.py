"""Going back to the start between two tests."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from afas_async.simulator import Change, Fault, Latency, OwnUpdateConnector, Simulator
from afas_async.simulator.storage import database
from afas_async.simulator.storage.store import Store
from tests.simulator.conftest import Client
from tests.support.own_metainfo import SALES
from tests.support.raw_writes import send

SUBJECT = b'{"KnSubject":{"Element":{"Fields":{"StId":1,"Ds":"x"}}}}'
ORDER = b'{"FbSales":{"Element":{"Fields":{"DbId":"1"}}}}'
NAMES = ("Profit_Article", "Profit_Subjects", "Profit_Debtor", "My_Rows", "My_Sales")


def own(folder: Path) -> dict[str, Any]:
    path = folder / "rows.csv"
    path.write_text("A;B\n1;x\n2;y\n")
    return {
        "connectors": {"My_Rows": path},
        "updates": {"FbSales": OwnUpdateConnector(metainfo=SALES, read_as="My_Sales")},
    }


async def change(simulator: Simulator) -> None:
    """Write to everything, and read something first then."""
    assert json.loads((await send(simulator, "POST", "connectors/KnSubject", SUBJECT)).body)["results"] == {
        "KnSubject": {"SbId": "201"}
    }
    assert json.loads((await send(simulator, "POST", "connectors/FbSales", ORDER)).body)["results"] == {
        "FbSales": {"OrNu": "1"}
    }
    simulator.store.execute("DELETE FROM My_Rows")
    simulator.store.execute("UPDATE Profit_Debtor SET City = 'X'")
    assert simulator.store.count("Profit_Article") == 300


@pytest.mark.parametrize("back", [False, True])
def test_a_sample_that_is_made_in_part(*, back: bool) -> None:
    """It is made to its end after a change of others, and from its beginning after a reset."""
    with closing(Store(1_000, 1)) as store, closing(Store(1_000, 1)) as other:
        before = [other.checksum(name) for name in ("Profit_Article", "Profit_Subjects")]
        store.count("Profit_Subjects")
        assert store.fill_piece("Profit_Article")
        store.insert("Profit_Subjects", {"SubjectId": 10**6})
        if back:
            assert store.fill_piece("Profit_Article")
            store.reset()
        else:
            store.delete("Profit_Subjects", {"SubjectId": 10**6})
        assert [store.checksum(name) for name in ("Profit_Article", "Profit_Subjects")] == before


@pytest.mark.parametrize("limit", [0, 1 << 30])
@pytest.mark.parametrize("first", ["", "Profit_Subjects", "Profit_Article"])
async def test_the_rows_of_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, first: str) -> None:
    """All rows are those of the start, also of a database that is too large to be copied, and as often as you like."""
    monkeypatch.setattr(database, "_LARGEST_COPY", limit)
    async with Simulator(rows=300, **own(tmp_path)) as simulator, Simulator(rows=300, **own(tmp_path)) as other:
        before = {name: other.store.checksum(name) for name in NAMES}
        if first:
            simulator.store.count(first)
        for _ in range(3):
            await change(simulator)
            simulator.reset()
            assert {name: simulator.store.checksum(name) for name in NAMES} == before
            simulator.reset()
        simulator.store.insert("My_Rows", {"A": 3})
        simulator.store.delete("My_Rows", {"A": 1})
        simulator.reset()
        assert simulator.store.checksum("My_Rows") == before["My_Rows"]


async def test_all_else_of_the_start(client: Client) -> None:
    """Faults, changes, latency, clock, files, requests, counters and written elements are as they were at first."""
    async with Simulator(rows=5, latency=Latency(base=0.001)) as simulator:
        url, token = simulator.base_url, simulator.token
        clock, attached = simulator.clock, list(simulator.files.attached)
        await send(simulator, "POST", "connectors/KnSubject", SUBJECT)
        simulator.faults.add(Fault(status=503, times=None))
        simulator.changes.add(Change(connector="Profit_Article", delete=[{"ItemCode": "000001"}]))
        simulator.latency = Latency(base=60)
        simulator.clock = lambda: datetime.fromisoformat("2024-01-31T09:30")
        simulator.files.add("x.txt", b"x")
        simulator.reset()
        assert (simulator.faults.left, simulator.changes.left) == ([], [])
        assert (simulator.latency, simulator.clock) == (Latency(base=0.001), clock)
        assert simulator.files.attached == attached
        assert (len(simulator.requests), simulator.counters.requests, simulator.counters.bytes) == (0, 0, 0)
        assert simulator.written("KnSubject") == []
        assert (simulator.base_url, simulator.token, simulator.otp_code) == (url, token, None)
        assert len((await client.get(simulator, "/connectors/Profit_Article")).rows) == 5


async def test_writes_under_way_are_given_up() -> None:
    """A write that still takes its time never lands, and its client learns that the connection is gone."""
    async with Simulator(rows=5) as simulator:
        simulator.latency = Latency(per_element=1)
        writing = asyncio.create_task(send(simulator, "POST", "connectors/KnSubject", SUBJECT))
        await Client.until(lambda: simulator.counters.in_flight == 1 and bool(simulator.requests[0].elements))
        simulator.reset()
        with pytest.raises(aiohttp.ClientError):
            await writing
        assert simulator.store.count("Profit_Subjects") == 5
        assert (simulator.written("KnSubject"), simulator.counters.in_flight) == ([], 0)


async def test_answers_under_way_are_complete() -> None:
    """A response that is being read at that moment has the rows from before the reset."""
    async with Simulator(rows=3_000) as simulator:
        simulator.store.execute("DELETE FROM Profit_Article WHERE ItemCode = '000001'")
        blocks = simulator.store.blocks("Profit_Article", 0, -1, [("ItemCode", False)], size=100)
        count = next(blocks).rows
        simulator.reset()
        assert simulator.store.count("Profit_Article") == 3_000
        assert count + sum(block.rows for block in blocks) == 2_999


async def test_connectors_defined_while_it_runs() -> None:
    """They take the place of those of their names, also of samples and of each other, until a reset."""
    async with Simulator(rows=300, updates={"FbSales": SALES}) as simulator:
        article = simulator.store.checksum("Profit_Article")
        simulator.define_get("Profit_Article", [{"ItemCode": "A1"}])
        simulator.define_get("profit_article", [{"ItemCode": "A1"}, {"ItemCode": "A2"}])
        simulator.define_update("FbSales", OwnUpdateConnector(metainfo=SALES, read_as="My_Sales"))
        assert (await send(simulator, "POST", "connectors/FbSales", ORDER)).status == 201
        assert simulator.store.count("My_Sales") == 1
        assert len(json.loads((await send(simulator, "GET", "connectors/Profit_Article")).body)["rows"]) == 2
        # Without a sample, the UpdateConnector that writes it is absent too, as when a simulator is made.
        assert "FbItemArticle" not in simulator.store.updates
        with pytest.raises(ValueError, match="two connectors have the same name"):
            simulator.define_update(
                "FbSales", OwnUpdateConnector(metainfo=SALES, read_as={"FbSales": "X", "FbSalesLines": "x"})
            )
        simulator.define_get("My_Sales", [{"A": 1}])
        assert "FbSales" not in simulator.store.updates
        simulator.reset()
        assert simulator.store.checksum("Profit_Article") == article
        assert (await send(simulator, "POST", "connectors/FbItemArticle", b"{}")).status == 500
        assert "My_Sales" not in simulator.store.connectors
        assert (await send(simulator, "POST", "connectors/FbSales", ORDER)).status == 201
