"""Checks that each row has a key, and that no two rows have the same key."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyarrow's stubs do not type the values of arrays.

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from afas_async.errors import NonUniqueKeyError


class UniqueKeys:
    """Checks the keys of a read, batch by batch.

    In a read that is sorted by its key, rows with the same key are neighbours. Each row is compared with the row before
    it, even if that is in another batch. In any other order, only the rows of one batch are compared.

    Args:
        fields: The fields of the key.
        connector: The connector's name, for errors.
        in_order: Whether the read is sorted by the key.
    """

    def __init__(self, fields: Sequence[str], *, connector: str, in_order: bool) -> None:
        self._fields = list(fields)
        self._connector = connector
        self._in_order = in_order
        self._last: pa.RecordBatch | None = None  # the last row of the batch before

    def check(self, batch: pa.RecordBatch, first: int) -> None:
        """Check the next rows.

        Args:
            batch: One or more rows, with the columns of the key.
            first: The number of rows before them in the read.

        Raises:
            NonUniqueKeyError: If two rows have the same key, or a row has an empty one.
        """
        keys = batch.select(self._fields)
        for name in self._fields:
            self._refuse_empty(name, keys.column(name), first)
        rows = [keys] if self._last is None else [self._last, keys]
        self._refuse_same(pa.Table.from_batches(rows).combine_chunks(), first - len(rows) + 1)
        self._last = keys.slice(keys.num_rows - 1)

    def _refuse_empty(self, name: str, column: Any, first: int) -> None:
        empty = pc.is_null(column) if column.null_count else None
        if empty is None and column.type in {pa.string(), pa.large_string()}:
            blank = pc.equal(
                pc.binary_length(column), pa.scalar(0, pa.int32() if column.type == pa.string() else pa.int64())
            )
            empty = blank if pc.any(blank).as_py() else None
        if empty is not None:
            raise NonUniqueKeyError(
                f"{self._connector}: row {first + pc.index(empty, True).as_py()} of the read: {name}, a field of the"
                f" key, is empty: declare another key, or exclude such rows with where=F.{name}.is_not_empty()",
                connector=self._connector,
            )

    def _refuse_same(self, keys: pa.Table, first: int) -> None:
        columns = [keys.column(name) for name in self._fields]
        same = pc.equal(columns[0].slice(1), columns[0].slice(0, len(keys) - 1))
        for column in columns[1:]:
            same = pc.and_(same, pc.equal(column.slice(1), column.slice(0, len(keys) - 1)))
        if pc.any(same).as_py():
            raise self._same(keys, pc.index(same, True).as_py(), first)
        if not self._in_order:
            counts = keys.group_by(self._fields).aggregate([([], "count_all")])
            if len(counts) < len(keys):
                repeated = counts.filter(pc.greater(counts.column("count_all"), pa.scalar(1))).select(self._fields)
                raise self._same(repeated, 0, None)

    def _same(self, keys: pa.Table, row: int, first: int | None) -> NonUniqueKeyError:
        values = ", ".join(f"{name} {value!r}" for name, value in keys.slice(row, 1).to_pylist()[0].items())
        where = "two rows" if first is None else f"rows {first + row} and {first + row + 1} of the read"
        return NonUniqueKeyError(
            f"{self._connector}: {where} have the same key, {values}: declare a key that is unique",
            connector=self._connector,
        )
