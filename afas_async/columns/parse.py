"""From the text of rows to columns, each value as it is written or an error.

pyarrow reads JSON in C++ and without the interpreter's lock, so this belongs into a thread. Four things it changes
without a word, which are looked for here: a moment with an offset (it would convert it), a decimal that has more digits
than its type (it lets it pass, or loses the first ones), a decimal with an exponent (it makes 0 of 1e-39), and the time
behind a date.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# The stubs of pyarrow leave the types within arrays open.

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
_EXPONENT: Final = r':[ \t\r\n]*"?-?[0-9.]+[eE]'  # of a number, or of what looks like one
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Parsed(msgspec.Struct, frozen=True):
    """The rows of a group as columns.

    Args:
        batch: The rows.
        absent: The columns that no row of the group has.
        unknown: The fields of the first row that are no column.
    """

    batch: pa.RecordBatch
    absent: list[str]
    unknown: list[str]


class Parser:
    """Parses the groups of one read, one after the other.

    Args:
        schema: The columns to return.
        key_columns: The columns of the key, by which each row is checked; none without a key.
        known: The fields that the connector is known to have, selected or not; None if further ones are no news.
        connector: The connector's name, for errors.
        in_key_order: Whether the read is sorted by the key, so that equal keys stand together.
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
        """Return a group as columns.

        Raises:
            RowError: If a value does not fit its column; it says which one does.
            NonUniqueKeyError: If two rows have the same key, or a row has an empty one.
            AnswerError: If rows are missing in what pyarrow made of them.
        """
        text = group.text()
        try:
            batch = columns_from(text, self._read)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError):
            raise explain_misfit(text, group.before, self._read, columns_from, connector=self._connector) from None
        if batch.num_rows != group.rows:
            raise AnswerError(
                f"{self._connector}: {group.rows} rows became {batch.num_rows} when they were parsed",
                connector=self._connector,
            )
        absent, unknown = self._drift(group.sample, batch)
        if self._keys is not None:
            self._keys.check(batch, group.before)
        return Parsed(
            pa.RecordBatch.from_arrays(batch.columns[: len(self._schema)], schema=self._schema), absent, unknown
        )

    def _drift(self, sample: bytes, batch: pa.RecordBatch) -> tuple[list[str], list[str]]:
        """Compare the first row with the columns: every row has every field (AFAS, GET connector: example rows)."""
        members = _MEMBERS.decode(sample)
        empty = [name for name in self._schema.names if batch.column(name).null_count == batch.num_rows]
        absent = [name for name in empty if name not in members]
        known = members if self._known is None else self._known
        return absent, [name for name in members if name not in known]


def columns_from(text: bytes, schema: pa.Schema) -> pa.RecordBatch:
    """Return JSON objects, with white space between them, as columns.

    Raises:
        pyarrow.ArrowInvalid: If a value does not fit its column exactly.
    """
    # Nullable throughout: an empty key is found, and reported, by the check of the keys.
    read = pa.schema([(column.name, _read_type(column.type)) for column in schema])
    table = pj.read_json(
        cast("Any", pa.BufferReader(text)),  # which is no file of Python's, and spares a copy
        read_options=pj.ReadOptions(use_threads=False, block_size=len(text) + 1),
        parse_options=pj.ParseOptions(explicit_schema=read, unexpected_field_behavior="ignore"),
        # Batches live for a moment, and another thread frees them: other allocators return that memory to the system
        # and take it again, which costs a tenth of all the time.
        memory_pool=pa.system_memory_pool(),
    ).combine_chunks()
    # Only now is it known that texts are UTF-8, and that no decimal has more digits than its type.
    table.validate(full=True)
    arrays = [_filled(table.column(column.name), column.type) for column in schema]
    batch = pa.RecordBatch.from_arrays(arrays, names=schema.names)
    _refuse_rounded(text, batch)
    return batch


def _read_type(kind: pa.DataType) -> pa.DataType:
    """Return what a column is read as: something that pyarrow reads exactly, or else notices."""
    if _is_moment(kind):
        return pa.string()
    if isinstance(kind, pa.Decimal128Type) and kind.precision + kind.scale > _EXACT_DIGITS:
        return pa.decimal256(kind.precision, kind.scale)  # in 128 bits the first digits may be lost
    return kind


def _is_moment(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) or pa.types.is_date32(kind)


def _filled(column: pa.ChunkedArray[Any], kind: pa.DataType) -> Any:
    array: Any = column.chunk(0)
    if _is_moment(kind):
        return _moments(array, kind)
    return array if array.type == kind else pc.cast(array, kind)


def _refuse_rounded(text: bytes, batch: pa.RecordBatch) -> None:
    """Compare decimals that are written with an exponent, which are rare, with what Python makes of them.

    Raises:
        pyarrow.ArrowInvalid: If one of them has become another number.
    """
    names = [column.name for column in batch.schema if pa.types.is_decimal(column.type)]
    if not names or not pc.match_substring_regex(_one(text), _EXPONENT)[0].as_py():
        return
    exponent = re.compile(_EXPONENT.encode())
    for number, row in enumerate(split_rows(text)):
        if exponent.search(row):
            members = json.loads(row, parse_float=str, parse_int=str)
            for name in names:
                found, written = batch.column(name)[number].as_py(), members.get(name)
                if found is not None and found != Decimal(written):
                    raise pa.ArrowInvalid(f"{written} is not {found}")


def _one(text: bytes) -> Any:
    """Return a text as an array, without a copy, and without `pyarrow.array`, which imports pandas."""
    ends = struct.pack("=qq", 0, len(text))
    return pa.Array.from_buffers(pa.large_binary(), 1, [None, pa.py_buffer(ends), pa.py_buffer(text)])


def _moments(texts: Any, kind: pa.DataType) -> Any:
    """Return texts such as "2024-01-31T09:30:00Z" as wall time: the `Z` is false, and any other zone an error."""
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
