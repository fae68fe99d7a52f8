"""Parses the text of rows into columns. Each value stays exact, or it is an error.

pyarrow parses JSON in C++ without the interpreter's lock, so call this in a thread. pyarrow silently changes four kinds
of values, which are checked here:

- a moment with an offset: pyarrow would convert it;
- a decimal with more digits than its type: pyarrow accepts it, or loses its first digits;
- a decimal with an exponent: pyarrow reads 1e-39 as 0;
- a date with a time: pyarrow drops the time.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyarrow's stubs do not type the values of arrays.

from __future__ import annotations

import json
import re
import struct
from collections.abc import Container, Sequence
from decimal import Decimal
from typing import Any, Final, cast

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from afas_async.columns.groups import RawGroup, split_rows
from afas_async.columns.misfits import explain_misfit
from afas_async.columns.unique import UniqueKeys
from afas_async.errors import AnswerError

_SHOWN: Final = len("2024-01-31T09:30:00Z")
_EXACT_DIGITS: Final = 38
_EXPONENT: Final = r':[ \t\r\n]*"?-?[0-9.]+[eE]'  # in a number, or in a text that looks like one
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Parsed(msgspec.Struct, frozen=True):
    """A parsed group.

    Args:
        batch: The rows.
        absent: The columns that no row of the group has.
        unknown: The fields of the first row that have no column.
    """

    batch: pa.RecordBatch
    absent: list[str]
    unknown: list[str]


class Parser:
    """Parses the groups of one read, one at a time.

    Args:
        schema: The columns to return.
        key_columns: The columns of the key, whose values are checked in each row; empty without a key.
        known: All fields of the connector, selected or not; None to ignore unknown fields.
        connector: The connector's name, for errors.
        in_key_order: Whether the read is sorted by the key, so that equal keys are neighbours.
    """

    def __init__(
        self,
        schema: pa.Schema,
        key_columns: Sequence[pa.Field[Any]],
        *,
        known: Container[str] | None,
        connector: str,
        in_key_order: bool,
    ) -> None:
        self._schema = schema
        self._known = known
        self._connector = connector
        hidden = [column for column in key_columns if column.name not in schema.names]
        self._read = pa.schema([*schema, *hidden])
        key = [column.name for column in key_columns]
        self._keys = UniqueKeys(key, connector=connector, in_order=in_key_order) if key else None

    def parse(self, group: RawGroup) -> Parsed:
        """Parse a group.

        Raises:
            RowError: If a value does not fit its column. The message suggests a type.
            NonUniqueKeyError: If two rows have the same key, or a row has an empty one.
            AnswerError: If pyarrow returns another number of rows.
        """
        text = group.text()
        try:
            batch = columns_from(text, self._read)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError):
            raise explain_misfit(text, group.before, self._read, columns_from, connector=self._connector) from None
        if batch.num_rows != group.rows:
            raise AnswerError(
                f"{self._connector}: parsing returned {batch.num_rows} of {group.rows} rows",
                connector=self._connector,
            )
        absent, unknown = self._drift(group.sample, batch)
        if self._keys is not None:
            self._keys.check(batch, group.before)
        return Parsed(
            pa.RecordBatch.from_arrays(batch.columns[: len(self._schema)], schema=self._schema), absent, unknown
        )

    def _drift(self, sample: bytes, batch: pa.RecordBatch) -> tuple[list[str], list[str]]:
        """Compare the first row with the columns. Every row has every field (AFAS, GET connector: example rows)."""
        members = _MEMBERS.decode(sample)
        empty = [name for name in self._schema.names if batch.column(name).null_count == batch.num_rows]
        absent = [name for name in empty if name not in members]
        known = members if self._known is None else self._known
        return absent, [name for name in members if name not in known]


def columns_from(text: bytes, schema: pa.Schema) -> pa.RecordBatch:
    """Parse JSON objects that are separated by white space.

    Raises:
        pyarrow.ArrowInvalid: If a value does not fit its column exactly.
    """
    # All columns are nullable here: the check of the keys reports empty keys.
    read = pa.schema([(column.name, _read_type(column.type)) for column in schema])
    table = pj.read_json(
        cast("Any", pa.BufferReader(text)),  # spares the copy that a Python file would need
        read_options=pj.ReadOptions(use_threads=False, block_size=len(text) + 1),
        parse_options=pj.ParseOptions(explicit_schema=read, unexpected_field_behavior="ignore"),
        # Batches are short-lived, and another thread frees them. Other allocators return their memory to the system
        # and take it again, which costs a tenth of the time.
        memory_pool=pa.system_memory_pool(),
    ).combine_chunks()
    # Only this checks that texts are UTF-8, and that no decimal has more digits than its type.
    table.validate(full=True)
    arrays = [_with_type(table.column(column.name), column.type) for column in schema]
    batch = pa.RecordBatch.from_arrays(arrays, names=schema.names)
    _refuse_rounded(text, batch)
    return batch


def _read_type(kind: pa.DataType) -> pa.DataType:
    """Return the type to read a column as: pyarrow reads it exactly or fails."""
    if _is_moment(kind):
        return pa.string()
    if isinstance(kind, pa.Decimal128Type) and kind.precision + kind.scale > _EXACT_DIGITS:
        return pa.decimal256(kind.precision, kind.scale)  # in 128 bits the first digits may be lost
    return kind


def _is_moment(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) or pa.types.is_date32(kind)


def _with_type(column: pa.ChunkedArray[Any], kind: pa.DataType) -> Any:
    array: Any = column.chunk(0)
    if _is_moment(kind):
        return _moments(array, kind)
    return array if array.type == kind else pc.cast(array, kind)


def _refuse_rounded(text: bytes, batch: pa.RecordBatch) -> None:
    """Check decimals that are written with an exponent, which are rare, against Python's Decimal.

    Raises:
        pyarrow.ArrowInvalid: If pyarrow read another number.
    """
    names = [column.name for column in batch.schema if pa.types.is_decimal(column.type)]
    if not names or not pc.match_substring_regex(_as_array(text), _EXPONENT)[0].as_py():
        return
    exponent = re.compile(_EXPONENT.encode())
    for number, row in enumerate(split_rows(text)):
        if exponent.search(row):
            members = json.loads(row, parse_float=str, parse_int=str)
            for name in names:
                found, written = batch.column(name)[number].as_py(), members.get(name)
                if found is not None and found != Decimal(written):
                    raise pa.ArrowInvalid(f"{written} is not {found}")


def _as_array(text: bytes) -> Any:
    """Return a text as an array without copying it. `pyarrow.array` would import pandas."""
    ends = struct.pack("=qq", 0, len(text))
    return pa.Array.from_buffers(pa.large_binary(), 1, [None, pa.py_buffer(ends), pa.py_buffer(text)])


def _moments(texts: Any, kind: pa.DataType) -> Any:
    """Convert texts such as "2024-01-31T09:30:00Z" to wall time. The `Z` is false; any other zone is an error."""
    lengths: Any = pc.min_max(pc.binary_length(texts)).as_py()
    if lengths["min"] == lengths["max"] == _SHOWN and pc.all(pc.ends_with(texts, "Z")).as_py():
        walls = pc.utf8_slice_codeunits(texts, 0, _SHOWN - 1)
    else:
        walls = pc.replace_substring_regex(texts, "Z$", "")
    if not pa.types.is_date32(kind):
        return pc.cast(walls, kind)
    moments = pc.cast(walls, pa.timestamp("s"))
    dates: Any = pc.cast(moments, kind)
    if pc.any(pc.not_equal(pc.cast(dates, pa.timestamp("s")), moments)).as_py():
        raise pa.ArrowInvalid("a date has a time")
    return dates
