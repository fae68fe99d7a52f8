"""What the cells of a file mean: each as a value of its field, as metainfo describes that.

A file has texts where the service has numbers, dates and codes. What a text means is decided by the type of its field,
never by what it looks like: `000012` in a text field stays `000012`. What could mean two things is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias

from afas_async.vocabulary.collation import folded
from afas_async.vocabulary.metainfo import Code, UpdateField

# Returns the value that a cell means, for a cell that is not empty.
Reading: TypeAlias = Callable[[Any], Any]

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_WITH_COMMA: Final = re.compile(r"[+-]?[0-9][0-9.]*,[0-9]+")
_DUTCH_NUMBER: Final = re.compile(r"[+-]?(?:[1-9][0-9]{0,2}(?:\.[0-9]{3})+|[0-9]+)(?:,[0-9]+)?")
_DUTCH_MOMENT: Final = re.compile(
    r"([0-9]{1,2})([-/.])([0-9]{1,2})\2([0-9]{4})(?:[ T]([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?)?"
)
_DIGITS: Final = 20  # more than any whole number of Profit has
_BOOLEANS: Final = {
    **dict.fromkeys(("true", "1", "ja", "j", "yes", "y", "waar"), True),
    **dict.fromkeys(("false", "0", "nee", "n", "no", "onwaar"), False),
}


class ErrorCell:
    """What a sheet has where a formula failed, such as `#N/A`: no value of any field."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


class UnfitCellError(ValueError):
    """A cell that its field cannot be made of. The text does not hold the cell, which may be personal data."""


def reading_of(field: UpdateField, *, dutch: bool = False) -> Reading:
    """Return what reads the cells of a field.

    Args:
        field: The field.
        dutch: Whether numbers and dates are written as in Dutch: `1.234,56` and `31-01-2024`. Otherwise they are
            `1234.56` and `2024-01-31`; Dutch ones are refused, as `1.234` would mean another number.

    Returns:
        A function of a cell that is not empty, which raises UnfitCellError. Texts become what the type of the field
        says: a text, int, Decimal, bool, date or datetime; a code may be written by its id or its description.

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
        raise UnfitCellError("is the error of a formula in the file")
    return cell


def _text(cell: Any) -> Any:
    if isinstance(cell, (str, bytes)):
        return cell
    if isinstance(cell, (int, float, Decimal)) and not isinstance(cell, bool):
        raise UnfitCellError(
            "is a number in the file and a text in Profit: store the column as text, as a number has no leading zeros"
        )
    _anything(cell)
    raise UnfitCellError("is no text in the file: store the column as text")


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
            raise UnfitCellError(f"may be several codes, {' and '.join(sorted(meant))}: give one of them as it is")
        return next(iter(meant)) if meant else otherwise(cell)  # the check of the element knows what there is

    return read


def _plain_number(cell: Any) -> Decimal:
    if isinstance(cell, str):
        text = cell.strip()
        if _NUMBER.fullmatch(text):
            return Decimal(text)
        if _WITH_COMMA.fullmatch(text):
            raise UnfitCellError("has a comma: say --dutch if numbers are written as 1.234,56, or write 1234.56")
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
    raise UnfitCellError(f"is no number such as {example}")


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
            raise UnfitCellError("is a date as in Dutch: say --dutch for 31-01-2024, or write 2024-01-31") from None
        raise UnfitCellError("is no date such as 2024-01-31 or 2024-01-31T09:30:00") from None


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
        raise UnfitCellError("is no day of the calendar: the day comes first, as in 31-01-2024") from None
