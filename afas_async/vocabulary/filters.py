"""Conditions on rows: `F.Blocked.is_(False) & F.Description.contains("bolt")`.

A condition is a small tree of tests. The service takes it in disjunctive normal form, as groups of tests: a row must
meet every test of at least one group (AFAS, GET connector: filters).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from difflib import get_close_matches
from enum import IntEnum
from itertools import chain, product
from keyword import iskeyword
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias, cast

import msgspec

from afas_async.errors import InvalidFilterError
from afas_async.vocabulary.arguments import type_name
from afas_async.vocabulary.hiding import OwnRepr
from afas_async.vocabulary.names import field_id
from afas_async.vocabulary.values import Value, value_text

LONG_LIST: Final = 1_000
MOST_TESTS: Final = 100_000  # the limit for tests that `&` creates by multiplying alternatives
# The placeholder for a value that the service ignores, as in AFAS's example (AFAS, GET connector).
NO_VALUE: Final = '""'


class Operator(IntEnum):
    """The operators of a filter, with the service's codes."""

    EQUAL = 1
    AT_LEAST = 2
    AT_MOST = 3
    GREATER = 4
    LESS = 5
    CONTAINS = 6
    NOT_EQUAL = 7
    EMPTY = 8
    NOT_EMPTY = 9
    STARTS_WITH = 10
    NOT_CONTAINS = 11
    NOT_STARTS_WITH = 12
    ENDS_WITH = 13
    NOT_ENDS_WITH = 14
    QUICK = 15


_PAIRS: Final = ((1, 7), (2, 5), (3, 4), (6, 11), (8, 9), (10, 12), (13, 14))
_COMPLEMENTS: Final = {
    Operator(one): Operator(other) for pair in _PAIRS for one, other in (pair, pair[::-1])
}  # all but QUICK
_SIGNS: Final = {1: "==", 2: ">=", 3: "<=", 4: ">", 5: "<", 7: "!="}
_METHODS: Final = {
    6: "contains",
    8: "is_empty",
    9: "is_not_empty",
    10: "startswith",
    11: "not_contains",
    12: "not_startswith",
    13: "endswith",
    14: "not_endswith",
    15: "quick",
}


class Test(OwnRepr, msgspec.Struct, frozen=True):
    """One field, one operator, one value.

    Args:
        field: The id of the field.
        operator: The operator.
        text: The value as it is sent; `""`, two quotation marks, for EMPTY and NOT_EMPTY, which ignore it.
    """

    __test__ = False  # keeps pytest from collecting the class as a test

    field: str
    operator: Operator
    text: str

    def complement(self) -> Test:
        """Return the opposite test: of the two, a field with a value meets exactly one."""
        operator = _COMPLEMENTS.get(self.operator)
        if operator is None:
            raise InvalidFilterError(f"{self.field}: quick() cannot be negated: the service has no such operator")
        return Test(self.field, operator, self.text)

    def __repr__(self) -> str:
        plain = self.field.isidentifier() and not iskeyword(self.field) and not _is_dunder(self.field)
        name = f"F.{self.field}" if plain else f"F[{self.field!r}]"
        if self.operator in _SIGNS:
            return f"({name} {_SIGNS[self.operator]} {self.text!r})"
        value = "" if self.operator in {Operator.EMPTY, Operator.NOT_EMPTY} else repr(self.text)
        return f"{name}.{_METHODS[self.operator]}({value})"


Group: TypeAlias = tuple[Test, ...]


class Condition(OwnRepr, msgspec.Struct, frozen=True):
    """A condition that rows must meet. You create conditions with `F` and combine them.

    Use `&` for and, `|` for or, `~` for not. Put each comparison in parentheses: `(F.A == 1) & (F.B == 2)`. The words
    `and`, `or`, `not` and `if` raise InvalidFilterError, and so do chained comparisons (`1 < F.Price < 5`): Python
    would silently drop one half of the condition.

    An empty field meets no test except `is_empty()`, as in the database. It does not meet `!=` or `not_contains`
    either, nor the `~` of a test on a value. Include empty fields yourself: `(F.Type != "P") | F.Type.is_empty()`.

    Args:
        parts: The tests and conditions that are combined.
        every: Whether a row must meet all of the parts. If not, one of them is enough.

    Example:
        >>> ~(F.Blocked.is_(True) | F.Description.contains("bolt"))
        ((F.Blocked != 'true') & F.Description.not_contains('bolt'))
    """

    parts: tuple[Test | Condition, ...]
    every: bool

    def __and__(self, other: Condition) -> Condition:
        _check_operand("&", other)
        return _joined((self, other), every=True)

    def __or__(self, other: Condition) -> Condition:
        _check_operand("|", other)
        return _joined((self, other), every=False)

    if not TYPE_CHECKING:  # type checkers report such operands without these methods

        def __rand__(self, other: object) -> NoReturn:
            _check_operand("&", other)

        def __ror__(self, other: object) -> NoReturn:
            _check_operand("|", other)

    def __invert__(self) -> Condition:
        parts = tuple(part.complement() if isinstance(part, Test) else ~part for part in self.parts)
        return Condition(parts, every=not self.every)

    def __bool__(self) -> NoReturn:
        raise InvalidFilterError(
            "a condition is neither true nor false: combine conditions with & | ~ instead of and, or, not; write a"
            " chained comparison as between(), and `in` as in_(); test with `is None` instead of `if`"
        )

    def __repr__(self) -> str:
        if not self.parts:
            return "(always)" if self.every else "(never)"
        if len(self.parts) == 1:
            return repr(self.parts[0])
        return f"({(' & ' if self.every else ' | ').join(map(repr, self.parts))})"

    def groups(self) -> tuple[Group, ...]:
        """Return the disjunctive normal form: a row must meet every test of at least one group.

        Without groups, no row can meet the condition. With a single group without tests, every row meets it. Repeated
        tests and groups are left out.

        Returns:
            The groups, each a tuple of tests.

        Raises:
            InvalidFilterError: If alternatives multiply to more than 100,000 tests. An `in_()` may have any length, as
                long as `&` does not combine it with other alternatives.

        Example:
            >>> (F.Blocked.is_(False) & F.Unit.in_(["Box", "Piece"])).groups()
            (((F.Blocked == 'false'), (F.Unit == 'Box')), ((F.Blocked == 'false'), (F.Unit == 'Piece')))
        """
        if not self.every and len(self.parts) > LONG_LIST and all(isinstance(part, Test) for part in self.parts):
            return tuple(zip(cast("tuple[Test, ...]", self.parts)))  # in a tenth of the time; in_() repeats nothing
        factors = [((part,),) if isinstance(part, Test) else part.groups() for part in self.parts]
        if self.every:
            _check_product(factors)
            groups = dict.fromkeys(tuple(dict.fromkeys(chain(*chosen))) for chosen in product(*factors))
        else:
            groups = dict.fromkeys(chain(*factors))
        return ((),) if () in groups else tuple(groups)


def _check_operand(operator: str, other: object) -> None:
    if not isinstance(other, Condition):
        raise InvalidFilterError(
            f"expected a condition on each side of {operator}, got {type_name(other)}: put each comparison in"
            f" parentheses, such as (F.Price > 1) {operator} (F.Price < 5)"
        )


def _joined(conditions: Iterable[Condition], *, every: bool) -> Condition:
    """Combine conditions; those that are combined in the same way are merged into one level."""
    return Condition(
        tuple(
            chain.from_iterable(
                condition.parts if condition.every == every or len(condition.parts) == 1 else (condition,)
                for condition in conditions
            )
        ),
        every=every,
    )


def _check_product(factors: list[tuple[Group, ...]]) -> None:
    """Refuse a product that is too large, before it is built."""
    count = math.prod(map(len, factors))
    if sum(len(factor) > 1 for factor in factors) > 1:
        tests = sum(sum(map(len, factor)) * (count // len(factor)) for factor in factors if factor)
        if tests > MOST_TESTS:
            raise InvalidFilterError(
                f"the alternatives of the condition, combined with &, multiply to more than {MOST_TESTS:,} tests:"
                " use fewer of them, and select from the rows yourself"
            )


class Field:  # noqa: PLW1641 - `==` returns a condition, so fields have no hash
    """A field of a connector. You create it with `F` and the service's id, and compare it with values.

    `==`, `!=`, `<`, `<=`, `>` and `>=` return a `Condition`, and so do the methods. A value is a `str`, `int`, `float`,
    `Decimal`, `bool`, `date` or `datetime`, or a member of an `Enum` with such a value. A datetime with a time zone is
    sent as the time in Amsterdam. In a text, `%` is a wildcard to the service, as its other clients show.

    Raises:
        InvalidFilterError: If the service has no such value. All methods raise it before anything is sent.

    Example:
        >>> (F.Price > 10) & F.Description.startswith("Bolt")
        ((F.Price > '10') & F.Description.startswith('Bolt'))
    """

    __slots__ = ("_id",)

    def __init__(self, field: str) -> None:
        self._id = field  # set before the check: a traceback with local variables prints `self`
        field_id(field)

    def __repr__(self) -> str:
        return f"F[{self._id!r}]"

    def __bool__(self) -> NoReturn:
        raise InvalidFilterError(f"{self._id}: a field is not a condition: use is_(True), and & | ~ to combine")

    if not TYPE_CHECKING:  # type checkers report these without the methods

        def __and__(self, _: object) -> NoReturn:
            raise InvalidFilterError(
                f"{self._id}: & and | combine conditions, not fields: put each comparison in parentheses, such as"
                f" (F.{self._id} > 1) & (F.{self._id} < 5)"
            )

        __rand__ = __or__ = __ror__ = __and__

        def __invert__(self) -> NoReturn:
            raise InvalidFilterError(f"{self._id}: ~ negates a condition, not a field: use is_(False)")

        def __getattr__(self, name: str) -> NoReturn:
            if name.startswith("_"):  # copy, pickle and inspect look for such names on every object
                raise AttributeError(name)
            methods = [each for each in dir(Field) if not each.startswith("_")]
            near = get_close_matches(name, methods, n=1)
            hint = f"did you mean {near[0]}()?" if near else f"it has {', '.join(methods)}"
            raise AttributeError(f"the field {self._id} has no {name!r}: {hint}", name=name, obj=self)

    def __eq__(self, value: Value) -> Condition:  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride]
        return self._compare(Operator.EQUAL, value)

    def __ne__(self, value: Value) -> Condition:  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride]
        return self._compare(Operator.NOT_EQUAL, value)

    def __lt__(self, value: Value) -> Condition:
        return self._compare(Operator.LESS, value)

    def __le__(self, value: Value) -> Condition:
        return self._compare(Operator.AT_MOST, value)

    def __gt__(self, value: Value) -> Condition:
        return self._compare(Operator.GREATER, value)

    def __ge__(self, value: Value) -> Condition:
        return self._compare(Operator.AT_LEAST, value)

    def is_(self, value: bool) -> Condition:  # noqa: FBT001 - the only argument, and the method's name explains it
        """Match rows in which a yes-or-no field has the given value."""
        if not isinstance(value, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidFilterError(f"{self._id}.is_(): expected True or False, got {type_name(value)}")
        return self._compare(Operator.EQUAL, value)

    def contains(self, text: str) -> Condition:
        """Match rows in which the field contains the text.

        AFAS's auditor of app connectors reports such a filter as an error: it is 100 times slower than a comparison.
        """
        return self._search(Operator.CONTAINS, text)

    def not_contains(self, text: str) -> Condition:
        """Match rows in which the field has a value that does not contain the text."""
        return self._search(Operator.NOT_CONTAINS, text)

    def startswith(self, text: str) -> Condition:
        """Match rows in which the field starts with the text.

        AFAS's auditor of app connectors reports such a filter as an error: it is 100 times slower than a comparison.
        """
        return self._search(Operator.STARTS_WITH, text)

    def not_startswith(self, text: str) -> Condition:
        """Match rows in which the field has a value that does not start with the text."""
        return self._search(Operator.NOT_STARTS_WITH, text)

    def endswith(self, text: str) -> Condition:
        """Match rows in which the field ends with the text.

        AFAS's auditor of app connectors reports such a filter as an error: it is 100 times slower than a comparison.
        """
        return self._search(Operator.ENDS_WITH, text)

    def not_endswith(self, text: str) -> Condition:
        """Match rows in which the field has a value that does not end with the text."""
        return self._search(Operator.NOT_ENDS_WITH, text)

    def quick(self, text: str) -> Condition:
        """Match rows in which Profit's quick filter finds the text.

        It is slower than the other tests (AFAS, Troubleshooting), and you cannot negate it with `~`.
        """
        return self._search(Operator.QUICK, text)

    def is_empty(self) -> Condition:
        """Match rows in which the field has no value."""
        return _single(Test(self._id, Operator.EMPTY, NO_VALUE))

    def is_not_empty(self) -> Condition:
        """Match rows in which the field has a value."""
        return _single(Test(self._id, Operator.NOT_EMPTY, NO_VALUE))

    def in_(self, values: Iterable[Value]) -> Condition:
        """Match rows in which the field has one of the values.

        You can give any number of values. No row meets `in_([])`.
        """
        if isinstance(values, str) or not isinstance(values, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidFilterError(
                f"{self._id}.in_(): expected several values, such as a list, got {type_name(values)}"
            )
        texts = dict.fromkeys(value_text(value, self._id) for value in values)
        return Condition(tuple(Test(self._id, Operator.EQUAL, text) for text in texts), every=False)

    def between(self, lowest: Value, highest: Value) -> Condition:
        """Match rows in which the field is at least `lowest` and at most `highest`."""
        return (self >= lowest) & (self <= highest)

    def _compare(self, operator: Operator, value: object) -> Condition:
        return _single(Test(self._id, operator, value_text(value, self._id)))

    def _search(self, operator: Operator, text: object) -> Condition:
        if not isinstance(text, str):
            raise InvalidFilterError(f"{self._id}.{_METHODS[operator]}(): expected str, got {type_name(text)}")
        return self._compare(operator, text)


def _single(test: Test) -> Condition:
    return Condition((test,), every=True)


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


class _Fields:
    """The fields of any connector, to build conditions: `F.Price > 10`.

    Write the id of a field as an attribute, `F.Price`. Use `F["class"]` for an id that Python does not accept as an
    attribute. Each gives a `Field`, which you compare with a value, or whose methods you call, to get a `Condition`.
    `F` does not know your connectors: it checks the form of an id, not whether the field exists.

    Raises:
        InvalidNameError: If an id is not valid in a URL.

    Example:
        >>> F.Unit.in_(["Box", "Piece"]) & F["E-mail_werk"].is_not_empty()
        (((F.Unit == 'Box') | (F.Unit == 'Piece')) & F['E-mail_werk'].is_not_empty())
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Field:
        if _is_dunder(name):  # copy, pickle and inspect look for such names on every object
            raise AttributeError(name)
        return Field(name)

    def __getitem__(self, field: str) -> Field:
        return Field(field)

    def __repr__(self) -> str:
        return "F"


F: Final = _Fields()
