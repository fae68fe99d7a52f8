"""A user's own rows as a GetConnector: from a CSV file, from a file with a JSON object on each line, or from Python.

The rows are gone through twice, a few thousand at a time: once for what the fields are, once to hand them on. What a
field is follows from all of its values. In CSV, where everything is text:

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

import csv
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from afas_async.errors import InvalidNameError
from afas_async.names import connector_name, field_id
from afas_async.simulator.samples import Connector, Field, FieldType

Source = str | os.PathLike[str] | Iterable[Mapping[str, Any]]

_BLOCK_ROWS: Final = 5_000
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
        connector: The connector; it has no key.
        rows: The rows, each with its values in the order of the fields, decimals as text.
    """

    connector: Connector
    rows: Iterable[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class _Reading:
    """Rows that can be gone through more than once.

    Attributes:
        label: Where the rows come from, for messages.
        unit: What they are numbered by.
        rows: Goes through the rows with their numbers; null is None.
        header: The ids of all fields, if they are known before the rows are; then all values are text.
    """

    label: str
    unit: str
    rows: Callable[[], Iterable[tuple[int, Mapping[str, Any]]]]
    header: Sequence[str] = ()

    def blocks(self) -> Iterator[tuple[tuple[int, ...], tuple[Mapping[str, Any], ...]]]:
        """Go through the rows in blocks: their numbers, and they themselves."""
        rows = iter(self.rows())
        while block := list(islice(rows, _BLOCK_ROWS)):
            numbers, mappings = zip(*block, strict=True)
            yield numbers, mappings

    def error(self, number: int, reason: object) -> ValueError:
        """Say what is wrong with a row."""
        return ValueError(f"{self.label}, {self.unit} {number}: {reason}")


def read_table(name: str, source: Source) -> Table:
    """Find out what the fields of a user's rows are.

    Args:
        name: The id of the connector.
        source: The path of a `.csv`, `.ndjson` or `.jsonl` file in UTF-8, or rows. A CSV file has a line of field ids
            first, and commas, semicolons or tabs between the values. A field that a row lacks is null in it.

    Raises:
        ValueError: The name is none, or something is wrong with the rows; the message says where.
        OSError: The file cannot be read.
    """
    try:
        connector_name(name)
    except InvalidNameError as error:
        raise ValueError(str(error)) from None
    if name.lower().startswith("sqlite_"):
        raise ValueError(f"{name!r}: SQLite keeps the names that start with `sqlite_` to itself")
    reading = _reading(name, source)
    columns: dict[str, _Column] = {}
    _add_columns(columns, reading.header, reading, 1)
    for numbers, rows in reading.blocks():
        for number, row in zip(numbers, rows, strict=True):
            if not columns.keys() >= row.keys():
                _add_columns(columns, [field for field in row if field not in columns], reading, number)
        for column in columns.values():
            column.widen(numbers, [row.get(column.name) for row in rows])
    if not columns:
        raise ValueError(f"{reading.label}: there are no rows, so nothing tells what the fields are")
    fields = tuple(column.field() for column in columns.values())
    return Table(Connector(name, name, (), fields), _converted(reading, fields))


def _reading(name: str, source: Source) -> _Reading:
    if not isinstance(source, (str, os.PathLike)):
        given = list(source)
        return _Reading(f"the rows of {name}", "row", lambda: enumerate(given, 1))
    path = Path(source)
    match path.suffix.lower():
        case ".csv":
            header, delimiter = _csv_header(path)
            return _Reading(str(path), "line", lambda: _csv_rows(path, header, delimiter), header)
        case ".ndjson" | ".jsonl":
            return _Reading(str(path), "line", lambda: _json_rows(path))
        case _:
            raise ValueError(f"{path}: the name of a file of rows ends in .csv, .ndjson or .jsonl")


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.decode()
            except UnicodeDecodeError:
                raise ValueError(f"{path}, line {number}: the text is not in UTF-8") from None
            yield text.removeprefix("\ufeff") if number == 1 else text


def _csv_header(path: Path) -> tuple[list[str], str]:
    line = next(_lines(path), "")
    delimiter = max(",;\t", key=line.count)  # none of them can be in a field id
    header: list[str] = next(csv.reader([line], delimiter=delimiter), list[str]())
    return header, delimiter


def _csv_rows(path: Path, header: Sequence[str], delimiter: str) -> Iterator[tuple[int, Mapping[str, str | None]]]:
    reader = csv.reader(_lines(path), delimiter=delimiter, strict=True)
    try:
        next(reader, None)
        for cells in reader:
            if len(cells) == len(header):
                yield reader.line_num, {field: cell or None for field, cell in zip(header, cells, strict=True)}
            elif cells:
                raise ValueError(f"{path}, line {reader.line_num}: {len(cells)} values for {len(header)} fields")
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}") from None


def _json_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    decoder = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
    for number, line in enumerate(_lines(path), 1):
        if line.strip():
            try:
                yield number, decoder.decode(line)
            except msgspec.DecodeError as error:
                raise ValueError(f"{path}, line {number}: {error}") from None


class _Column:
    """What is known of a field from the values seen so far."""

    def __init__(self, name: str, reading: _Reading) -> None:
        self.name = name
        self._reading = reading
        self._kind: FieldType | None = None
        self._length = 1
        self._decimals = 0

    def field(self) -> Field:
        """Describe the field."""
        kind = self._kind or "string"
        length = {"boolean": 1, "date": 19}.get(kind, self._length)
        return Field(self.name, kind, length, self._decimals if kind == "decimal" else 0, self.name)

    def widen(self, numbers: Sequence[int], values: Sequence[Any]) -> None:
        """Let the field hold further values."""
        is_text = bool(self._reading.header)
        kind_of = _text_kind if is_text else _value_kind
        given = zip(values, numbers, strict=True)
        for value, number in dict(given).items() if is_text else given:  # equal text is of equal type, but 1 == True
            if value is None:
                continue
            self._length = max(self._length, len(str(value)))
            if is_text and self._kind == "string":
                continue
            try:
                kind = kind_of(value)
                if kind != self._kind:
                    self._kind = _joined(self._kind, kind, is_text=is_text)
                if kind == "decimal":
                    self._decimals = max(self._decimals, len(_decimal(value).partition(".")[2]))
            except ValueError as error:
                raise self._reading.error(number, f"{self.name} {error}") from None


def _add_columns(columns: dict[str, _Column], names: Iterable[str], reading: _Reading, number: int) -> None:
    for name in names:
        try:
            field_id(name)
        except InvalidNameError as error:
            raise reading.error(number, error) from None
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
        _date(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=10_000)
def _date(value: str | date) -> str:
    """A day or a moment in the service's own form (docs.afas.help, "GetConnector": the Z is not true)."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value.removesuffix("Z"))
    if isinstance(value, datetime):
        return f"{value.isoformat(timespec='seconds')}Z"
    return f"{value.isoformat()}T00:00:00Z"


def _decimal(value: Any) -> str:
    """A number as JSON has it, with all of its digits."""
    return format(Decimal(str(value)), "f")


def _converted(reading: _Reading, fields: Sequence[Field]) -> Iterator[tuple[Any, ...]]:
    """The rows as SQLite takes them."""
    text = bool(reading.header)
    converters: dict[FieldType, Callable[[Any], Any]] = {
        "string": lambda value: value if isinstance(value, str) else _date(value),
        "int": int,
        "decimal": _decimal,
        "boolean": (lambda value: value.lower() == "true") if text else bool,
        "date": _date,
    }
    for _, rows in reading.blocks():
        yield from zip(
            *(
                [None if value is None else convert(value) for value in (row.get(field.id) for row in rows)]
                for field, convert in ((field, converters[field.type]) for field in fields)
            ),
            strict=True,
        )
