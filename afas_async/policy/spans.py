"""What a read asks for: spans of rows, counted from the start of the read or within a slice of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

import msgspec

KeyValue = str | int
Key = KeyValue | tuple[KeyValue, ...]
Relation = Literal["from", "after", "empty", "at"]


class Slice(msgspec.Struct, frozen=True):
    """Rows on one side of a key, which one group of tests finds.

    Rows behind a key `(x, y)` lie in two slices: `a = x and b >= y`, and after it `a > x`. The first has depth 1, the
    second depth 0.

    Args:
        relation: Rows whose next field has the key's value or a later one, a later one, or none; or all fields the
            same.
        key: The key.
        depth: How many of the first fields have the key's values.
    """

    relation: Relation
    key: Key
    depth: int = 0


class Span(msgspec.Struct, frozen=True):
    """Rows `skip` up to `skip + take` of those in a slice; both -1 for all of them in one answer.

    Args:
        skip: Rows to leave out.
        take: Rows to answer at most.
        within: The slice in which rows are counted; None for the whole read.
        overlap: Whether the first of the rows should be the last of those before the span.
    """

    skip: int
    take: int
    within: Slice | None = None
    overlap: bool = False


class Role(Enum):
    """Why a span is asked for."""

    PAGE = auto()
    REPAIR = auto()
    PROBE = auto()


@dataclass(eq=False, slots=True)
class Ask:
    """A span that is asked for.

    Attributes:
        span: The rows that are asked for.
        end: How many rows of the read will have been handed out behind it, by what was known when it was asked for.
        role: Why it is asked for.
        until: The row at which a repair has done its work.
        foretold: Whether its beginning was foretold.
        seen: How many rows of its answer have been fed.
        handed: How many of them have been handed out.
        joined: Whether its place among the rows is found.
        repaired: Whether a repair in front of it has been tried.
        contradicted: Whether a probe has found the row that its answer lacks.
    """

    span: Span
    end: int
    role: Role = Role.PAGE
    until: Key | None = None
    foretold: bool = False
    seen: int = 0
    handed: int = 0
    joined: bool = False
    repaired: bool = False
    contradicted: bool = False


class Step(msgspec.Struct, frozen=True):
    """What to do with rows that were fed.

    Args:
        start: The first of these rows to hand out.
        stop: The row behind the last of them to hand out.
        again: Feed these rows again, when the span that is asked for in front of them is over.
    """

    start: int = 0
    stop: int = 0
    again: bool = False


def values_of(key: Key) -> tuple[KeyValue, ...]:
    """Return the values of a key, one for each field."""
    return key if isinstance(key, tuple) else (key,)
