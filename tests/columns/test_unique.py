"""The key of every row is compared with its neighbours, also across batches."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from afas_async import NonUniqueKeyError
from afas_async.columns.unique import UniqueKeys


def check(*batches: list[Any], in_order: bool = True, fields: tuple[str, ...] = ("Code",)) -> None:
    """Check batches of keys, of which one has a value for each of the fields."""
    keys = UniqueKeys(fields, connector="T", in_order=in_order)
    first = 0
    for batch in batches:
        columns = [batch] if len(fields) == 1 else list(zip(*batch, strict=True))
        keys.check(pa.RecordBatch.from_arrays([pa.array(column) for column in columns], names=list(fields)), first)
        first += len(batch)


@pytest.mark.parametrize(
    ("batches", "rows"),
    [
        ((["a", "a"],), "rows 0 and 1"),
        ((["a", "b"], ["b", "c"]), "rows 1 and 2"),
        ((["a"], ["b"], ["b"]), "rows 1 and 2"),
        ((["a", "b", "c", "c", "d"],), "rows 2 and 3"),
        (([1, 2], [2]), "rows 1 and 2"),
    ],
)
def test_two_keys_that_meet_are_found(batches: tuple[list[Any], ...], rows: str) -> None:
    with pytest.raises(NonUniqueKeyError, match=f"T: {rows} of the read have the same key, Code"):
        check(*batches)


def test_keys_of_several_fields_are_the_same_if_all_are() -> None:
    check([(1, "a"), (1, "b"), (2, "b")], [(3, "b"), (3, "c")], fields=("A", "B"))
    with pytest.raises(NonUniqueKeyError, match="rows 2 and 3 of the read have the same key, A 2, B 'b'"):
        check([(1, "a"), (1, "b"), (2, "b")], [(2, "b"), (3, "c")], fields=("A", "B"))


@pytest.mark.parametrize("value", [None, ""])
def test_an_empty_key_is_found(value: Any) -> None:
    with pytest.raises(NonUniqueKeyError, match="T: row 3 of the read: Code, a field of the key, is empty"):
        check(["a", "b"], ["c", value])
    with pytest.raises(NonUniqueKeyError, match="row 1 of the read: B"):
        check([("a", "b"), ("b", value)], fields=("A", "B"))


def test_out_of_order_a_batch_is_looked_at_as_a_whole() -> None:
    check(["c", "a", "b"], ["a"], in_order=False)  # in two batches the duplicates are not found
    with pytest.raises(NonUniqueKeyError, match="T: two rows have the same key, Code 'a'"):
        check(["a", "b", "a"], in_order=False)
