"""Finds where the rows of a filter begin and end in an order, so that SQLite finds a page deep in a table by its index.

A client that reads by key sends `a > x OR (a = x AND b >= y)`. SQLite then scans the index from its start. It does not
see that `(a, b) >= (x, y)` holds for all of these rows. With that condition added, it seeks in the index.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

EQUAL: Final = "1"
_ENDS: Final = ((">=", "4", "2"), ("<=", "5", "3"))  # a sign, and its operators without equality and with it


class Condition(NamedTuple):
    """One condition, as in a request.

    Attributes:
        field: The id of the field.
        operator: The code of the operator, from `1` to `15`.
        value: The text to compare with.
    """

    field: str
    operator: str
    value: str


class Bound(NamedTuple):
    """A bound on the rows of a filter, as a comparison of several fields at once.

    Attributes:
        sign: `>=` or `<=`.
        edge: A condition for each field, with the value to compare with. Ignore their operators.
    """

    sign: str
    edge: tuple[Condition, ...]


def implied_bounds(groups: Sequence[Sequence[Condition]], order: Sequence[str]) -> Iterator[Bound]:
    """Find the bounds that follow from a filter.

    All rows of the filter lie within them, whatever the types of the fields: values are only compared as equal texts.

    Args:
        groups: Groups of conditions. A row must meet all conditions of at least one group.
        order: The fields that the rows are sorted by.
    """
    for sign, strict, loose in _ENDS:
        starts = [list(_starts(group, order, {EQUAL, strict, loose})) for group in groups]
        for edge in sorted((start for group in starts for start in group), key=len, reverse=True):
            if all(any(_within(start, edge, strict) for start in group) for group in starts):
                yield Bound(sign, edge)
                break


def _starts(group: Sequence[Condition], order: Sequence[str], operators: set[str]) -> Iterator[tuple[Condition, ...]]:
    """The bounds from one group: equality of the first fields of the order, then a comparison of the next."""
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
    """Whether all rows that meet `start` lie within the edge. With fewer fields, its last comparison must be strict."""
    same = [condition.value for condition in start] == [condition.value for condition in edge[: len(start)]]
    return same and (len(start) == len(edge) or start[-1].operator == strict)
