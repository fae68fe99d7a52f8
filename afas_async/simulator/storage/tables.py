"""Your own rows as a GetConnector, whose fields follow from all of their values.

Your rows are read twice: once to find the type of each field, once to load them. In CSV all values are text:

| Values in a column | Type |
|---|---|
| whole numbers without leading zeros | `int` |
| the same, with some beyond 64 bits or with decimals (`12.30`, `-.5`) | `decimal` |
| `true` and `false`; letter case does not count | `boolean` |
| days (`2024-01-31`) and moments to the minute or second (`2024-01-31T09:30:00`) | `date` |
| anything else, a mixture, or a number like `007` | `string` |

You may write a moment with a space for the `T`, and with a `Z` at its end; you get it back in the service's own form. A
moment with a fraction or a time zone is a text. An empty text is null.

In JSON and in Python a value has its own type, and a text in the service's own form of a date is a `date`. A decimal
never becomes a floating-point number: you get the digits that it has in your file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from afas_async.errors import UsageError
from afas_async.simulator.samples.connectors import Connector, Field, FieldType
from afas_async.simulator.storage.sources import Reading, Source, read_source
from afas_async.vocabulary.names import connector_name, field_id

_MOST_COLUMNS: Final = 1_999  # SQLite allows 2,000, and the store needs one
_RESERVED: Final = frozenset({"json", "rowid"})  # the store has columns with these names
_TEXT_KIND: Final = re.compile(
    r"(?P<int>0|-?[1-9][0-9]*)"
    r"|(?P<decimal>-?(?:0|[1-9][0-9]*)?\.[0-9]+)"
    r"|(?P<boolean>(?i:true|false))"
    r"|(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?Z?)?)"
)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


@dataclass(frozen=True, slots=True)
class Table:
    """A connector with its rows.

    Attributes:
        connector: The connector; one that clients only read has no key.
        rows: The rows, each with its values in the order of the fields, decimals as text. You can iterate over them
            more than once.
    """

    connector: Connector
    rows: Iterable[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows over which you can iterate more than once.

    Attributes:
        make: Returns a new iterator over them.
    """

    make: Callable[[], Iterator[Sequence[Any]]]

    def __iter__(self) -> Iterator[Sequence[Any]]:
        return self.make()


def check_table_name(name: str) -> None:
    """Check that a table can have the name of a connector.

    Raises:
        ValueError: It cannot have this name; the message says why.
    """
    try:
        connector_name(name)
    except UsageError as error:
        raise ValueError(str(error)) from None
    if name.lower().startswith("sqlite_"):
        raise ValueError(f"{name!r}: SQLite reserves the names that start with `sqlite_`")


def read_table(name: str, source: Source) -> Table:
    """Find the fields of a user's rows.

    Args:
        name: The id of the connector.
        source: The rows; a missing field is null. They may have 1,999 fields, a decimal counted twice.

    Raises:
        ValueError: The name is invalid, or a row is wrong; the message says where.
        OSError: The file cannot be read.
    """
    check_table_name(name)
    reading = read_source(name, source)
    columns: dict[str, _Column] = {}
    _add_columns(columns, reading.header, reading, reading.first)
    for numbers, rows in reading.blocks():
        for number, row in zip(numbers, rows, strict=True):
            if not columns.keys() >= row.keys():
                _add_columns(columns, [field for field in row if field not in columns], reading, number)
        for column in columns.values():
            column.widen(numbers, [row.get(column.name) for row in rows])
    if not columns:
        raise ValueError(f"{reading.label}: there are no rows; give at least one, as the fields follow from it")
    fields = tuple(column.field() for column in columns.values())
    if len(fields) + sum(field.exact for field in fields) > _MOST_COLUMNS:
        raise ValueError(
            f"{reading.label}: {len(fields)} fields are too many: {_MOST_COLUMNS} at most; a decimal counts twice"
        )
    return Table(Connector(name, name, (), fields), Rows(lambda: _converted(reading, fields)))


class _Column:
    """The type and size of a field, from the values so far."""

    def __init__(self, name: str, reading: Reading) -> None:
        self.name = name
        self._reading = reading
        self._kind: FieldType | None = None
        self._length = 1
        self._decimals = 0

    def field(self) -> Field:
        """Return the field."""
        kind = self._kind or "string"
        length = {"boolean": 1, "date": 19}.get(kind, self._length)
        if kind == "decimal":
            return Field(self.name, kind, length, self._decimals, self.name, exact=True)
        return Field(self.name, kind, length, 0, self.name)

    def widen(self, numbers: Sequence[int], values: Sequence[Any]) -> None:
        """Widen the field so that it can hold further values."""
        is_text = bool(self._reading.header)
        kind_of = _text_kind if is_text else _value_kind
        given = zip(values, numbers, strict=True)
        for value, number in dict(given).items() if is_text else given:  # equal texts have one type, but 1 == True
            if value is None:
                continue
            try:
                self._length = max(self._length, len(str(value)))
                if is_text and self._kind == "string":
                    continue
                kind = kind_of(value)
                if kind != self._kind:
                    self._kind = _joined(self._kind, kind, is_text=is_text)
                if kind == "decimal":
                    self._decimals = max(self._decimals, len(_decimal(value).partition(".")[2]))
            except ValueError as error:
                raise self._reading.error(number, f"{self.name} {error}") from None


def _add_columns(columns: dict[str, _Column], names: Iterable[str], reading: Reading, number: int) -> None:
    for name in names:
        try:
            field_id(name)
        except UsageError:
            reason = f"{name!r} cannot be the name of a field: use letters, digits and `_` only, 64 at most"
            raise reading.error(number, reason) from None
        if name.lower() in _RESERVED:
            raise reading.error(number, f"no field can have the name {name!r}: the simulator uses that name itself")
        if name.lower() in {other.lower() for other in columns}:
            raise reading.error(number, f"two fields have the name {name!r} (letter case does not count)")
        columns[name] = _Column(name, reading)


def _text_kind(text: str) -> FieldType:
    found = _TEXT_KIND.fullmatch(text)
    match found.lastgroup if found else None:
        case "int":
            return _value_kind(int(text)) if len(text) < 30 else "decimal"
        case "decimal":
            return "decimal"
        case "boolean":
            return "boolean"
        case "date":
            return "date" if _is_date(text) else "string"
        case _:
            return "string"


def _value_kind(value: object) -> FieldType:
    match value:
        case bool():
            return "boolean"
        case str():
            value.encode()  # fails for an unpaired surrogate, which UTF-8 cannot hold
            return "date" if _DATE.fullmatch(value) and _is_date(value) else "string"
        case int():
            return "int" if -(2**63) <= value < 2**63 else "decimal"
        case float() | Decimal() if math.isfinite(value):
            return "decimal"
        case date() if not isinstance(value, datetime) or value.tzinfo is None:
            return "date"
        case _:
            raise ValueError(f"is {value!r}: give a text, number, boolean, date or null")


def _joined(kind: FieldType | None, other: FieldType, *, is_text: bool) -> FieldType:
    """The type of a field with values of both types."""
    if kind is None:
        return other
    if {kind, other} == {"int", "decimal"}:
        return "decimal"
    if is_text or {kind, other} == {"string", "date"}:
        return "string"
    raise ValueError(f"has a value of type {other}, but earlier rows have type {kind}")


def _is_date(text: str) -> bool:
    try:
        moment_text(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=10_000)
def moment_text(value: str | date) -> str:
    """Write a day or a moment in the service's own form, with a false `Z` (docs.afas.help, "GetConnector").

    Raises:
        ValueError: The text is not a moment.
    """
    if isinstance(value, str):
        value = datetime.fromisoformat(value.removesuffix("Z"))
    if isinstance(value, datetime):
        return f"{value.isoformat(timespec='seconds')}Z"
    return f"{value.isoformat()}T00:00:00Z"


def _decimal(value: Any) -> str:
    """A number as JSON text, with all of its digits."""
    return format(Decimal(str(value)), "f")


def _converted(reading: Reading, fields: Sequence[Field]) -> Iterator[tuple[Any, ...]]:
    """The rows with the types that SQLite accepts."""
    text = bool(reading.header)
    converters: dict[FieldType, Callable[[Any], Any]] = {
        "string": lambda value: value if isinstance(value, str) else moment_text(value),
        "int": int,
        "decimal": _decimal,
        "boolean": (lambda value: value.lower() == "true") if text else bool,
        "date": moment_text,
    }
    for _, rows in reading.blocks():
        yield from zip(
            *(
                [None if value is None else convert(value) for value in (row.get(field.id) for row in rows)]
                for field, convert in ((field, converters[field.type]) for field in fields)
            ),
            strict=True,
        )
