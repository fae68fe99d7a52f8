"""Conditions that are too long for one request: which groups to ask for together.

A query string has 2,048 characters at most (AFAS, REST API for developers), which is about a dozen alternatives. Where
each alternative asks for a value of one field, the parts have no row in common, and follow each other in the order of
these values. Otherwise a row can meet several of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from decimal import Decimal
from itertools import chain, groupby
from operator import itemgetter
from typing import Final, TypeAlias

import msgspec

from afas_async.errors import QueryTooLongError
from afas_async.vocabulary.collation import widely_folded
from afas_async.vocabulary.filters import Group, Operator

Groups: TypeAlias = tuple[Group, ...]

_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


class Parts(msgspec.Struct, frozen=True):
    """A condition in parts.

    Attributes:
        groups: The groups of each part, to be asked for in one request; no part if no row can meet the condition.
        field: The field by whose values the condition was split: the parts are sorted by them, numbers by value and
            texts as far as their order is known. None if there is one part, or it was split otherwise.
        disjoint: Whether no row can meet two parts.
    """

    groups: tuple[Groups, ...]
    field: str | None
    disjoint: bool


def split(
    groups: Groups, *, connector: str, length: Callable[[Groups], int], limit: int
) -> Generator[None, None, Parts]:
    """Split a condition into parts that fit into requests, each with as many groups as fit.

    It yields after each part, so that an event loop can run meanwhile: thousands of values take a while.

    Args:
        groups: The condition, as `Condition.groups()` returns it.
        connector: The connector, for errors.
        length: Returns the length of a request for some of the groups, with all that will ever be added to it; more
            groups must make it longer. It is called about twice for each part, with about as many groups as fit.
        limit: The greatest length that can be sent.

    Returns:
        The parts, as the value of the generator.

    Raises:
        QueryTooLongError: If a single group does not fit.
    """

    def fits(part: Groups) -> bool:
        return length(part) <= limit

    if not groups:
        return Parts((), None, disjoint=True)
    single = [(group,) for group in groups]
    if _most(single, 0, 1, fits) == len(groups):
        return Parts((groups,), None, disjoint=True)
    for field, equal in _by_value(groups):
        # What asks for one value may not fit into one request: then it is an "or" like any other.
        if parts := (yield from _packed(equal, fits)):
            return Parts(parts, field, disjoint=True)
    if parts := (yield from _packed(single, fits)):
        return Parts(parts, None, disjoint=False)
    needed = next(needed for needed in map(length, single) if needed > limit)
    raise QueryTooLongError(
        f"{connector}: a part of the condition, which cannot be split further, takes a query string of {needed}"
        f" characters, and the service accepts {limit}",
        length=needed,
        limit=limit,
    )


def _by_value(groups: Groups) -> list[tuple[str, list[Groups]]]:
    """Return the fields that every group compares with a single value, each with the groups by that value, sorted.

    Those with the most values come first: they make the smallest units.
    """
    found: list[tuple[str, list[Groups]]] = []
    for field in dict.fromkeys(test.field for test in groups[0]):
        values: list[str] = []
        for group in groups:
            texts = [test.text for test in group if test.field == field and test.operator is Operator.EQUAL]
            if len(texts) != 1:
                break
            values += texts
        else:
            found.append((field, _sorted(groups, values)))
    return sorted(found, key=lambda pair: -len(pair[1]))


def _sorted(groups: Groups, values: Sequence[str]) -> list[Groups]:
    """Sort groups by their values, together those whose values a database may take for equal."""
    fold = Decimal if all(map(_NUMBER.fullmatch, values)) else widely_folded
    pairs = sorted(zip(map(fold, values), groups, strict=True), key=itemgetter(0))
    return [tuple(group for _, group in equal) for _, equal in groupby(pairs, key=itemgetter(0))]


def _packed(units: Sequence[Groups], fits: Callable[[Groups], bool]) -> Generator[None, None, tuple[Groups, ...]]:
    """Return the units in parts, in their order; nothing if one of them does not fit by itself."""
    parts: list[Groups] = []
    start, count = 0, 1
    while start < len(units):
        count = _most(units, start, count, fits)
        if not count:
            return ()
        parts.append(_joined(units, start, count))
        start += count
        yield
    return tuple(parts)


def _most(units: Sequence[Groups], start: int, guess: int, fits: Callable[[Groups], bool]) -> int:
    """Return how many units from `start` on fit together; a good guess takes two trials."""
    fitting, excessive = 0, len(units) - start + 1
    count, step = min(guess, excessive - 1), 1
    while excessive - fitting > 1:
        if fits(_joined(units, start, count)):
            fitting = count
            count += step
        else:
            excessive = count
            count -= step
        step *= 2
        if not fitting < count < excessive:
            count = (fitting + excessive) // 2
    return fitting


def _joined(units: Sequence[Groups], start: int, count: int) -> Groups:
    return tuple(chain.from_iterable(units[start : start + count]))
