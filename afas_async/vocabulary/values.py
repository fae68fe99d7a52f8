"""Convert values to the texts that a filter sends, and that the service reads as the same values.

Moments are wall time in Amsterdam, as in the rows. In the rows they end in a `Z`, although the time is not UTC. In a
filter the service does not recognise them with it (AFAS, GET connector: date and time), so a text that is such a moment
is sent without the `Z`. Decimals have a dot, and booleans are `true` and `false`.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from afas_async.errors import InvalidFilterError
from afas_async.vocabulary.arguments import type_name

# A bool is an int, and a datetime a date.
Value: TypeAlias = str | int | float | Decimal | date | Enum

# Control characters, and unpaired surrogates, which UTF-8 cannot encode.
_UNSENDABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_MOST_DIGITS: Final = 400  # a float has up to 309 digits before the dot, and 324 zeros and more after it
_PLAIN: Final = 10**18
_AMSTERDAM: Final = "Europe/Amsterdam"
_SHOWN: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_LENGTH: Final = len("2024-01-31T09:30:00Z")
MIDNIGHT: Final = "T00:00:00Z"  # the end of a date in a row


def value_text(value: object, field: str) -> str:
    """Return a value as the text that a filter sends.

    Args:
        value: A str, int, float, Decimal, bool, date, datetime, or an Enum member with such a value. A datetime without
            a time zone is wall time in Amsterdam, and any other datetime is converted to it. In the hour that October
            repeats, the service cannot distinguish the two. A str that is a moment from a row loses its `Z`.
        field: The id of the field, for errors.

    Raises:
        InvalidFilterError: If the service has no such value: None, an empty str, control characters, NaN, infinity,
            fractions of a second, or any other type.

    Example:
        >>> value_text(Decimal("1.50"), "Price"), value_text(True, "Blocked"), value_text(date(2024, 2, 29), "Date")
        ('1.50', 'true', '2024-02-29T00:00:00')
    """
    if type(value) is int and -_PLAIN < value < _PLAIN:
        return str(value)  # the fast path: every request of a read has such a value
    match value:
        case Enum():
            return value_text(value.value, field)
        case bool():
            return str(value).lower()
        case int() | Decimal():
            return _number(value, field)
        case float():
            return _number(value, field).removesuffix(".0")
        case datetime():
            return _moment(value, field)
        case date():
            return f"{value.isoformat()}T00:00:00"
        case str():
            return _text(value, field)
        case None:
            raise InvalidFilterError(f"{field}: no value is equal to None: use is_empty() or is_not_empty()")
        case _:
            raise InvalidFilterError(
                f"{field}: expected str, int, float, Decimal, bool, date or datetime, got {type_name(value)}"
            )


def digits(number: float | Decimal) -> str:
    """Return a number with all of its digits and no exponent.

    Raises:
        ValueError: If the number has no digits, or more than 400. The message describes the number.

    Example:
        >>> digits(Decimal("1.5E+3")), digits(0.1)
        ('1500', '0.1')
    """
    exact = Decimal(float.__repr__(number)) if isinstance(number, float) else Decimal(number)
    if not exact.is_finite():
        raise ValueError("infinity or NaN")
    # The digits of 1E+999999999 would fill the memory.
    if max(exact.adjusted(), -int(exact.as_tuple().exponent)) > _MOST_DIGITS:
        raise ValueError(f"a number of more than {_MOST_DIGITS} digits")
    return format(exact, "f")


def _number(number: float | Decimal, field: str) -> str:
    try:
        text = digits(number)
    except ValueError as error:
        raise InvalidFilterError(f"{field}: a filter cannot hold {error}") from None
    return text if number else text.removeprefix("-")


def _moment(moment: datetime, field: str) -> str:
    if moment.microsecond:
        raise InvalidFilterError(
            f"{field}: this datetime has a fraction of a second, which the service does not support:"
            " use value.replace(microsecond=0)"
        )
    return amsterdam(moment, field).isoformat(timespec="seconds")


def amsterdam(moment: datetime, field: str) -> datetime:
    """Return a moment as the service shows it: wall time in Amsterdam, without a time zone.

    Args:
        moment: The moment. Without a time zone it is already wall time in Amsterdam.
        field: The id of the field, for errors.

    Raises:
        InvalidFilterError: If the moment has no date in Amsterdam, or this computer has no time zone database.
    """
    if moment.utcoffset() is None:
        return moment.replace(tzinfo=None)
    try:
        return moment.astimezone(ZoneInfo(_AMSTERDAM)).replace(tzinfo=None)
    except ZoneInfoNotFoundError:
        raise InvalidFilterError(
            f"{field}: a datetime with a time zone is sent as the time in {_AMSTERDAM}, and this computer has no time"
            " zone database: install the package tzdata"
        ) from None
    except OverflowError:
        raise InvalidFilterError(f"{field}: this datetime has no date in {_AMSTERDAM}") from None


def is_moment(text: str) -> bool:
    """Whether a text is a moment in the form that rows have.

    Example:
        >>> is_moment("2024-01-31T09:30:00Z"), is_moment("2024-01-31")
        (True, False)
    """
    return len(text) == _LENGTH and text[-1] == "Z" and _SHOWN.fullmatch(text) is not None


def without_zone(text: str) -> str:
    """Return a text as a filter sends it: a moment from a row loses its `Z`.

    Example:
        >>> without_zone("2024-01-31T09:30:00Z"), without_zone("Zwolle Z")
        ('2024-01-31T09:30:00', 'Zwolle Z')
    """
    return text[:-1] if is_moment(text) else text


def _text(text: str, field: str) -> str:
    if not text:
        raise InvalidFilterError(f"{field}: an empty str is not a value: use is_empty() or is_not_empty()")
    if _UNSENDABLE.search(text):
        raise InvalidFilterError(
            f"{field}: a filter cannot hold a str with control characters or an unpaired surrogate"
        )
    return without_zone(text)
