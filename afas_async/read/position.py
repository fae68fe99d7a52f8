"""Where a read stands, as a text to store: the keys of the last rows returned, and a fingerprint of the query."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Generic

import msgspec
from msgspec.structs import replace

from afas_async.errors import UsageError
from afas_async.policy.anchor import any_key
from afas_async.policy.spans import Key, KeyValue, values_of
from afas_async.vocabulary.arguments import type_name
from afas_async.vocabulary.connectors import RowT

_VERSION = 1


class Position(msgspec.Struct, frozen=True):
    """Where a read stands.

    Args:
        after: The key of the last row returned whose key can be sent, None at the start.
        since: The keys of the rows returned after it, which cannot be sent.
        parts: How the condition was split; empty if it was not.
        over: How many parts have been read to their end; None if they are read together, or there is only one.
    """

    after: Key | None = None
    since: tuple[Key, ...] = ()
    parts: str = ""
    over: int | None = None

    def belongs_to(self, start: Position, fields: int) -> bool:
        """Whether it can be reached in a read that begins at `start`, by keys with so many fields."""
        return (
            self.parts == start.parts
            and (self.over is None if start.over is None else self.over is not None and self.over >= 0)
            and all(len(values_of(key)) == fields for key in (self.after, *self.since) if key is not None)
        )


START = Position()


class Batch(msgspec.Struct, Generic[RowT], frozen=True):
    """Rows that are returned together, and where the read stands after each of them.

    Args:
        rows: The rows.
        keys: Their keys; without a key, any sequence of the same length.
        before: Where the read stands before them.
        fits: Whether a key can be sent.
    """

    rows: list[RowT] = []
    keys: Sequence[Key] = ()
    before: Position = START
    fits: Callable[[Key], bool] = any_key

    def position(self, returned: int) -> Position:
        """Return where the read stands after the first `returned` rows."""
        for place in reversed(range(returned)):
            if self.fits(self.keys[place]):
                return replace(self.before, after=self.keys[place], since=(*self.keys[place + 1 : returned],))
        return replace(self.before, since=(*self.before.since, *self.keys[:returned]))


class _Cursor(msgspec.Struct, frozen=True):
    version: int
    query: str
    after: KeyValue | tuple[KeyValue, ...] | None
    since: tuple[KeyValue | tuple[KeyValue, ...], ...]
    parts: str
    over: int | None


def fingerprint(*facts: object) -> str:
    """Return a short text that differs for different queries."""
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:16]


def to_cursor(position: Position, query: str) -> str:
    """Return a position as text."""
    cursor = _Cursor(_VERSION, query, position.after, position.since, position.parts, position.over)
    return json.dumps(msgspec.to_builtins(cursor))  # json also writes unpaired surrogates, which msgspec refuses


def from_cursor(cursor: str, query: str, connector: str) -> Position:
    """Return the position that a text holds.

    Raises:
        UsageError: If the text is not a cursor, or belongs to another query.
    """
    try:
        found = msgspec.convert(json.loads(cursor), _Cursor)
    except (msgspec.ValidationError, TypeError, ValueError, RecursionError):
        given = "another text" if isinstance(cursor, str) else type_name(cursor)  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(f"{connector}: after: expected a cursor, the text of `rows.cursor`, got {given}") from None
    if found.version != _VERSION:
        raise UsageError(
            f"{connector}: the cursor in after= has version {found.version}, not {_VERSION}: start the read again"
        )
    if found.query != query:
        raise UsageError(
            f"{connector}: the cursor in after= belongs to another query: connector, key, order, condition and part"
            " must be the same"
        )
    return Position(found.after, found.since, found.parts, found.over)
