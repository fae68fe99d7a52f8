"""The order of a read: the conditions that put an anchor into it, and the proof that rows came in it.

A key is the value of the one field that a read is sorted by, or the values of all of them. Whole numbers have the same
order here and at the service. Texts do not: the service compares by a collation that is not known here, so that
texts are only ever compared for being equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, cast

import msgspec

from afas_async.errors import KeyOrderError, NonUniqueKeyError
from afas_async.vocabulary.collation import folded
from afas_async.vocabulary.filters import NO_VALUE, Group, Operator, Test
from afas_async.vocabulary.values import value_text

KeyValue = str | int
Key = KeyValue | tuple[KeyValue, ...]
Relation = Literal["from", "after", "at"]

_STRICTLY = {False: Operator.GREATER, True: Operator.LESS}
_OR_EQUAL = {False: Operator.AT_LEAST, True: Operator.AT_MOST}


class Order(msgspec.Struct, frozen=True):
    """What a read is sorted by.

    Args:
        fields: The fields, each with a leading `-` for descending.
    """

    fields: tuple[str, ...]

    def groups(self, relation: Relation, key: Key) -> tuple[Group, ...]:
        """Return the condition for rows from a key on (it included), after it, or with it.

        Empty values come first in ascending order and last in descending order, and no comparison finds them. Rows with
        such values belong behind every key of a descending order, where they can be noticed.
        """
        values = values_of(key)
        same: list[Test] = []
        groups: list[Group] = []
        for field, value in zip(self.fields, values, strict=True):
            name, descending = field.removeprefix("-"), field.startswith("-")
            text = value_text(value, name)
            if relation != "at":
                last = len(same) == len(values) - 1
                sign = _OR_EQUAL if last and relation == "from" else _STRICTLY
                groups.append((*same, Test(name, sign[descending], text)))
                if descending:
                    groups.append((*same, Test(name, Operator.EMPTY, NO_VALUE)))
            same.append(Test(name, Operator.EQUAL, text))
        return tuple(groups) if relation != "at" else (tuple(same),)

    def proves(self, keys: Sequence[Any], before: Any) -> bool:
        """Whether single keys are certainly of one kind, unique, not empty, and in order behind the one before them.

        This is done with every row that is read, so it only looks for certainty; `check` finds out what is wrong. The
        service sorts empty values to one end: looking at both ends finds them.
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
        """Check keys that stand together in an answer: unique, and in order as far as that can be told.

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
                f"{connector}: page {page}: two rows have the same {name}, {repeated!r}: a read of several pages would"
                " lose or double such rows, so declare a key that is unique",
                connector=connector,
                page=page,
            )
        raise KeyOrderError(
            f"{connector}: page {page}: the rows are not sorted by {name} as whole numbers are: this field cannot be"
            " the key",
            connector=connector,
            page=page,
        )

    def rank(self, key: Key) -> tuple[int, ...]:
        """Return what keys of whole numbers are sorted by."""
        values = cast("tuple[int, ...]", values_of(key))
        return tuple(
            -value if field.startswith("-") else value for field, value in zip(self.fields, values, strict=True)
        )

    def _in_sequence(self, keys: Sequence[Any], before: Any = None) -> bool:
        """Whether whole numbers come in order, each only once."""
        numbers = iter(keys)
        last = next(numbers) if before is None else before
        # Of all ways to compare neighbours, a loop takes the least time.
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


def values_of(key: Key) -> tuple[KeyValue, ...]:
    """Return the values of a key, one for each field."""
    return key if isinstance(key, tuple) else (key,)


def combine(*conditions: Sequence[Group]) -> tuple[Group, ...]:
    """Return the condition that all of the conditions together are."""
    groups: tuple[Group, ...] = ((),)
    for condition in conditions:
        groups = tuple([group + further for group in groups for further in condition])
    return groups


def looks_equal(one: Key, other: Key) -> bool:
    """Whether most databases would take two keys for equal."""
    return [folded(str(value)) for value in values_of(one)] == [folded(str(value)) for value in values_of(other)]
