"""Converts the values of a write to those in the tables.

You may send a value as a text or as a JSON value. A value that its column cannot hold is refused, never cut or rounded.
A moment may have the `Z` of a row, which is as false here. AFAS's own examples have a comma in decimals, booleans in
texts of one or two characters, and a time without a day.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from afas_async.simulator.samples.connectors import Field
from afas_async.simulator.storage.store import Value

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_COMMA: Final = re.compile(r"[+-]?[0-9]+,[0-9]+")
_BOOLEANS: Final = {"true": 1, "1": 1, "false": 0, "0": 0}
_MOMENT: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)Z?)?")
_TIME: Final = re.compile(r"[0-9]{2}:[0-9]{2}(?::[0-9]{2})?")
# The day of a time without one. AFAS does not say which day it shows; SQL Server takes this one.
_NO_DAY: Final = "1900-01-01"
_MOST_ZEROS: Final = 100
_DAY_LENGTH: Final = 10


def stored(column: Field, value: Any) -> Value:
    """Convert a value to the one in the table. Null and the empty text clear the field.

    Raises:
        ValueError: The column cannot hold the value.
    """
    match value:
        case None | "":
            return None
        case bool():
            text = str(value).lower()
            if column.type == "string" and len(text) > column.length:
                text = str(int(value))
        case str() | int():
            text = str(value)
        case Decimal():
            text = format(value, "f") if abs(value.adjusted()) < _MOST_ZEROS else str(value)
        case _:
            raise ValueError(column.id)
    match column.type:
        case "string" | "blob":
            return _string(column, text)
        case "boolean":
            return _boolean(text.strip().lower())
        case "date":
            return _moment(column, text.strip())
        case "int":
            return int(_number(column, text.strip()))
        case "decimal":
            return float(_number(column, text.strip()))


def stored_digits(column: Field, value: Any) -> str | None:
    """Convert a value of an exact decimal to the text with its digits, which is stored beside the number.

    Raises:
        ValueError: The column cannot hold the value.
    """
    return None if value in {None, ""} else format(_number(column, str(value).strip()), "f")


def _string(column: Field, text: str) -> str:
    # SQLite compares keys only up to a null character.
    if len(text) > column.length or "\0" in text:
        raise ValueError(text)
    return text


def _boolean(text: str) -> int:
    if text not in _BOOLEANS:
        raise ValueError(text)
    return _BOOLEANS[text]


def _number(column: Field, text: str) -> Decimal:
    if column.type == "decimal" and _COMMA.fullmatch(text):
        text = text.replace(",", ".")
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    number = Decimal(text)
    if number.adjusted() >= column.length - column.decimals or round(number, column.decimals) != number:
        raise ValueError(text)
    return number


def _moment(column: Field, text: str) -> str:
    if _TIME.fullmatch(text) and column.length > _DAY_LENGTH:
        text = f"{_NO_DAY}T{text}"
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError(text)
    moment = datetime.fromisoformat(f"{found[1]}T{found[2] or '00:00'}")
    if column.length == _DAY_LENGTH:
        moment = moment.replace(hour=0, minute=0, second=0)
    return f"{moment.isoformat()}Z"
