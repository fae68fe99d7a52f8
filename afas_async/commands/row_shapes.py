"""The shapes of the values in rows, without any value."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

from afas_async.commands.key_check import candidates
from afas_async.simulator.own.recordings import RecordedField
from afas_async.vocabulary.collation import folded
from afas_async.vocabulary.metainfo import MetainfoField

_MOST_FIELDS: Final = 3  # of a key
_DIGITS: Final = re.compile("[0-9]+")
_MIDNIGHT: Final = "T00:00:00"


def shape(kind: str, values: Sequence[Any], today: date) -> RecordedField:
    """Return the shape of a field's values.

    Args:
        kind: The field's type in metainfo.
        values: Its value in each row; empty for a connector without rows. A value of another type counts as null, such
            as "(replaced)" for a number.
        today: The day of the recording.

    Example:
        >>> found = shape("string", ["A1", "a1", "B200", None], date(2026, 11, 30))
        >>> found.nulls, found.distinct, found.unique, found.lengths
        (0.25, 2, False, (2, 3, 4))
    """
    of_type = _TYPES.get(kind, str)
    given = [value for value in values if isinstance(value, of_type) and isinstance(value, bool) == (of_type is bool)]
    if not given:
        return RecordedField(nulls=1.0)
    different = len({folded(value) if isinstance(value, str) else value for value in given})
    found: dict[str, Any] = {}
    match kind:
        case "int" | "decimal":
            found = _numbers(given)
        case "boolean":
            found = {"trues": round(sum(given) / len(given), 2)}
        case "date":
            found = _dates(given, today)
        case _:
            lengths = [len(value) for value in given]
            found = {
                "lengths": (min(lengths), round(sum(lengths) / len(lengths)), max(lengths)),
                "numeric": all(_DIGITS.fullmatch(value) for value in given),
            }
    return RecordedField(
        nulls=round(1 - len(given) / len(values), 4), distinct=different, unique=different == len(given), **found
    )


def unique_fields(fields: Sequence[MetainfoField], rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return fields that could be the key: the fewest whose values differ in each row; empty if unknown."""
    if not rows:
        return ()
    found = (candidates(fields, rows, size) for size in range(1, _MOST_FIELDS + 1))
    return next((keys[0] for keys in found if keys), ())


_TYPES: Final[dict[str, Any]] = {"int": int, "decimal": (int, float, Decimal), "boolean": bool}


def _numbers(values: Sequence[Any]) -> dict[str, Any]:
    numbers = [Decimal(str(value)) for value in values]
    digits = [len(str(abs(int(number)))) for number in numbers]
    decimals = [-int(number.normalize().as_tuple().exponent) for number in numbers]
    return {
        "digits": (min(digits), max(digits)),
        "decimals": max(*decimals, 0),
        "negative": min(numbers) < 0,
    }


def _dates(values: Sequence[str], today: date) -> dict[str, Any]:
    """Return the shape of dates. Texts that do not begin with a year do not count."""
    years = [int(value[:4]) for value in values if value[:4].isdecimal()] or [today.year]
    return {
        "decades": (min(years) // 10 * 10, max(years) // 10 * 10),
        "times": any(_MIDNIGHT not in value for value in values),
        "past": max(values) <= f"{today}T23:59:59Z",
    }
