"""Where a read stands, as a text to store: the keys of the last rows handed out, and what was being read."""

from __future__ import annotations

import hashlib

import msgspec

from afas_async.errors import UsageError
from afas_async.policy.order import Key, Value, values_of
from afas_async.vocabulary.filters import Group, Operator, Test
from afas_async.vocabulary.values import value_text

_VERSION = 1


class KeyRange(msgspec.Struct, frozen=True, array_like=True):
    """The rows whose first key field has a value from one (it included) up to another (it excluded).

    Args:
        lower: The value from which on rows belong to it; None for the first.
        upper: The value before which rows belong to it; None for the last.
    """

    lower: Value | None
    upper: Value | None

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
        cursors: The key of the last row handed out, None at the start; for each range, if there are some.
        ranges: The key ranges that the read was cut into, if it was.
        parts: How the condition was split; empty if it was not.
        over: How many of them have been read to their end; None if they are read together, or there is only one.
    """

    cursors: tuple[Key | None, ...] = ()
    ranges: tuple[KeyRange, ...] | None = None
    parts: str = ""
    over: int | None = None

    def belongs_to(self, start: Position, fields: int) -> bool:
        """Whether it can be reached in a read that begins at `start`, by keys with so many fields."""
        return (
            len(self.cursors) == len(start.cursors)
            and (self.ranges, self.parts) == (start.ranges, start.parts)
            and (self.over is None if start.over is None else self.over is not None and self.over >= 0)
            and all(len(values_of(key)) == fields for key in self.cursors if key is not None)
        )


class _Token(msgspec.Struct, frozen=True):
    version: int
    query: str
    cursors: tuple[Value | tuple[Value, ...] | None, ...]
    ranges: tuple[KeyRange, ...] | None
    parts: str
    over: int | None


def fingerprint(*query: object) -> str:
    """Return a short text that differs for queries that differ."""
    return hashlib.sha256(msgspec.json.encode(query)).hexdigest()[:16]


def to_token(position: Position, query: str) -> str:
    """Return a position as text."""
    token = _Token(_VERSION, query, position.cursors, position.ranges, position.parts, position.over)
    return msgspec.json.encode(token).decode()


def from_token(token: str, query: str, connector: str) -> Position:
    """Return the position that a text holds.

    Raises:
        UsageError: If it is no such text, or one of another query.
    """
    try:
        found = msgspec.json.decode(token, type=_Token)
    except (msgspec.DecodeError, TypeError, UnicodeError):
        raise UsageError(f"{connector}: after= takes what `rows.token` returned, not {type(token).__name__}") from None
    if found.version != _VERSION:
        raise UsageError(f"{connector}: the token in after= is of version {found.version}, not {_VERSION}")
    if found.query != query:
        raise UsageError(
            f"{connector}: the token in after= is of another query: connector, key, order, condition, part and whether"
            " ranges are read must be the same"
        )
    return Position(found.cursors, found.ranges, found.parts, found.over)
