"""The keys of rows: by them pages are joined, repaired and gone on from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter, itemgetter
from typing import Any, Generic, overload

import msgspec

from afas_async.connectors import GetConnector, RowT
from afas_async.errors import NonUniqueKeyError, UnknownFieldError, UsageError
from afas_async.policy.order import Key, Order


class KeyReader(Generic[RowT]):
    """Reads the keys of rows, and checks them.

    Args:
        connector: The connector, with the type of its rows.
        order: What the rows are sorted by: the key of a row is the values of these fields.
    """

    def __init__(self, connector: GetConnector[RowT], order: Order) -> None:
        self._connector = connector
        self._order = order
        self._fields = [field.removeprefix("-") for field in order.fields]
        self._raw = connector.row_type is msgspec.Raw
        self._getters = _getters(connector.row_type, self._fields)

    def read(self, rows: Sequence[RowT], before: Key | None, page: int) -> Sequence[Key]:
        """Return the keys of rows that stand together in an answer.

        The keys of `msgspec.Raw` rows are decoded when they are looked at, and only those at the seams are.

        Args:
            rows: One or more rows.
            before: The key of the row before them in the answer, None if they are its first.
            page: The page's number, for errors.

        Raises:
            UnknownFieldError: If a row lacks a field of the key.
            UsageError: If a value is neither text nor a whole number.
            NonUniqueKeyError: If two rows have the same key, or a row has an empty one.
            KeyOrderError: If whole numbers are not in order.
        """
        if self._raw:
            raw = _RawKeys(rows, self._read_one)
            # In order, rows with one key stand together: so the ends tell of pieces that have no other.
            ends = [raw[0], raw[-1]] if len(rows) > 1 else [raw[0]]
            for key in ends:
                self._check(key, page)
            self._order.check(ends if before is None else [before, *ends], connector=self._connector.name, page=page)
            return raw
        try:
            columns = [list(map(getter, rows)) for getter in self._getters]
        except KeyError as missing:
            raise self._unknown(missing.args[0]) from None
        keys: Sequence[Key]
        if len(columns) == 1:
            keys = columns[0]
            if self._order.proves(keys, before):
                return keys
            for key in keys:
                self._check(key, page)
        else:
            keys = list(zip(*columns, strict=True))
            if any(not set(map(type, column)) <= {int, str} or "" in column for column in columns):
                for key in keys:
                    self._check(key, page)
        if before is not None:
            self._order.check((before, keys[0]), connector=self._connector.name, page=page)
        self._order.check(keys, connector=self._connector.name, page=page)
        return keys

    def _read_one(self, row: Any) -> Key:
        try:
            values = tuple(getter(row) for getter in self._getters)
        except KeyError as missing:
            raise self._unknown(missing.args[0]) from None
        return values if len(self._getters) > 1 else values[0]

    def _check(self, key: Any, page: int) -> None:
        values: tuple[Any, ...] = key if len(self._fields) > 1 else (key,)
        for field, value in zip(self._fields, values, strict=True):
            if value is None or value == "":
                raise self._empty(field, page)
            if not isinstance(value, (str, int)) or isinstance(value, bool):
                raise UsageError(
                    f"{self._connector.name}: page {page}: {field} is {value!r}: a read of several pages can be sorted"
                    " by texts and whole numbers only, as other values do not survive the round trip through a filter"
                )

    def _empty(self, field: str, page: int) -> NonUniqueKeyError | UsageError:
        name = self._connector.name
        if field not in self._connector.key:
            return UsageError(
                f"{name}: page {page}: {field} is empty in a row: a read of several pages can be sorted only by fields"
                f" that are never empty; leave such rows out with F.{field}.is_not_empty()"
            )
        return NonUniqueKeyError(
            f"{name}: page {page}: {field}, a field of the key, is empty in a row: such rows would be lost; declare"
            f" another key, or read them apart: where=F.{field}.is_empty() and F.{field}.is_not_empty()",
            connector=name,
            page=page,
        )

    def _unknown(self, field: object) -> UnknownFieldError:
        return UnknownFieldError(f"{self._connector.name}: a row has no field {field!r}, by which the read is sorted")


class _RawKeys(Sequence[Key]):
    """The keys of undecoded rows."""

    def __init__(self, rows: Sequence[Any], read: Callable[[Any], Key]) -> None:
        self._rows = rows
        self._read = read

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Key: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Key]: ...

    def __getitem__(self, index: int | slice) -> Key | Sequence[Key]:
        if isinstance(index, slice):
            return _RawKeys(self._rows[index], self._read)
        return self._read(self._rows[index])


def _getters(row_type: Any, fields: Sequence[str]) -> list[Callable[[Any], Any]]:
    """Return for each field what reads it from a row."""
    if row_type is dict:
        return [itemgetter(field) for field in fields]
    if row_type is msgspec.Raw:
        members = [(f"field{number}", Any, msgspec.UNSET) for number in range(len(fields))]
        names = {member[0]: field for member, field in zip(members, fields, strict=True)}
        decode = msgspec.json.Decoder(msgspec.defstruct("Key", members, rename=names)).decode
        return [_decoded(decode, name, field) for name, field in names.items()]
    attributes = {field.encode_name: field.name for field in msgspec.structs.fields(row_type)}
    return [attrgetter(attributes[field]) for field in fields]


def _decoded(decode: Callable[[Any], Any], name: str, field: str) -> Callable[[Any], Any]:
    def read(row: Any) -> Any:
        value = getattr(decode(row), name)
        if value is msgspec.UNSET:
            raise KeyError(field)
        return value

    return read
