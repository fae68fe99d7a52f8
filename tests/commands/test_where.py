"""`--where`: conditions as a person writes them, and those that cannot be read."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest
import typer

from afas_async import Condition, F
from afas_async.commands.where import METHODS, parsed_condition
from afas_async.vocabulary.filters import Field


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        (
            'Price < 10 and Description.contains("bolt") and not Blocked',
            (F.Price < 10) & F.Description.contains("bolt") & ~F.Blocked.is_(True),
        ),
        ("Blocked or 10 >= Price", F.Blocked.is_(True) | (F.Price <= 10)),
        ("0 < Price <= 9.50", (F.Price > 0) & (F.Price <= Decimal("9.50"))),
        ('Unit in ["Box", "Hour"]', F.Unit.in_(["Box", "Hour"])),
        ('Unit not in ("Box",)', ~F.Unit.in_(["Box"])),
        ("Unit is None or Unit == None", F.Unit.is_empty() | F.Unit.is_empty()),
        ("Unit is not None and Unit != None", F.Unit.is_not_empty() & F.Unit.is_not_empty()),
        ('F["class"] == "x"', F["class"] == "x"),
        ('Day == date("2024-01-31")', F.Day == date(2024, 1, 31)),
        ('Day > datetime("2024-01-31T09:30")', F.Day > datetime.fromisoformat("2024-01-31T09:30")),
        ("Price.between(-1, 2)", F.Price.between(-1, 2)),
        ("not (A == 1 or B != 2)", ~((F.A == 1) | (F.B != 2))),
        ("1 == A and 2 != B and 3 < C and 4 <= D", (F.A == 1) & (F.B != 2) & (F.C > 3) & (F.D >= 4)),
        ("Blocked == True", F.Blocked == True),  # noqa: E712 - a condition
        ("\n A == 1 ", F.A == 1),
    ],
)
def test_a_condition(text: str, condition: Condition) -> None:
    """It has the words of the library, and the meaning that they have there."""
    assert parsed_condition(text).groups() == condition.groups()


def test_numbers_keep_their_digits() -> None:
    """The digits are sent as they were typed."""
    assert repr(parsed_condition("Price == 1.10")) == "(F.Price == '1.10')"


@pytest.mark.parametrize(
    ("text", "fault", "column"),
    [
        ("Price <", "expected a condition such as", 0),
        ("", "expected a condition such as", 0),
        ("Price < Unit", 'a text is "Unit", and two fields cannot be compared', 8),
        ("A == 1 and Price.containz(1)", "a field has no 'containz': it has contains", 16),
        ("é == 1 and Price.__class__(1)", "a field has no '__class__'", 16),
        ('__import__("os").system("x")', "expected a field", 0),
        ('__import__("os")', "expected a comparison", 0),
        ("1 < 2", "expected a field on one side", 0),
        ('"x" in Unit', "the field comes first here", 0),
        ("Unit is 3", "works with None only", 8),
        ('Unit == ""', "use is_empty()", 8),
        ('Unit == f"{x}"', "expected a value", 8),
        ("Unit.contains()", "takes other values", 0),
        ("Unit.contains(text=1)", "without names", 0),
        ("Unit.quick('x') and not Unit.quick('y')", "quick() cannot be negated", 20),
        ('Day == date("31-01-2024")', 'expected date("2024-01-31")', 7),
        ("Unit in 3", "expected several values", 8),
        ("[x for x in y]", "expected a comparison", 0),
        ("A" * 3 + "." + "B" * 200 + "()", "a field has no", 3),
    ],
)
def test_what_cannot_be_read(text: str, fault: str, column: int) -> None:
    """A bad condition is never evaluated, and the message shows the place of the fault."""
    with pytest.raises(typer.BadParameter) as refused:
        parsed_condition(text)
    message, shown, mark = refused.value.message.rsplit("\n", 2)
    assert fault in message
    assert (shown.strip(), mark.index("^")) == (text, 2 + column)


def test_the_methods_are_those_of_a_field() -> None:
    """No method of the library is missing."""
    assert set(METHODS) == {name for name in vars(Field) if not name.startswith("_")}
