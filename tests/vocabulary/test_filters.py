"""Conditions: each operator, their normal form against a plain evaluation, and misuse that fails loudly."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afas_async import Condition, F, InvalidFilterError, InvalidNameError, UsageError
from afas_async.vocabulary.filters import MOST_TESTS, Group, Operator, Test
from tests.support.each_case import each_case
from tests.support.thoroughness import by_default

A, B, C, D = (F[name].contains("x") for name in "ABCD")
OPERATORS = [
    (F.X == 5, 1, "5", "(F.X == '5')"),
    (F.X >= 5, 2, "5", "(F.X >= '5')"),
    (F.X <= 5, 3, "5", "(F.X <= '5')"),
    (F.X > 5, 4, "5", "(F.X > '5')"),
    (F.X < 5, 5, "5", "(F.X < '5')"),
    (F.X.contains("a b"), 6, "a b", "F.X.contains('a b')"),
    (F.X != 5, 7, "5", "(F.X != '5')"),
    (F.X.is_empty(), 8, '""', "F.X.is_empty()"),
    (F.X.is_not_empty(), 9, '""', "F.X.is_not_empty()"),
    (F.X.startswith("a"), 10, "a", "F.X.startswith('a')"),
    (F.X.not_contains("a"), 11, "a", "F.X.not_contains('a')"),
    (F.X.not_startswith("a"), 12, "a", "F.X.not_startswith('a')"),
    (F.X.endswith("a"), 13, "a", "F.X.endswith('a')"),
    (F.X.not_endswith("a"), 14, "a", "F.X.not_endswith('a')"),
    (F.X.quick("a"), 15, "a", "F.X.quick('a')"),
    (F.X.is_(True), 1, "true", "(F.X == 'true')"),
    (F.X.is_(False), 1, "false", "(F.X == 'false')"),
    (5 < F.X, 4, "5", "(F.X > '5')"),  # noqa: SIM300
    ("a" == F.X, 1, "a", "(F.X == 'a')"),  # noqa: SIM300
]


@pytest.mark.parametrize(("condition", "operator", "text", "shown"), OPERATORS)
def test_operators(condition: Condition, operator: int, text: str, shown: str) -> None:
    """Each way to write a test has its code and its text, and its repr can be written."""
    assert condition.groups() == ((Test("X", Operator(operator), text),),)
    assert repr(condition) == shown
    assert eval(shown) == condition  # noqa: S307


def test_every_code_has_a_way_to_write_it() -> None:
    """There are fifteen operators (AFAS, GET connector), and you can use all of them."""
    assert sorted({operator for _, operator, _, _ in OPERATORS}) == sorted(Operator) == list(range(1, 16))


@pytest.mark.parametrize("name", ["class", "9Lives", "_", "__len__", "__class__", "x" * 64])
def test_fields_by_their_id(name: str) -> None:
    """You can write any id that may enter a URL with brackets, even one that is not a Python name."""
    condition = F[name].is_empty()
    assert condition.groups()[0][0].field == name
    assert eval(repr(condition)) == condition  # noqa: S307


@pytest.mark.parametrize("name", ["", "a b", "a.b", "a,b", "a;b", "a&b", "-a", "é.b", "a\n", '"', "x" * 65])
def test_unsafe_fields(name: str) -> None:
    """An id that could change a request is refused as soon as it is named."""
    with pytest.raises(InvalidNameError):
        F[name]
    with pytest.raises(InvalidNameError):
        getattr(F, name)


def test_ranges_and_sets() -> None:
    """`between` includes both ends; `in_` is an "or", and an empty `in_` matches no row."""
    low, high = Test("X", Operator.AT_LEAST, "1"), Test("X", Operator.AT_MOST, "9")
    assert F.X.between(1, 9).groups() == ((low, high),)
    assert F.X.in_(iter("ba")).groups() == tuple((Test("X", Operator.EQUAL, text),) for text in "ba")
    assert F.X.in_([1, 1.0, "1"]).groups() == (F.X == 1).groups()
    assert F.X.in_([1, 2]) == (F.X == 1) | (F.X == 2)
    assert (F.X.in_([]).groups(), (~F.X.in_([])).groups()) == ((), ((),))
    assert (A & F.X.in_([])).groups() == ()
    assert (A | F.X.in_([])).groups() == A.groups()
    assert (A & ~F.X.in_([])).groups() == A.groups()
    assert (A | ~F.X.in_([])).groups() == ((),)
    assert (~F.X.in_([1, 2])).groups() == ((F.X != 1) & (F.X != 2)).groups()
    assert (repr(F.X.in_([])), repr(~F.X.in_([]))) == ("(never)", "(always)")


# The negation of each operator; the quick filter has no opposite.
NEGATIONS = {1: 7, 2: 5, 3: 4, 4: 3, 5: 2, 6: 11, 7: 1, 8: 9, 9: 8, 10: 12, 11: 6, 12: 10, 13: 14, 14: 13}


@pytest.mark.parametrize("operator", NEGATIONS)
def test_negated_operators(operator: int) -> None:
    """`~` gives the complementary operator, and twice gives the first again."""
    condition = Condition((Test("X", Operator(operator), "5"),), every=True)
    assert (~condition).groups() == ((Test("X", Operator(NEGATIONS[operator]), "5"),),)
    assert (~~condition).groups() == condition.groups()


def test_the_quick_filter_cannot_be_negated() -> None:
    """A condition that the service has no operator for is refused where it is written."""
    for make in (lambda: ~F.X.quick("a"), lambda: ~(A & (B | F.X.quick("a")))):
        with pytest.raises(InvalidFilterError, match="X: quick"):
            make()


@pytest.mark.parametrize(
    "misuse",
    [
        lambda: A and B,
        lambda: A or B,
        lambda: not A,
        lambda: bool(F.X.in_([])),
        lambda: 1 < F.X < 5,
        lambda: [row for row in (1, 2) if A],  # noqa: ARG005, RUF100
        lambda: F.X and A,
        lambda: not F.X,
    ],
)
def test_python_must_not_decide(misuse: Callable[[], Any]) -> None:
    """`and`, `or`, `not`, `if` and chained comparisons fail, as they would drop half of a condition.

    The error says how to write it.
    """
    with pytest.raises(InvalidFilterError, match=re.escape("& | ~")):
        misuse()


@pytest.mark.parametrize(
    "misuse",
    [
        lambda: A & True,
        lambda: A | None,
        lambda: True & A,
        lambda: None | A,
        lambda: A & F.X,
        lambda: A | F.X,
        lambda: F.X == 1 & F.Y == 2,
        lambda: F.X > 1 & F.X < 5,
        lambda: F.X == 1 | F.Y == 2,
        lambda: F.X & A,
        lambda: F.X | A,
    ],
)
def test_what_is_no_condition(misuse: Callable[[], Any]) -> None:
    """A field or a value is not a condition, and neither are comparisons without their parentheses."""
    with pytest.raises(InvalidFilterError, match="parentheses"):
        misuse()


@pytest.mark.parametrize("misuse", [lambda: hash(F.X), F.X])
def test_what_a_field_is_not(misuse: Callable[[], Any]) -> None:
    """A field is neither a function nor a key of a dict."""
    with pytest.raises(TypeError):
        misuse()


def test_fields_are_named_by_text() -> None:
    """A field id that is not a text is refused, and so `in` never runs through the fields."""
    for misuse in (lambda: F[5], lambda: 1 in F):  # type: ignore[index, operator]
        with pytest.raises(UsageError, match=r"field: expected a field id .*, got int"):
            misuse()


def test_negated_fields() -> None:
    """A field that is negated without a comparison is refused with the correct form."""
    with pytest.raises(InvalidFilterError, match=r"^X: .*is_\(False\)"):
        _ = ~F.X  # type: ignore[operator]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("starts_with", r"did you mean startswith\(\)\?"),
        ("is_in", r"did you mean "),
        ("like", "it has between, contains, endswith, "),
        ("Price", "it has between"),
    ],
)
def test_methods_that_fields_lack(name: str, hint: str) -> None:
    """An unknown attribute is an AttributeError that lists the methods, so that hasattr works."""
    with pytest.raises(AttributeError, match=f"the field X has no '{name}': {hint}") as raised:
        getattr(F.X, name)
    assert raised.value.name == name
    assert not hasattr(F.X, name)
    assert not hasattr(F.X, "_nothing")
    assert not hasattr(F.X, "__len__")


@each_case(
    "misuse",
    [
        lambda: F.X == None,  # noqa: E711
        lambda: F.X != None,  # noqa: E711
        lambda: F.X == "",
        lambda: F.X > "",
        lambda: F.X == F.Y,
        lambda: F.X == A,
        lambda: F.X.between(0, math.nan),
        lambda: F.X.in_("abc"),
        lambda: F.X.in_([1, None]),
        lambda: F.X.between(1, None),
        lambda: F.X.is_(1),
        lambda: F.X.is_("true"),
        lambda: F.X.is_(None),
        *(
            lambda method=method, value=value: getattr(F.X, method)(value)
            for method in (
                *("contains", "not_contains", "startswith", "not_startswith", "endswith", "not_endswith", "quick"),
            )
            for value in ("", 5, None, b"a", ["a"], "a\n")
        ),
    ],
)
def test_values_that_are_refused(misuse: Callable[[], Any]) -> None:
    """A value that the service does not have is refused where it is written, with the name of the field."""
    with pytest.raises(InvalidFilterError, match=r"^X[:.]"):
        misuse()


TESTS = [
    Test(field, operator, text)
    for field in "AB"
    for operator in (Operator.EQUAL, Operator.LESS, Operator.NOT_EQUAL)
    for text in "12"
]
SINGLE = [Condition((test,), every=True) for test in TESTS]
TREES = st.recursive(
    st.sampled_from([*SINGLE, F.A.in_([]), ~F.A.in_([]), F.A.in_(["2", "1"]), F.B.in_([1, 2])]),
    lambda inner: (
        st.builds(lambda one, other: one & other, inner, inner)
        | st.builds(lambda one, other: one | other, inner, inner)
        | st.builds(lambda one: ~one, inner)
    ),
    max_leaves=12,
)


def holds(test: Test, row: dict[str, int]) -> bool:
    value, other = row[test.field], int(test.text)
    return {1: value == other, 5: value < other, 2: value >= other, 7: value != other}[test.operator]


def meets(condition: Condition | Test, row: dict[str, int]) -> bool:
    """Evaluate the tree, as it is written."""
    if isinstance(condition, Test):
        return holds(condition, row)
    return (all if condition.every else any)(meets(part, row) for part in condition.parts)


ROWS = [dict(zip("AB", values, strict=True)) for values in itertools.product(range(4), repeat=2)]


@given(one=TREES, other=TREES)
def test_combinations_mean_what_they_say(one: Condition, other: Condition) -> None:
    """And, or and not follow logic on filled fields, before and after the normal form."""
    for row in ROWS:
        truths = meets(one, row), meets(other, row)
        for condition, expected in (
            (one, truths[0]),
            (one & other, all(truths)),
            (one | other, any(truths)),
            (~one, not truths[0]),
            (~(one & other), not all(truths)),
        ):
            assert meets(condition, row) == expected
            assert any(all(holds(test, row) for test in group) for group in condition.groups()) == expected


@given(condition=TREES)
def test_the_normal_form_is_tidy(condition: Condition) -> None:
    """No group comes twice, no test comes twice in one, and a condition that every row meets is one empty group."""
    groups = condition.groups()
    assert len(set(groups)) == len(groups)
    assert all(len(set(group)) == len(group) for group in groups)
    assert () not in groups or groups == ((),)


@given(condition=TREES)
def test_conditions_are_values(condition: Condition) -> None:
    """A condition can be compared, hashed, copied and pickled, and cannot be changed."""
    for other in (pickle.loads(pickle.dumps(condition)), copy.deepcopy(condition)):  # noqa: S301
        assert (other, hash(other)) == (condition, hash(condition))
        assert other.groups() == condition.groups()
    with pytest.raises(AttributeError):
        condition.every = False  # type: ignore[misc]


def test_order_of_the_normal_form() -> None:
    """Groups and tests come in the order in which they were written."""

    def names(groups: Sequence[Group]) -> list[str]:
        return ["".join(test.field for test in group) for group in groups]

    assert names(((A | B) & (C | D)).groups()) == ["AC", "AD", "BC", "BD"]
    assert names((A & (B | C) & D).groups()) == ["ABD", "ACD"]
    assert names((D | A & B | C | D).groups()) == ["D", "AB", "C"]
    assert names((A & A & B & A).groups()) == ["AB"]
    assert repr(A & (B | C) & D) == (
        "(F.A.contains('x') & (F.B.contains('x') | F.C.contains('x')) & F.D.contains('x'))"
    )


def test_alternatives_that_multiply() -> None:
    """A condition that would fill the memory is refused before it is built; up to the limit it is built."""
    exactly = F.A.in_(range(250)) & F.B.in_(range(200))
    assert sum(map(len, exactly.groups())) == MOST_TESTS
    for condition in (
        F.A.in_(range(250)) & F.B.in_(range(201)),
        math_power(F.A.in_([1, 2]), 200),
        ~F.A.in_(range(10)) & F.B.in_(range(90)) & F.C.in_(range(100)),
        A | B & F.A.in_(range(1_000)) & F.B.in_(range(1_000)),
    ):
        with pytest.raises(InvalidFilterError, match="100,000"):
            condition.groups()
    assert (math_power(F.A.in_([1, 2]), 200) & F.B.in_([])).groups() == ()


def math_power(condition: Condition, times: int) -> Condition:
    """Return many such conditions of separate fields, all of which must match."""
    assert math.prod([len(condition.groups())] * times) > MOST_TESTS
    values = [test.text for (test,) in condition.groups()]
    whole = F.X0.in_(values)
    for number in range(1, times):
        whole &= F[f"X{number}"].in_(values)
    return whole


def test_long_sets_are_no_product(monkeypatch: pytest.MonkeyPatch) -> None:
    """A set of any length is only as large as written, also with conditions that all of its values share."""
    most = by_default(5_000, MOST_TESTS)
    monkeypatch.setattr("afas_async.vocabulary.filters.MOST_TESTS", most)
    count = most + 1
    groups = ((F.X == 1) & F.A.in_(range(count)) & F.B.is_empty()).groups()
    assert (len(groups), len(groups[-1])) == (count, 3)
    assert len((~F.A.in_(range(count))).groups()[0]) == count


def test_many_conditions_one_by_one() -> None:
    """A condition that a loop builds from thousands is as flat as one that is written at once."""
    either, both = F.Id == 0, F.Id != 0
    for number in range(1, 3_000):
        either |= F.Id == number
        both &= F.Id != number
    assert either.groups() == F.Id.in_(range(3_000)).groups()
    assert both.groups() == (~either).groups()


def test_names_that_python_asks_for() -> None:
    """Names that copying and inspecting look up on an object are not fields."""
    assert not hasattr(F, "__wrapped__")
    assert repr(F) == "F"
    assert copy.copy(F).X.is_empty() == F.X.is_empty()
