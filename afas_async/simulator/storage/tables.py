"""A user's own rows as a GetConnector: what its fields are, which follows from all of their values.

The rows are gone through twice: once for what the fields are, once to hand them on. In CSV, where everything is text:

* whole numbers without leading zeros are `int`; with one beyond 64 bits or with decimals (`12.30`, `-.5`) among them
  they are `decimal`;
* `true` and `false`, in any case of letters, are `boolean`;
* days (`2024-01-31`) and moments to the minute or second (`2024-01-31T09:30:00`, or with a space for the T, or with a
  Z) are `date`, and served in the service's own form; moments with a fraction or a time zone are text;
* everything else is `string`, and so is a column that mixes these or has a `007`. No text at all is null.

In JSON and in Python a value has its own type, and text in the service's own form of a date is a `date`. No decimal
becomes a floating-point number on its way: it is served with the digits that it has in the file.
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

_MOST_COLUMNS: Final = 1_999  # SQLite has 2,000, and one is the store's own
_RESERVED: Final = frozenset({"json", "rowid"})  # columns of the store's own
_TEXT_KIND: Final = re.compile(
    r"(?P<int>0|-?[1-9][0-9]*)"
    r"|(?P<decimal>-?(?:0|[1-9][0-9]*)?\.[0-9]+)"
    r"|(?P<boolean>(?i:true|false))"
    r"|(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?Z?)?)"
)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


@dataclass(frozen=True, slots=True)
class Table:
    """A connector with rows of its own.

    Attributes:
        connector: The connector; one that you only read has no key.
        rows: The rows, each with its values in the order of the fields, decimals as text. They can be gone through
            again.
    """

    connector: Connector
    rows: Iterable[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that can be gone through again.

    Attributes:
        make: Starts to go through them.
    """

    make: Callable[[], Iterator[Sequence[Any]]]

    def __iter__(self) -> Iterator[Sequence[Any]]:
        return self.make()


def check_table_name(name: str) -> None:
    """Check that a table can have the name of a connector.

    Raises:
        ValueError: It cannot; the message says why.
    """
    try:
        connector_name(name)
    except UsageError as error:
        raise ValueError(str(error)) from None
    if name.lower().startswith("sqlite_"):
        raise ValueError(f"{name!r}: SQLite keeps the names that start with `sqlite_` to itself")


def read_table(name: str, source: Source) -> Table:
    """Find out what the fields of a user's rows are.

    Args:
        name: The id of the connector.
        source: The rows; a field that one lacks is null in it. There can be 1,999 fields, a decimal counted twice.

    Raises:
        ValueError: The name is none, or something is wrong with the rows; the message says where.
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
        raise ValueError(f"{reading.label}: there are no rows, so nothing tells what the fields are")
    fields = tuple(column.field() for column in columns.values())
    if len(fields) + sum(field.exact for field in fields) > _MOST_COLUMNS:
        raise ValueError(f"{reading.label}: {len(fields)} fields; there can be {_MOST_COLUMNS}, a decimal counts twice")
    return Table(Connector(name, name, (), fields), Rows(lambda: _converted(reading, fields)))


class _Column:
    """What is known of a field from the values seen so far."""

    def __init__(self, name: str, reading: Reading) -> None:
        self.name = name
        self._reading = reading
        self._kind: FieldType | None = None
        self._length = 1
        self._decimals = 0

    def field(self) -> Field:
        """Describe the field."""
        kind = self._kind or "string"
        length = {"boolean": 1, "date": 19}.get(kind, self._length)
        if kind == "decimal":
            return Field(self.name, kind, length, self._decimals, self.name, exact=True)
        return Field(self.name, kind, length, 0, self.name)

    def widen(self, numbers: Sequence[int], values: Sequence[Any]) -> None:
        """Let the field hold further values."""
        is_text = bool(self._reading.header)
        kind_of = _text_kind if is_text else _value_kind
        given = zip(values, numbers, strict=True)
        for value, number in dict(given).items() if is_text else given:  # equal text is of equal type, but 1 == True
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
            reason = f"{name!r} cannot be the name of a field: letters, digits and `_` only, 64 at most"
            raise reading.error(number, reason) from None
        if name.lower() in _RESERVED:
            raise reading.error(number, f"no field can have the name {name!r}: the simulator has a column of that name")
        if name.lower() in {other.lower() for other in columns}:
            raise reading.error(number, f"{name!r} is the name of two fields, if case does not count")
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
            value.encode()  # fails for half of a surrogate pair, which no body can hold
            return "date" if _DATE.fullmatch(value) and _is_date(value) else "string"
        case int():
            return "int" if -(2**63) <= value < 2**63 else "decimal"
        case float() | Decimal() if math.isfinite(value):
            return "decimal"
        case date() if not isinstance(value, datetime) or value.tzinfo is None:
            return "date"
        case _:
            raise ValueError(f"is {value!r}, which no field of a row can be")


def _joined(kind: FieldType | None, other: FieldType, *, is_text: bool) -> FieldType:
    """The type of a field that holds values of both types."""
    if kind is None:
        return other
    if {kind, other} == {"int", "decimal"}:
        return "decimal"
    if is_text or {kind, other} == {"string", "date"}:
        return "string"
    raise ValueError(f"is a value of type {other}, and in rows before of type {kind}")


def _is_date(text: str) -> bool:
    try:
        moment_text(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=10_000)
def moment_text(value: str | date) -> str:
    """Write a day or a moment in the service's own form (docs.afas.help, "GetConnector": the Z is not true).

    Raises:
        ValueError: The text is not that of a moment.
    """
    if isinstance(value, str):
        value = datetime.fromisoformat(value.removesuffix("Z"))
    if isinstance(value, datetime):
        return f"{value.isoformat(timespec='seconds')}Z"
    return f"{value.isoformat()}T00:00:00Z"


def _decimal(value: Any) -> str:
    """A number as JSON has it, with all of its digits."""
    return format(Decimal(str(value)), "f")


def _converted(reading: Reading, fields: Sequence[Field]) -> Iterator[tuple[Any, ...]]:
    """The rows as SQLite takes them."""
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
