"""Values as a filter sends them: the service reads the same value, or nothing is sent."""

from __future__ import annotations

import sys
import zoneinfo
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afas_async import InvalidFilterError
from afas_async.vocabulary.values import digits, value_text
from tests.support.each_case import each_case


class Colour(StrEnum):
    RED = "rood"


class Level(IntEnum):
    HIGH = 3


class Mixed(Enum):
    DAY = date(2024, 2, 29)
    NOTHING = None
    INNER = Level.HIGH


class Vague(tzinfo):
    """A time zone that knows no offset: a moment with it counts as wall time."""

    def utcoffset(self, dt: datetime | None) -> timedelta | None:  # noqa: ARG002
        return None


def at(*parts: int, zone: tzinfo | None = None, fold: int = 0) -> datetime:
    return datetime(*parts, tzinfo=zone, fold=fold)  # type: ignore[misc, arg-type]


WINTER, SUMMER = (2024, 1, 31, 23, 30), (2024, 7, 31, 22, 30)


@each_case(
    ("value", "text"),
    [
        ("bolt", "bolt"),
        (" bolt ", " bolt "),
        ("a,b;c\\d\"e'", "a,b;c\\d\"e'"),
        ("é€\U0001f600", "é€\U0001f600"),
        ("None", "None"),
        (0, "0"),
        (-17, "-17"),
        (10**60, "1" + "0" * 60),
        (True, "true"),
        (False, "false"),
        (Decimal("12.30"), "12.30"),
        (Decimal("-0.5"), "-0.5"),
        (Decimal("-0"), "0"),
        (Decimal("1E+5"), "100000"),
        (Decimal("1E-7"), "0.0000001"),
        (0.1, "0.1"),
        (-0.0, "0"),
        (1.0, "1"),
        (1e22, "10000000000000000000000"),
        (1e-7, "0.0000001"),
        (date(2024, 2, 29), "2024-02-29T00:00:00"),
        ("2024-02-29T13:05:09Z", "2024-02-29T13:05:09"),
        ("Amersfoort, Zwolle Z", "Amersfoort, Zwolle Z"),
        (date(1, 1, 1), "0001-01-01T00:00:00"),
        (at(2024, 2, 29, 13, 5, 9), "2024-02-29T13:05:09"),
        (at(2024, 2, 29), "2024-02-29T00:00:00"),
        (at(2024, 2, 29, zone=Vague()), "2024-02-29T00:00:00"),
        (at(*WINTER, zone=UTC), "2024-02-01T00:30:00"),
        (at(*SUMMER, zone=UTC), "2024-08-01T00:30:00"),
        (at(*WINTER, zone=ZoneInfo("Europe/Amsterdam")), "2024-01-31T23:30:00"),
        (at(*WINTER, zone=timezone(timedelta(hours=-5))), "2024-02-01T05:30:00"),
        (at(2024, 10, 27, 0, 30, zone=UTC), "2024-10-27T02:30:00"),
        (at(2024, 10, 27, 1, 30, zone=UTC), "2024-10-27T02:30:00"),
        (Colour.RED, "rood"),
        (Level.HIGH, "3"),
        (Mixed.DAY, "2024-02-29T00:00:00"),
        (Mixed.INNER, "3"),
    ],
)
def test_values(value: Any, text: str) -> None:
    """Each type is written as the service reads it: moments in Amsterdam and without a `Z`, numbers in plain digits."""
    assert value_text(value, "Field") == text


@each_case(
    ("value", "named"),
    [
        (None, "is_empty()"),
        (Mixed.NOTHING, "is_empty()"),
        ("", "is_empty()"),
        (b"bolt", "bytes"),
        (["a"], "list"),
        (object(), "object"),
        (Fraction(1, 2), "Fraction"),
        (1j, "complex"),
        (time(12), "time"),
        (timedelta(1), "timedelta"),
        (float("nan"), "NaN"),
        (float("inf"), "infinity or NaN"),
        (Decimal("NaN"), "NaN"),
        (Decimal("sNaN"), "NaN"),
        (Decimal("-Infinity"), "infinity or NaN"),
        (Decimal("1E+999999"), "digits"),
        (Decimal("1E-999999"), "digits"),
        (Decimal("0E-999999"), "digits"),
        (Decimal("1." + "0" * 500), "digits"),
        (10**500, "digits"),
        (at(2024, 2, 29, 1, 2, 3, 4), "microsecond"),
        (at(2024, 2, 29, 1, 2, 3, 4, zone=UTC), "microsecond"),
        (at(9999, 12, 31, 23, 59, zone=UTC), "Amsterdam"),
        (at(1, 1, 1, zone=timezone(timedelta(hours=5))), "Amsterdam"),
        ("a\0b", "control"),
        ("a\n", "control"),
        ("\x7f", "control"),
        ("\x85", "control"),
        ("\ud83d", "unpaired surrogate"),
    ],
)
def test_values_that_are_refused(value: Any, named: str) -> None:
    """A value without a counterpart in the service is refused at once, with the field's name and the fault."""
    with pytest.raises(InvalidFilterError) as caught:
        value_text(value, "Price")
    assert str(caught.value).startswith("Price: ")
    assert named in str(caught.value)


@given(value=st.floats(allow_nan=False, allow_infinity=False) | st.decimals(-(10**9), 10**9, allow_nan=False))
def test_numbers_come_back(value: float | Decimal) -> None:
    """Each number has its own digits, and no exponent."""
    text = value_text(value, "Price")
    assert type(value)(text) == value
    assert set(text) <= set("-.0123456789")


@given(moment=st.datetimes(min_value=at(1950, 1, 1), max_value=at(2100, 1, 1)))
def test_moments_come_back(moment: datetime) -> None:
    """Wall time is sent unchanged, and the same moment with a time zone is sent as the same."""
    moment = moment.replace(microsecond=0, fold=0)
    assert at(*moment.timetuple()[:6]).isoformat() == value_text(moment, "Date")
    aware = moment.replace(tzinfo=UTC)
    assert value_text(aware, "Date") == aware.astimezone(ZoneInfo("Europe/Amsterdam")).isoformat()[:19]


def test_no_time_zone_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """A computer without time zones reports which package it lacks; wall time works without one."""
    monkeypatch.setitem(sys.modules, "tzdata", None)
    zoneinfo.reset_tzpath(())
    ZoneInfo.clear_cache()
    try:
        assert value_text(at(*WINTER), "Date") == "2024-01-31T23:30:00"
        with pytest.raises(InvalidFilterError, match=r"Date: .* tzdata"):
            value_text(at(*WINTER, zone=UTC), "Date")
    finally:
        zoneinfo.reset_tzpath()
    assert value_text(at(*WINTER, zone=UTC), "Date") == "2024-02-01T00:30:00"


@pytest.mark.parametrize(
    "number", [Decimal("1E+999999999"), Decimal("1E-999999999"), float("nan"), Decimal("-Infinity")]
)
def test_a_number_that_cannot_be_written_out(number: float | Decimal) -> None:
    """Its digits are not made: they would fill the memory, or it has none."""
    with pytest.raises(ValueError, match=r"infinity|400 digits"):
        digits(number)
