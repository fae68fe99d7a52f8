"""Keys of rows that a user has: those that a whole read does not bring are of rows that are gone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from afas_async.errors import UsageError
from afas_async.policy.spans import Key
from afas_async.read.keys import KeyReader
from afas_async.read.query import Query
from afas_async.vocabulary.arguments import check_type


class KnownKeys:
    """Keys that are known, and which of them a read has not brought.

    Args:
        query: What is read.
        keys: The known keys.

    Attributes:
        missing: Those that no row has had so far, in the order in which they were given.

    Raises:
        UsageError: If they are not keys.
    """

    def __init__(self, query: Query[Any], keys: Iterable[Key]) -> None:
        name = query.connector.name
        if isinstance(keys, str):
            raise UsageError(f"{name}: known_keys: expected several keys, got one str")
        check_type("known_keys", keys, Iterable, "several keys", connector=name)
        try:
            self.missing = dict.fromkeys(keys)
        except TypeError:  # lists, as JSON has them in place of tuples
            raise UsageError(f"{name}: known_keys: keys of several fields must be tuples") from None
        self._connector = query.connector
        self._keys = KeyReader(query.connector, query.order)
        self._shape = {_shape(key) for key in self.missing}

    def meet(self, rows: Sequence[Any]) -> None:
        """Take rows of the read into account.

        Raises:
            UsageError: If known keys are of another type than those of the rows, which would make all of them missing.
        """
        keys = self._keys.read(rows, None, 0)
        if not self._shape <= {_shape(keys[0])}:
            raise UsageError(
                f"{self._connector.name}: known_keys: they must be like those of the rows, such as {keys[0]!r}: not one"
                " of them could be found otherwise"
            )
        for key in keys:
            self.missing.pop(key, None)


def _shape(key: Key) -> object:
    return tuple(type(value) for value in key) if isinstance(key, tuple) else type(key)
