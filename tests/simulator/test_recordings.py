"""A simulator of a recorded environment: its connectors, with made-up rows of the recorded shapes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from afas_async import AfasClient
from afas_async.commands.record import record
from afas_async.simulator import OwnUpdateConnector, Simulator, spawn
from afas_async.simulator.own.recordings import RecordedField, Recording
from tests.simulator.test_command import start_up_text
from tests.support.own_metainfo import ORDERS, SALES


def document(fields: Mapping[str, Any], **others: Any) -> dict[str, Any]:
    """Return a recording of `My_Orders` and `FbSales`."""
    orders = {"id": "My_Orders", "metainfo": ORDERS, "rows": 500, "key": ["Order-nummer"], "fields": fields} | others
    return {
        "version": 1,
        "recorded": "2026-11-30",
        "get_connectors": [orders],
        "update_connectors": [{"id": "FbSales", "metainfo": SALES}],
    }


FIELDS: dict[str, Any] = {
    "Order-nummer": {"distinct": 500, "unique": True, "lengths": [5, 5, 5], "numeric": True},
    "Bedrag": {"nulls": 0.2, "distinct": 300, "digits": [2, 4], "decimals": 2, "negative": True},
    "Aantal": {"distinct": 7, "digits": [2, 3]},
    "Datum": {"distinct": 200, "decades": [2010, 2020], "past": True},
    "Klaar": {"distinct": 2, "trues": 0.75},
    "A_Toev_Huisnr.": {"nulls": 0.9, "distinct": 3, "lengths": [1, 2, 8]},
}


def written(path: Path, content: Mapping[str, Any]) -> Path:
    path.write_text(json.dumps(content))
    return path


async def rows_of(simulator: Simulator, name: str, key: str | tuple[str, ...]) -> list[dict[str, Any]]:
    async with AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas:
        return await afas.rows(name, key=key).to_list()


async def test_the_recorded_connectors_and_no_others(tmp_path: Path) -> None:
    """Metainfo lists those of the recording, as they were; one of your own takes the place of a recorded one."""
    path = written(tmp_path / "recording.json", document(FIELDS))
    own = OwnUpdateConnector(fields={"OrNu": "string(12)"}, key="OrNu", read_as="My_Sales")
    async with (
        Simulator(recording=path, connectors={"Mine": [{"A": 1}]}, updates={"fbsales": own}) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ):
        listed = await afas.metainfo()
        assert [each.id for each in listed.get_connectors] == ["Mine", "My_Sales", "My_Orders"]
        assert [each.id for each in listed.update_connectors] == ["fbsales"]
        answer = await afas.request("GET", "metainfo/get/My_Orders")
        assert answer.json() == {**ORDERS, "name": "My_Orders"}
    async with (
        Simulator(recording=path) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ):
        await afas.insert("FbSales", {"DbId": "1", "FbSalesLines": [{"ItCd": "A"}]})
        assert simulator.written("FbSales") == [{"@Action": "insert", "DbId": "1", "FbSalesLines": [{"ItCd": "A"}]}]


async def test_rows_have_the_recorded_shapes(tmp_path: Path) -> None:
    """Nulls, lengths, digits, signs, dates and uniqueness are as recorded."""
    path = written(tmp_path / "recording.json", document(FIELDS))
    async with Simulator(recording=path) as simulator:
        rows = await rows_of(simulator, "My_Orders", "Order-nummer")
    assert [row["Order-nummer"] for row in rows] == [f"{number:05}" for number in range(500)]
    amounts = [row["Bedrag"] for row in rows if row["Bedrag"] is not None]
    assert 350 <= len(amounts) <= 450
    assert {bool(amount < 0) for amount in amounts} == {True, False}
    assert all(10 <= abs(amount) < 10_000 and -amount.as_tuple().exponent <= 2 for amount in amounts)
    assert len({row["Aantal"] for row in rows}) == 7
    assert all(10 <= row["Aantal"] < 1000 for row in rows)
    days = [row["Datum"] for row in rows]
    assert all(day.endswith("T00:00:00Z") and "2010" <= day < "2026-12-01" for day in days)
    assert len(set(days)) > 150
    assert 325 <= sum(row["Klaar"] for row in rows) <= 425
    additions = [row["A_Toev_Huisnr."] for row in rows if row["A_Toev_Huisnr."] is not None]
    assert 20 <= len(additions) <= 90
    assert {len(text) for text in additions} <= set(range(1, 9))
    assert len(set(additions)) == 3


@pytest.mark.parametrize(("rows", "there"), [(7, 7), (1_000, 500)])
async def test_size(rows: int, there: int, tmp_path: Path) -> None:
    """There are as many rows as were recorded, and `rows` at most; the seed decides on them."""
    path = written(tmp_path / "recording.json", document(FIELDS))
    checksums = set()
    for seed in (1, 1, 2):
        with closing(Simulator(recording=path, rows=rows, seed=seed).store) as store:
            checksums.add(store.checksum("My_Orders"))
    assert {each.rows for each in checksums} == {there}
    assert len(checksums) == 2


def test_awkward_shapes(tmp_path: Path) -> None:
    """Fields with extreme shapes are made as well."""
    fields = {
        **FIELDS,
        "Order-nummer": {"distinct": 500, "unique": True, "lengths": [2, 2, 2]},  # too short for numbers
        "Bedrag": {"distinct": 1, "digits": [1, 30], "decimals": 4},
        "Aantal": {"distinct": 500, "unique": True, "digits": [1, 19], "negative": True},
        "Datum": {"distinct": 500, "decades": [9990, 9990], "times": True},
        "A_Toev_Huisnr.": {"distinct": 1, "lengths": [0, 0, 0]},
        "Gone": {"distinct": 1},  # no longer in metainfo
    }
    path = written(tmp_path / "recording.json", document(fields))
    with Simulator.running(recording=path) as simulator:
        found = simulator.store.execute(
            """SELECT count(DISTINCT "Order-nummer"), max(length("Order-nummer")), count(DISTINCT Aantal),
            count(DISTINCT Datum) > 250, max(length("A_Toev_Huisnr.")), count(Bedrag) FROM My_Orders"""
        )
    assert found == [(500, 2, 500, 1, 0, 500)]


def test_codes_of_metainfo(tmp_path: Path) -> None:
    """A field with a code list has values of that list, unless it has more values than the list."""
    codes = [{"id": "O'pen", "description": "Open"}, {"id": "D", "description": None}, {"id": "X"}]
    fields = [{"id": name, "dataType": "string", "length": 9, "values": codes} for name in ("Few", "Many")]
    shapes = {"Few": {"distinct": 2, "lengths": [1, 2, 5]}, "Many": {"distinct": 9, "lengths": [1, 2, 5]}}
    content = document(shapes, metainfo={"name": "X", "fields": fields}, key=[])
    with closing(Simulator(recording=written(tmp_path / "recording.json", content)).store) as store:
        assert store.execute("SELECT DISTINCT Few FROM My_Orders ORDER BY 1") == [("D",), ("O'pen",)]
        assert store.execute("SELECT count(DISTINCT Many) FROM My_Orders") == [(9,)]


async def test_composite_keys(tmp_path: Path) -> None:
    """The fields of a key are together different in each row."""
    fields = {
        **FIELDS,
        "Aantal": {"distinct": 3, "digits": [1, 1]},
        "Order-nummer": {"distinct": 40, "lengths": [3, 3, 3], "numeric": True},
    }
    path = written(tmp_path / "recording.json", document(fields, key=["Order-nummer", "Aantal"]))
    async with Simulator(recording=path) as simulator:
        assert len(await rows_of(simulator, "My_Orders", ("Order-nummer", "Aantal"))) == 500


async def test_keys_that_are_too_short(tmp_path: Path) -> None:
    """Keys stay different in each row, also where there are more rows than the recorded lengths allow."""
    fields = {**FIELDS, "Order-nummer": {"distinct": 36, "unique": True, "lengths": [1, 1, 1]}}
    path = written(tmp_path / "recording.json", document(fields))
    async with Simulator(recording=path) as simulator:
        assert len(await rows_of(simulator, "My_Orders", "Order-nummer")) == 500


async def test_there_and_back(tmp_path: Path) -> None:
    """A recording made from a recording's simulator has the same sizes, keys and types, and nearly the same shapes."""
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    async with Simulator(rows=800) as simulator, AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas:
        assert await record(afas, first)
    async with (
        Simulator(recording=first) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ):
        assert await record(afas, second)
    one, two = (msgspec.json.decode(path.read_bytes(), type=Recording) for path in (first, second))
    assert two.update_connectors == one.update_connectors
    for connector, again in zip(one.get_connectors, two.get_connectors, strict=True):
        assert (again.id, again.rows, again.metainfo) == (connector.id, connector.rows, connector.metainfo)
        for field, shape in connector.fields.items():
            assert alike(shape, again.fields[field], connector.rows), (connector.id, field)


def alike(one: RecordedField, two: RecordedField, rows: int) -> bool:
    return (
        abs(one.nulls - two.nulls) < 0.1
        and (two.unique or not one.unique)
        and two.decimals <= one.decimals
        and (one.lengths is None or two.lengths is None or two.lengths[2] <= one.lengths[2])
        and (rows < 50 or one.unique or 0.5 * one.distinct <= two.distinct <= one.distinct)
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[]", "is not a recording: Expected `object`"),
        (b"{", "is not a recording: "),
        (b"\xff", "is not a recording: "),
        (b'{"version":2}', "is a recording of version 2; this library reads version 1"),
        (b'{"version":1}', "missing required field"),
        (document(FIELDS, key=["Nothing"]), "My_Orders: its key has 'Nothing'"),
        (document(FIELDS, id="FbSales"), "two connectors have the name fbsales"),
        (document(FIELDS, metainfo={"fields": [{"id": 'a"b'}]}), "cannot have a field named"),
        (document(FIELDS, id="a/b"), "cannot be the name of a connector"),
    ],
)
def test_files_that_are_no_recordings(content: Any, message: str, tmp_path: Path) -> None:
    """A file that the simulator cannot use is an error that says why, when the simulator is made."""
    path = tmp_path / "recording.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(ValueError, match=message):
        Simulator(recording=path)
    with pytest.raises(FileNotFoundError):
        Simulator(recording=tmp_path / "nowhere.json")


async def test_in_a_process_and_on_the_command_line(tmp_path: Path) -> None:
    """Another process serves a recording as well, and so does the command, also one without any GetConnector."""
    path = written(tmp_path / "recording.json", document(FIELDS))
    async with spawn(recording=path, rows=50) as there:
        assert (await there.checksum("My_Orders")).rows == 50
        with closing(Simulator(recording=path, rows=50).store) as store:
            assert await there.checksum("My_Orders") == store.checksum("My_Orders")
    empty = written(tmp_path / "empty.json", {**document(FIELDS), "get_connectors": []})

    def shown(*arguments: str) -> list[str]:
        with start_up_text(*arguments) as lines:
            return lines

    assert "Connectors My_Orders" in await asyncio.to_thread(shown, f"--from={path}")
    assert "Connectors " in await asyncio.to_thread(shown, f"--from={empty}")


def test_dates_of_the_past(tmp_path: Path) -> None:
    """Dates that were all past are not after the day of the recording."""
    path = written(tmp_path / "recording.json", document(FIELDS))
    with closing(Simulator(recording=path, rows=500).store) as store:
        found = store.execute("SELECT max(Datum) FROM My_Orders")
    assert date.fromisoformat(found[0][0][:10]) <= date(2026, 11, 30)
