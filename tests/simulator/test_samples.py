"""The sample rows."""

from __future__ import annotations

import json
import re
from contextlib import closing
from typing import Any

import pytest

from afas_async.simulator.samples.connectors import AWKWARD_TEXTS, SAMPLES
from afas_async.simulator.storage import filling
from afas_async.simulator.storage.store import Store

NAMES = [sample.connector.name for sample in SAMPLES]


def rows(store: Store, name: str) -> list[dict[str, Any]]:
    order = [(field, False) for field in store.connectors[name].key]
    return json.loads(b"[" + store.page(name, 0, -1, order).json + b"]")


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_bytes(name: str) -> None:
    """The same seed gives the same bytes, another seed other values."""
    with closing(Store(500, 7)) as one, closing(Store(500, 7)) as same, closing(Store(500, 8)) as other:
        assert one.checksum(name) == same.checksum(name)
        assert one.checksum(name).rows == other.checksum(name).rows
        assert not one.checksum(name).rows or one.checksum(name).crc32 != other.checksum(name).crc32


@pytest.mark.parametrize("seed", [0, -1, 2**70])
def test_any_seed(seed: int) -> None:
    """Every integer is a seed."""
    with closing(Store(100, seed)) as store:
        assert len({row["Price"] for row in rows(store, "Profit_Wide")}) > 90


@pytest.mark.parametrize(
    ("size", "counts"),
    [
        (0, [*[0] * 9, 900, 0, 0, 8, 0]),
        (3000, [3000, 2000, 500, 1500, 0, 3000, 200, 40, 375, 900, 300, 300, 8, 0]),
        (7, [7, 7, 7, 3, 0, 7, 7, 7, 1, 900, 7, 7, 8, 0]),
    ],
)
def test_sizes(size: int, counts: list[int]) -> None:
    """The large connectors have the requested number of rows, the others a known part of it."""
    with closing(Store(size, 1)) as store:
        assert [store.count(name) for name in NAMES] == counts


@pytest.mark.parametrize("name", NAMES)
def test_rows_have_the_types_of_metainfo(name: str) -> None:
    """Each row has every field in order, each value the JSON type of its data type, and no key twice."""
    connector = next(sample.connector for sample in SAMPLES if sample.connector.name == name)
    types = {"string": str, "blob": str, "date": str, "int": int, "decimal": float, "boolean": bool}
    with closing(Store(400, 3)) as store:
        found = rows(store, name)
    for row in found:
        assert list(row) == [field.id for field in connector.fields]
        for field in connector.fields:
            value = row[field.id]
            if value is None:
                assert field.id not in connector.key
                continue
            assert type(value) is types[field.type]
            if field.type == "string":
                assert len(value) <= field.length
            if field.type == "date":
                assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value)
            if field.type == "decimal":
                assert value == round(value, field.decimals)
    assert len({tuple(row[field] for field in connector.key) for row in found}) == len(found)


def test_awkward_text_survives() -> None:
    """Text that looks like JSON, or like no text at all, comes through byte for byte."""
    with closing(Store(200, 1)) as store:
        names = [row["DebtorName"] for row in rows(store, "Profit_Debtor")]
    assert tuple(names[: len(AWKWARD_TEXTS)]) == AWKWARD_TEXTS
    assert all(
        re.fullmatch(re.escape(AWKWARD_TEXTS[n % len(AWKWARD_TEXTS)]) + r" \d+", names[n]) for n in range(24, 200)
    )


def test_particular_fields() -> None:
    """Codes keep their leading zeros, birth dates have no time, keys have gaps, and empty and negative values occur."""
    with closing(Store(1000, 1)) as store:
        articles = rows(store, "Profit_Article")
        wide = rows(store, "Profit_Wide")
        employees = rows(store, "Profit_Employees")
        lines = rows(store, "Profit_JournalLines")
    assert articles[0]["ItemCode"] == "000001"
    assert {True, False} == {row["Blocked"] for row in articles}
    assert any(row["Price"] is None for row in articles)
    assert any((row["Price"] or 0) < 0 for row in articles)
    assert all(row["BirthDate"].endswith("T00:00:00Z") for row in employees)
    assert all(row["FTE"] in {step / 40 for step in range(1, 41)} for row in employees)
    assert all((row["Debit"] is None) != (row["Credit"] is None) for row in lines)
    assert (len(wide[0]), wide[0]["Id"], wide[1]["Id"]) == (20, 1, 4)
    assert 400 < len(json.dumps(wide, separators=(",", ":"))) / len(wide) < 500


@pytest.mark.parametrize("size", [1, 9, 400, 401])
def test_entries_and_accounts_of_lines(size: int) -> None:
    """Each journal line has its entry and its account, each entry has lines, and each person has an address."""
    with closing(Store(size, 1)) as store:
        lines, entries, accounts, persons, addresses = (
            rows(store, f"Profit_{name}")
            for name in ("JournalLines", "JournalEntries", "Accounts", "Persons", "Addresses")
        )
    assert {(x["UnitId"], x["EntryNo"]) for x in lines} == {(x["UnitId"], x["EntryNo"]) for x in entries}
    assert {x["Account"] for x in lines} <= {x["Account"] for x in accounts}
    assert [x["PersonId"] for x in persons] == [x["PersonId"] for x in addresses]


def test_only_what_is_used_is_made() -> None:
    """A connector that nobody reads costs nothing."""
    with closing(Store(10**12, 1)) as store:
        assert store.count("Profit_Employees") == 500


def test_pieces_make_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows of a sample do not depend on how many of them are made in one go, and a piece is small."""
    with closing(Store(10_000, 3)) as store:
        pieces = 0
        while store.fill_piece("Profit_Wide"):
            pieces += 1
            assert store.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'") == [(1,)]
        assert pieces >= 10_000 // 250 - 1
        in_pieces = store.checksum("Profit_Wide")
    assert in_pieces.rows == 10_000
    monkeypatch.setattr(filling, "_PIECE_ROWS", 10**9)
    with closing(Store(10_000, 3)) as store:
        assert not store.fill_piece("Profit_Wide")
        assert store.checksum("Profit_Wide") == in_pieces
