"""Where a read stands, as a text to store: the keys of the last rows handed out, and what was being read."""

from __future__ import annotations

import hashlib

import msgspec

from afas_async.errors import UsageError
from afas_async.policy.spans import Key, KeyValue, values_of
from afas_async.vocabulary.arguments import type_name
from afas_async.vocabulary.filters import Group, Operator, Test
from afas_async.vocabulary.values import value_text

_VERSION = 1


class KeyRange(msgspec.Struct, frozen=True, array_like=True):
    """The rows whose first key field has a value from one (it included) up to another (it excluded).

    Args:
        lower: The value from which on rows belong to it; None for the first.
        upper: The value before which rows belong to it; None for the last.
    """

    lower: KeyValue | None
    upper: KeyValue | None

    def group(self, field: str) -> Group:
        """Return the tests on the first key field that the rows of the range meet."""
        tests: list[Test] = []
        if self.lower is not None:
            tests.append(Test(field, Operator.AT_LEAST, value_text(self.lower, field)))
        if self.upper is not None:
            tests.append(Test(field, Operator.LESS, value_text(self.upper, field)))
        return tuple(tests)


class Position(msgspec.Struct, frozen=True):
    """Where a read stands.

    Args:
        after: The key of the last row handed out, None at the start.
        parts: How the condition was split; empty if it was not.
        over: How many of them have been read to their end; None if they are read together, or there is only one.
    """

    after: Key | None = None
    parts: str = ""
    over: int | None = None

    def belongs_to(self, start: Position, fields: int) -> bool:
        """Whether it can be reached in a read that begins at `start`, by keys with so many fields."""
        return (
            self.parts == start.parts
            and (self.over is None if start.over is None else self.over is not None and self.over >= 0)
            and (self.after is None or len(values_of(self.after)) == fields)
        )


class _Cursor(msgspec.Struct, frozen=True):
    version: int
    query: str
    after: KeyValue | tuple[KeyValue, ...] | None
    parts: str
    over: int | None


def fingerprint(*query: object) -> str:
    """Return a short text that differs for queries that differ."""
    return hashlib.sha256(msgspec.json.encode(query)).hexdigest()[:16]


def to_cursor(position: Position, query: str) -> str:
    """Return a position as text."""
    cursor = _Cursor(_VERSION, query, position.after, position.parts, position.over)
    return msgspec.json.encode(cursor).decode()


def from_cursor(cursor: str, query: str, connector: str) -> Position:
    """Return the position that a text holds.

    Raises:
        UsageError: If it is no such text, or one of another query.
    """
    try:
        found = msgspec.json.decode(cursor, type=_Cursor)
    except (msgspec.DecodeError, TypeError, UnicodeError):
        given = "another text" if isinstance(cursor, str) else type_name(cursor)  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(f"{connector}: after: expected a cursor, the text of `rows.cursor`, got {given}") from None
    if found.version != _VERSION:
        raise UsageError(f"{connector}: the cursor in after= is of version {found.version}, not {_VERSION}")
    if found.query != query:
        raise UsageError(
            f"{connector}: the cursor in after= is of another query: connector, key, order, condition and part must be"
            " the same"
        )
    return Position(found.after, found.parts, found.over)
