"""What a read asks for: spans of rows, counted from the start of the read or within a slice of it."""

from __future__ import annotations

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


def values_of(key: Key) -> tuple[KeyValue, ...]:
    """Return the values of a key, one for each field."""
    return key if isinstance(key, tuple) else (key,)
