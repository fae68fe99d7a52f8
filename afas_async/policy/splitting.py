"""Conditions that are too long for one request: which groups to request together.

A query string has 2,048 characters at most (AFAS, REST API for developers). That is about eight alternatives, or eighty
values of one field. If each alternative asks for a value of one field, no row meets two of the parts. If the service's
order of these values is also certain, the parts follow each other in that order.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Generator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import chain, groupby, pairwise
from operator import itemgetter
from typing import Any, Final, TypeAlias

from afas_async.errors import QueryTooLongError
from afas_async.vocabulary.collation import widely_folded
from afas_async.vocabulary.filters import Group, Operator

Groups: TypeAlias = tuple[Group, ...]
Steps: TypeAlias = Generator[None, None, Any]  # it yields whenever the event loop may run

STEP = 1_000  # values that take about a millisecond
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?")


def values_in_order(groups: Groups, field: str, *, numbers: bool) -> Steps:
    """Sort groups by the values of a field that they ask for, each with a test of its own.

    Args:
        groups: The condition.
        field: The field.
        numbers: Whether its values are whole numbers; otherwise they are texts.

    Returns:
        The groups for each value, as the value of the generator. None if a group does not ask for a single value. Also
        None if the service's order of two values is uncertain: it compares texts by an unknown collation, and
        collations agree only about letters and digits.
    """
    pairs = yield from _by_value(groups, field, _number if numbers else widely_folded)
    if pairs is None:
        return None
    for place, ((one, _), (other, _)) in enumerate(pairwise(pairs)):
        if not numbers and not _certain(one, other):
            return None
        if place % STEP == 0:
            yield
    return [groups for _, groups in pairs]


def values_apart(groups: Groups) -> Steps:
    """Divide groups so that no row can meet two of them, by the values of a field that they ask for.

    Returns:
        The groups for each value, as the value of the generator; None if no field has a value in each group.
    """
    for field in dict.fromkeys(test.field for test in groups[0]):
        if (pairs := (yield from _by_value(groups, field, _alike))) is not None:
            return [groups for _, groups in pairs]
    return None


def pack(
    units: Sequence[Groups], *, connector: str, length: Callable[[Groups], int], limit: int
) -> Generator[None, None, tuple[Groups, ...]]:
    """Pack units of groups into parts that fit into requests, in their order, each with as many as fit.

    Args:
        units: Groups that belong together.
        connector: The connector, for errors.
        length: Returns the length of a request for some of the groups; more groups must make it longer. It is called
            about twice for each part, with about as many groups as fit.
        limit: The greatest length that can be sent.

    Returns:
        The parts, as the value of the generator.

    Raises:
        QueryTooLongError: If a single unit does not fit.
    """

    def fits(part: Groups) -> bool:
        return length(part) <= limit

    parts: list[Groups] = []
    start, count = 0, 1
    while start < len(units):
        count = _most(units, start, count, fits)
        if not count:
            needed = length(units[start])
            raise QueryTooLongError(
                f"{connector}: a part of the condition that cannot be split further needs a query string of {needed}"
                f" characters, but the service accepts {limit}: shorten the condition",
                length=needed,
                limit=limit,
            )
        parts.append(_joined(units, start, count))
        start += count
        yield
    return tuple(parts)


def _by_value(groups: Groups, field: str, fold: Callable[[str], Any]) -> Steps:
    """Return the groups for each folded value of a field, in order; None if a group asks for no single value."""
    pairs: list[tuple[Any, Group]] = []
    for place, group in enumerate(groups):
        texts = [test.text for test in group if test.field == field and test.operator is Operator.EQUAL]
        value = fold(texts[0]) if len(texts) == 1 else None
        if value is None:
            return None
        pairs.append((value, group))
        if place % STEP == 0:
            yield
    runs: list[list[tuple[Any, Group]]] = []
    for start in range(0, len(pairs), STEP):
        runs.append(sorted(pairs[start : start + STEP], key=itemgetter(0)))
        yield
    found: list[tuple[Any, Groups]] = []
    for place, (value, equal) in enumerate(groupby(heapq.merge(*runs, key=itemgetter(0)), key=itemgetter(0))):
        found.append((value, tuple(group for _, group in equal)))
        if place % STEP == 0:
            yield
    return found


def _number(text: str) -> Decimal | None:
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def _alike(text: str) -> str:
    """Return the same text for all spellings that the service may consider equal, whatever type the field has."""
    folded = widely_folded(text)
    if folded in {"true", "false"}:
        return str(int(folded == "true"))
    if (number := _number(folded)) is not None:
        return str(number.normalize())
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=None).isoformat()
    except ValueError:
        return folded


def _certain(one: str, other: str) -> bool:
    """Whether every collation sorts a folded text before another one whose letters have greater codes."""
    for mine, its in zip(one, other, strict=False):
        if mine != its:
            return (mine + its).isascii() and (mine + its).isalnum()
    return any(letter.isascii() and letter.isalnum() for letter in other[len(one) :])


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
