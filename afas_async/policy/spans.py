"""The spans of rows that a read requests, counted from the start of the read or within a slice of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

import msgspec

KeyValue = str | int
Key = KeyValue | tuple[KeyValue, ...]
Relation = Literal["from", "after", "empty", "at"]


class Slice(msgspec.Struct, frozen=True):
    """The rows on one side of a key, which one group of tests selects.

    Rows after a key `(x, y)` lie in two slices: `a = x and b >= y`, and then `a > x`. The first has depth 1, the second
    has depth 0.

    Args:
        relation: Which value the next field has: the key's or a later one ("from"), a later one ("after"), or an empty
            one ("empty"). "at" is for rows with exactly this key.
        key: The key.
        depth: How many of the first fields have the key's values.
    """

    relation: Relation
    key: Key
    depth: int = 0


class Span(msgspec.Struct, frozen=True):
    """Rows `skip` up to `skip + take` of a slice; both are -1 for all of them in one response.

    Args:
        skip: Rows to leave out.
        take: Rows to return at most.
        within: The slice in which rows are counted; None for the whole read.
        overlap: Whether the first row should be the last one before the span.
    """

    skip: int
    take: int
    within: Slice | None = None
    overlap: bool = False


class Role(Enum):
    """Why a span is requested."""

    PAGE = auto()
    REPAIR = auto()
    PROBE = auto()


@dataclass(eq=False, slots=True)
class Ask:
    """A span that is requested.

    Attributes:
        span: The requested rows.
        end: How many rows of the read will have been returned after this span, as estimated when it was requested.
        role: Why it is requested.
        until: The row at which a repair is complete.
        predicted: Whether its first key was predicted.
        seen: How many rows of its response have been fed.
        returned: How many of them have been returned to the reader.
        joined: Whether its place among the rows is known.
        repaired: Whether a repair before it has been tried.
        contradicted: Whether a probe has found the row that its response lacks.
    """

    span: Span
    end: int
    role: Role = Role.PAGE
    until: Key | None = None
    predicted: bool = False
    seen: int = 0
    returned: int = 0
    joined: bool = False
    repaired: bool = False
    contradicted: bool = False


class Step(msgspec.Struct, frozen=True):
    """What to do with the rows that were fed.

    Args:
        start: Index of the first row to return.
        stop: Index after the last row to return.
        again: Feed these rows again after the span that is now requested before them.
    """

    start: int = 0
    stop: int = 0
    again: bool = False


def values_of(key: Key) -> tuple[KeyValue, ...]:
    """Return the values of a key, one for each field."""
    return key if isinstance(key, tuple) else (key,)
