"""Connectors of the tests' own, with keys of every kind, and their rows and requests."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec

from afas_async import GetConnector
from afas_async.simulator import Simulator


class Wide(msgspec.Struct):
    """Some fields of the simulator's large connector."""

    number: int = msgspec.field(name="Id")
    code: str = msgspec.field(name="Code")
    category: str = msgspec.field(name="Category")
    quantity: int = msgspec.field(name="Quantity")


WIDE = GetConnector("Profit_Wide", Wide, key="Id")
WIDE_DICT = GetConnector("Profit_Wide", key="Id")
WIDE_RAW = GetConnector("Profit_Wide", msgspec.Raw, key="Id")
ARTICLES = GetConnector("Profit_Article", key="ItemCode")
LINES = GetConnector("Profit_JournalLines", key=("UnitId", "EntryNo", "LineNo"))

BY_NUMBER = GetConnector("T", key="Id")
BY_CODE = GetConnector("T", key="Code")
BY_BOTH = GetConnector("T", key=("Part", "Code"))
KEYS = (BY_NUMBER, BY_CODE, BY_BOTH)


def code(number: int) -> str:
    """Return a text that sorts by the service as the number does, and by Python otherwise."""
    return f"{'kK'[number % 2]}{number:05}"


def table(numbers: range) -> list[dict[str, Any]]:
    """Return rows that every one of the connectors of `T` sorts in the same way."""
    return [row(number) for number in numbers]


def row(number: int) -> dict[str, Any]:
    return {"Id": number, "Code": code(number), "Part": number // 50, "Group": number % 7, "Price": number / 4}


def numbers(rows: list[Any]) -> list[int]:
    """Return the numbers of the rows."""
    return [found["Id"] for found in rows]


def longest_query(simulator: Simulator) -> int:
    """Return the length of the longest query string that came, at the least: some characters may have been escaped."""
    return max(len(urlencode(request.query, safe=':@,"{}[]')) for request in simulator.requests)
