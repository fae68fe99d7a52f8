"""The order of a read: the tests that select a slice of it, and the check that rows came in it.

A key is the value of the field that a read is sorted by, or the values of all such fields. Whole numbers have the same
order here and at the service. Texts do not: the service compares them by an unknown collation, so this library only
compares texts for equality.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from operator import neg
from typing import Any, cast

import msgspec

from afas_async.errors import KeyOrderError, NonUniqueKeyError, PagingError
from afas_async.policy.spans import Key, Slice, values_of
from afas_async.vocabulary.collation import folded
from afas_async.vocabulary.filters import NO_VALUE, Group, Operator, Test
from afas_async.vocabulary.values import value_text

_SIGNS = {
    ("from", False): Operator.AT_LEAST,
    ("from", True): Operator.AT_MOST,
    ("after", False): Operator.GREATER,
    ("after", True): Operator.LESS,
}


class Order(msgspec.Struct, frozen=True):
    """The fields that a read is sorted by.

    Args:
        fields: The fields, each with a leading `-` for descending.
    """

    fields: tuple[str, ...]

    def tests(self, within: Slice) -> Group:
        """Return the tests that select the rows of a slice.

        Empty values come first in ascending order and last in descending order, and no comparison matches them.
        """
        pairs = [*zip(self._names, values_of(within.key), strict=True)]
        equal = len(pairs) if within.relation == "at" else within.depth
        tests = [Test(name, Operator.EQUAL, value_text(value, name)) for name, value in pairs[:equal]]
        if within.relation == "empty":
            tests.append(Test(self._names[equal], Operator.EMPTY, NO_VALUE))
        elif within.relation != "at":
            name, value = pairs[equal]
            tests.append(Test(name, _SIGNS[within.relation, self.descending(equal)], value_text(value, name)))
        return tuple(tests)

    def descending(self, number: int) -> bool:
        """Whether the field of this number is sorted in descending order."""
        return self.fields[number].startswith("-")

    @property
    def _names(self) -> list[str]:
        return [field.removeprefix("-") for field in self.fields]

    def proves(self, keys: Sequence[Any], before: Any) -> bool:
        """Whether single keys are certainly of one type, unique, not empty, and in order after the key before them.

        This runs for every row that is read, so it only looks for certainty; `check` finds the fault. The
        service sorts empty values to one end, so it is enough to look at both ends for them.
        """
        first, last = keys[0], keys[-1]
        try:
            if type(first) is type(last) is int:
                return self._in_sequence(keys, before)
            if type(first) is type(last) is str:
                return first != before and "" not in {first, last} and len(set(keys)) == len(keys)
        except TypeError:
            pass
        return False

    def check(self, keys: Sequence[Key], *, connector: str, page: int) -> None:
        """Check neighbouring keys of a response: all must be unique, and whole numbers must be in order.

        Raises:
            NonUniqueKeyError: If two of them are equal.
            KeyOrderError: If whole numbers are not in order.
        """
        if len(keys) < 2 or self._in_order(keys):
            return
        name = ", ".join(self.fields)
        repeated = next((key for key, count in Counter(keys).items() if count > 1), None)
        if repeated is not None:
            raise NonUniqueKeyError(
                f"{connector}: page {page}: two rows have the same {name}, {repeated!r}. A read of several pages would"
                " lose or repeat such rows: declare a key that is unique",
                connector=connector,
                page=page,
            )
        raise KeyOrderError(
            f"{connector}: page {page}: the rows are not in the numeric order of {name}: declare another key",
            connector=connector,
            page=page,
        )

    def count_up_to(self, keys: Sequence[Key], key: Key | None) -> int | None:
        """Return the number of `keys`, which are in order, that sort at or before `key`; None if unknown.

        The order is known for whole numbers only.
        """
        if len(self.fields) > 1 or not isinstance(key, int):
            return None
        try:
            if self.descending(0):
                return bisect_right(cast("Sequence[int]", keys), -key, key=neg)
            return bisect_right(cast("Sequence[int]", keys), key)
        except TypeError:  # texts among the numbers
            return None

    def rank(self, key: Key) -> tuple[int, ...]:
        """Return a value by which keys of whole numbers can be sorted."""
        values = cast("tuple[int, ...]", values_of(key))
        return tuple(
            -value if field.startswith("-") else value for field, value in zip(self.fields, values, strict=True)
        )

    def _in_sequence(self, keys: Sequence[Any], before: Any = None) -> bool:
        """Whether whole numbers are in order, each only once."""
        numbers = iter(keys)
        last = next(numbers) if before is None else before
        # A loop is the fastest way to compare neighbours.
        if self.fields[0].startswith("-"):
            for number in numbers:
                if not number < last:
                    return False
                last = number
        else:
            for number in numbers:
                if not last < number:
                    return False
                last = number
        return True

    def _in_order(self, keys: Sequence[Key]) -> bool:
        if not self._numeric(keys[0]):
            return len(set(keys)) == len(keys)
        try:
            return self._in_sequence(keys)
        except TypeError:  # texts among the numbers
            return False

    def _numeric(self, key: Key) -> bool:
        """Whether the order of keys is known here: whole numbers, all ascending or all descending."""
        return (
            all(isinstance(value, int) for value in values_of(key))
            and len({field[0] == "-" for field in self.fields}) == 1
        )


def combine(*conditions: Sequence[Group]) -> tuple[Group, ...]:
    """Return the condition that holds where all of the conditions hold."""
    groups: tuple[Group, ...] = ((),)
    for condition in conditions:
        groups = tuple([group + further for group in groups for further in condition])
    return groups


def looks_equal(one: Key, other: Key) -> bool:
    """Whether most databases would consider two keys equal."""
    return [folded(str(value)) for value in values_of(one)] == [folded(str(value)) for value in values_of(other)]


def contradiction(anchor: Key | None, first: Key, *, connector: str, page: int) -> KeyOrderError | NonUniqueKeyError:
    """Return the error for a response that does not begin at the key from which rows were requested."""
    if anchor is not None and first != anchor and looks_equal(first, anchor):
        return NonUniqueKeyError(
            f"{connector}: page {page}: the service considers {first!r} and {anchor!r} the same key, as it ignores"
            " letter case: declare a key that is unique",
            connector=connector,
            page=page,
        )
    return KeyOrderError(
        f"{connector}: page {page}: rows from key {anchor!r} on were requested, but the response does not begin"
        " there. The service filters by this key in another order than it sorts, or compares another value than it"
        " shows: declare another key",
        connector=connector,
        page=page,
    )


def uncountable(*, connector: str, page: int) -> PagingError:
    """Return the error for rows that can neither be counted safely nor be skipped by their key."""
    return PagingError(
        f"{connector}: page {page}: the service returns one row at a time, and the read cannot continue by its key."
        " Rows that appear or vanish would be missed: use a condition with fewer alternatives",
        connector=connector,
        page=page,
    )
