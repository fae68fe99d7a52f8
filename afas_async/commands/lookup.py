"""The option `--lookup`: how a load finds a record whose response was lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import reduce
from typing import Any, Final

from afas_async.errors import UsageError
from afas_async.vocabulary.connectors import GetConnector
from afas_async.vocabulary.elements import Action, Element
from afas_async.vocabulary.filters import Condition, F
from afas_async.write.lookups import Lookup

NOTATION: Final = "NAME:ROW=FIELD[,...]"


def typed_lookup(text: str, action: Action) -> Lookup[Any]:
    """Return the lookup that was typed, such as `Profit_Subjects:Subject=Ds`.

    For an update, the fields of the key find the row. The values of the other fields show whether it was applied.

    Args:
        text: The GetConnector, and which of its fields shows which field of a record.
        action: The action of the load.

    Raises:
        UsageError: If the notation is wrong, or fields are missing.
    """
    name, colon, rest = text.partition(":")
    pairs = [pair.partition("=")[::2] for pair in rest.split(",")]
    if not colon or not all(row and field for row, field in pairs):
        raise UsageError(f"{text!r} is not {NOTATION}, such as Profit_Subjects:Subject=Ds")
    finds = [(row, field) for row, field in pairs if action == "insert" or field.startswith("@")]
    shows = [(row, field) for row, field in pairs if (row, field) not in finds]
    if not finds or (action == "update" and not shows):
        raise UsageError(
            f"{text!r}: an update needs a field of the key, such as ItemCode=@ItCd, and a changed field; a delete needs"
            " the key"
        )

    def where(element: Element) -> Condition:
        conditions: list[Condition] = [F[row] == _value(element, field) for row, field in finds]
        return reduce(_both, conditions)

    def matches(element: Element, found: dict[str, Any]) -> bool:
        return all(is_shown(_value(element, field), found.get(row)) for row, field in shows)

    matching: Callable[[Element, dict[str, Any]], bool] | None = matches if action == "update" else None
    return Lookup(GetConnector(name), where, matching)


def _both(one: Condition, other: Condition) -> Condition:
    return one & other


def _value(element: Element, field: str) -> Any:
    values = element.key if field.startswith("@") else element.fields
    if field.lstrip("@") not in values:
        raise UsageError(f"--lookup: a record has no {field} to find it by")
    return values[field.lstrip("@")]


def is_shown(written: Any, shown: Any) -> bool:
    """Return whether a row shows the value that was written. An empty field shows an empty text.

    Example:
        >>> is_shown("2024-01-31", "2024-01-31T00:00:00Z"), is_shown("1.50", Decimal("1.5")), is_shown("a", "b")
        (True, True, False)
    """
    if shown is None or written in {None, ""}:
        return shown is None and written in {None, ""}
    if isinstance(shown, bool) or isinstance(written, bool):
        return str(shown).lower() == str(written).lower()
    if isinstance(shown, (int, Decimal)):
        try:
            return Decimal(str(written)) == shown
        except InvalidOperation:
            return False
    text = written.isoformat() if isinstance(written, date) else str(written)
    return str(shown) == text or str(shown) in {f"{text}Z", f"{text}T00:00:00Z"}
