"""The keys of rows that you already have; those that a whole read does not return belong to deleted rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from afas_async.errors import UsageError
from afas_async.policy.spans import Key
from afas_async.read.keys import KeyReader
from afas_async.read.query import Query
from afas_async.vocabulary.arguments import check_type


class KnownKeys:
    """The known keys that a read has not returned yet.

    Args:
        query: The read.
        keys: The known keys.

    Attributes:
        missing: The keys that no row has had so far, in their given order.

    Raises:
        UsageError: If they are not keys.
    """

    def __init__(self, query: Query[Any], keys: Iterable[Key]) -> None:
        name = query.connector.name
        if isinstance(keys, str):
            raise UsageError(f"{name}: known_keys: expected several keys, got one str")
        check_type("known_keys", keys, Iterable, "several keys", connector=name)
        try:
            self.missing: dict[Key, None] = dict.fromkeys(keys)
        except TypeError:  # lists, which JSON has instead of tuples
            raise UsageError(f"{name}: known_keys: keys of several fields must be tuples") from None
        self._connector = query.connector
        self._keys = KeyReader(query.connector, query.order)
        self._shape = {_shape(key) for key in self.missing}

    def remove(self, rows: Sequence[Any]) -> None:
        """Remove the keys of these rows from the missing ones.

        Raises:
            UsageError: If the known keys have another type than those of the rows, which would make all of them
                missing.
        """
        keys = self._keys.read(rows, None, 0)
        if not self._shape <= {_shape(keys[0])}:
            raise UsageError(
                f"{self._connector.name}: known_keys: give keys like those of the rows, such as {keys[0]!r}; keys of"
                " another type match no row"
            )
        for key in keys:
            self.missing.pop(key, None)


def _shape(key: Key) -> object:
    return tuple(type(value) for value in key) if isinstance(key, tuple) else type(key)
