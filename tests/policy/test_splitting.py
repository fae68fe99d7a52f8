"""Splitting: every part fits, none could be larger, nothing is lost, and parts that claim it share no row."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afas_async import Condition, F, QueryTooLongError
from afas_async.policy.splitting import Steps, pack, values_apart, values_in_order
from afas_async.vocabulary.filters import Group, Operator, Test
from afas_async.wire.requests import QUERY_LIMIT
from afas_async.wire.row_requests import rows_query_length
from tests.support.thoroughness import by_default

Groups = tuple[Group, ...]


def asked(groups: Groups) -> int:
    """Return the length of a request as a reader sends it."""
    return rows_query_length(skip=100_000, take=150_000, order_by=["ItemCode"], where=groups)


def letters(groups: Groups) -> int:
    """Return a length that is easy to count: one for each group and for each letter of its values."""
    return sum(1 + sum(len(test.text) for test in group) for group in groups)


def done(steps: Steps) -> Any:
    """Return the return value of a generator."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def parts_of(
    units: Sequence[Groups], length: Callable[[Groups], int] = asked, limit: int = QUERY_LIMIT
) -> tuple[Groups, ...]:
    parts: tuple[Groups, ...] = done(pack(units, connector="Profit_Article", length=length, limit=limit))
    return parts


def singly(groups: Groups) -> list[Groups]:
    return [(group,) for group in groups]


def values(part: Sequence[Sequence[Test]], field: str = "ItemCode") -> list[str]:
    return [test.text for group in part for test in group if test.field == field]


# --- by value ---


@pytest.mark.parametrize("count", [1, 2, 13, 50, 2_500])
@pytest.mark.parametrize("rest", [~F.Id.in_([]), F.Blocked.is_(False) & F.Description.contains("bolt")])
def test_values_of_one_field(count: int, rest: Condition) -> None:
    """The values of a field, with their common tests, come in full parts, sorted and without overlap."""
    groups = (rest & F.ItemCode.in_(f"{number * 7 % count:06}" for number in range(count))).groups()
    units = done(values_in_order(groups, "ItemCode", numbers=False))
    parts = parts_of(units)
    assert all(asked(part) <= QUERY_LIMIT for part in parts)
    assert all(asked((*part, following[0])) > QUERY_LIMIT for part, following in itertools.pairwise(parts))
    assert values(list(itertools.chain(*parts))) == sorted(values(groups))


@pytest.mark.parametrize(
    ("given", "ordered"),
    [
        (["10", "9", "-1", "-10"], [["-10"], ["-1"], ["9"], ["10"]]),
        (["2", "+1", "1", "10"], [["+1", "1"], ["2"], ["10"]]),
        (["007", "7", "70", "07"], [["007", "7", "07"], ["70"]]),
        (["10", "9", "x"], None),
    ],
)
def test_the_order_of_numbers(given: list[str], ordered: list[list[str]] | None) -> None:
    """Values are in numeric order, with equal ones together. If a value is not a number, there is no order."""
    units = done(values_in_order(F.X.in_(given).groups(), "X", numbers=True))
    assert (units and [values(unit, "X") for unit in units]) == ordered


@pytest.mark.parametrize(
    ("given", "ordered"),
    [
        (["10", "9", "1"], [["1"], ["10"], ["9"]]),
        (["b", "A", "a", "B "], [["A", "a"], ["b", "B "]]),
        (["caf\u00e9", "b", "CAFE\u0301", "cafe"], [["b"], ["caf\u00e9", "CAFE\u0301", "cafe"]]),
        (["stra\u00dfe", "STRASSE", "strase"], [["strase"], ["stra\u00dfe", "STRASSE"]]),
        (["\u2121", "tel", "te\u00adl"], [["\u2121", "tel", "te\u00adl"]]),
        (["A-2", "A-10", "A-1"], [["A-1"], ["A-10"], ["A-2"]]),
        (["a", "a-1"], [["a"], ["a-1"]]),
        (["a-1", "ab"], None),
        (["a", "a-"], None),
        (["b a", "ba"], None),
        (["\u03b1", "\u03b2"], None),
    ],
)
def test_the_order_of_texts(given: list[str], ordered: list[list[str]] | None) -> None:
    """All collations agree where two texts first differ in letters or digits. For other texts the order is unknown."""
    units = done(values_in_order(F.X.in_(given).groups(), "X", numbers=False))
    assert (units and [values(unit, "X") for unit in units]) == ordered


@pytest.mark.parametrize(
    "spellings",
    [
        ["7", "+7", "07", "7.0"],
        ["2024-01-02", "2024-01-02T00:00:00", "2024-01-02T00:00"],
        ["true", "True", "1"],
        ["Bolt ", "BOLT", "bolt"],
        ["Caf\u00e9", "CAFE"],
    ],
)
def test_spellings_of_one_value(spellings: list[str]) -> None:
    """Its spellings are requested together, whatever type the field has: no row matches two parts."""
    units = done(values_apart(F.X.in_(["a", *spellings, "z"]).groups()))
    assert sorted(len(unit) for unit in units) == [1, 1, len(spellings)]


@pytest.mark.parametrize(
    "condition",
    [
        F.A.in_(range(9)) | F.B.in_(range(9)),
        F.A.in_(range(9)) | (F.A > 100),
        F.A.in_(range(9)) | (F.A == 50) & (F.A == 51),
        F.A.in_(range(9)) & (F.B > 1) | (F.B == 5),
        F.A.contains("a") | F.A.contains("b") | F.A.contains("c"),
        F.A.is_empty() | F.A.in_(range(9)),
    ],
)
def test_other_alternatives(condition: Condition) -> None:
    """Alternatives that do not test values of one field cannot be separated or ordered by it."""
    assert done(values_apart(condition.groups())) is None
    assert done(values_in_order(condition.groups(), "A", numbers=True)) is None


@pytest.mark.parametrize(
    ("condition", "field", "texts"),
    [
        ((F.B == 77) & F.A.is_empty() | F.A.is_empty() & (F.B == 6) | (F.B == 8) & (F.A > 1), "B", ["6", "77", "8"]),
        ((F.A == 1) & F.B.in_([7, 6, 5]), "A", ["1", "1", "1"]),
        ((F.A == 1) & (F.B == 5) | (F.A == 2) & (F.B == 5) | (F.A == 3) & (F.C == 5), "A", ["1", "2", "3"]),
    ],
)
def test_values_within_larger_alternatives(condition: Condition, field: str, texts: list[str]) -> None:
    """Whatever their other tests, alternatives with different values of one field share no row."""
    units = done(values_apart(condition.groups()))
    assert [text for unit in units for text in values(unit, field)] == texts
    met = [set(values(unit, field)) for unit in units]
    assert all(one.isdisjoint(other) for one, other in itertools.combinations(met, 2))


# --- packing ---


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_value_that_fits_nowhere(place: int) -> None:
    """A single alternative that is too long is an error with its length, before any other is requested."""
    texts = ["a", "b", "c" * 2_000]
    groups = F.ItemCode.in_(texts[place:] + texts[:place]).groups()
    too_long = asked((F.ItemCode == "c" * 2_000).groups())
    with pytest.raises(QueryTooLongError, match=r"^Profit_Article: .* 2\d{3} .* 2048") as caught:
        parts_of(singly(groups))
    assert (caught.value.length, caught.value.limit) == (too_long, QUERY_LIMIT)


TEXTS = st.text("aAbB\u00e9e1 ", min_size=1, max_size=6)
ALTERNATIVES = st.lists(
    st.lists(
        st.builds(Test, st.sampled_from("AB"), st.sampled_from([Operator.EQUAL, Operator.GREATER]), TEXTS),
        min_size=1,
        max_size=2,
        unique=True,
    ).map(tuple),
    min_size=1,
    max_size=12,
    unique=True,
).map(tuple)


@given(groups=ALTERNATIVES, limit=st.integers(3, 60))
def test_any_split(groups: Groups, limit: int) -> None:
    """No alternative is lost, repeated or moved, no part is too long, and none could have more."""
    if max(letters((group,)) for group in groups) > limit:
        with pytest.raises(QueryTooLongError):
            parts_of(singly(groups), letters, limit)
        return
    parts = parts_of(singly(groups), letters, limit)
    assert tuple(itertools.chain(*parts)) == groups
    assert all(letters(part) <= limit for part in parts)
    assert all(letters(one + other[:1]) > limit for one, other in itertools.pairwise(parts))


@pytest.mark.parametrize(
    ("count", "room", "most"), [(1_000, 13, 2.3), (by_default(15_000, 50_000), 13, 2.3), (10_000, 4_000, 20)]
)
def test_cost(count: int, room: int, most: float) -> None:
    """The work grows with the number of values only: about two trials for each part, of about its size."""
    groups = F.ItemCode.in_(f"{number:07}" for number in range(count)).groups()
    measured = 0

    def length(part: Groups) -> int:
        nonlocal measured
        measured += len(part)
        return 100 + 140 * len(part)

    assert len(parts_of(singly(groups), length, 100 + 140 * room)) == -(-count // room)
    assert measured < most * count
