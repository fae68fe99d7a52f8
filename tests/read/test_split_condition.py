"""Conditions that are too long for one request."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from afas_async import Condition, F, GetConnector, KeyOrderError, NonUniqueKeyError, QueryTooLongError, UsageError
from afas_async.simulator import Rules, Simulator
from afas_async.wire.requests import QUERY_LIMIT
from tests.read.conftest import Serve
from tests.support.census import census
from tests.support.own_connectors import (
    ARTICLES,
    BY_BOTH,
    BY_CODE,
    BY_NUMBER,
    WIDE,
    WIDE_RAW,
    longest_query,
    numbers,
    table,
)
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.read_table import client
from tests.support.thoroughness import by_default

MANY = by_default(700, 10_000)
FIRST = by_default(200, 1_000)
FOUND = by_default(300, 1_000)  # of the texts beside the key
TOP = by_default(125, 250)  # the numbers of overlapping parts are below this


def _shuffled(values: list[Any]) -> list[Any]:
    random.Random(1).shuffle(values)  # noqa: S311
    return values


def _status(simulator: Simulator) -> set[int | None]:
    return {request.status for request in simulator.requests}


async def test_ten_thousand_numbers_of_the_key(serve: Serve) -> None:
    """All rows come once and in key order, whatever the order of the values."""
    simulator, afas = await serve(rows=FIRST + MANY + FIRST)
    values = _shuffled([3 * number + 1 for number in range(FIRST, FIRST + MANY)])
    found = [row.number async for row in afas.rows(WIDE, where=F.Id.in_(values))]
    assert found == sorted(values)
    assert _status(simulator) == {200}
    assert longest_query(simulator) <= QUERY_LIMIT


async def test_ten_thousand_texts_of_the_key(serve: Serve) -> None:
    """All rows come once, and where all texts are alike in the order of the values."""
    simulator, afas = await serve(rows=500 + MANY + FIRST)
    values = [f"{number:06}" for number in range(500, 500 + MANY)]
    found = [row["ItemCode"] async for row in afas.rows(ARTICLES, where=F.ItemCode.in_(_shuffled([*values])))]
    assert found == values
    assert _status(simulator) == {200}
    assert longest_query(simulator) <= QUERY_LIMIT


@pytest.mark.sampled(3)
@pytest.mark.parametrize("connector", [WIDE, WIDE_RAW], ids=["typed", "raw"])
async def test_ten_thousand_texts_beside_the_key(connector: GetConnector[Any], serve: Serve) -> None:
    """All rows come once, in the order of the key, which holds whole numbers."""
    simulator, afas = await serve(rows=500 + FOUND)
    values = _shuffled([f"W{number:07}" for number in range(500, 500 + MANY)])
    found = await afas.rows(connector, where=F.Code.in_(values)).to_list()
    assert len(found) == FOUND
    if connector is WIDE:
        assert [row.number for row in found] == [3 * number + 1 for number in range(500, 500 + FOUND)]
    assert _status(simulator) == {200}
    assert longest_query(simulator) <= QUERY_LIMIT


def _overlapping() -> Condition:
    """Return a condition whose parts each match most rows, and which matches the rows below `TOP`."""
    condition = F.Id < 1
    for number in range(35):
        condition |= (F.Id < TOP - number) & (F.Group != 9) & (F.Price >= 0)
    return condition | F.Id.in_(range(1, TOP - 100))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("rules", [Rules(), Rules(page_cap=by_default(25, 7))], ids=["", "capped"])
async def test_overlapping_parts(rules: Rules, serve: Serve) -> None:
    """A row that matches many parts comes once, in the order of the key, which holds whole numbers."""
    simulator, afas = await serve(connectors={"T": table(range(1, TOP + 150))}, rules=rules)
    found = numbers(await afas.rows(BY_NUMBER, where=_overlapping()).to_list())
    assert found == list(range(1, TOP))
    assert _status(simulator) == {200}


class Coded(msgspec.Struct):
    """A row whose key is known to be text."""

    code: str = msgspec.field(name="Code")


TYPED = GetConnector("T", Coded, key="Code")


@pytest.mark.parametrize("connector", [BY_CODE, BY_BOTH, TYPED], ids=["text", "both", "typed"])
async def test_an_order_that_cannot_be_kept(connector: GetConnector[Any], serve: Serve) -> None:
    """Rows of several requests cannot be put in order by texts: the read is refused, and says what works.

    A read of dicts requests one row to see what the key holds.
    """
    simulator, afas = await serve(connectors={"T": table(range(1, TOP + 150))})
    for read in (afas.rows, afas.pages):
        with pytest.raises(UsageError, match=r"cannot be brought into the order of .* verify=False"):
            await anext(read(connector, where=_overlapping()))
    assert simulator.counters.requests == (0 if connector is TYPED else 2)


async def test_pages_of_parts_that_have_no_order(serve: Serve) -> None:
    """Pages are whole responses, and no response fits between others."""
    _, afas = await serve(connectors={"T": table(range(1, TOP + 150))})
    with pytest.raises(UsageError, match="works for rows"):
        await anext(afas.pages(BY_NUMBER, where=_overlapping()))


async def test_pages_of_values_of_the_key(serve: Serve) -> None:
    """Each page holds the rows of one response, in the order of the key."""
    simulator, afas = await serve(connectors={"T": table(range(1, TOP + 150))})
    pages = [page async for page in afas.pages(BY_NUMBER, where=F.Id.in_(range(0, 800, 2)))]
    assert [row["Id"] for page in pages for row in page.rows] == list(range(2, TOP + 150, 2))
    answers = [record for record in simulator.requests if "filterfieldids" in record.query]
    assert 2 <= len(pages) <= len(answers)
    assert [page.skip for page in pages] == [
        sum(len(page.rows) for page in pages[:place]) for place in range(len(pages))
    ]


async def test_a_row_of_two_parts_is_one_row(serve: Serve) -> None:
    """A key that comes in two parts is looked up once. Two rows with it are an error; one row that moved is not."""
    rows = [{"Id": number, "Group": f"g{number % 60}"} for number in range(300)]
    where = F.Group.in_([f"g{number}" for number in range(60)])
    _, afas = await serve(connectors={"T": [*rows, {"Id": 7, "Group": "g55"}]})
    with pytest.raises(NonUniqueKeyError, match="two rows have the same Id, 7"):
        await afas.rows(BY_NUMBER, where=where).to_list()


async def test_numbers_that_are_texts_in_rows() -> None:
    """The first row does not prove the key type: rows that cannot be compared raise an error, and are not left out."""

    async def answer(connection: Connection, received: Received) -> None:
        row = '{"Id":"17","Group":"g7"}' if "filterjson" in received.query else '{"Id":1,"Group":"g1"}'
        await connection.answer(b'{"skip":0,"take":%s,"rows":[%s]}' % (received.query["take"].encode(), row.encode()))

    async with RawServer(answer) as server, client(server) as afas:
        with pytest.raises(KeyOrderError, match=r"T: .* whole numbers, but a row has '17'"):
            await afas.rows(BY_NUMBER, where=F.Group.in_([f"g{number}" for number in range(60)])).to_list()


@pytest.mark.parametrize(
    "values",
    [
        [f"2024-0{month}-{day:02}{time}" for time in ("", "T00:00:00") for month in (1, 2, 3) for day in range(1, 29)],
        [*range(150), *(f"+{number}" for number in range(150))],
    ],
    ids=["days", "signs"],
)
async def test_one_value_in_several_spellings(values: list[Any], serve: Serve) -> None:
    """A row comes once, even where the rows have no key."""
    day = isinstance(values[0], str)
    rows = [
        {"Id": number, "Value": f"2024-01-{number % 28 + 1:02}T00:00:00Z" if day else number % 40}
        for number in range(120)
    ]
    _, afas = await serve(connectors={"T": rows})
    for options in ({}, {"verify": False}):
        found = [row["Id"] async for row in afas.rows(BY_NUMBER, where=F.Value.in_(values), **options)]
        assert sorted(found) == list(range(120))


async def test_every_value_has_its_row(serve: Serve) -> None:
    """A part has its last row if each of its values has one, wherever its pages end."""
    _, afas = await serve(connectors={"T": table(range(1, 50))})
    for take in (1, 2, 3):
        found = numbers(await afas.rows(BY_NUMBER, where=F.Id.in_(range(1, 31)), take=take).to_list())
        assert found == list(range(1, 31)), take


async def test_a_comparison_with_the_key_may_have_many_rows(serve: Serve) -> None:
    """Only a test for one value has a single row. For others the read continues after it, even in pages of one row."""
    _, afas = await serve(connectors={"T": table(range(1, 30))})
    for where in (F.Id > 4, (F.Id > 4) | (F.Id == 4)):
        assert numbers(await afas.rows(BY_NUMBER, where=where, take=1).to_list())[-25:] == list(range(5, 30))


async def test_values_of_the_key_that_fit_take_one_request(serve: Serve) -> None:
    """More than a hundred rows come at once, and their number proves that they are all."""
    simulator, afas = await serve(connectors={"T": table(range(300))})
    found = numbers(await afas.rows(BY_NUMBER, where=F.Id.in_(range(100, 220))).to_list())
    assert found == list(range(100, 220))
    assert simulator.counters.requests == 1


async def test_a_long_condition_on_an_empty_table(serve: Serve) -> None:
    """No row shows how to order the parts, and none is needed."""
    _, afas = await serve(connectors={"T": table(range(1))})
    async with census(afas):
        assert await afas.rows(GetConnector("Profit_Empty", key="Id"), where=_overlapping()).to_list() == []


async def test_an_alternative_beside_which_no_key_fits(serve: Serve) -> None:
    """It gets a request of its own, and its rows are counted."""
    _, afas = await serve(connectors={"T": [{"Id": number, "Name": f"n{number}"} for number in range(250)]})
    where = (F.Name != "x" * 1_915) | F.Name.in_([f"n{number}" for number in range(60)])
    assert numbers(await afas.rows(BY_NUMBER, where=where).to_list()) == list(range(250))


async def test_descending(serve: Serve) -> None:
    """Whole numbers come in the requested order, split by the key or by another field."""
    _, afas = await serve(connectors={"T": table(range(1, TOP + 150))})
    for where in (
        F.Id.in_(range(1, TOP + 50)),
        F.Code.in_([f"x{n}" for n in range(by_default(60, 200))]) | _overlapping(),
    ):
        found = numbers(await afas.rows(BY_NUMBER, where=where, order_by="-Id").to_list())
        assert found == sorted(found, reverse=True)
        assert len(found) == len(set(found)) in {TOP - 1, TOP + 49}


async def test_a_condition_that_fits_no_request(serve: Serve) -> None:
    """It is refused with its length before anything is sent, even when only some of it is too long."""
    simulator, afas = await serve(rows=10)
    long = F.ItemCode.startswith("x" * 3_000)
    for where in (long, long | F.ItemCode.in_(map(str, range(500))), F.ItemCode.in_(["y" * 2_048])):
        with pytest.raises(QueryTooLongError) as caught:
            await afas.rows(ARTICLES, where=where).to_list()
        assert caught.value.length > caught.value.limit == QUERY_LIMIT
        with pytest.raises(QueryTooLongError):
            await anext(afas.pages(ARTICLES, where=where))
    assert simulator.counters.requests == 0


async def test_no_row_can_meet_it(serve: Serve) -> None:
    """A condition that no row can meet sends nothing."""
    simulator, afas = await serve(rows=10)
    for where in (
        F.ItemCode.in_([]),
        F.ItemCode.in_([]) & F.Blocked.is_(value=True),
        ~(F.Stock.in_([]) | ~F.Stock.in_([])),
    ):
        assert await afas.rows(ARTICLES, where=where).to_list() == []
        assert await afas.rows(ARTICLES, where=where).first() is None
        assert [page async for page in afas.pages(ARTICLES, where=where)] == []
        assert (await afas.page(ARTICLES, where=where)).rows == []
    assert simulator.counters.requests == 0


async def test_texts_that_the_service_takes_for_equal(serve: Serve) -> None:
    """Values that differ only in letter case do not repeat their row."""
    _, afas = await serve(rows=TOP + 50)
    values = [f"{letter}{number:07}" for letter in "Ww" for number in range(TOP)]
    found = await afas.rows(WIDE, where=F.Code.in_(_shuffled(values))).to_list()
    assert [row.number for row in found] == [3 * number + 1 for number in range(TOP)]


async def test_a_part_whose_rows_have_all_been_seen(serve: Serve) -> None:
    """Parts that overlap wholly come to an end."""
    _, afas = await serve(connectors={"T": [{"Id": number, "Name": "xxyy"} for number in range(300)]})
    where = F.Name.contains("xx")
    for number in range(40):
        where |= F.Name.contains(f"never {number:060}")
    rows = await afas.rows(BY_NUMBER, where=where | F.Name.contains("yy")).to_list()
    assert [row["Id"] for row in rows] == list(range(300))


async def test_an_anchor_is_as_long_as_it_is_written(serve: Serve) -> None:
    """Values that are longer when encoded do not make a request too long after the first page."""
    texts = [f"{'é' * 8}{number:03}" for number in range(60)] + [f"{'e' * 8}{number:03}x" for number in range(60)]
    _, afas = await serve(connectors={"T": [{"Code": text} for text in texts[::2]]})
    rows = await afas.rows(GetConnector("T", key="Code"), where=F.Code.in_(texts)).to_list()
    assert sorted(row["Code"] for row in rows) == sorted(texts[::2])
