"""GET /connectors/{id}: the envelope, skip and take, and sorting."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import Any

import aiohttp
import pytest
from yarl import URL

from afas_async.simulator import Change, Simulator
from tests.simulator.conftest import Client

ARTICLE = "/connectors/Profit_Article"
WIDE = "/connectors/Profit_Wide"
UNEXPECTED = -2147180999


async def test_default_page(client: Client, simulator: Simulator) -> None:
    """Without parameters the response has the first 100 rows of the service's own order."""
    reply = await client.get(simulator, ARTICLE)
    assert list(reply.json) == ["skip", "take", "rows"]
    assert (reply.json["skip"], reply.json["take"], len(reply.rows)) == (0, 100, 100)


async def test_echo(client: Client, simulator: Simulator) -> None:
    """Skip and take repeat the request, also where fewer rows come."""
    reply = await client.get(simulator, ARTICLE, skip=290, take=50, orderbyfieldids="ItemCode")
    assert (reply.json["skip"], reply.json["take"]) == (290, 50)
    assert [row["ItemCode"] for row in reply.rows] == [f"{number:06}" for number in range(291, 301)]


async def test_past_the_end(client: Client, simulator: Simulator) -> None:
    """After the last row comes a success with no rows."""
    assert (await client.get(simulator, ARTICLE, skip=300, take=50)).body == b'{"skip":300,"take":50,"rows":[]}'
    assert (await client.get(simulator, "/connectors/Profit_Empty")).body == b'{"skip":0,"take":100,"rows":[]}'


@pytest.mark.parametrize("take", ["-1", "10", "0", "no number"])
async def test_everything(client: Client, simulator: Simulator, take: str) -> None:
    """A skip of -1 means all rows, whatever take says."""
    assert len((await client.get(simulator, ARTICLE, skip=-1, take=take)).rows) == 300


async def test_everything_in_many_blocks(client: Client) -> None:
    """A whole table is one well-formed array, however many pieces it is sent in."""
    async with Simulator(rows=4500) as simulator:
        reply = await client.get(simulator, WIDE, skip=-1, take=-1, orderbyfieldids="Id")
        assert [row["Id"] for row in reply.rows] == [3 * number + 1 for number in range(4500)]
        assert len((await client.get(simulator, WIDE, skip=-1, take=-1)).rows) == 4500


async def test_take_zero(client: Client, simulator: Simulator) -> None:
    """A request for no rows gives one."""
    reply = await client.get(simulator, ARTICLE, take=0)
    assert (reply.json["take"], len(reply.rows)) == (0, 1)


@pytest.mark.parametrize(("skip", "take"), [("2", "-1"), ("0", "-5"), ("0", "many"), ("0", "99999999999999999999")])
async def test_bad_take(client: Client, simulator: Simulator, skip: str, take: str) -> None:
    """A negative or senseless take is an unexpected error."""
    reply = await client.get(simulator, ARTICLE, skip=skip, take=take)
    assert (reply.status, reply.json["errorNumber"]) == (500, UNEXPECTED)


@pytest.mark.parametrize("skip", ["-2", "-100", "first", "", "1_0", "1.5"])
async def test_bad_skip(client: Client, simulator: Simulator, skip: str) -> None:
    """A skip that is not a row number counts as 0."""
    reply = await client.get(simulator, ARTICLE, skip=skip, take=1, orderbyfieldids="ItemCode")
    assert (reply.json["skip"], reply.rows[0]["ItemCode"]) == (0, "000001")


async def test_parameter_names_ignore_case(client: Client, simulator: Simulator) -> None:
    """Parameter names may be written in any case."""
    reply = await client.get(simulator, ARTICLE, SKIP=5, Take=2, OrderByFieldIds="ItemCode")
    assert [row["ItemCode"] for row in reply.rows] == ["000006", "000007"]


async def test_descending(client: Client, simulator: Simulator) -> None:
    """A minus before a field sorts it from high to low."""
    reply = await client.get(simulator, WIDE, take=3, orderbyfieldids="-Id")
    assert [row["Id"] for row in reply.rows] == [898, 895, 892]


async def test_several_fields(client: Client, simulator: Simulator) -> None:
    """Fields sort one after the other, each in its own direction."""
    rows = (
        await client.get(
            simulator, "/connectors/Profit_JournalLines", take=200, orderbyfieldids="-UnitId,EntryNo,-LineNo"
        )
    ).rows
    keys = [(-row["UnitId"], row["EntryNo"], -row["LineNo"]) for row in rows]
    assert keys == sorted(keys)
    assert len(set(keys)) == 150


async def test_text_sorts_without_regard_to_case(client: Client, simulator: Simulator) -> None:
    """Text sorts as SQL Server's usual collation does, case-insensitively, and empty comes first."""
    for number, name in enumerate(["b", "C", None, "A"]):
        simulator.store.execute("INSERT INTO Profit_Empty (Id, Name) VALUES (?, ?)", (number, name))
    rows = (await client.get(simulator, "/connectors/Profit_Empty", orderbyfieldids="Name")).rows
    assert [row["Name"] for row in rows] == [None, "A", "b", "C"]


async def test_order_of_arrival_is_no_sort(client: Client, simulator: Simulator) -> None:
    """A sort uses the values of the field, whatever its name, and not the time when the row came."""
    for number in (3, 1, 2):
        simulator.store.execute("INSERT INTO Profit_Empty (Id) VALUES (?)", (number,))
    rows = (await client.get(simulator, "/connectors/Profit_Empty", orderbyfieldids="-Id")).rows
    assert [row["Id"] for row in rows] == [3, 2, 1]


@pytest.mark.parametrize("order", ["Nonsense", "ItemCode,Nonsense", "-Nonsense"])
async def test_unknown_sort_field(client: Client, simulator: Simulator, order: str) -> None:
    """An unknown field in the sort is an error that names it."""
    reply = await client.get(simulator, ARTICLE, orderbyfieldids=order)
    assert (reply.status, reply.json["externalMessage"]) == (500, "Connectorveld 'Nonsense' niet gevonden")


async def test_sort_field_is_no_sql(client: Client, simulator: Simulator) -> None:
    """A sort that carries SQL is only an unknown field."""
    reply = await client.get(simulator, ARTICLE, orderbyfieldids='ItemCode"; DROP TABLE "Profit_Article')
    assert reply.status == 500
    assert simulator.store.count("Profit_Article") == 300


@pytest.mark.parametrize("name", ["filterfieldids", "filtervalues", "operatortypes", "filterjson", "FilterFieldIds"])
async def test_half_a_filter_is_refused(client: Client, simulator: Simulator, name: str) -> None:
    """An incomplete filter is never silently ignored."""
    reply = await client.get(simulator, ARTICLE, **{name: "1"})
    assert (reply.status, reply.json["errorNumber"]) == (500, UNEXPECTED)


@pytest.mark.parametrize(
    ("connector", "order"),
    [
        ("Profit_Article", "ItemCode"),
        ("Profit_Debtor", "DebtorId"),
        ("Profit_Employees", "-EmployeeId"),
        ("Profit_JournalLines", "UnitId,EntryNo,LineNo"),
        ("Profit_Wide", "-Price,Id"),
    ],
)
@pytest.mark.parametrize("take", [7, 100, 299, 1000])
async def test_pages_of_a_sorted_connector_make_the_table(
    client: Client, simulator: Simulator, connector: str, order: str, take: int
) -> None:
    """Sorted by something unique, the pages together hold every row once."""
    pages = [
        (await client.get(simulator, f"/connectors/{connector}", skip=skip, take=take, orderbyfieldids=order)).rows
        for skip in range(0, 300, take)
    ]
    key = simulator.store.connectors[connector].key
    found = sorted(tuple(row[field] for field in key) for page in pages for row in page)
    assert found == sorted(simulator.store.execute(f"SELECT {', '.join(key)} FROM {connector}"))  # noqa: S608


async def test_pages_add_up_to_the_checksum(client: Client, simulator: Simulator) -> None:
    """The row texts of the pages in key order have the store's checksum."""
    crc32 = 0
    for skip in range(0, 300, 70):
        reply = await client.get(simulator, WIDE, skip=skip, take=70, orderbyfieldids="Id")
        for row in reply.rows:
            crc32 = zlib.crc32(json.dumps(row, separators=(",", ":")).encode() + b"\n", crc32)
    assert (300, crc32) == (simulator.store.checksum("Profit_Wide").rows, simulator.store.checksum("Profit_Wide").crc32)


async def test_no_order_is_no_stable_order(client: Client, simulator: Simulator) -> None:
    """Without a sort each request has an order of its own, so that pages miss rows and double others."""
    whole = [[row["Id"] for row in (await client.get(simulator, WIDE, skip=-1)).rows] for _ in range(3)]
    assert whole[0] != whole[1] != whole[2] != whole[0]
    assert sorted(whole[0]) == sorted(whole[1]) == sorted(whole[2]) == [3 * number + 1 for number in range(300)]
    paged = [row["Id"] for skip in (0, 100, 200) for row in (await client.get(simulator, WIDE, skip=skip)).rows]
    assert len(paged) == 300
    assert len(set(paged)) < 300


async def test_ties_have_no_stable_order(client: Client, simulator: Simulator) -> None:
    """Rows that the sort leaves equal change places from one request to the next."""
    first, second = [(await client.get(simulator, WIDE, take=300, orderbyfieldids="Blocked")).rows for _ in range(2)]
    assert [row["Blocked"] for row in first] == sorted(row["Blocked"] for row in first)
    assert [row["Id"] for row in first] != [row["Id"] for row in second]
    assert {row["Id"] for row in first} == {row["Id"] for row in second}


async def test_changes_show_at_once(client: Client, simulator: Simulator) -> None:
    """The next request reads the rows as a test has inserted, changed and deleted them in the store."""
    simulator.store.execute("DELETE FROM Profit_Article WHERE ItemCode > ?", ("000002",))
    simulator.store.execute("UPDATE Profit_Article SET Blocked = 1, Price = -0.5 WHERE ItemCode = '000001'")
    simulator.store.execute("INSERT INTO profit_article (ItemCode, Description) VALUES (?, ?)", ("000003", 'a "b"\n'))
    rows = (await client.get(simulator, ARTICLE, orderbyfieldids="ItemCode")).rows
    assert [row["ItemCode"] for row in rows] == ["000001", "000002", "000003"]
    assert (rows[0]["Blocked"], rows[0]["Price"]) == (True, -0.5)
    assert rows[2] == dict.fromkeys(rows[0], None) | {"ItemCode": "000003", "Description": 'a "b"\n'}


async def test_requests_at_once(client: Client, simulator: Simulator) -> None:
    """Requests at the same time do not disturb each other."""

    async def page(skip: int) -> list[dict[str, Any]]:
        return (await client.get(simulator, WIDE, skip=skip, take=10, orderbyfieldids="Id")).rows

    pages = await asyncio.gather(*(page(skip) for skip in range(0, 300, 10)))
    assert [row["Id"] for rows in pages for row in rows] == [3 * number + 1 for number in range(300)]


async def test_a_large_connector_holds_nobody_up(client: Client) -> None:
    """While the rows of a large connector are made, other requests get responses. Those for its rows wait in order."""
    async with Simulator(rows=40_000) as simulator:
        simulator.changes.add(Change(connector="Profit_Wide", after=1, delete=[{"Id": 1}]))
        first = asyncio.create_task(client.get(simulator, WIDE, take=1, orderbyfieldids="Id"))
        await client.until(lambda: simulator.counters.requests == 1)
        second = asyncio.create_task(client.get(simulator, WIDE, take=1, orderbyfieldids="Id"))
        gone = asyncio.create_task(client.get(simulator, WIDE, skip=7))
        others = 0
        while not first.done():
            assert len((await client.get(simulator, "/connectors/Profit_Employees", take=5)).rows) == 5
            others += 1
            if others == 3:
                gone.cancel()
        assert others > 5
        assert [(await task).rows[0]["Id"] for task in (first, second)] == [1, 4]
        assert gone.cancelled()
        assert simulator.store.count("Profit_Wide") == 39_999


async def test_whoever_asks_for_rows_first_may_leave(client: Client) -> None:
    """The next client gets the rows that were made for a client that has left, and the rest."""
    async with Simulator(rows=40_000) as simulator:
        first = asyncio.create_task(client.get(simulator, WIDE, skip=-1))
        await client.until(lambda: simulator.counters.requests == 1)
        first.cancel()
        await client.until(lambda: simulator.counters.cancelled == 1)
        reply = await client.get(simulator, WIDE, skip=39_998, orderbyfieldids="Id")
        assert [row["Id"] for row in reply.rows] == [3 * 39_998 + 1, 3 * 39_999 + 1]


@pytest.mark.parametrize("way", ["a write", "a report", "a checksum"])
async def test_all_that_needs_rows_makes_them_in_pieces(client: Client, way: str) -> None:
    """Writes, reports and checksums of a large connector hold nobody up either."""
    async with Simulator(rows=40_000) as simulator:
        method, path, body = {
            "a write": ("PUT", "/connectors/FbItemArticle", '{"FbItemArticle":{"Element":{"@ItCd":"000001"}}}'),
            "a report": ("GET", f"/reportconnector/{simulator.files.reports[0].id}", None),
            "a checksum": ("GET", "/../simulator/checksum/profit_article", None),
        }[way]
        async with aiohttp.ClientSession(headers=client.authorization(simulator)) as session:
            asked = asyncio.create_task(session.request(method, URL(simulator.base_url + path), data=body))
            others = 0
            while not asked.done():
                await client.get(simulator, "/connectors/Profit_Employees", take=5)
                others += 1
            reply = await asked
            assert reply.status < 300
            reply.close()
        assert others > 5
        assert simulator.store.fill_piece("Profit_Article") is False
