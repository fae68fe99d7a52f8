"""Your own GetConnectors, with the fields of your metainfo."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from afas_async.simulator.own.documents import (
    DescribedConnector,
    MetainfoSource,
    check_columns,
    convert_document,
    read_document,
)
from afas_async.simulator.samples.connectors import Connector, Field, FieldType
from afas_async.simulator.storage.sources import Reading, Source, read_source
from afas_async.simulator.storage.tables import Rows, Table, check_table_name, moment_text

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,19}")
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
# The form of a Dutch Excel, with points between thousands only.
_DUTCH_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+|[0-9]{1,3}(?:\.[0-9]{3})+),[0-9]+")
_DUTCH_DATE: Final = re.compile(r"([0-9]{1,2})-([0-9]{1,2})-([0-9]{4})(?: ([0-9]{1,2})(:[0-9]{2}(?::[0-9]{2})?))?")
_BOOLEANS: Final = {"true": True, "waar": True, "1": True, "false": False, "onwaar": False, "0": False}
_LARGEST: Final = 2**63


class OwnGetConnector(msgspec.Struct, frozen=True):
    """Your own GetConnector, with the types, lengths, labels and ids of your environment.

        Simulator(connectors={"My_Orders": OwnGetConnector("metainfo/My_Orders.json", "orders.csv")})

    You may leave out the rows. In a row you may leave out a field that is null, but you may not add a field that your
    metainfo does not have. Texts are converted to the type of their field, also from the forms of a Dutch Excel:
    `1.234,50`, `31-1-2024 09:30` and `WAAR`.

    Attributes:
        metainfo: The JSON of `GET metainfo/get/X`, as a dict, as bytes or as the path of a file.
        rows: The rows, as the path of a `.csv`, `.ndjson` or `.jsonl` file, or as dicts.
    """

    metainfo: MetainfoSource
    rows: Source = ()


def read_described_table(name: str, own: OwnGetConnector) -> Table:
    """Return the table of a user's own GetConnector.

    Args:
        name: The id of the connector.
        own: Its metainfo and rows.

    Raises:
        ValueError: Its metainfo or a row is wrong; the message says where.
        OSError: A file cannot be read.
    """
    check_table_name(name)
    document = read_document(name, own.metainfo)
    described = convert_document(name, document, DescribedConnector)
    fields = tuple(field.column(field.id, exact=True) for field in described.fields)
    if not fields:
        raise ValueError(f"the metainfo of {name} has no fields")
    check_columns(name, [field.id for field in fields])
    reading = read_source(name, own.rows)
    known = {field.id for field in fields}
    _check_names(name, known, reading.header, reading, reading.first)
    return Table(
        Connector(name, described.description or name, (), fields, document),
        Rows(lambda: _converted(name, reading, fields, known)),
    )


def _check_names(name: str, known: set[str], given: Sequence[str], reading: Reading, number: int) -> None:
    for field in given:
        if field not in known:
            raise reading.error(number, f"the metainfo of {name} has no field {field!r}")


def _converted(name: str, reading: Reading, fields: Sequence[Field], known: set[str]) -> Iterator[tuple[Any, ...]]:
    converters = [(field.id, _CONVERTERS[field.type]) for field in fields]
    for numbers, rows in reading.blocks():
        for number, row in zip(numbers, rows, strict=True):
            if not known.issuperset(row):
                _check_names(name, known, list(row), reading, number)
            yield tuple([_value(row, field, convert, reading, number) for field, convert in converters])


def _value(row: Mapping[str, Any], field: str, convert: Callable[[Any], Any], reading: Reading, number: int) -> Any:
    value = row.get(field)
    if value is None:
        return None
    try:
        return convert(value)
    except ValueError:
        raise reading.error(number, f"{field} is {value!r}, which is not a value of its type in the metainfo") from None


def _text(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            value.encode()  # fails for an unpaired surrogate, which UTF-8 cannot hold
            return value
        case int() | float() | Decimal():
            return str(value)
        case date() if not isinstance(value, datetime) or value.tzinfo is None:
            return moment_text(value)
        case _:
            raise ValueError(value)


def _whole(value: object) -> int:
    text = value.strip() if isinstance(value, str) else str(value)
    if isinstance(value, bool) or not _WHOLE.fullmatch(text) or not -_LARGEST <= int(text) < _LARGEST:
        raise ValueError(value)
    return int(text)


def _decimal(value: object) -> str:
    text = value.strip() if isinstance(value, str) else str(value)
    if _DUTCH_DECIMAL.fullmatch(text):
        text = text.replace(".", "").replace(",", ".")
    if isinstance(value, bool) or not _DECIMAL.fullmatch(text):
        raise ValueError(value)
    return format(Decimal(text), "f")


def _boolean(value: object) -> bool:
    text = str(value).strip().lower()
    if text not in _BOOLEANS:
        raise ValueError(value)
    return _BOOLEANS[text]


def _moment(value: object) -> str:
    match value:
        case datetime() if value.tzinfo is not None:
            raise ValueError(value)
        case date():
            return moment_text(value)
        case str():
            if found := _DUTCH_DATE.fullmatch(value.strip()):
                day, month, year, hour, rest = found.groups()
                value = f"{year}-{int(month):02}-{int(day):02}" + (f"T{int(hour):02}{rest}" if hour else "")
            return moment_text(value.strip())
        case _:
            raise ValueError(value)


_CONVERTERS: Final[dict[FieldType, Callable[[Any], Any]]] = {
    "string": _text,
    "blob": _text,
    "int": _whole,
    "decimal": _decimal,
    "boolean": _boolean,
    "date": _moment,
}
