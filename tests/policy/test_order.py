"""The conditions that place an anchor in the order of a read, and the proof that its rows came in that order."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from afas_async.errors import InvalidFilterError, KeyOrderError, NonUniqueKeyError
from afas_async.policy.anchor import Anchor
from afas_async.policy.order import Order, combine, looks_equal
from afas_async.policy.spans import Key, Slice
from afas_async.vocabulary.filters import Group, Operator, Test

SIGNS = {
    Operator.EQUAL: "=",
    Operator.AT_LEAST: ">=",
    Operator.AT_MOST: "<=",
    Operator.GREATER: ">",
    Operator.LESS: "<",
}


def shown(group: Group) -> str:
    """Return tests in a readable form."""
    return " ".join(
        f"{test.field} empty" if test.operator is Operator.EMPTY else f"{test.field}{SIGNS[test.operator]}{test.text}"
        for test in group
    )


# --- slices ---


@pytest.mark.parametrize(
    ("fields", "within", "tests"),
    [
        (("A",), Slice("from", 7), "A>=7"),
        (("A",), Slice("after", 7), "A>7"),
        (("A",), Slice("at", 7), "A=7"),
        (("-A",), Slice("from", "x"), "A<=x"),
        (("-A",), Slice("after", "x"), "A<x"),
        (("-A",), Slice("empty", "x"), "A empty"),
        (("A", "B"), Slice("from", ("x", 2)), "A>=x"),
        (("A", "B"), Slice("from", ("x", 2), 1), "A=x B>=2"),
        (("A", "-B"), Slice("after", ("x", 2), 1), "A=x B<2"),
        (("A", "-B"), Slice("empty", ("x", 2), 1), "A=x B empty"),
        (("A", "B"), Slice("at", ("x", 2)), "A=x B=2"),
        (("A", "B", "C"), Slice("from", (1, 2, 3), 2), "A=1 B=2 C>=3"),
    ],
)
def test_the_tests_of_a_slice(fields: tuple[str, ...], within: Slice, tests: str) -> None:
    """Rows from a key on, after it, without a value or with it, with the same first fields: one group of tests."""
    assert shown(Order(fields).tests(within)) == tests


@pytest.mark.parametrize("fields", [("A", "B"), ("-A", "B"), ("A", "-B"), ("-A", "-B")])
def test_slices_cut_the_order_in_two(fields: tuple[str, ...]) -> None:
    """Sorted by the fields, the rows after a key are those of its slices, one after the other.

    Empty values, which are -1 here, are the least; no key has any.
    """
    signs = [-1 if field.startswith("-") else 1 for field in fields]
    values = range(-1, 4)
    rows = sorted(product(values, values), key=lambda row: [s * value for s, value in zip(signs, row, strict=True)])
    order = Order(fields)
    for place, row in enumerate(rows):
        if -1 in row:
            continue
        place_of_value = next(number for number, other in enumerate(rows) if other[0] == row[0])
        assert _rows_of(rows, order, Slice("from", row)) == _without_empties(rows[place_of_value:], descending=signs[0])
        anchor = Anchor(order, row).exact()
        behind: list[tuple[int, int]] = []
        while anchor is not None and anchor.within is not None:
            behind += _rows_of(rows, order, anchor.within)
            anchor = anchor.beyond(anchor.within)
        assert behind == rows[place:]
        assert _rows_of(rows, order, Slice("at", row)) == [row]


def _without_empties(rows: list[tuple[int, int]], *, descending: int) -> list[tuple[int, int]]:
    return [row for row in rows if row[0] != -1] if descending == -1 else rows


def _rows_of(rows: list[tuple[int, int]], order: Order, within: Slice) -> list[tuple[int, int]]:
    def holds(row: tuple[int, int], test: Test) -> bool:
        mine = row["AB".index(test.field)]
        if mine == -1 or test.operator is Operator.EMPTY:
            return mine == -1 and test.operator is Operator.EMPTY
        other = int(test.text)
        return {"=": mine == other, ">=": mine >= other, "<=": mine <= other, ">": mine > other, "<": mine < other}[
            SIGNS[test.operator]
        ]

    return [row for row in rows if all(holds(row, test) for test in order.tests(within))]


def test_a_key_needs_a_value_for_each_field() -> None:
    """A key of another length is a mistake of the caller, not a condition."""
    with pytest.raises(ValueError, match="zip"):
        Order(("A", "B")).tests(Slice("from", ("x",)))


def test_a_key_that_no_filter_can_hold() -> None:
    """The error names the key with its field."""
    with pytest.raises(InvalidFilterError, match="ItemCode"):
        Order(("ItemCode",)).tests(Slice("from", "a\nb"))


def test_combine() -> None:
    """Combining two conditions joins each group of one with each group of the other."""
    one, two, three = (Test(name, Operator.EQUAL, "1") for name in "XYZ")
    assert combine() == ((),)
    assert combine(((one,),)) == ((one,),)
    assert combine(((one,), (two,)), ((three,),)) == ((one, three), (two, three))


def test_keys_passed() -> None:
    """For whole numbers the count of keys up to a key is known, for texts and keys of several fields it is not."""
    assert Order(("A",)).count_up_to([1, 4, 7], 4) == Order(("A",)).count_up_to([1, 4, 7], 5) == 2
    assert Order(("-A",)).count_up_to([7, 4, 1], 4) == 2
    for order, keys, key in (
        (("A",), ["a"], "b"),
        (("A",), ["a"], 1),
        (("A",), [1], None),
        (("A", "B"), [(1, 2)], (1, 3)),
    ):
        assert Order(order).count_up_to(keys, key) is None


# --- proof ---


def check(fields: tuple[str, ...], *keys: Key) -> None:
    Order(fields).check(keys, connector="Profit_Article", page=3)


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        (("A",), []),
        (("A",), [5]),
        (("A",), [1, 2, 9]),
        (("-A",), [9, 2, 1]),
        (("A", "B"), [(1, 9), (2, 1), (2, 2)]),
        (("-A", "-B"), [(2, 2), (2, 1), (1, 9)]),
        (("A", "-B"), [(1, 1), (1, 9), (0, 0)]),  # mixed: not checked
        (("A",), ["b", "a", "A", "à"]),  # the collation is the service's
        (("A", "B"), [("b", 2), ("b", 1), ("a", 3)]),
    ],
)
def test_in_order(fields: tuple[str, ...], keys: list[Key]) -> None:
    """Whole numbers in order pass, and so do texts that differ."""
    check(fields, *keys)


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        (("A",), [1, 1]),
        (("A",), [1, 2, 2, 3]),
        (("-A",), [2, 2, 1]),
        (("A",), ["x", "a", "a"]),
        (("A", "B"), [("a", 1), ("a", 1)]),
        (("A", "-B"), [(1, 1), (1, 1)]),
    ],
)
def test_equal_neighbours(fields: tuple[str, ...], keys: list[Key]) -> None:
    """Equal neighbours prove that the key is not unique; the error says which key, where, and what to do."""
    with pytest.raises(NonUniqueKeyError, match="declare a key that is unique") as caught:
        check(fields, *keys)
    assert "page 3" in str(caught.value)
    assert ", ".join(fields) in str(caught.value)
    assert (caught.value.connector, caught.value.page) == ("Profit_Article", 3)


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        (("A",), [2, 1]),
        (("A",), [1, 10, 2]),
        (("-A",), [1, 2]),
        (("A", "B"), [(1, 2), (1, 1)]),
        (("A",), [1, "b", 2]),
    ],
)
def test_numbers_out_of_order(fields: tuple[str, ...], keys: list[Key]) -> None:
    """Such numbers prove that the service sorts by something else."""
    with pytest.raises(KeyOrderError, match="not in the numeric order of") as caught:
        check(fields, *keys)
    assert (caught.value.connector, caught.value.page) == ("Profit_Article", 3)


@pytest.mark.parametrize(
    ("field", "before", "keys", "proved"),
    [
        ("A", None, [1], True),
        ("A", None, [1, 2, 9], True),
        ("A", 1, [2, 9], True),
        ("-A", 10, [9, 2], True),
        ("A", None, ["b", "a"], True),  # the collation is the service's
        ("A", "c", ["b", "a"], True),
        ("A", 2, [2, 9], False),
        ("A", 0, [0, 9], False),
        ("A", None, [1, 3, 3], False),
        ("-A", None, [1, 2], False),
        ("A", None, [1, "b", 2], False),
        ("A", "a", [1, 2], False),
        ("A", None, [1, None, 2], False),
        ("A", None, [True, True], False),
        ("A", None, [None, 1], False),
        ("A", "a", ["a", "b"], False),
        ("A", None, ["a", "b", "a"], False),
        ("A", None, ["", "a"], False),
        ("-A", None, ["a", ""], False),
    ],
)
def test_proof(field: str, before: Any, keys: list[Any], *, proved: bool) -> None:
    """Keys of one kind, each after the one before it, are proved. For all others the checks report the fault."""
    assert Order((field,)).proves(keys, before) is proved


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("a", "A", True),
        ("a", "a ", True),
        ("straße", "STRASSE", True),
        ("a", "b", False),
        (" a", "a", False),
        (("x", "a"), ("X", "A "), True),
        (("x", "a"), ("x", "b"), False),
        ("a", ("a", "b"), False),
        (1, 2, False),
    ],
)
def test_looks_equal(one: Key, other: Key, *, equal: bool) -> None:
    """Letter case and trailing blanks make no difference to the service."""
    assert looks_equal(one, other) is equal
    assert looks_equal(other, one) is equal


@pytest.mark.parametrize(
    ("fields", "key", "rank"), [(("A",), 7, (7,)), (("-A",), 7, (-7,)), (("A", "-B"), (7, 8), (7, -8))]
)
def test_rank(fields: tuple[str, ...], key: Key, rank: tuple[int, ...]) -> None:
    """Keys of whole numbers are sorted by their rank, in descending fields too."""
    assert Order(fields).rank(key) == rank
