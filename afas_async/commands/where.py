"""The option `--where`: a condition in the notation of Python, parsed and never evaluated."""

from __future__ import annotations

import ast
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import reduce
from typing import Any, Final, TypeVar

import typer

from afas_async.errors import InvalidFilterError, InvalidNameError
from afas_async.vocabulary.filters import Condition, F, Field

METHODS: Final = (
    "contains",
    "not_contains",
    "startswith",
    "not_startswith",
    "endswith",
    "not_endswith",
    "quick",
    "is_empty",
    "is_not_empty",
    "is_",
    "in_",
    "between",
)
_T = TypeVar("_T")
_COMPARE: Final[dict[type[ast.cmpop], Callable[[Any, Any], Condition]]] = {
    ast.Eq: lambda field, value: field == value,
    ast.NotEq: lambda field, value: field != value,
    ast.Lt: lambda field, value: field < value,
    ast.LtE: lambda field, value: field <= value,
    ast.Gt: lambda field, value: field > value,
    ast.GtE: lambda field, value: field >= value,
}
_SWAPPED: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Eq: ast.Eq,
    ast.NotEq: ast.NotEq,
    ast.Lt: ast.Gt,
    ast.LtE: ast.GtE,
    ast.Gt: ast.Lt,
    ast.GtE: ast.LtE,
}
_EXAMPLE: Final = """'Price < 10 and Description.contains("bolt") and not Blocked'"""


def parsed_condition(text: str) -> Condition:
    """Return the condition that was typed.

    Fields are named by their ids, or as `F["class"]` if the id is not a name in Python. Texts are in quotation marks,
    and a date is `date("2024-01-31")`. A field alone means that a yes-or-no field is true.

    The notation has `and`, `or`, `not`, comparisons (also `0 < Price < 10`), `in ["A", "B"]` and `is None`. It also has
    the methods of a field, such as `contains`.

    Args:
        text: The condition.

    Raises:
        BadParameter: If it is not a condition. The text shows the place.

    Example:
        >>> parsed_condition('0 < Price <= 9.50 and not (Blocked or Unit in ["Box"])')
        ((F.Price > '0') & (F.Price <= '9.50') & (F.Blocked != 'true') & (F.Unit != 'Box'))
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        place = getattr(error, "offset", None) or 1
        raise _misread(text.strip(), f"expected a condition such as {_EXAMPLE}", place - 1) from None
    return _Reader(text.strip()).condition(tree.body)


class _Reader:
    """Turns a syntax tree into a condition."""

    def __init__(self, text: str) -> None:
        self._text = text

    def condition(self, node: ast.expr) -> Condition:
        """Return the condition of a part of the tree."""
        match node:
            case ast.BoolOp(op=ast.And()):
                return reduce(lambda one, other: one & other, map(self.condition, node.values))
            case ast.BoolOp():
                return reduce(lambda one, other: one | other, map(self.condition, node.values))
            case ast.UnaryOp(op=ast.Not()):
                return self._checked(node, lambda: ~self.condition(node.operand))
            case ast.Compare():
                return self._comparison(node)
            case ast.Call(func=ast.Attribute() as method):
                return self._call(node, method)
            case ast.Name() | ast.Subscript():
                field = self._field(node)
                return self._checked(node, lambda: field.is_(True))
            case _:
                raise self._wrong(node, "expected a comparison, such as Price < 10")

    def _comparison(self, node: ast.Compare) -> Condition:
        parts = [node.left, *node.comparators]
        return reduce(
            lambda one, other: one & other,
            [self._pair(node, *each) for each in zip(parts, node.ops, parts[1:], strict=False)],
        )

    def _pair(self, node: ast.Compare, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> Condition:
        if not _is_field(left):
            if not _is_field(right):
                raise self._wrong(left, "expected a field on one side")
            swapped = _SWAPPED.get(type(operator))
            if swapped is None:
                raise self._wrong(node, "the field comes first here, as in Unit in [...]")
            return self._pair(node, right, swapped(), left)
        field = self._field(left)
        if isinstance(right, ast.Constant) and right.value is None:
            if isinstance(operator, (ast.Is, ast.Eq)):
                return field.is_empty()
            if isinstance(operator, (ast.IsNot, ast.NotEq)):
                return field.is_not_empty()
        if isinstance(operator, (ast.In, ast.NotIn)):
            values = self._value(right)
            found = self._checked(right, lambda: field.in_(values))
            return found if isinstance(operator, ast.In) else ~found
        compare = _COMPARE.get(type(operator))
        if compare is None:
            raise self._wrong(right, "`is` works with None only: use ==")
        value = self._value(right)
        return self._checked(right, lambda: compare(field, value))

    def _call(self, node: ast.Call, method: ast.Attribute) -> Condition:
        field = self._field(method.value)
        if method.attr not in METHODS:
            raise self._wrong(
                method, f"a field has no {method.attr!r}: it has {', '.join(METHODS)}", at=method.value.end_col_offset
            )
        if node.keywords:
            raise self._wrong(node, f"{method.attr}() takes its values without names")
        values = [self._value(value) for value in node.args]
        try:
            called: Callable[..., Condition] = getattr(field, method.attr)
            return self._checked(node, lambda: called(*values))
        except TypeError:
            raise self._wrong(node, f"{method.attr}() takes other values") from None

    def _field(self, node: ast.expr) -> Field:
        match node:
            case ast.Name():
                return self._checked(node, lambda: F[node.id])
            case ast.Subscript(value=ast.Name(id="F"), slice=ast.Constant(value=str() as name)):
                return self._checked(node, lambda: F[name])
            case _:
                raise self._wrong(node, 'expected a field, such as Price or F["class"]')

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=float()):
                return Decimal(ast.get_source_segment(self._text, node) or "")  # keeps all digits that were typed
            case ast.Constant(value=str() | bool() | int() | None):
                return node.value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float())):
                return -self._value(node.operand)
            case ast.List() | ast.Tuple() | ast.Set():
                return [self._value(each) for each in node.elts]
            case ast.Call(func=ast.Name(id="date" | "datetime" as kind), args=[ast.Constant(value=str() as text)]):
                try:
                    return date.fromisoformat(text) if kind == "date" else datetime.fromisoformat(text)
                except ValueError:
                    raise self._wrong(
                        node, f'expected {kind}("2024-01-31{"" if kind == "date" else "T09:30:00"}")'
                    ) from None
            case ast.Name():
                raise self._wrong(node, f'expected a value: a text is "{node.id}", and two fields cannot be compared')
            case _:
                raise self._wrong(node, 'expected a value: a text in quotation marks, a number, or date("2024-01-31")')

    def _checked(self, node: ast.expr, make: Callable[[], _T]) -> _T:
        try:
            return make()
        except (InvalidFilterError, InvalidNameError) as error:
            raise self._wrong(node, str(error)) from None

    def _wrong(self, node: ast.expr, text: str, at: int | None = None) -> typer.BadParameter:
        # The tree counts columns in bytes, and a terminal in characters.
        column = node.col_offset if at is None else at
        return _misread(self._text, text, len(self._text.encode()[:column].decode("utf-8", "ignore")))


def _is_field(node: ast.expr) -> bool:
    return isinstance(node, (ast.Name, ast.Subscript))


def _misread(text: str, fault: str, column: int) -> typer.BadParameter:
    return typer.BadParameter(f"{fault}\n\n  {text}\n  {' ' * column}^", param_hint="--where")
