"""Keys and orders that cannot carry a read are refused or noticed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from afas_async import (
    AfasClient,
    F,
    GetConnector,
    KeyOrderError,
    NonUniqueKeyError,
    SortKeyRequiredError,
    UnknownFieldError,
    UsageError,
    models,
)
from afas_async.policy.order import Order
from afas_async.read.keys import KeyReader
from tests.read.conftest import Serve
from tests.support.memory_loop import run
from tests.support.own_connectors import ARTICLES, BY_NUMBER, LINES, table
from tests.support.sampled_read import client_of
from tests.support.table_service import Service
from tests.support.thoroughness import by_default
from tests.support.universe import Record, universe

COUNT = by_default(150, 500)


class Line(msgspec.Struct, frozen=True):
    """The key of a journal line, under other names."""

    unit: int = msgspec.field(name="UnitId")
    entry: int = msgspec.field(name="EntryNo")
    line: int | None = msgspec.field(name="LineNo", default=None)


async def _both(afas: AfasClient, connector: GetConnector[Any], error: type[Exception], **options: Any) -> None:
    with pytest.raises(error):
        await afas.rows(connector, **options).to_list()
    with pytest.raises(error):
        _ = [page async for page in afas.pages(connector, **options)]


@pytest.mark.sampled(6)
@pytest.mark.parametrize("order", [(), "-Account", ("Account", "-LineNo"), ("-UnitId", "-EntryNo", "-LineNo")])
@pytest.mark.parametrize("options", [{}, {"take": 7}, {"take": 1, "window": 1}])
async def test_rows_of_every_type(order: Any, options: dict[str, Any], serve: Serve) -> None:
    """Dicts, structs with other names, and raw bytes come in the same order, with the key as tie-breaker."""
    _, afas = await serve(rows=600)
    dicts = await afas.rows(LINES, order_by=order, **options).to_list()
    keys = [tuple(row[field] for field in LINES.key) for row in dicts]
    fields = [*([order] if isinstance(order, str) else order)]
    fields += [field for field in LINES.key if field not in {name.lstrip("-") for name in fields}]
    expected = [*dicts]
    for field in reversed(fields):
        expected.sort(key=lambda row: row[field.lstrip("-")], reverse=field.startswith("-"))
    assert dicts == expected
    raw = GetConnector("Profit_JournalLines", msgspec.Raw, key=LINES.key)
    assert [
        tuple(row[field] for field in LINES.key)
        for row in [msgspec.json.decode(row) async for row in afas.rows(raw, order_by=order, **options)]
    ] == keys
    if "Account" not in str(order):
        typed = GetConnector("Profit_JournalLines", Line, key=LINES.key)
        found = await afas.rows(typed, order_by=order, **options).to_list()
        assert [(row.unit, row.entry, row.line) for row in found] == keys


@pytest.mark.sampled(3)
@pytest.mark.parametrize("take", [None, 3, 100])
@pytest.mark.parametrize("values", [[5, 5], [None, 1], ["", "a"], ["a", "a"]], ids=["equal", "null", "empty", "text"])
async def test_equal_and_empty_keys(values: list[Any], take: int | None, serve: Serve) -> None:
    """Two rows with one key, and rows without one, are an error wherever they are."""
    numeric = all(isinstance(value, (int, type(None))) for value in values)
    for place in (0, 3, 100, COUNT):
        rows: list[dict[str, Any]] = [{"Id": 10 + number if numeric else f"x{number:04}"} for number in range(COUNT)]
        doubled = values[0] == values[1]
        rows.insert(place, rows[place - 1] if doubled else {"Id": values[0]})
        _, afas = await serve(connectors={"T": rows})
        await _both(afas, BY_NUMBER, NonUniqueKeyError, take=take)


async def test_empty_part_of_a_key(serve: Serve) -> None:
    """A key of several fields is empty if one of its fields is, also in the middle of the rows."""
    rows = [{"A": number // 10, "B": None if number == COUNT // 2 + 5 else number % 10} for number in range(COUNT)]
    _, afas = await serve(connectors={"T": rows})
    connector = GetConnector("T", key=("A", "B"))
    for options in ({}, {"take": 4}, {"order_by": ("-A", "-B"), "take": 4}):
        await _both(afas, connector, NonUniqueKeyError, **options)


class AsPython(Service):
    """A service that filters texts, and numbers as texts, in Python's order, and sorts them in its own."""

    def select(self, query: Mapping[str, str]) -> list[Record]:
        rows = super().select({"orderbyfieldids": query["orderbyfieldids"]})
        return [row for row in rows if self.meets(row, query)]

    def meets(self, row: Record, query: Mapping[str, str]) -> bool:
        return any(
            all(sign(rank(str(row.values[name])), rank(str(value))) for name, sign, value in group)
            for group in self._groups(query)
        )

    def _test(self, *texts: str, **json: str) -> Any:
        name, operator, text = texts or (json["@FieldId"], json["@OperatorType"], json["#text"])
        return name, super()._test(name, operator, "0")[1], text


def rank(text: str) -> int:
    """Return a number that compares as the first letters of a text do."""
    return int.from_bytes(text.encode()[:12].ljust(12, b"\0"), "big")


UNNOTICED = pytest.mark.xfail(
    strict=True, reason="a read ends, without a word, at a row than which the filter finds none greater"
)


@pytest.mark.parametrize("kind", ["int", "text", pytest.param("composite", marks=UNNOTICED)])
@pytest.mark.parametrize("take", [3, 10])
def test_filter_and_order_disagree(take: int, kind: Any) -> None:
    """Whatever the key, such a service is detected, or all rows fit into the first response."""
    rows = universe(kind)

    async def read(window: int) -> int:
        made = AsPython(rows, random.Random(3))  # noqa: S311
        made.table = set(rows.records)
        async with client_of(made) as afas:
            return len(await afas.rows(GetConnector("X", key=rows.key), take=take, window=window).to_list())

    for window in (1, 2, 5):
        try:
            count = run(read(window))
        except KeyOrderError:
            continue
        assert count == len(rows.records)


class Typed(msgspec.Struct):
    number: int = msgspec.field(name="Id")
    code: str = msgspec.field(name="Code")
    price: float = msgspec.field(name="Price")


async def test_orders_that_cannot_be_gone_on_by(serve: Serve) -> None:
    """Order fields that the row type lacks, or that are not text or whole numbers, are refused before a request."""
    simulator, afas = await serve(connectors={"T": table(range(300))})
    typed = GetConnector("T", Typed, key="Id")
    with pytest.raises(UnknownFieldError):
        afas.rows(typed, order_by="Group")
    for order in ("Price", "-Price", ("Code", "Price")):
        with pytest.raises(UsageError):
            afas.rows(typed, order_by=order)
        with pytest.raises(UsageError):
            afas.pages(typed, order_by=order)
    assert simulator.counters.requests == 0
    assert len(await afas.rows(typed, order_by="Price", verify=False).to_list()) == 300
    await _both(afas, BY_NUMBER, UsageError, order_by="Price")


async def test_an_order_by_fields_that_are_empty(serve: Serve) -> None:
    """Rows with an empty order field are refused, as they would be lost."""
    rows = [{"Id": number, "Name": None if number % 10 == 0 else f"n{number % 40}"} for number in range(1, 1_000)]
    _, afas = await serve(connectors={"T": rows})
    await _both(afas, BY_NUMBER, UsageError, order_by="Name")
    where = F.Name.is_not_empty()
    assert len(await afas.rows(BY_NUMBER, order_by="-Name", where=where).to_list()) == 900


@pytest.mark.parametrize("take", [None, 50])
async def test_a_descending_order_by_fields_that_are_empty(take: int | None, serve: Serve) -> None:
    """The same holds where the empty rows come last."""
    rows = [{"Id": number, "Name": None if number % 10 == 0 else f"n{number % 40}"} for number in range(1, 1_000)]
    _, afas = await serve(connectors={"T": rows})
    await _both(afas, BY_NUMBER, UsageError, order_by="-Name", take=take)


@pytest.mark.parametrize("empty", [None, ""])
async def test_a_descending_key_that_is_empty(empty: Any, serve: Serve) -> None:
    """An empty key is noticed in whatever order it is read."""
    rows = [{"Id": (number if empty is None else f"n{number}") if number else empty} for number in range(1_000)]
    _, afas = await serve(connectors={"T": rows})
    await _both(afas, BY_NUMBER, NonUniqueKeyError, order_by="-Id")


async def test_no_key(serve: Serve) -> None:
    """A read without a key is an error that names the fields there are."""
    with pytest.raises(SortKeyRequiredError, match="ItemCode"):
        await (await serve(rows=3))[1].rows(GetConnector(ARTICLES.name)).to_list()


def test_rows_lack_the_key() -> None:
    """Rows without a field of the key are an error that names it, for dicts and raw rows."""

    class Lacking(Service):
        def select(self, query: Any) -> list[Record]:
            return [Record(row.key, row.values, row.ranks, b'{"Other":1}') for row in super().select(query)]

    async def read(row_type: Any, key: Any) -> None:
        made = Lacking(universe("int"), random.Random(1))  # noqa: S311
        made.table = set(made.universe.records)
        async with client_of(made) as afas:
            await afas.rows(GetConnector("X", row_type, key=key)).to_list()

    for row_type in (dict, msgspec.Raw):
        for key in ("Id", ("Id", "Line")):
            with pytest.raises(UnknownFieldError, match="'Id'"):
                run(read(row_type, key))


async def test_a_key_whose_attribute_is_a_keyword(serve: Serve) -> None:
    """A row type made from data may have a Python keyword as a name."""
    row_type = msgspec.defstruct("Row", [("class", int)], rename={"class": "Id"})
    _, afas = await serve(connectors={"T": table(range(50))})
    rows = await afas.rows(GetConnector("T", row_type, key="Id"), take=7).to_list()
    assert [getattr(row, "class") for row in rows] == [*range(50)]


def test_equal_undecoded_keys_where_pieces_meet() -> None:
    """The first row of a piece is compared with the last row of the piece before it."""
    reader = KeyReader(GetConnector("T", msgspec.Raw, key="Id"), Order(("Id",)))
    rows = [msgspec.Raw(b'{"Id": %d}' % number) for number in (5, 6, 7)]
    assert [*reader.read(rows, 4, 0)] == [5, 6, 7]
    with pytest.raises(NonUniqueKeyError):
        reader.read(rows, 5, 0)


async def test_equal_keys_of_undecoded_rows(serve: Serve) -> None:
    """A key that all rows of a piece share is noticed at the ends of the piece."""
    _, afas = await serve(connectors={"T": [{"Group": "a", "Id": number} for number in range(300)]})
    with pytest.raises(NonUniqueKeyError):
        await afas.rows(GetConnector("T", msgspec.Raw, key="Group")).to_list()


@pytest.mark.parametrize("odd", ["a\t", "a\x7f", "a\n", "a" * 2_000], ids=["tab", "delete", "newline", "long"])
async def test_keys_that_no_filter_can_hold(odd: str, serve: Serve) -> None:
    """The rows after the last key that can be sent are counted, and a cursor works after each of them."""
    codes = [f"0{number:03}" for number in range(50)] + [f"{odd}{number:04}" for number in range(60)]
    _, afas = await serve(connectors={"T": [{"Code": text} for text in codes]})
    connector = GetConnector("T", key="Code")
    assert [row["Code"] async for row in afas.rows(connector, take=20)] == codes
    for stop in (1, 40, 50, 51, 75, 109):
        async with afas.rows(connector, take=20) as rows:
            found = [(await anext(rows))["Code"] for _ in range(stop)]
            cursor = rows.cursor
        found += [row["Code"] async for row in afas.rows(connector, take=20, after=cursor)]
        assert found == codes


async def test_a_key_of_many_fields_beside_a_long_condition(serve: Serve) -> None:
    """Each request has the condition and a few tests: a key of four fields leaves room for eight."""
    rows = [{"A": n // 60, "B": f"b{n // 20 % 3}", "C": n % 20 // 5, "D": f"d{n % 5}", "V": n} for n in range(300)]
    simulator, afas = await serve(connectors={"T": rows})
    where = (F.V >= 0) & (F.V < 999) & (F.A >= 0) & (F.A < 99) & F.B.is_not_empty() & (F.D != "x") & (F.C > -1)
    where &= F.B.startswith("b")
    connector = GetConnector("T", key=("A", "B", "C", "D"))
    assert [row["V"] async for row in afas.rows(connector, where=where, take=7)] == list(range(300))
    assert not any("filterjson" in request.query for request in simulator.requests)
    parts = await afas.plan(connector, parts=3, where=where)
    found = [row["V"] for part in parts for row in await afas.rows(connector, part=part).to_list()]
    assert found == list(range(300))


async def test_field_ids_as_profit_makes_them(serve: Serve) -> None:
    """Ids with hyphens and accents sort, filter, and are keys, models and modified fields."""
    rows = [
        {"E-mail_werk": f"m{n:03}", "Naam_België": f"n{n % 7}", "Btw-nummer": n, "Gewijzigd-op": "2024-01-02T03:04:05Z"}
        for n in range(250)
    ]
    _, afas = await serve(connectors={"T": rows})
    connector = GetConnector("T", key="E-mail_werk")
    assert await afas.rows(connector).to_list() == rows
    found = await afas.rows(connector, where=F["Naam_België"] == "n3", order_by="-Btw-nummer").to_list()
    assert [row["Btw-nummer"] for row in found] == [n for n in range(249, -1, -1) if n % 7 == 3]
    assert len(await afas.changes(connector, modified="Gewijzigd-op").to_list()) == 250
    model = models.define(await afas.get_metainfo("T"), key="E-mail_werk")
    first = await afas.rows(GetConnector("T", model, key="E-mail_werk")).first()
    assert (first.e_mail_werk, first.btw_nummer) == ("m000", 0)


async def test_equal_keys_in_two_slices_of_an_answer(serve: Serve) -> None:
    """Even rows so long that each is decoded by itself are compared with the row before them."""
    rows = [{"Code": code, "Text": "x" * 70_000} for code in ("a", "b", "b", "c")]
    _, afas = await serve(connectors={"T": rows})
    with pytest.raises(NonUniqueKeyError, match="'b'"):
        await afas.rows("T", key="Code").to_list()
