"""Whether a value fits its field, as metainfo describes it.

AFAS's own examples write nearly every value as a text. So a text counts as the number, boolean or date that it spells
(AFAS, OpenAPI specification: examples). When in doubt, a value is accepted: a wrongly accepted value costs one rejected
element, and a wrongly refused one could never be sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from itertools import takewhile
from typing import Any, Final, TypeAlias

import msgspec

from afas_async.vocabulary.collation import folded
from afas_async.vocabulary.metainfo import Code, UpdateField
from afas_async.vocabulary.values import digits

# Returns the fault of a value and what to do, as "message: suggestion"; None if it fits. The text never has the value,
# which may be personal data.
Judge: TypeAlias = Callable[[Any], str | None]

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_COMMA: Final = re.compile(r"[+-]?[0-9]+,[0-9]+")  # AFAS's own examples have it in decimals
_PLAIN_NUMBER: Final = re.compile(r"[+-]?([0-9]+)(?:\.([0-9]*))?")  # nearly all are like this, and need no arithmetic
_BOOLEANS: Final = frozenset({"true", "false", "1", "0", 1, 0})  # True and Decimal(1) are equal to 1
_CODES_SHOWN: Final = 12
_NONE: Final = (
    'None is ambiguous: leave the field out to keep it as it is, give "" to clear it, or make the connector with'
    " allow_none=True to send a null"
)


def judge_of(field: UpdateField, *, allow_none: bool = False) -> Judge:
    """Return a function that judges the values of a field.

    An empty text fits every field, as it clears it (AFAS, UpdateConnector). A value of a type that cannot be written as
    JSON fits too: encoding refuses it.

    Args:
        field: The field. Missing facts and unknown data types refuse nothing.
        allow_none: Whether None fits.

    Example:
        >>> judge = judge_of(UpdateField(id="Ds", data_type="string", length=5))
        >>> judge("steel"), judge("bronze")
        (None, 'has 6 characters; the maximum is 5: shorten it')
    """
    judge_type = _typed(field)

    def judge(value: Any) -> str | None:
        if type(value) is str:
            if not value:
                return None
        elif type(value) is not int and type(value) is not bool:
            if value is None:
                return None if allow_none else _NONE
            if isinstance(value, Enum):
                return judge(value.value)
            if isinstance(value, (float, Decimal)) and not Decimal(value).is_finite():
                return "is infinity or NaN: give a finite number"
            if not isinstance(value, (str, int, float, Decimal, date)):
                return None  # bytes, which are sent in base64; UNSET, which is not sent
        return judge_type(value)

    return judge


def is_empty(value: Any) -> bool:
    """Return whether a value leaves its field without one."""
    if isinstance(value, Enum):
        return is_empty(value.value)
    return value is None or value is msgspec.UNSET or (isinstance(value, str) and not value)


def is_true(value: Any) -> bool:
    """Return whether a value of a boolean field is true."""
    return isinstance(value, (str, int)) and _written(value).strip().lower() in {"true", "1"}


def _typed(field: UpdateField) -> Judge:
    length = max(field.length, 0)
    match field.data_type:
        case "string" | "int" | "decimal" if field.values:
            return _one_of(field.values, numbers=field.data_type != "string")
        case "string" if length:
            return _text(length)
        case "int":
            return _number(length, 0)
        case "decimal":
            return _number(length, field.decimals if field.decimals > 0 and not field.decimals_field else None)
        case "boolean":
            return _boolean
        case "date":
            return _date
        case _:
            return _anything


def _anything(_: Any) -> None:
    return None


def _text(length: int) -> Judge:
    def judge(value: Any) -> str | None:
        if isinstance(value, bool):
            return None  # AFAS's own examples have them in fields of two characters
        if isinstance(value, float):
            return "is a float, but the field holds text: give a str"
        size = len(value if isinstance(value, str) else _written(value))
        return f"has {size} characters; the maximum is {length}: shorten it" if size > length else None

    return judge


def _one_of(codes: list[Code], *, numbers: bool) -> Judge:
    known = {code.id for code in codes}
    numbered = all(map(str.isdecimal, known))
    alike = {_code(code, numbers=numbers) for code in known}
    shown = ", ".join(f"{code.id!r} ({code.description})" for code in codes[:_CODES_SHOWN])
    if len(codes) > _CODES_SHOWN:
        shown += f" or {len(codes) - _CODES_SHOWN} more, which metainfo lists"

    def judge(value: Any) -> str | None:
        if value in known or isinstance(value, bool) or _code(_written(value), numbers=numbers) in alike:
            return None
        if numbered and not numbers and isinstance(value, str) and not value.strip().isdecimal():
            return None  # "Art" for 2: the service takes such codes by an external name too (AFAS, endpoint notes)
        return f"is not one of the field's values: use {shown}"

    return judge


def _code(text: str, *, numbers: bool) -> str | Decimal:
    """Return what all spellings of a code have in common; it is unknown whether the service minds the case."""
    text = text.strip()
    return Decimal(text) if numbers and _NUMBER.fullmatch(text) else folded(text)


def _number(length: int, decimals: int | None) -> Judge:
    """Judge numbers: a `length` of 0 and `decimals` of None mean unknown.

    No source says whether the length includes the decimals, so only the digits before the point are checked.
    """
    limit = 10**length

    def judge(value: Any) -> str | None:
        if isinstance(value, int):  # a bool is one
            fits = not length or -limit < value < limit
            return None if fits else f"has more than {length} digits"
        plain = _PLAIN_NUMBER.fullmatch(value if isinstance(value, str) else str(value))
        if (
            plain
            and (not length or len(plain[1]) <= length)
            and (decimals is None or plain[2] is None or len(plain[2]) <= decimals)
        ):
            return None
        number = _parsed(value)
        if number is None:
            return "is not a number: give an int or a Decimal, or its digits"
        if length and number and number.adjusted() >= length:
            return f"has {number.adjusted() + 1} digits before the point; the maximum is {length}"
        if decimals is not None and (more := _decimals(number)) > decimals:
            if not decimals:
                return "must be a whole number: round it first"
            return f"has {more} decimals; the maximum is {decimals}: round it first"
        return None

    return judge


def _parsed(value: Any) -> Decimal | None:
    if isinstance(value, str):
        text = value.strip()
        if _COMMA.fullmatch(text):
            text = text.replace(",", ".")
        return Decimal(text) if _NUMBER.fullmatch(text) else None
    if isinstance(value, date):
        return None
    return Decimal(float.__repr__(value)) if isinstance(value, float) else Decimal(value)


def _decimals(number: Decimal) -> int:
    """Return the number of digits after the point; zeros at the end do not count."""
    exponent = int(number.as_tuple().exponent)
    if not number or exponent >= 0:
        return 0
    return max(0, -exponent - sum(1 for _ in takewhile(lambda digit: not digit, reversed(number.as_tuple().digits))))


def _boolean(value: Any) -> str | None:
    if isinstance(value, str):
        value = value.strip().lower()
    return None if value in _BOOLEANS else "is not a boolean: give True or False"


def _date(value: Any) -> str | None:
    if isinstance(value, date) or (isinstance(value, str) and _is_moment(value)):
        return None
    return "is not a date: give a date or datetime, or a text such as 2024-01-31 or 2024-01-31T09:30:00"


def _is_moment(text: str) -> bool:
    # Every form of ISO 8601, and a time alone: it is unknown which of them the service refuses.
    for read in (datetime.fromisoformat, time.fromisoformat):
        try:
            read(text.strip())
        except ValueError:
            continue
        return True
    return False


def _digits(number: float | Decimal) -> str:
    try:
        return digits(number)
    except ValueError:
        return str(number)


def _written(value: Any) -> str:
    """Return a value as it is written in a body, without quotes."""
    match value:
        case Enum():
            return _written(value.value)
        case bool():
            return str(value).lower()
        case float() | Decimal():
            return _digits(value)
        case date():
            return value.isoformat()
        case _:
            return str(value)
