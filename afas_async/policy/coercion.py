"""Turns the cells of a file into values for the fields of a connector, as metainfo describes them.

A file has texts where the service has numbers, dates and codes. The type of the field decides what a text means, never
its look: `000012` in a text field stays `000012`. A cell with two possible meanings is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias

from afas_async.vocabulary.collation import folded
from afas_async.vocabulary.metainfo import Code, UpdateField

# Returns the value of a cell that is not empty.
Reading: TypeAlias = Callable[[Any], Any]

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_WITH_COMMA: Final = re.compile(r"[+-]?[0-9][0-9.]*,[0-9]+")
_DUTCH_NUMBER: Final = re.compile(r"[+-]?(?:[1-9][0-9]{0,2}(?:\.[0-9]{3})+|[0-9]+)(?:,[0-9]+)?")
_DUTCH_MOMENT: Final = re.compile(
    r"([0-9]{1,2})([-/.])([0-9]{1,2})\2([0-9]{4})(?:[ T]([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?)?"
)
_DIGITS: Final = 20  # longer than any whole number in Profit
_BOOLEANS: Final = {
    **dict.fromkeys(("true", "1", "ja", "j", "yes", "y", "waar"), True),
    **dict.fromkeys(("false", "0", "nee", "n", "no", "onwaar"), False),
}


class ErrorCell:
    """The content of a cell whose formula failed, such as `#N/A`. It fits no field."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


class UnfitCellError(ValueError):
    """A cell does not fit its field. The message does not hold the cell, which may be personal data."""


def reading_of(field: UpdateField, *, dutch: bool = False) -> Reading:
    """Return the function that reads the cells of a field.

    Args:
        field: The field.
        dutch: Whether your file has Dutch numbers and dates: `1.234,56` and `31-01-2024`. Otherwise write `1234.56` and
            `2024-01-31`; Dutch ones are refused then, as `1.234` would mean another number.

    Returns:
        A function of a cell that is not empty. It raises UnfitCellError. A text becomes a str, int, Decimal, bool, date
        or datetime, by the type of the field. You can write a code by its id or its description.

    Example:
        >>> price = reading_of(UpdateField(id="SaPr", data_type="decimal"), dutch=True)
        >>> number = reading_of(UpdateField(id="ItCd", data_type="string"), dutch=True)
        >>> price("1.234,56"), number("000012")
        (Decimal('1234.56'), '000012')
    """
    match field.data_type:
        case "string" | "int" | "decimal" if field.values:
            return _coded(field.values, _text if field.data_type == "string" else _anything)
        case "string" | "blob":
            return _text
        case "int":
            return _whole(_dutch_number if dutch else _plain_number)
        case "decimal":
            return _dutch_number if dutch else _plain_number
        case "boolean":
            return _boolean
        case "date":
            return _dutch_moment if dutch else _moment
        case _:
            return _anything


def _anything(cell: Any) -> Any:
    if isinstance(cell, ErrorCell):
        raise UnfitCellError("is a formula error in the file: correct the formula")
    return cell


def _text(cell: Any) -> Any:
    if isinstance(cell, (str, bytes)):
        return cell
    if isinstance(cell, (int, float, Decimal)) and not isinstance(cell, bool):
        raise UnfitCellError(
            "is a number in the file, but a text in Profit: store the column as text, as numbers have no leading zeros"
        )
    _anything(cell)
    raise UnfitCellError("is not a text in the file: store the column as text")


def _coded(codes: list[Code], otherwise: Reading) -> Reading:
    exact = {code.id for code in codes}
    ids: dict[str, set[str]] = {}
    descriptions: dict[str, set[str]] = {}
    for code in codes:
        ids.setdefault(folded(code.id), set()).add(code.id)
        descriptions.setdefault(folded(code.description), set()).add(code.id)

    def read(cell: Any) -> Any:
        if isinstance(cell, (bool, float)):
            return otherwise(cell)
        text = str(cell).strip()
        if text in exact:
            return text
        text = folded(text)
        meant = ids.get(text) or descriptions.get(text, set())
        if len(meant) > 1:
            raise UnfitCellError(f"matches several codes, {' and '.join(sorted(meant))}: write one of them exactly")
        return next(iter(meant)) if meant else otherwise(cell)  # the check of the element refuses unknown codes

    return read


def _plain_number(cell: Any) -> Decimal:
    if isinstance(cell, str):
        text = cell.strip()
        if _NUMBER.fullmatch(text):
            return Decimal(text)
        if _WITH_COMMA.fullmatch(text):
            raise UnfitCellError("has a comma: use --dutch if numbers look like 1.234,56, or write 1234.56")
    return _native_number(cell, "1234.56")


def _dutch_number(cell: Any) -> Decimal:
    if isinstance(cell, str):
        text = cell.strip()
        if _DUTCH_NUMBER.fullmatch(text):
            return Decimal(text.replace(".", "").replace(",", "."))
    return _native_number(cell, "1.234,56")


def _native_number(cell: Any, example: str) -> Decimal:
    if isinstance(cell, float):
        return Decimal(repr(cell))
    if isinstance(cell, (int, Decimal)) and not isinstance(cell, bool):
        return Decimal(cell)
    raise UnfitCellError(f"is not a number such as {example}")


def _whole(read: Reading) -> Reading:
    def whole(cell: Any) -> int:
        if isinstance(cell, str) and len(cell) < _DIGITS and cell.isascii() and cell.isdigit():
            return int(cell)
        number = read(cell)
        if number.is_finite() and number.adjusted() >= _DIGITS:
            raise UnfitCellError("is too large for a whole number")
        if not number.is_finite() or number != number.to_integral_value():
            raise UnfitCellError("must be a whole number")
        return int(number)

    return whole


def _boolean(cell: Any) -> bool:
    known = _BOOLEANS.get(str(cell).strip().lower())
    if known is None:
        raise UnfitCellError("is neither yes nor no: write ja or nee, true or false, 1 or 0")
    return known


def _moment(cell: Any) -> Any:
    if isinstance(cell, date):
        return cell
    text = str(cell).strip()
    try:
        return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        if _DUTCH_MOMENT.fullmatch(text):
            raise UnfitCellError("is a Dutch date: use --dutch for 31-01-2024, or write 2024-01-31") from None
        raise UnfitCellError("is not a date such as 2024-01-31 or 2024-01-31T09:30:00") from None


def _dutch_moment(cell: Any) -> Any:
    found = _DUTCH_MOMENT.fullmatch(cell.strip()) if isinstance(cell, str) else None
    if found is None:
        return _moment(cell)
    day, _, month, year, hour, minute, second = found.groups()
    try:
        if hour is None:
            return date(int(year), int(month), int(day))
        return datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0))  # noqa: DTZ001 - wall time
    except ValueError:
        raise UnfitCellError("is not a day of the calendar: the day comes first, as in 31-01-2024") from None
