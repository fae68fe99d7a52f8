"""Conditions as a request writes them: the simple form where it is unambiguous, the JSON form otherwise.

The simple form is three lists, in which `,` means "and" and `;` means "or" (AFAS, GET connector). No source says which
of the two binds tighter, and clients disagree, so it is never used with both. Nor does it have an escape for them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from afas_async.errors import InvalidFilterError
from afas_async.vocabulary.filters import NO_VALUE, Group, Operator, Test
from afas_async.vocabulary.names import field_id

JSON_FORM: Final = "filterjson"
# Characters that could end a value, escape something, or look like AFAS's own `""` and `[is leeg]`, which mean an empty
# value. Blanks at either end may be stripped.
_MISTAKABLE: Final = re.compile(r"[,;\\\"'\[\]]|^\s|\s$")


class _Field(msgspec.Struct, frozen=True):
    field: str = msgspec.field(name="@FieldId")
    operator: str = msgspec.field(name="@OperatorType")
    text: str = msgspec.field(name="#text")


class _Filter(msgspec.Struct, frozen=True):
    name: str = msgspec.field(name="@FilterId")
    fields: list[_Field] = msgspec.field(name="Field")


_ENCODER: Final = msgspec.json.Encoder()


def filter_pairs(groups: Sequence[Group], *, listed: bool = False) -> list[tuple[str, str]]:
    """Return the parameters of a request for the rows that meet a condition, not escaped yet.

    Args:
        groups: The groups of tests of which a row must meet one, as `Condition.groups()` returns them.
        listed: Whether to write groups of one test each as a list in the simple form, if that is possible. It is a
            quarter as long as the JSON form.

    Returns:
        Names and values; an empty list if every row meets the condition.

    Raises:
        InvalidFilterError: If `groups` is empty: no row can meet that, and no request can express it.
        InvalidNameError: If the id of a field may not enter a URL.

    Example:
        >>> filter_pairs([(Test("Price", Operator.AT_LEAST, "5"), Test("Blocked", Operator.EQUAL, "false"))])
        [('filterfieldids', 'Price,Blocked'), ('filtervalues', '5,false'), ('operatortypes', '2,1')]
    """
    if not groups:
        raise InvalidFilterError("no row can meet this condition: there is nothing to request")
    if not all(groups):
        return []
    if len(groups) == 1 and all(map(_is_simple, groups[0])):
        return _simple_form(groups[0], ",")
    if listed and all(len(group) == 1 and _is_simple(group[0]) for group in groups):
        return _simple_form([group[0] for group in groups], ";")
    filters = [
        _Filter(
            f"Filter {number}", [_Field(field_id(test.field), str(int(test.operator)), test.text) for test in group]
        )
        for number, group in enumerate(groups, 1)
    ]
    return [(JSON_FORM, _ENCODER.encode({"Filters": {"Filter": filters}}).decode())]


def _simple_form(tests: Sequence[Test], separator: str) -> list[tuple[str, str]]:
    return [
        ("filterfieldids", separator.join([field_id(test.field) for test in tests])),
        ("filtervalues", separator.join([test.text for test in tests])),
        ("operatortypes", separator.join([str(int(test.operator)) for test in tests])),
    ]


def is_simple(text: str) -> bool:
    """Whether a value is unambiguous in the simple form."""
    return bool(text) and not _MISTAKABLE.search(text)


def _is_simple(test: Test) -> bool:
    if test.operator is Operator.EMPTY or test.operator is Operator.NOT_EMPTY:
        return test.text == NO_VALUE  # AFAS's own example has it in the simple form
    return is_simple(test.text)
