"""Finds the value that does not fit its column, and the type that would fit.

The search starts when parsing has failed. It parses fewer and fewer rows, so the parser itself decides what fits.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyarrow's stubs do not type the values of arrays.

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Final

import msgspec
import pyarrow as pa

from afas_async.columns.groups import split_rows
from afas_async.errors import RowError
from afas_async.wire.error_answers import clean

Parse = Callable[[bytes, pa.Schema], object]

_LEAST_DIGITS: Final = 18
_MOST_DIGITS: Final = 38
_SHOWN: Final = 60
_MISFITS: Final = (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError)
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def explain_misfit(text: bytes, before: int, schema: pa.Schema, parse: Parse, *, connector: str) -> RowError:
    """Return the error for a group that does not parse, with its row, field, value and the `types=` to use.

    Args:
        text: The rows.
        before: The number of rows before them in the read.
        schema: The schema that they do not fit.
        parse: Parses some rows, or raises.
        connector: The connector's name.
    """
    rows = list(split_rows(text))
    low, high = 0, len(rows)  # the first `low` rows parse, the first `high` do not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _parses(b"\n".join(rows[:middle]), schema, parse) else (low, middle)
    row, number = rows[low], before + low
    field = next((field for field in schema if not _parses(row, pa.schema([field]), parse)), None)
    if field is None:
        return _error(connector, number, "", "pyarrow cannot parse the row: exclude it with where=")
    try:
        value = bytes(_MEMBERS.decode(row)[field.name])
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
        return _error(connector, number, field.name, f"{field.name} cannot be read as {field.type}")
    shown = value.decode(errors="replace")
    shown = clean(shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}...")
    if _parses(b'{"x":%b}' % value, pa.schema([field.with_name("x")]), parse):
        return _error(connector, number, field.name, f"the row has {field.name} twice")
    advice = _advice(field.name, value, parse)
    return _error(connector, number, field.name, f"{field.name} is {shown}, which does not fit {field.type}: {advice}")


def _parses(text: bytes, schema: pa.Schema, parse: Parse) -> bool:
    try:
        parse(text, schema)
    except _MISFITS:
        return False
    return True


def _advice(name: str, value: bytes, parse: Parse) -> str:
    for text, kind in _candidates(value):
        if _parses(b'{"x":%b}' % value, pa.schema([("x", kind)]), parse):
            return f'use types={{"{name}": {text}}}'
    return f"no type holds it exactly: exclude {name} with select="


def _candidates(value: bytes) -> Iterator[tuple[str, pa.DataType]]:
    """Yield the types that could hold a value, the simplest first: as Python code, and as a type."""
    if value[:1] == b'"':
        yield 'pa.timestamp("s")', pa.timestamp("s")
        yield 'pa.timestamp("us")', pa.timestamp("us")
        yield "pa.string()", pa.string()
    elif value in {b"true", b"false"}:
        yield "pa.bool_()", pa.bool_()
    elif value[:1] in b"-0123456789":
        yield "pa.int64()", pa.int64()
        number = Decimal(value.decode()).as_tuple()
        exponent = int(number.exponent)
        scale = max(0, -exponent)
        digits = max(_LEAST_DIGITS, len(number.digits) + max(0, exponent), scale)
        if digits <= _MOST_DIGITS:
            yield f"pa.decimal128({digits}, {scale})", pa.decimal128(digits, scale)


def _error(connector: str, number: int, field: str, what: str) -> RowError:
    path = f"$.rows[{number}]{field and f'.{field}'}"
    return RowError(
        f"{connector}: row {number} of the read: {what}", connector=connector, page=None, index=number, path=path
    )
