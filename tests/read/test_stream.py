"""Rows: all of them, in key order, in every form a user can request."""

from __future__ import annotations

import zlib
from decimal import Decimal

import msgspec
import pytest

from afas_async import AfasClient, GetConnector
from afas_async.simulator import Simulator
from tests.support import canary
from tests.support.sample_connectors import ARTICLES, LINES, NAMES, TYPED_ARTICLES, codes, connector_of, truth


@pytest.mark.parametrize("name", NAMES)
async def test_struct_rows(afas: AfasClient, simulator: Simulator, name: str) -> None:
    """Every row of a connector arrives exactly once as the user's Struct, in key order."""
    connector = connector_of(simulator, name, msgspec.Struct)
    rows = [row async for row in afas.rows(connector)]
    assert all(type(row) is connector.row_type for row in rows)
    assert [msgspec.structs.asdict(row) for row in rows] == truth(simulator, name)


@pytest.mark.parametrize("name", NAMES)
async def test_dict_rows(afas: AfasClient, simulator: Simulator, name: str) -> None:
    """Every row of a connector arrives exactly once as a dict with all its fields, in key order."""
    rows = [row async for row in afas.rows(connector_of(simulator, name, dict))]
    assert all(type(row) is dict for row in rows)
    plain = [{field: float(v) if isinstance(v, Decimal) else v for field, v in row.items()} for row in rows]
    assert plain == truth(simulator, name)


@pytest.mark.parametrize("name", NAMES)
async def test_raw_rows(afas: AfasClient, simulator: Simulator, name: str) -> None:
    """Undecoded rows are, byte for byte, the rows of the service."""
    count = crc32 = 0
    async for row in afas.rows(connector_of(simulator, name, msgspec.Raw)):
        assert type(row) is msgspec.Raw
        count += 1
        crc32 = zlib.crc32(bytes(row) + b"\n", crc32)
    total = simulator.store.checksum(name)
    assert (count, crc32) == (total.rows, total.crc32)


async def test_raw_rows_outlive_the_stream(afas: AfasClient, simulator: Simulator) -> None:
    """Undecoded rows that you keep do not change when the stream continues."""
    rows = await afas.rows(connector_of(simulator, "Profit_Wide", msgspec.Raw)).to_list()
    assert zlib.crc32(b"".join(bytes(row) + b"\n" for row in rows)) == simulator.store.checksum("Profit_Wide").crc32


async def test_by_name(afas: AfasClient, simulator: Simulator) -> None:
    """A connector given by its name yields dict rows."""
    rows = [row async for row in afas.rows("Profit_Article", key="ItemCode")]
    assert [row["ItemCode"] for row in rows] == codes(simulator)


async def test_composite_key_order(afas: AfasClient, simulator: Simulator) -> None:
    """A key of several fields sorts by them in the order of the declaration."""
    keys = [(row["UnitId"], row["EntryNo"], row["LineNo"]) async for row in afas.rows(LINES)]
    assert keys == sorted(keys)
    assert len(set(keys)) == simulator.store.count("Profit_JournalLines")
    assert {request.query["orderbyfieldids"] for request in simulator.requests} == {"UnitId,EntryNo,LineNo"}


async def test_descending_order(afas: AfasClient, simulator: Simulator) -> None:
    """A read may run down its key."""
    rows = [row["ItemCode"] async for row in afas.rows(ARTICLES, order_by="-ItemCode")]
    assert rows == codes(simulator)[::-1]
    assert {request.query["orderbyfieldids"] for request in simulator.requests} == {"-ItemCode"}


async def test_order_gets_the_key_as_tie_breaker(afas: AfasClient, simulator: Simulator) -> None:
    """Rows of equal order come in key order, because the key is added to any other order."""
    rows = [(row.stock, row.code) async for row in afas.rows(TYPED_ARTICLES, order_by="-Stock", take=70)]
    assert rows == sorted(rows, key=lambda row: (-row[0], row[1]))
    assert sorted(code for _, code in rows) == codes(simulator)
    assert {request.query["orderbyfieldids"] for request in simulator.requests} == {"-Stock,ItemCode"}


async def test_order_by_part_of_the_key(afas: AfasClient, simulator: Simulator) -> None:
    """Only the key fields that the order lacks are added to it."""
    rows = [(row["EntryNo"], row["UnitId"], row["LineNo"]) async for row in afas.rows(LINES, order_by=["-EntryNo"])]
    assert rows == sorted(rows, key=lambda row: (-row[0], row[1], row[2]))
    assert {request.query["orderbyfieldids"] for request in simulator.requests} == {"-EntryNo,UnitId,LineNo"}


@pytest.mark.parametrize("gzip", [False, True])
async def test_encodings(*, gzip: bool) -> None:
    """Whether the service compresses its responses makes no difference to the rows."""
    async with (
        Simulator(rows=2_000, token=canary.TOKEN, gzip=gzip) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ):
        crc32 = 0
        async for row in afas.rows(connector_of(simulator, "Profit_Debtor", msgspec.Raw)):
            crc32 = zlib.crc32(bytes(row) + b"\n", crc32)
        assert crc32 == simulator.store.checksum("Profit_Debtor").crc32


async def test_unknown_fields_are_skipped(afas: AfasClient, simulator: Simulator) -> None:
    """A Struct holds only the fields that it names."""
    rows = await afas.rows(TYPED_ARTICLES).to_list()
    assert [(row.code, row.stock) for row in rows] == simulator.store.execute(
        "SELECT ItemCode, Stock FROM Profit_Article ORDER BY 1"
    )


async def test_rows_of_a_writable_struct(afas: AfasClient) -> None:
    """Each row is an object of its own."""

    class Mutable(msgspec.Struct):
        ItemCode: str

    first, second = await afas.rows(GetConnector("Profit_Article", Mutable, key="ItemCode")).to_list(), None
    first[0].ItemCode = second = "changed"
    assert [row.ItemCode for row in first].count(second) == 1
