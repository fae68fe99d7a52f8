"""How a cell of a file is read: by the type of the field. A cell that could mean two things is refused."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from afas_async.policy.coercion import UnfitCellError, reading_of
from afas_async.vocabulary.metainfo import Code, UpdateField

CODES = [Code("A", "Active"), Code("C", "Closed"), Code("X", "Other"), Code("Y", "other")]
CASED = [Code("a", "Small"), Code("A", "Large"), Code("b", "A")]
NUMBERED = [Code("1", "One"), Code("2", "Two")]


def field(kind: str, values: list[Code] | None = None) -> UpdateField:
    return UpdateField(id="Fi", data_type=kind, values=values)


@pytest.mark.parametrize(
    ("kind", "dutch", "cell", "value"),
    [
        ("string", False, "000012", "000012"),
        ("string", True, "1.234,56", "1.234,56"),
        ("string", False, " é ", " é "),
        ("blob", False, "a remark", "a remark"),
        ("int", False, "0012", 12),
        ("int", False, "-3", -3),
        ("int", False, "12.0", 12),
        ("int", True, "1.234", 1234),
        ("int", True, "1.234,00", 1234),
        ("int", False, 7, 7),
        ("int", False, 7.0, 7),
        ("decimal", False, "1234.50", Decimal("1234.50")),
        ("decimal", False, " .5 ", Decimal("0.5")),
        ("decimal", False, "1e3", Decimal(1000)),
        ("decimal", False, 0.1, Decimal("0.1")),
        ("decimal", False, Decimal("0.10"), Decimal("0.10")),
        ("decimal", True, "1.234,56", Decimal("1234.56")),
        ("decimal", True, "-1234,5", Decimal("-1234.5")),
        ("decimal", True, "1.234", Decimal(1234)),
        ("decimal", True, "0,125", Decimal("0.125")),
        ("int", False, "1234567890123456789", 1234567890123456789),
        ("decimal", True, 1.5, Decimal("1.5")),
        ("boolean", False, "ja", True),
        ("boolean", False, " Nee ", False),
        ("boolean", False, "TRUE", True),
        ("boolean", False, 0, False),
        ("boolean", False, True, True),
        ("date", False, "2024-01-31", date(2024, 1, 31)),
        ("date", False, "2024-01-31T09:30:00Z", datetime.fromisoformat("2024-01-31T09:30")),
        ("date", True, "31-01-2024", date(2024, 1, 31)),
        ("date", True, "1/2/2024", date(2024, 2, 1)),
        ("date", True, "31-01-2024 9:05", datetime.fromisoformat("2024-01-31T09:05")),
        ("date", True, "2024-01-31", date(2024, 1, 31)),
        ("date", True, date(2024, 1, 31), date(2024, 1, 31)),
        ("", False, "anything", "anything"),
    ],
)
def test_a_cell_means(kind: str, dutch: bool, cell: Any, value: Any) -> None:  # noqa: FBT001
    """Text stays text, numbers are exact, and Dutch is read where you say so."""
    found = reading_of(field(kind), dutch=dutch)(cell)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("kind", "dutch", "cell", "text"),
    [
        ("string", False, 12, "no leading zeros"),
        ("string", False, Decimal(12), "no leading zeros"),
        ("string", False, date(2024, 1, 31), "is not a text"),
        ("string", False, True, "is not a text"),
        ("int", False, "12.5", "whole number"),
        ("int", False, "twelve", "is not a number"),
        ("int", False, float("nan"), "whole number"),
        ("decimal", False, "1,5", "--dutch"),
        ("decimal", False, "1.234,56", "--dutch"),
        ("decimal", False, "1,234.56", "is not a number"),
        ("decimal", True, "12.5", "is not a number such as 1.234,56"),
        ("decimal", True, "1.23,4", "is not a number"),
        ("decimal", True, "0.125", "is not a number such as 1.234,56"),
        ("int", True, "00.500", "is not a number"),
        ("int", False, "1" * 5_000, "too large"),
        ("int", False, "1e999", "too large"),
        ("decimal", False, True, "is not a number"),
        ("boolean", False, "perhaps", "neither yes nor no"),
        ("boolean", False, 2, "neither yes nor no"),
        ("date", False, "31-01-2024", "--dutch"),
        ("date", False, "today", "is not a date"),
        ("date", True, "31-02-2024", "not a day of the calendar"),
        ("date", True, "1-31-2024", "not a day of the calendar"),
        ("date", True, "31-01.2024", "is not a date"),
    ],
)
def test_what_could_mean_another_thing_is_refused(kind: str, dutch: bool, cell: Any, text: str) -> None:  # noqa: FBT001
    """The refusal says how to fix the cell, and does not quote it."""
    with pytest.raises(UnfitCellError, match=text) as refused:
        reading_of(field(kind), dutch=dutch)(cell)
    assert not isinstance(cell, str) or cell in {"1.234,56", "31-01-2024"} or cell not in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "codes", "cell", "value"),
    [
        ("string", CODES, "A", "A"),
        ("string", CODES, "closed ", "C"),
        ("string", CODES, "a", "A"),
        ("string", CODES, "nothing", "nothing"),
        ("string", NUMBERED, 1, "1"),
        ("string", CASED, "a", "a"),
        ("string", CASED, "A", "A"),
        ("string", CASED, "B", "b"),
        ("string", NUMBERED, "Art", "Art"),
        ("int", NUMBERED, "two", "2"),
        ("int", NUMBERED, True, True),
    ],
)
def test_codes_by_id_or_description(kind: str, codes: list[Code], cell: Any, value: Any) -> None:
    """A text that matches neither is left to the check of the element, which knows the accepted values."""
    assert reading_of(field(kind, codes))(cell) == value


def test_a_description_or_an_id_of_two_codes() -> None:
    """A text that could mean either code is refused."""
    with pytest.raises(UnfitCellError, match="several codes, Ab and ab: write one of them"):
        reading_of(field("string", [Code("ab", "x"), Code("Ab", "y")]))("AB")
    with pytest.raises(UnfitCellError, match="several codes, X and Y: write one of them"):
        reading_of(field("string", CODES))("Other")
