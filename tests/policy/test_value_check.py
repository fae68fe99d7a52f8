"""Values against their fields: values from AFAS's examples pass, and values that cannot be stored are found."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afas_async.policy.value_check import is_empty, is_true, judge_of
from afas_async.simulator.samples.connectors import Field, FieldType
from afas_async.simulator.write.values import stored
from afas_async.vocabulary.metainfo import Code, UpdateField
from tests.support.each_case import each_case

TEXT = UpdateField(id="Ds", data_type="string", length=5)
WHOLE = UpdateField(id="SbId", data_type="int", length=9)
AMOUNT = UpdateField(id="SaPr", data_type="decimal", length=6, decimals=2)
RATE = UpdateField(id="Rate", data_type="decimal", decimals=2, decimals_field="DeNr")
FLAG = UpdateField(id="Bl", data_type="boolean")
DAY = UpdateField(id="Da", data_type="date", length=10)
CODE = UpdateField(id="St", data_type="string", length=1, values=[Code("A", "Active"), Code("C", "Closed")])
NUMBERED = UpdateField(id="ViTp", data_type="int", values=[Code("1", "One"), Code("2", "Two")])
FILE = UpdateField(id="FileStream", data_type="blob", length=1)
UNKNOWN = UpdateField(id="New", data_type="moment", length=1)


class Letter(StrEnum):
    A = "A"
    X = "X"


class Number(IntEnum):
    ONE = 1
    NINE = 9


class Wrapped(Enum):
    DAY = date(2024, 2, 29)
    LONG = "bronze"
    EMPTY = ""


FITS: list[tuple[UpdateField, Any]] = [
    *((TEXT, value) for value in ("", "steel", "éèêëü", 12345, Decimal("1.5"), True, b"bytes in base64", "12.50")),
    (UpdateField(id="Re", data_type="string"), "x" * 100_000),
    (UpdateField(id="Re", data_type="string", length=-1), "x" * 100_000),
    *((WHOLE, value) for value in (0, -999_999_999, "1", "0", "000000000001", " 7 ", "+7", "7.0", "1e3", 7.0, True)),
    *((WHOLE, value) for value in (Decimal(7), Decimal("7.00"), Number.NINE, "-5", "")),
    (UpdateField(id="Nr", data_type="int"), 10**30),
    (UpdateField(id="Nr", data_type="int"), "9" * 50),
    *((AMOUNT, value) for value in ("0", "12", "12.5", "12.50", "-12.50", ".5", "-.5", "5.", "12.500", "999999.99")),
    *((AMOUNT, value) for value in (12, 12.5, -0.25, Decimal("12.50"), Decimal("1E+3"), Decimal("0.000"), "1.25e1")),
    *((RATE, value) for value in ("1.08657", Decimal("0.123456789"), 10**20)),
    (UpdateField(id="Qu", data_type="decimal", length=9), "1.234"),
    *(
        (FLAG, value)
        for value in (True, False, "true", "false", "True", "1", "0", 1, 0, Decimal(1), 0.0, "", Number.ONE)
    ),
    *((DAY, value) for value in ("2024-01-31", "2024-01-31T09:30:00", "2024-01-31 09:30", "2024-01-31T09:30:00Z")),
    *((DAY, value) for value in ("2024-01-31T09:30:00+01:00", "2024-01-31T09:30:00.1234567", "09:30", "09:30:00")),
    *((DAY, value) for value in (date(2024, 2, 29), datetime(2024, 1, 31, 9, 30, tzinfo=UTC), Wrapped.DAY, "")),
    *((CODE, value) for value in ("A", "C", "a", " A", "", Letter.A, True)),
    *((NUMBERED, value) for value in ("1", "01", 2, "2.0", "", Number.ONE, Decimal(1))),
    (UpdateField(id="St", data_type="boolean", values=[Code("true"), Code("false")]), "1"),
    (UpdateField(id="St", data_type="string", length=1, values=[]), "Z"),
    *((FILE, value) for value in (b"\x00" * 100, "aGVsbG8=", "")),
    *((UNKNOWN, value) for value in ("anything", 5, date(2024, 1, 1), "")),
    *((field, msgspec.UNSET) for field in (TEXT, WHOLE, AMOUNT, FLAG, DAY, CODE, FILE, UNKNOWN)),
    # Encoding finds values that JSON cannot hold, whatever the field.
    *((field, object()) for field in (TEXT, WHOLE, AMOUNT, FLAG, DAY, CODE)),
]

# Values in AFAS's own examples: the name of an item type, a comma in an amount, booleans in texts of two characters.
FITS += [
    (UpdateField(id="VaIt", data_type="string", values=[Code("1", "Work"), Code("2", "Item")]), "Art"),
    *((AMOUNT, value) for value in ("45,00", "-12,5")),
    (UpdateField(id="VaDu", data_type="string", length=2), True),
]

FAULTS: list[tuple[UpdateField, Any, str]] = [
    (TEXT, "bronze", "has 6 characters; the maximum is 5: shorten it"),
    (TEXT, 123_456, "has 6 characters"),
    (TEXT, Decimal("123.45"), "has 6 characters"),
    (TEXT, date(2024, 1, 31), "has 10 characters"),
    *((TEXT, value, "is a float, but the field holds text: give a str") for value in (1.5, 1e20, 12346.0)),
    (TEXT, Wrapped.LONG, "has 6 characters"),
    (WHOLE, 1_000_000_000, "has more than 9 digits"),
    (WHOLE, -1_000_000_000, "has more than 9 digits"),
    (WHOLE, "1000000000", "has 10 digits before the point; the maximum is 9"),
    (WHOLE, "1e300", "has 301 digits"),
    *((WHOLE, value, "must be a whole number") for value in ("1.5", 1.5, Decimal("1.5"), "1e-3")),
    *((WHOLE, value, "is not a number") for value in ("x", "1 000", "1_000", "\u0661", "--1", ".", " ", "NaN", "0x1f")),
    (WHOLE, date(2024, 1, 31), "is not a number"),
    (AMOUNT, "12.345", "has 3 decimals; the maximum is 2: round it first"),
    (AMOUNT, Decimal("0.001"), "has 3 decimals"),
    (AMOUNT, 0.1 + 0.2, "has 17 decimals"),
    (AMOUNT, "1000000.00", "has 7 digits before the point; the maximum is 6"),
    (AMOUNT, Decimal(10) ** 6, "has 7 digits before the point"),
    (AMOUNT, 10**6, "has more than 6 digits"),
    (AMOUNT, "12,345", "has 3 decimals; the maximum is 2: round it first"),
    (AMOUNT, "1.234,56", "is not a number: give an int or a Decimal, or its digits"),
    (WHOLE, "1,5", "must be a whole number"),
    *((AMOUNT, value, "is infinity or NaN") for value in (float("nan"), Decimal("-inf"), Decimal("sNaN"))),
    (TEXT, float("inf"), "is infinity or NaN"),
    *(
        (FLAG, value, "is not a boolean: give True or False")
        for value in ("J", "yes", "2", 2, -1, 0.5, date(2024, 1, 1))
    ),
    *(
        (DAY, value, "is not a date")
        for value in ("31-01-2024", "2024-02-30", "2024-13-01", "today", 20240131, 1.5, True)
    ),
    (CODE, "X", "is not one of the field's values: use 'A' (Active), 'C' (Closed)"),
    (CODE, Letter.X, "is not one of the field's values"),
    (CODE, 1, "is not one of the field's values"),
    (NUMBERED, 3, "is not one of the field's values: use '1' (One), '2' (Two)"),
    (NUMBERED, "x", "is not one of the field's values"),
    (UpdateField(id="Co", data_type="string", values=[Code("01")]), 1, "is not one of the field's values"),
]


@each_case(("field", "value"), FITS)
def test_values_that_fit(field: UpdateField, value: Any) -> None:
    """Text for any field, JSON's own types, and any value not known to be refused pass."""
    assert judge_of(field)(value) is None


@each_case(("field", "value", "fault"), FAULTS)
def test_values_that_do_not_fit(field: UpdateField, value: Any, fault: str) -> None:
    """The fault says what is wrong and how to fix it."""
    assert (judge_of(field)(value) or "").startswith(fault)


@pytest.mark.parametrize("field", [TEXT, WHOLE, AMOUNT, FLAG, DAY, CODE, FILE, UNKNOWN])
def test_none(field: UpdateField) -> None:
    """None is refused in every field, with the alternatives to it, unless the connector allows it."""
    assert 'give "" to clear it' in (judge_of(field)(None) or "")
    assert judge_of(field, allow_none=True)(None) is None


VALUES = st.one_of(
    st.text(max_size=12),
    st.text("0123456789+-.eE ", max_size=12),
    st.sampled_from(["true", "FALSE", " 1 ", "2024-02-29", "2024-02-29T09:30", "2024-02-29 09:30:59Z"]),
    st.integers(),
    st.booleans(),
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(lambda number: format(number, "f")),
)


@given(VALUES, st.sampled_from(["string", "int", "decimal", "boolean", "date"]), st.integers(1, 12), st.integers(0, 4))
def test_whatever_is_stored_fits(value: str | int, kind: FieldType, length: int, decimals: int) -> None:
    """Nothing is refused that the simulator's tables can hold."""
    decimals = min(decimals, length) if kind == "decimal" else 0
    try:
        stored(Field("A", kind, length, decimals, "A"), value)
    except ValueError:
        return
    field = UpdateField(id="A", data_type=kind, length=length, decimals=decimals)
    assert judge_of(field)(value) is None


def test_no_value_is_told() -> None:
    """A value that a person typed may be personal data, and stays out of the text."""
    for field in (TEXT, WHOLE, AMOUNT, FLAG, DAY, CODE):
        assert "secret" not in (judge_of(field)("secret-secret") or "")


def test_many_codes() -> None:
    """A long list of values is cut."""
    field = UpdateField(id="Co", data_type="string", values=[Code(f"A{number:02}", "c") for number in range(50)])
    fault = judge_of(field)("x") or ""
    assert "'A11' (c) or 38 more" in fault
    assert "'A12'" not in fault


def test_empty_and_true() -> None:
    """An empty value leaves a field without a value, and true is any value that a boolean field takes for it."""
    assert [is_empty(value) for value in (None, "", msgspec.UNSET, Wrapped.EMPTY)] == [True] * 4
    assert [is_empty(value) for value in (0, False, "0", " ", Decimal(0), b"", Letter.A)] == [False] * 7
    assert [is_true(value) for value in (True, 1, "1", "true", " True", Number.ONE)] == [True] * 6
    assert [is_true(value) for value in (False, 0, "0", "", None, "J", msgspec.UNSET, Decimal(1))] == [False] * 8
