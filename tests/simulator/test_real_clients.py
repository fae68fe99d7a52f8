"""Requests as clients of the service were seen to send them, byte for byte, and the rows that they are after."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from yarl import URL

from afas_async.simulator import Simulator
from tests.simulator.conftest import Client, Reply

Row = dict[str, Any]


async def send(simulator: Simulator, target: str, headers: dict[str, str] | None = None) -> Reply:
    """Send a request line exactly as written."""
    token = base64.b64encode(simulator.token.encode()).decode()
    url = URL(f"{simulator.base_url}/{target}", encoded=True)
    async with (
        aiohttp.ClientSession(skip_auto_headers=["Accept", "User-Agent"]) as session,
        session.get(url, headers={"Authorization": f"AfasToken {token}"} | (headers or {})) as response,
    ):
        assert str(response.request_info.url) == str(url)
        return Reply(response.status, response.headers, await response.read())


def box(row: Row) -> bool:
    return "in box 7" in row["Description"]


def piece(row: Row) -> bool:
    return row["Unit"] == "Piece"


def hour(row: Row) -> bool:
    return row["Unit"] == "Hour"


def blocked(row: Row) -> bool:
    return row["Blocked"]


def negative(row: Row) -> bool:
    return row["Stock"] < 0


HABITS: list[tuple[str, str, Callable[[Row], bool]]] = [
    ("a space as a plus", "filterfieldids=Description&filtervalues=in+box+7&operatortypes=6", box),
    ("a space as %20", "filterfieldids=Description&filtervalues=in%20box%207&operatortypes=6", box),
    ("everything encoded", "filterfieldids=Description&filtervalues=%69n%20box%207&operatortypes=%36", box),
    ("contains with wildcards", "filterfieldids=Description&filtervalues=%25in+box+7%25&operatortypes=6", box),
    ("wildcards not encoded", "filterfieldids=Description&filtervalues=%in+box+7%&operatortypes=6", box),
    ("contains in capitals", "filterfieldids=Description&filtervalues=IN+BOX+7&operatortypes=6", box),
    ("the quick filter", "filterfieldids=Description&filtervalues=in+box+7&operatortypes=15", box),
    (
        "not equal that means not contains",
        "filterfieldids=Description&filtervalues=%25in+box+7%25&operatortypes=7",
        lambda row: not box(row),
    ),
    (
        "a wildcard in the middle",
        "filterfieldids=Description&filtervalues=Article%25box+7&operatortypes=10",
        box,
    ),
    (
        "does not start with, with wildcards on both sides",
        "filterfieldids=Description&filtervalues=%25in+box+7%25&operatortypes=12",
        lambda row: not box(row),
    ),
    (
        "does not start with, with one wildcard",
        "filterfieldids=Unit&filtervalues=Pie%25&operatortypes=12",
        lambda row: not piece(row),
    ),
    ("starts with", "filterfieldids=Unit&filtervalues=pie&operatortypes=10", piece),
    ("ends with", "filterfieldids=Unit&filtervalues=%25ECE&operatortypes=13", piece),
    ("does not end with", "filterfieldids=Unit&filtervalues=ece&operatortypes=14", lambda row: not piece(row)),
    *(
        (
            f"is empty, with {value!r} in the slot",
            f"filterfieldids=Price&filtervalues={value}&operatortypes=8",
            lambda row: row["Price"] is None,
        )
        for value in ("", "null", '""', "%22%22", "%5Bis+leeg%5D", "[is%20leeg]")
    ),
    (
        "is not empty, before another condition",
        "filterfieldids=Price,Unit&filtervalues=,Piece&operatortypes=9,1",
        lambda row: row["Price"] is not None and piece(row),
    ),
    *(
        (
            f"and, written {comma}",
            f"filterfieldids=Unit{comma}Stock&filtervalues=Piece{comma}0&operatortypes=1{comma}5",
            lambda row: piece(row) and negative(row),
        )
        for comma in (",", "%2C", "%2c")
    ),
    *(
        (
            f"or, written {semicolon}",
            f"filterfieldids=Unit{semicolon}Unit&filtervalues=Piece{semicolon}Hour&operatortypes=1{semicolon}1",
            lambda row: piece(row) or hour(row),
        )
        for semicolon in (";", "%3B", "%3b")
    ),
    (
        "the documented mixture",
        "filterfieldids=CreatedOn,Unit;Unit&filtervalues=2015-03-22T00:00:00,Piece;Hour&operatortypes=5,7;1",
        lambda row: (row["CreatedOn"] < "2015-03-22" and not piece(row)) or hour(row),
    ),
    ("no operators", "filterfieldids=Unit&filtervalues=Piece", piece),
    ("empty operators", "filterfieldids=Unit&filtervalues=Piece&operatortypes=", piece),
    ("parameter names in capitals", "FilterFieldIds=Unit&FilterValues=Piece&OperatorTypes=1", piece),
    ("an unknown parameter", "filterfieldids=Unit&filtervalues=Piece&operatortypes=1&outputmode=1", piece),
    *(
        (
            f"a date as {date}",
            f"filterfieldids=CreatedOn&filtervalues={date}&operatortypes=2",
            lambda row: row["CreatedOn"] >= "2015-01-01",
        )
        for date in (
            "2015-01-01",
            "2015-01-01T00:00",
            "2015-01-01T00%3A00%3A00",
            "2015-01-01T00:00:00",
            "01-01-2015",
        )
    ),
    *(
        (f"a boolean as {truth}", f"filterfieldids=Blocked&filtervalues={truth}&operatortypes=1", blocked)
        for truth in ("true", "True", "1")
    ),
    ("a number with a zero more", "filterfieldids=Stock&filtervalues=00.0&operatortypes=5", negative),
    (
        "the JSON filter, a single object and a number for the operator",
        'filterjson={"Filters":{"Filter":{"Field":{"@FieldId":"Unit","@OperatorType":1,"%23text":"Piece"}}}}',
        piece,
    ),
    (
        "the JSON filter, as documented, with whitespace",
        (
            "filterjson=%7B%22Filters%22%3A%20%7B%22Filter%22%3A+%5B%7B%22%40FilterId%22%3A%22Filter%201%22%2C%22Field%22%3A"
            "%5B%7B%22%40FieldId%22%3A%22Unit%22%2C%22%40OperatorType%22%3A%221%22%2C%22%23text%22%3A%22Piece%22%7D%2C"
            "%7B%22%40FieldId%22%3A%22Blocked%22%2C%22%40OperatorType%22%3A%221%22%2C%22%23text%22%3Atrue%7D%5D%7D%2C"
            "%7B%22%40FilterId%22%3A%22Filter%202%22%2C%22Field%22%3A%5B%7B%22%40FieldId%22%3A%22Unit%22%2C"
            "%22%40OperatorType%22%3A%221%22%2C%22%23text%22%3A%22Hour%22%7D%5D%7D%5D%7D%7D"
        ),
        lambda row: (piece(row) and blocked(row)) or hour(row),
    ),
    (
        "the JSON filter, empty without a text",
        'filterjson={"Filters":{"Filter":[{"Field":[{"@FieldId":"Price","@OperatorType":"8"}]}]}}',
        lambda row: row["Price"] is None,
    ),
]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("query", "wanted"), [habit[1:] for habit in HABITS], ids=[habit[0] for habit in HABITS])
@pytest.mark.parametrize("everything", ["skip=-1&take=-1", "skip=-1&take=10", "Skip=-1"])
async def test_habits(query: str, wanted: Callable[[Row], bool], everything: str) -> None:
    """A filter gives the rows that its client means, computed here over the whole table."""
    async with Simulator(rows=300) as simulator:
        rows = (await send(simulator, "connectors/Profit_Article?skip=-1&orderbyfieldids=ItemCode")).rows
        expected = [row for row in rows if wanted(row)]
        assert 0 < len(expected) < 300
        target = f"connectors/Profit_Article?{everything}&{query}&orderbyfieldids=ItemCode"
        assert (await send(simulator, target)).rows == expected


@pytest.mark.parametrize("separator", [",", "%2C", "%2c"])
async def test_filter_in_the_path(simulator: Simulator, separator: str) -> None:
    """Fields and values may stand in the path: equal, and nothing else."""
    rows = (await send(simulator, "connectors/Profit_Article?skip=-1&orderbyfieldids=ItemCode")).rows
    path = f"connectors/Profit_Article/Unit{separator}Blocked/pieCE{separator}false"
    reply = await send(simulator, f"{path}?skip=-1&orderbyfieldids=ItemCode")
    assert reply.rows == [row for row in rows if piece(row) and not blocked(row)]
    assert (await send(simulator, f"{path}?filterfieldids=Unit&filtervalues=Piece")).status == 500
    simulator.store.execute("UPDATE Profit_Article SET Unit = 'per/uur+' WHERE ItemCode = '000007'")
    assert [row["ItemCode"] for row in (await send(simulator, "connectors/Profit_Article/Unit/per%2Fuur+")).rows] == [
        "000007"
    ]


@pytest.mark.parametrize(
    "path", ["metainfo", "metainfo/get/Profit_Article", "profitversion", "connectors/Profit_Empty"]
)
@pytest.mark.parametrize("tail", ["?", "/?", "?skip=-5&take=x&nonsense", "?&&"])
async def test_harmless_tails(simulator: Simulator, path: str, tail: str) -> None:
    """A bare question mark is harmless, and metainfo does not look at its parameters."""
    if "take" in tail and path.startswith("connectors"):
        tail = "?skip=-5&nonsense"
    assert (await send(simulator, path + tail)).json == (await send(simulator, path)).json


async def test_bare_question_mark(simulator: Simulator) -> None:
    """A question mark with no query after it is harmless, also if no client library has removed it."""
    token = base64.b64encode(simulator.token.encode()).decode()
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(simulator.base_url).port)
    path = f"{URL(simulator.base_url).path}/metainfo?"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: AfasToken {token}\r\n\r\n".encode())
    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    writer.close()


@pytest.mark.parametrize("take", [70, 100])
@pytest.mark.parametrize("ends", ["at an empty page", "at a short page"])
async def test_both_ways_of_stopping(simulator: Simulator, take: int, ends: str) -> None:
    """Reading to the first page without rows gives the same rows as reading to the first short page."""
    found: list[Row] = []
    while True:
        target = f"connectors/Profit_Article?skip={len(found)}&take={take}&orderbyfieldids=ItemCode"
        rows = (await send(simulator, target)).rows
        found += rows
        if not rows or (ends == "at a short page" and len(rows) < take):
            break
    assert [row["ItemCode"] for row in found] == [f"{number:06}" for number in range(1, 301)]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain;charset=UTF-8"},
        {"Content-Type": 'application/json; charset="utf-8"'},
        {"Accept": "*/*", "Accept-Language": "*", "Cookie": "a=b"},
        {"Accept": "text/html", "IntegrationId": "12345_678900", "Connection": "close"},
    ],
)
async def test_headers_that_mean_nothing(simulator: Simulator, headers: dict[str, str]) -> None:
    """No header but the token decides whether rows come."""
    assert len((await send(simulator, "connectors/Profit_Article?take=5", headers)).rows) == 5


@pytest.mark.parametrize("value", ["2015-01-01T00:00:00Z", "2015-01-01T00%3A00%3A00z"])
async def test_a_moment_with_its_z(simulator: Simulator, value: str) -> None:
    """The Z of a row is refused in a filter."""
    query = f"filterfieldids=CreatedOn&filtervalues={value}&operatortypes=2"
    assert (await send(simulator, f"connectors/Profit_Article?{query}")).status == 500


@pytest.mark.parametrize("value", ["a,b", "a%2Cb", "a;b", "a%5C,b", '"a,b"', "'a,b'"])
async def test_separators_have_no_escape(client: Client, simulator: Simulator, value: str) -> None:
    """A separator in a value separates, however it is written; only the JSON form takes it as text."""
    target = f"connectors/Profit_Debtor?filterfieldids=DebtorName&filtervalues={value}&operatortypes=6"
    assert (await send(simulator, target)).status == 500
    asked = '{"Filters":{"Filter":{"Field":{"@FieldId":"DebtorName","@OperatorType":6,"#text":"Zn; afd. 1, 2"}}}}'
    names = [
        row["DebtorName"] for row in (await client.get(simulator, "/connectors/Profit_Debtor", filterjson=asked)).rows
    ]
    assert names
    assert all("Zn; afd. 1, 2" in name for name in names)


async def test_broken_encoding(simulator: Simulator) -> None:
    """A value that is not in UTF-8 is a text that no row has."""
    query = "filterfieldids=Description&filtervalues=%ff%FE&operatortypes=6"
    assert (await send(simulator, f"connectors/Profit_Article?{query}")).rows == []
