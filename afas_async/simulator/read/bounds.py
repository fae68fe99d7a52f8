"""What a filter says about the place of its rows in an order, so that a page deep in a table is found by its index.

Whoever reads by key asks for `a > x OR (a = x AND b >= y)`, which SQLite answers by going through the index from its
start. It does not see that `(a, b) >= (x, y)` for all of these rows, and seeks there when told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

EQUAL: Final = "1"
_ENDS: Final = ((">=", "4", "2"), ("<=", "5", "3"))  # a sign, and the operators for it: without equality, and with it


class Condition(NamedTuple):
    """One condition as a request writes it.

    Attributes:
        field: The id of the field.
        operator: The code of the operator, from `1` to `15`.
        value: The text to compare with.
    """

    field: str
    operator: str
    value: str


class Bound(NamedTuple):
    """An end of the rows of a filter, as a comparison of row values.

    Attributes:
        sign: `>=` or `<=`.
        edge: For each of the fields that are compared a condition with its value; their operators no longer count.
    """

    sign: str
    edge: tuple[Condition, ...]


def implied_bounds(groups: Sequence[Sequence[Condition]], order: Sequence[str]) -> Iterator[Bound]:
    """Find the ends that follow from a filter.

    They leave out no row of it, whatever the types of the fields: values are only tested for being the same text.

    Args:
        groups: Groups of conditions, one of which must hold as a whole.
        order: The fields that the rows are sorted by.
    """
    for sign, strict, loose in _ENDS:
        starts = [list(_starts(group, order, {EQUAL, strict, loose})) for group in groups]
        for edge in sorted((start for group in starts for start in group), key=len, reverse=True):
            if all(any(_within(start, edge, strict) for start in group) for group in starts):
                yield Bound(sign, edge)
                break


def _starts(group: Sequence[Condition], order: Sequence[str], operators: set[str]) -> Iterator[tuple[Condition, ...]]:
    """What a group says about the first fields of the order: a comparison of one behind equality of those before it."""
    known: tuple[Condition, ...] = ()
    for field in order:
        found = [condition for condition in group if condition.field == field and condition.operator in operators]
        for condition in found:
            yield (*known, condition)
        equal = [condition for condition in found if condition.operator == EQUAL]
        if not equal:
            return
        known = (*known, equal[0])


def _within(start: tuple[Condition, ...], edge: tuple[Condition, ...], strict: str) -> bool:
    """Whether rows that meet `start` lie on this side of the edge: it compares less fields only if beyond doubt."""
    same = [condition.value for condition in start] == [condition.value for condition in edge[: len(start)]]
    return same and (len(start) == len(edge) or start[-1].operator == strict)
