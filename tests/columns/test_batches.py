"""A read as batches: complete, in order, bounded, and you can leave it as any other stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from typing import Any

import anyio
import msgspec
import pyarrow as pa
import pytest

from afas_async import (
    AfasClient,
    AnswerError,
    ApiError,
    F,
    GetConnector,
    NonUniqueKeyError,
    RowError,
    SchemaDriftError,
    SchemaDriftWarning,
    SortKeyRequiredError,
    UnknownFieldError,
    UsageError,
    columns,
)
from afas_async.simulator import Simulator
from tests.support import canary
from tests.support.column_server import field, served
from tests.support.sample_connectors import ARTICLES, KEYLESS, LINES, NAMES, WIDE, connector_of, truth

MONEY = field("Price", "decimal", decimals=2)


def exact(kind: pa.DataType, value: Any) -> Any:
    """Return a value of a sample's table as its column has it."""
    if value is not None and pa.types.is_decimal(kind):
        return round(Decimal(repr(value)), kind.scale)
    if value is not None and pa.types.is_timestamp(kind):
        return pa.scalar(value.removesuffix("Z")).cast(kind).as_py()
    return value


async def test_a_part_brings_its_key(afas: AfasClient) -> None:
    """A part brings its key for a connector given by name, as in `AfasClient.rows`."""
    parts = await afas.plan("Profit_Wide", key="Id", parts=3)
    tables = [await columns.to_table(afas, "Profit_Wide", part=part) for part in parts]
    assert pa.concat_tables(tables).equals(await columns.to_table(afas, "Profit_Wide", key="Id"))


async def test_no_columns_are_a_mistake(afas: AfasClient) -> None:
    """Batches without columns would have no rows."""
    with pytest.raises(UsageError, match="select: expected at least one field id, got an empty list"):
        await columns.to_table(afas, "Profit_Wide", key="Id", select=[])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("small_groups")
async def test_all_rows_come_value_by_value(name: str, simulator: Simulator, afas: AfasClient) -> None:
    """In key order, over several batches, with the schema that was announced."""
    async with columns.batches(afas, connector_of(simulator, name, dict)) as stream:
        schema = stream.schema
        batches = [batch async for batch in stream]
        assert stream.progress.rows == sum(batch.num_rows for batch in batches)
    assert all(batch.schema.equals(schema, check_metadata=True) for batch in batches)
    rows = [row for batch in batches for row in batch.to_pylist()]
    meant = [
        {key: exact(schema.field(key).type, value) for key, value in row.items()} for row in truth(simulator, name)
    ]
    assert rows == meant
    assert name in {"Profit_Employees", "Profit_Empty", "Profit_Article"} or len(batches) > 1


@pytest.mark.usefixtures("small_groups")
async def test_a_read_goes_on_after_any_batch(afas: AfasClient) -> None:
    """The cursor belongs to the returned batches, not to the rows that were read ahead."""
    async with columns.batches(afas, WIDE) as stream:
        start = stream.cursor
        first = await anext(stream)
        second = await anext(stream)
        cursor = stream.cursor
        assert stream.progress.rows == first.num_rows + second.num_rows
    rest = await columns.to_table(afas, WIDE, after=cursor)
    assert first.num_rows + second.num_rows + rest.num_rows == 1_300
    assert rest.column("Id")[0].as_py() == second.column("Id")[-1].as_py() + 3
    assert (await columns.to_table(afas, WIDE, after=start)).num_rows == 1_300


async def test_options_of_rows_work(afas: AfasClient) -> None:
    found = await columns.to_table(afas, WIDE, where=F.Quantity >= 500, order_by="-Quantity", take=100)
    meant = [row async for row in afas.rows(WIDE, where=F.Quantity >= 500, order_by="-Quantity")]
    assert found.column("Id").to_pylist() == [row["Id"] for row in meant]
    parts = await afas.plan(WIDE, parts=3)
    counts = [(await columns.to_table(afas, WIDE, part=part)).num_rows for part in parts]
    assert sum(counts) == 1_300
    assert (await columns.to_table(afas, KEYLESS, verify=False)).num_rows == 1_300


async def test_select_gives_columns_in_its_order_and_checks_keys_that_it_leaves_out(afas: AfasClient) -> None:
    table = await columns.to_table(afas, LINES, select=["Debit", "EntryDate"], types={"EntryDate": pa.date32()})
    assert table.schema.names == ["Debit", "EntryDate"]
    assert isinstance(table.column("EntryDate")[0].as_py(), date)
    async with own({"Code": code} for code in "abbc") as other:
        with pytest.raises(NonUniqueKeyError, match="Code"):
            await columns.to_table(other, "T", key="Code", select=["Id"])


async def test_changes_come_as_batches(afas: AfasClient) -> None:
    async with columns.changes(afas, WIDE, modified="ModifiedOn") as stream:
        with pytest.raises(UsageError, match="no watermark yet: read all batches first"):
            _ = stream.watermark
        rows = sum([batch.num_rows async for batch in stream])
        watermark = stream.watermark
    again = columns.changes(afas, WIDE, modified="ModifiedOn", since=watermark)
    assert rows == 1_300
    assert 0 < sum([batch.num_rows async for batch in again]) < 100
    with pytest.raises(UsageError, match=r"only columns\.changes"):
        _ = columns.batches(afas, WIDE).watermark


# --- keys ---


@asynccontextmanager
async def own(rows: Iterable[dict[str, Any]]) -> AsyncIterator[AfasClient]:
    """A service with some rows, which have an `Id` beside the given members."""
    table = [{"Id": number, **row} for number, row in enumerate(rows)]
    async with (
        Simulator(connectors={"T": table}, token=canary.TOKEN) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ):
        yield afas


@pytest.mark.usefixtures("small_groups")
@pytest.mark.parametrize("place", [1, 50, 98, 99, 100, 101, 137, 399])
async def test_a_doubled_key_is_found_wherever_it_stands(place: int) -> None:
    """A doubled key is found where pages and batches meet, and where the read itself does not check undecoded rows."""
    codes = [f"{number:0140}" for number in range(400)]
    codes[place] = codes[place - 1]
    async with own({"Code": code} for code in codes) as afas:
        with pytest.raises(NonUniqueKeyError, match="Code"):
            await columns.to_table(afas, "T", key="Code")


async def test_an_empty_key_is_found() -> None:
    async with own({"Code": code} for code in ("a", "", "c")) as afas:
        with pytest.raises(NonUniqueKeyError, match="Code, a field of the key, is empty"):
            await columns.to_table(afas, "T", key="Code")


async def test_a_key_of_several_fields_may_repeat_each_of_them(afas: AfasClient) -> None:
    assert (await columns.to_table(afas, LINES)).num_rows == 650
    rows = [(1, 1), (1, 2), (2, 1), (2, 2), (2, 2), (2, 3)]
    async with own({"A": one, "B": other} for one, other in rows) as other:
        with pytest.raises(NonUniqueKeyError, match="rows 3 and 4 of the read have the same key, A 2, B 2"):
            await columns.to_table(other, "T", key=("A", "B"))


async def test_in_another_order_the_rows_of_a_batch_are_compared_with_each_other() -> None:
    async with own({"Code": code, "Rank": rank} for rank, code in enumerate("abac")) as afas:
        with pytest.raises(NonUniqueKeyError, match="two rows have the same key, Code 'a'"):
            await columns.to_table(afas, "T", key="Code", order_by="Rank")


# --- the schema ---


class Priced(msgspec.Struct):
    """Fewer fields than the connector has, in another order."""

    Price: Decimal | None
    Id: int
    Since: date | None
    Rate: float
    Text: str
    Flag: bool


FIELDS = (MONEY, field("Since", "date"), field("Rate", "decimal", decimals_field="Places"), field("Text", "string"))
ROW = b'"Price":1.50,"Since":"2024-01-31T00:00:00Z","Rate":0.1234567891,"Text":"a","Flag":true,"More":1'


async def test_a_struct_selects_its_fields_and_stands_in_for_metainfo() -> None:
    """The types are those of metainfo, or those of the Struct where metainfo is not permitted."""
    connector = GetConnector("T", Priced, key="Id")
    async with served([ROW], *FIELDS, field("Flag", "boolean"), field("More", "int")) as afas:
        table = await columns.to_table(afas, connector)
    assert table.schema.names == ["Price", "Id", "Since", "Rate", "Text", "Flag"]
    assert table.schema.types[:4] == [pa.decimal128(18, 2), pa.int64(), pa.timestamp("s"), pa.decimal128(25, 10)]
    assert table.schema.field("Price").metadata[b"afas.label"] == b"Label of Price"
    assert not table.schema.field("Id").nullable
    async with served([ROW], refused=True) as afas:
        table = await columns.to_table(afas, connector)
        with pytest.raises(ApiError):
            await columns.to_table(afas, "T", key="Id")
    assert table.schema.types[:4] == [pa.decimal128(38, 10), pa.int64(), pa.date32(), pa.float64()]
    assert table.to_pylist()[0]["Price"] == Decimal("1.5")


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"select": ["Prise"]}, UnknownFieldError, "select: there is no field 'Prise': did you mean Price"),
        ({"types": {"Zzz": pa.int64()}}, UnknownFieldError, "types: there is no field 'Zzz': it has Id, Price"),
        ({"key": "Ids"}, UnknownFieldError, "key: there is no field 'Ids': did you mean Id"),
        ({"select": "Price"}, UsageError, "select: expected field ids"),
        ({"select": [1]}, UsageError, "select: expected field ids, got int"),
        ({"types": {"Price": int}}, UsageError, "types: Price: expected the Arrow type"),
        ({"types": {"Price": pa.list_(pa.int64())}}, UsageError, "got list<item: int64>"),
        ({"types": {"Price": pa.decimal256(40, 2)}}, UsageError, "got decimal256"),
        ({"types": {"Price": pa.timestamp("s", "UTC")}}, UsageError, "moments are wall time in Amsterdam"),
        ({"types": [1]}, UsageError, "types: expected a mapping"),
    ],
)
async def test_a_mistake_is_explained(options: dict[str, Any], kind: type[Exception], text: str) -> None:
    async with served([b'"Price":1'], MONEY) as afas:
        with pytest.raises(kind, match=text):
            await columns.to_table(afas, "T", **{"key": "Id", **options})


async def test_misuse_is_explained(afas: AfasClient) -> None:
    with pytest.raises(UsageError, match="afas: expected an AfasClient"):
        columns.batches("12345", WIDE)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="key"):
        columns.batches(afas, WIDE, key="Id")
    stream = columns.batches(afas, WIDE)
    with pytest.raises(UsageError, match="no schema yet: read it within `async with"):
        _ = stream.schema
    await stream.aclose()
    with pytest.raises(UsageError, match="the stream is closed"):
        await anext(stream)
    keyless = columns.batches(afas, KEYLESS, verify=False)
    await anext(keyless)
    with pytest.raises(UsageError, match="a read without a key"):
        _ = keyless.cursor
    with pytest.raises(SortKeyRequiredError):
        await columns.to_table(afas, KEYLESS)


async def test_two_tasks_do_not_share_a_stream(afas: AfasClient) -> None:
    async with columns.batches(afas, WIDE) as stream:
        found = await asyncio.gather(anext(stream), anext(stream), return_exceptions=True)
    assert [type(one) for one in found] == [pa.RecordBatch, UsageError]


# --- drift ---


async def test_a_column_that_no_row_has_and_a_field_that_is_no_column_are_drift() -> None:
    """Both follow `drift=`: one warning, or an error. A null value is not drift."""
    rows = [b'"Note":null,"Kosten":5', b'"Note":null,"Kosten":6']
    async with served(rows, MONEY, field("Note", "string")) as afas:
        with pytest.warns(SchemaDriftWarning, match="metainfo declares 'Price', which no row has .*'Kosten'") as caught:
            table = await columns.to_table(afas, "T", key="Id")
        await columns.to_table(afas, "T", key="Id")
        assert len(caught) == 1
        assert caught[0].filename == __file__
    assert table.column("Price").null_count == 2
    async with served([b'"Price":1,"Extra":2'], MONEY) as afas:
        with pytest.warns(SchemaDriftWarning, match="rows have 'Extra', which metainfo does not list"):
            await columns.to_table(afas, "T", key="Id")
    async with served([b'"Price":1,"Extra":2'], MONEY, drift="error") as afas:
        with pytest.raises(SchemaDriftError, match="Extra"):
            await columns.to_table(afas, "T", key="Id")
        assert (await columns.to_table(afas, "T", key="Id", select=["Price"])).num_rows == 1


# --- errors, and leaving ---


@pytest.mark.usefixtures("small_groups")
async def test_rows_before_an_error_are_returned_first() -> None:
    """A read can continue from the cursor after them."""
    good = [b'"Price":%d' % number for number in range(2_500)]
    bad = b'{"skip":0,"take":1,"rows":[{"Id":7,"Price":}]}'
    async with served(good, MONEY, broken={1_100: (200, bad), 1_099: (200, bad)}) as afas:
        stream = columns.batches(afas, "T", key="Id")
        seen = 0
        with pytest.raises(AnswerError):  # noqa: PT012 - rows come before it
            async for batch in stream:
                seen += batch.num_rows
        assert 0 < seen < 2_500
        rest = await columns.to_table(afas, "T", key="Id", after=stream.cursor)
        assert seen + rest.num_rows == 2_500
        with pytest.raises(UsageError, match="has ended with an error"):
            await anext(stream)


@pytest.mark.usefixtures("small_groups")
async def test_a_value_that_does_not_fit_is_found_in_its_batch() -> None:
    rows = [b'"Price":%d' % number for number in range(2_500)]
    rows[2_000] = b'"Price":"free"'
    async with served(rows, MONEY) as afas:
        with pytest.raises(RowError, match=r'T: row 2000 of the read: Price is "free".*pa.string\(\)') as caught:
            await columns.to_table(afas, "T", key="Id")
        assert caught.value.index == 2_000
        assert (await columns.to_table(afas, "T", key="Id", select=["Id"])).num_rows == 2_500


async def test_bare_decimals_of_profit_6_are_read() -> None:
    async with served([b'"Price":.5', b'"Price":-.25'], MONEY) as afas:
        table = await columns.to_table(afas, "T", key="Id")
    assert table.column("Price").to_pylist() == [Decimal("0.50"), Decimal("-0.25")]


@pytest.mark.usefixtures("small_groups")
async def test_a_cancelled_pull_loses_no_row(afas: AfasClient) -> None:
    """A pull loses no row, however often it is cancelled and wherever it waits."""
    numbers: list[int] = []
    cancelled = 0
    async with columns.batches(afas, WIDE) as stream:
        for turn in range(100_000):
            pull = asyncio.ensure_future(anext(stream))
            for _ in range(turn % 29):
                await asyncio.sleep(0)
            pull.cancel()
            try:
                numbers += (await pull).column("Id").to_pylist()
            except asyncio.CancelledError:
                cancelled += 1
            except StopAsyncIteration:
                break
            if turn % 29 == 0:
                await asyncio.sleep(0.001)
    assert numbers == [3 * number + 1 for number in range(1_300)]
    assert cancelled > 10


@pytest.mark.usefixtures("small_groups")
async def test_leaving_leaves_nothing(afas: AfasClient) -> None:
    """After a break, a cancellation or a forgotten stream, nothing keeps running."""
    async with columns.batches(afas, WIDE) as stream:
        async for _ in stream:
            break
    with anyio.move_on_after(0.001):
        await columns.to_table(afas, WIDE)
    forgotten = columns.batches(afas, WIDE)
    await anext(forgotten)
    del forgotten
    for _ in range(100):
        await asyncio.sleep(0)
    assert afas.statistics().in_flight == 0


async def test_a_closed_client_is_named(simulator: Simulator) -> None:
    afas = AfasClient(base_url=simulator.base_url, auth=canary.TOKEN)
    with pytest.raises(UsageError, match="open"):
        await columns.to_table(afas, ARTICLES)
