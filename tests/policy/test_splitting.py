"""Splitting: every part fits, none could be larger, nothing is lost, and parts that claim it share no row."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afas_async import Condition, F, QueryTooLongError
from afas_async.policy.splitting import Parts, split
from afas_async.vocabulary.filters import Group, Operator, Test
from afas_async.wire.requests import QUERY_LIMIT
from afas_async.wire.row_requests import rows_query_length
from tests.support.thoroughness import by_default

Groups = tuple[Group, ...]


def asked(groups: Groups) -> int:
    """Return the length of a request as a reader asks for it."""
    return rows_query_length(skip=100_000, take=150_000, order_by=["ItemCode"], where=groups)


def letters(groups: Groups) -> int:
    """Return a length that is easy to count: one for each group and for each letter of its values."""
    return sum(1 + sum(len(test.text) for test in group) for group in groups)


def parts_of(groups: Groups, length: Callable[[Groups], int] = asked, limit: int = QUERY_LIMIT) -> Parts:
    steps = split(groups, connector="Profit_Article", length=length, limit=limit)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            parts: Parts = end.value
            return parts


def values(part: Sequence[Sequence[Test]], field: str = "ItemCode") -> list[str]:
    return [test.text for group in part for test in group if test.field == field]


def equal_to(part: Sequence[Group], field: str) -> list[str]:
    return values([[test for test in group if test.operator is Operator.EQUAL] for group in part], field)


def test_one_part() -> None:
    """What fits is not split, and keeps its order; a condition that no row meets has no part."""
    for condition in (
        F.ItemCode == "1",
        F.ItemCode.in_(["b", "a"]),
        F.A.is_empty() | F.B.is_empty(),
        ~F.ItemCode.in_([]),
    ):
        assert parts_of(condition.groups()) == Parts((condition.groups(),), None, disjoint=True)
    assert parts_of(()) == Parts((), None, disjoint=True)


@pytest.mark.parametrize("count", [1, 2, 3, 11, 12, 13, 14, 50, 1_000])
@pytest.mark.parametrize("rest", [~F.Id.in_([]), F.Blocked.is_(False) & F.Description.contains("bolt")])
def test_values_of_one_field(count: int, rest: Condition) -> None:
    """The values of a field, with what else all of them must meet, come in full parts, sorted and without overlap."""
    condition = F.ItemCode.in_(f"{number * 7 % count:06}" for number in range(count))
    groups = (rest & condition).groups()
    parts = parts_of(groups)
    assert all(asked(part) <= QUERY_LIMIT for part in parts.groups)
    assert all(asked((*part, following[0])) > QUERY_LIMIT for part, following in itertools.pairwise(parts.groups))
    assert (len(parts.groups) == 1) == (asked(groups) <= QUERY_LIMIT)
    assert set(itertools.chain(*parts.groups)) == set(groups)
    assert parts.disjoint
    if len(parts.groups) > 1:
        assert parts.field == "ItemCode"
        assert values(list(itertools.chain(*parts.groups))) == sorted(values(groups))


@pytest.mark.parametrize(
    ("given", "ordered"),
    [
        (["10", "9", "-1", "-10"], [["-10"], ["-1"], ["9"], ["10"]]),
        (["2", "1.50", "1.5", "10.0"], [["1.50", "1.5"], ["2"], ["10.0"]]),
        (["007", "7", "70", "07"], [["007", "7", "07"], ["70"]]),
        (["10", "9", "x"], [["10"], ["9"], ["x"]]),
        (["b", "A", "a", "B "], [["A", "a"], ["b", "B "]]),
        (["caf\u00e9", "b", "CAFE\u0301", "cafe"], [["b"], ["caf\u00e9", "CAFE\u0301", "cafe"]]),
        (["stra\u00dfe", "STRASSE", "strase"], [["strase"], ["stra\u00dfe", "STRASSE"]]),
        (["C\u0153ur", "coeur", "\u01fd", "AE", "\u00c6"], [["\u01fd", "AE", "\u00c6"], ["C\u0153ur", "coeur"]]),
        (["\u2121", "tel", "te\u00adl"], [["\u2121", "tel", "te\u00adl"]]),
        (["\uff17", "7", "7 "], [["\uff17", "7", "7 "]]),
        (["b a", "ba"], [["b a"], ["ba"]]),
        (["true", "false"], [["false"], ["true"]]),
    ],
)
def test_values_that_a_database_may_take_for_equal(given: list[str], ordered: list[list[str]]) -> None:
    """Spellings of one value stay in one part, so that its rows come once, whichever way the service compares."""
    first = "-99" if set("".join(given)) <= set("-.0123456789") else "!"
    for spellings in ordered:
        # The first value leaves room in its part for all of the spellings but one, and still they are not parted.
        parts = parts_of(F.X.in_([*spellings, first]).groups(), len, len(spellings))
        assert [values(part, "X") for part in parts.groups] == [[first], spellings]
        assert (parts.field, parts.disjoint) == ("X", True)
    parts = parts_of(F.X.in_([*given, first]).groups(), len, len(given))
    assert list(itertools.chain(*(values(part, "X") for part in parts.groups))) == [first, *itertools.chain(*ordered)]


def test_more_spellings_of_a_value_than_fit() -> None:
    """Spellings that do not fit into one request are split like any other condition: a row may come twice."""
    groups = F.X.in_(["".join(letters) for letters in itertools.product("aA", "bB", "cC")]).groups()
    assert parts_of(groups, letters, 31) == Parts((groups[:7], groups[7:]), None, disjoint=False)
    assert parts_of(groups, letters, 32) == Parts((groups,), None, disjoint=True)


@pytest.mark.parametrize(
    "condition",
    [
        F.A.in_(range(9)) | F.B.in_(range(9)),
        F.A.in_(range(9)) | (F.A > 100),
        F.A.in_(range(9)) | (F.A == 50) & (F.A == 51),
        F.A.in_(range(9)) & (F.B > 1) | (F.B == 5),
        F.A.contains("a") | F.A.contains("b") | F.A.contains("c"),
        F.A.in_(range(9)) | F.B.is_empty(),
        F.A.is_empty() | F.A.in_(range(9)),
    ],
)
def test_other_alternatives(condition: Condition) -> None:
    """Alternatives that are no values of one field come in their order, and make no claim."""
    groups = condition.groups()
    parts = parts_of(groups, letters, letters(groups) // 2)
    assert (parts.field, parts.disjoint) == (None, False)
    assert len(parts.groups) >= 2
    assert tuple(itertools.chain(*parts.groups)) == groups


@pytest.mark.parametrize(
    ("condition", "field", "texts"),
    [
        ((F.B == 77) & F.A.is_empty() | F.A.is_empty() & (F.B == 6) | (F.B == 8) & (F.A > 1), "B", ["6", "8", "77"]),
        ((F.A == 1) & F.B.in_([7, 6, 5]), "B", ["5", "6", "7"]),
        (F.A.in_([2, 1]) & F.B.in_([7, 6, 5]), "B", ["5", "5", "6", "6", "7", "7"]),
        ((F.A == 1) & (F.B == 5) | (F.A == 2) & (F.B == 5) | (F.A == 3) & (F.C == 5), "A", ["1", "2", "3"]),
    ],
)
def test_values_within_larger_alternatives(condition: Condition, field: str, texts: list[str]) -> None:
    """Whatever else they ask for, alternatives with different values of one field have no row in common."""
    parts = parts_of(condition.groups(), len, len(texts) - 1)
    assert (parts.field, parts.disjoint) == (field, True)
    assert [text for part in parts.groups for text in values(part, field)] == texts
    met = [set(values(part, field)) for part in parts.groups]
    assert all(one.isdisjoint(other) for one, other in itertools.combinations(met, 2))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_value_that_fits_nowhere(place: int) -> None:
    """A single alternative that is too long is an error with its length, before any other is asked for."""
    texts = ["a", "b", "c" * 2_000]
    groups = F.ItemCode.in_(texts[place:] + texts[:place]).groups()
    too_long = asked((F.ItemCode == "c" * 2_000).groups())
    with pytest.raises(QueryTooLongError, match=r"^Profit_Article: .* 2\d{3} .* 2048") as caught:
        parts_of(groups)
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
SETS = st.lists(TEXTS | st.integers(-99, 99).map(str), min_size=1, max_size=40, unique=True).map(
    lambda texts: F.A.in_(texts).groups()
)


@given(groups=ALTERNATIVES | SETS, limit=st.integers(3, 60))
def test_any_split(groups: Groups, limit: int) -> None:
    """No alternative is lost, doubled or cut, no part is too long, and no two neighbours would have fitted together."""
    if max(letters((group,)) for group in groups) > limit:
        with pytest.raises(QueryTooLongError):
            parts_of(groups, letters, limit)
        return
    parts = parts_of(groups, letters, limit)
    together = list(itertools.chain(*parts.groups))
    assert (len(together), set(together)) == (len(groups), set(groups))
    assert all(letters(part) <= limit for part in parts.groups)
    assert (len(parts.groups) == 1) == (letters(groups) <= limit)
    assert all(letters(one + other) > limit for one, other in itertools.pairwise(parts.groups))
    if parts.disjoint and len(parts.groups) > 1:
        assert parts.field is not None
        folded = [
            {text.lower().rstrip().replace("\u00e9", "e") for text in equal_to(part, parts.field)}
            for part in parts.groups
        ]
        assert all(one.isdisjoint(other) for one, other in itertools.combinations(folded, 2))


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

    assert len(parts_of(groups, length, 100 + 140 * room).groups) == -(-count // room)
    assert measured < most * count
