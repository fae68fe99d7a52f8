"""The keys of rows, by which pages are joined and repaired, and reads continue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from keyword import iskeyword
from typing import Any, Generic, cast, overload

import msgspec

from afas_async.errors import NonUniqueKeyError, UnknownFieldError, UsageError
from afas_async.policy.order import Order
from afas_async.policy.spans import Key, values_of
from afas_async.vocabulary.connectors import GetConnector, RowT
from afas_async.vocabulary.values import MIDNIGHT, is_moment


class KeyReader(Generic[RowT]):
    """Reads the keys of rows, and checks them.

    Args:
        connector: The connector, with the type of its rows.
        order: The sort order of the rows: the key of a row is the values of these fields.
    """

    def __init__(self, connector: GetConnector[RowT], order: Order) -> None:
        self._connector = connector
        self._order = order
        self._fields = [field.removeprefix("-") for field in order.fields]
        self._raw = connector.row_type is msgspec.Raw
        self._columns = [_column(cast("Any", connector.row_type), field) for field in self._fields]

    def read(self, rows: Sequence[RowT], before: Key | None, page: int) -> Sequence[Key]:
        """Return the keys of neighbouring rows of a response.

        The keys of `msgspec.Raw` rows are decoded only when they are used, which is at the seams.

        Args:
            rows: One or more rows.
            before: The key of the row before them in the response, None if they are its first.
            page: The page's number, for errors.

        Raises:
            UnknownFieldError: If a row lacks a field of the key.
            UsageError: If a value is neither text nor a whole number, or is a moment other than a date.
            NonUniqueKeyError: If two rows have the same key, or a row has an empty one.
            KeyOrderError: If whole numbers are not in order.
        """
        keys: Sequence[Key]
        shown: Sequence[Key]
        if self._raw:
            keys = _RawKeys(rows, self._read_one)
            # In order, rows with the same key are neighbours: so the ends reveal a slice in which all rows have one
            # key.
            shown = [keys[0], keys[-1]] if len(rows) > 1 else [keys[0]]
        else:
            keys = shown = self._read_all(rows)
        first = shown[0]
        if type(first) is not int and any(isinstance(value, str) and is_moment(value) for value in values_of(first)):
            self._refuse_times(shown, page)
        if len(self._fields) == 1 and self._order.proves(shown, before):
            return keys
        self._check_values(shown, page)
        if before is not None:
            self._order.check((before, shown[0]), connector=self._connector.name, page=page)
        self._order.check(shown, connector=self._connector.name, page=page)
        return keys

    def _read_all(self, rows: Sequence[RowT]) -> Sequence[Key]:
        try:
            columns = [column(rows) for column in self._columns]
        except KeyError as missing:
            raise self._unknown(missing.args[0]) from None
        return columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))

    def _read_one(self, row: RowT) -> Key:
        return self._read_all((row,))[0]

    def _check_values(self, keys: Sequence[Key], page: int) -> None:
        columns = [keys] if len(self._fields) == 1 else list(zip(*cast("Sequence[tuple[Key, ...]]", keys), strict=True))
        if any(not set(map(type, column)) <= {int, str} or "" in column for column in columns):
            for key in keys:
                self._check(key, page)

    def _check(self, key: Any, page: int) -> None:
        values: tuple[Any, ...] = key if len(self._fields) > 1 else (key,)
        for field, value in zip(self._fields, values, strict=True):
            if value is None or value == "":
                raise self._empty(field, page)
            if not isinstance(value, (str, int)) or isinstance(value, bool):
                raise UsageError(
                    f"{self._connector.name}: page {page}: {field} is {value!r}. A read of several pages can be sorted"
                    " only by texts and whole numbers, as other values change on their way through a filter: sort by"
                    " another field, or use verify=False"
                )

    def _refuse_times(self, keys: Sequence[Key], page: int) -> None:
        """Refuse moments other than dates: AFAS stores fractions of a second that no filter can match."""
        for key in keys:
            for field, value in zip(self._fields, values_of(key), strict=True):
                if isinstance(value, str) and is_moment(value) and not value.endswith(MIDNIGHT):
                    raise UsageError(
                        f"{self._connector.name}: page {page}: {field} is the moment {value}. A read of several pages"
                        " can be sorted by dates but not by moments, as the service stores fractions of a second that"
                        " it does not show: sort by another field, or use verify=False"
                    )

    def _empty(self, field: str, page: int) -> NonUniqueKeyError | UsageError:
        name = self._connector.name
        if field not in self._connector.key:
            return UsageError(
                f"{name}: page {page}: {field} is empty in a row. A read of several pages can be sorted only by fields"
                f" that are never empty: leave such rows out with F.{field}.is_not_empty()"
            )
        return NonUniqueKeyError(
            f"{name}: page {page}: {field}, a field of the key, is empty in a row. Such rows would be lost: declare"
            f" another key, or read them separately with where=F.{field}.is_empty() and F.{field}.is_not_empty()",
            connector=name,
            page=page,
        )

    def _unknown(self, field: object) -> UnknownFieldError:
        return UnknownFieldError(
            f"{self._connector.name}: a row has no field {field!r}, by which the read is sorted: check its name"
        )


class _RawKeys(Sequence[Key]):
    """The keys of undecoded rows."""

    def __init__(self, rows: Sequence[Any], read: Callable[[Any], Key]) -> None:
        self._rows = rows
        self._read = read
        self._known: dict[int, Key] = {}  # the keys at both ends are used several times

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Key: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Key]: ...

    def __getitem__(self, index: int | slice) -> Key | Sequence[Key]:
        if isinstance(index, slice):
            return _RawKeys(self._rows[index], self._read)
        index += len(self._rows) if index < 0 else 0
        if index not in self._known:
            self._known[index] = self._read(self._rows[index])
        return self._known[index]


@lru_cache(maxsize=256)
def _column(row_type: Any, field: str) -> Callable[[Sequence[Any]], list[Any]]:
    """Return a function that reads a field from rows."""
    if row_type is dict:
        return lambda rows: [row[field] for row in rows]
    if row_type is msgspec.Raw:
        return _decoded_column(field)
    name = next(known.name for known in msgspec.structs.fields(row_type) if known.encode_name == field)
    if iskeyword(name):
        return lambda rows: [getattr(row, name) for row in rows]
    # Generated as text, as dataclasses are: this runs for every row that is read, and takes half the time of any other
    # way. The name is that of an attribute of a class.
    return cast("Callable[[Sequence[Any]], list[Any]]", eval(f"lambda rows: [row.{name} for row in rows]"))  # noqa: S307


def _decoded_column(field: str) -> Callable[[Sequence[Any]], list[Any]]:
    member = msgspec.defstruct("Key", [("value", Any, msgspec.UNSET)], rename={"value": field})
    decode = msgspec.json.Decoder(member).decode

    def column(rows: Sequence[Any]) -> list[Any]:
        values = [cast("Any", decode(row)).value for row in rows]
        if msgspec.UNSET in values:
            raise KeyError(field)
        return values

    return column
