"""The simulator's connectors with row types, and the truth about their rows."""

from __future__ import annotations

from typing import Any

import msgspec

from afas_async import GetConnector
from afas_async.simulator import Simulator

NAMES = (
    "Profit_Article",
    "Profit_Debtor",
    "Profit_Employees",
    "Profit_JournalLines",
    "Profit_Empty",
    "Profit_Wide",
)

_TYPES: dict[str, Any] = {"string": str, "int": int, "decimal": float, "boolean": bool, "date": str}


class Article(msgspec.Struct, frozen=True):
    """An article, without the fields that no test needs."""

    code: str = msgspec.field(name="ItemCode")
    stock: int = msgspec.field(name="Stock")


ARTICLES = GetConnector("Profit_Article", key="ItemCode")
TYPED_ARTICLES = GetConnector("Profit_Article", Article, key="ItemCode")
LINES = GetConnector("Profit_JournalLines", key=("UnitId", "EntryNo", "LineNo"))
WIDE = GetConnector("Profit_Wide", key="Id")
EMPTY = GetConnector("Profit_Empty", key="Id")
KEYLESS = GetConnector("Profit_Article")


def connector_of(simulator: Simulator, name: str, row_type: Any) -> GetConnector[Any]:
    """Return a sample connector with its key; `Struct` as row type stands for one with all its fields."""
    sample = simulator.store.connectors[name]
    if row_type is msgspec.Struct:
        row_type = msgspec.defstruct(name, [(field.id, _TYPES[field.type] | None) for field in sample.fields])
    return GetConnector(name, row_type, key=sample.key)


def truth(simulator: Simulator, name: str) -> list[dict[str, Any]]:
    """Return all rows of a connector in key order, straight from the tables."""
    sample = simulator.store.connectors[name]
    columns = ", ".join(f'"{field.id}"' for field in sample.fields)
    order = ", ".join(f'"{field}"' for field in sample.key)
    rows = simulator.store.execute(f'SELECT {columns} FROM "{name}" ORDER BY {order}')  # noqa: S608 - our own names
    return [
        {
            field.id: bool(value) if field.type == "boolean" else value
            for field, value in zip(sample.fields, row, strict=True)
        }
        for row in rows
    ]


def codes(simulator: Simulator) -> list[str]:
    """Return the keys of all articles, in order."""
    return [code for (code,) in simulator.store.execute("SELECT ItemCode FROM Profit_Article ORDER BY 1")]


def takes(simulator: Simulator) -> list[tuple[int, int]]:
    """Return skip and take of each request, in order of arrival."""
    return [(int(request.query["skip"]), int(request.query["take"])) for request in simulator.requests]


def spans(simulator: Simulator) -> list[tuple[int, int]]:
    """Return the first new row, and how many rows, each request of a read of articles asked for, in order of arrival.

    A row in common with the page before is left out.
    """
    numbers = {code: number for number, code in enumerate(codes(simulator))}
    found: list[tuple[int, int]] = []
    for request, (skip, take) in zip(simulator.requests, takes(simulator), strict=True):
        anchor = request.query.get("filtervalues")
        start = skip if anchor is None else numbers[anchor] + skip
        after = request.query.get("operatortypes") == "4"
        overlap = int(start > 0 or anchor is not None) - after
        found.append((start + overlap + after, take - overlap))
    return found
