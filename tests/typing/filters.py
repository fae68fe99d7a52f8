"""Checked by mypy and pyright, never run: conditions as editors and type checkers see them."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import assert_type

from afas_async import Condition, F
from afas_async.vocabulary.filters import Field, Group


class Colour(StrEnum):
    RED = "rood"


def comparisons(moment: datetime) -> None:
    assert_type(F.Price, Field)
    assert_type(F["class"], Field)
    assert_type(F.Price == 5, Condition)
    assert_type(F.Price != Decimal(5), Condition)
    assert_type(F.Price < 5.5, Condition)
    assert_type(F.Price <= 5, Condition)
    assert_type(F.Modified > moment, Condition)
    assert_type(F.Modified >= date(2024, 2, 29), Condition)
    assert_type(5 < F.Price, Condition)  # noqa: SIM300
    assert_type(F.Colour == Colour.RED, Condition)
    assert_type(F.Blocked.is_(value=True), Condition)
    assert_type(F.Name.contains("a"), Condition)
    assert_type(F.Name.is_empty(), Condition)
    assert_type(F.Name.in_(["a", "b"]), Condition)
    assert_type(F.Id.in_(range(10)), Condition)
    assert_type(F.Id.in_({1, 2}), Condition)
    assert_type(F.Price.between(1, Decimal("9.5")), Condition)


def combinations(one: Condition, other: Condition) -> None:
    assert_type(one & other, Condition)
    assert_type(one | other, Condition)
    assert_type(~one, Condition)
    assert_type((F.Price == 5) & (F.Name != "a") | ~F.Blocked.is_(value=True), Condition)
    assert_type(one.groups(), tuple[Group, ...])


def misuse(one: Condition) -> None:
    F.Price == None  # pyright: ignore[reportOptionalOperand, reportUnusedExpression]  # noqa: B015, E711
    F.Name.contains(5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    F.Name.in_([None])  # type: ignore[list-item] # pyright: ignore[reportArgumentType]
    one & True  # type: ignore[operator] # pyright: ignore[reportOperatorIssue, reportUnusedExpression]
    one & F.Blocked  # type: ignore[operator] # pyright: ignore[reportOperatorIssue, reportUnusedExpression]
