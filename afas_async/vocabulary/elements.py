"""Elements to write: their fields, keys and nested objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias, cast, get_args

import msgspec

from afas_async.errors import InvalidElementError, UsageError
from afas_async.vocabulary.arguments import type_name

Action: TypeAlias = Literal["insert", "update", "delete"]

ACTIONS: Final[tuple[Action, ...]] = get_args(Action)


class Element(msgspec.Struct, frozen=True):
    """One record to write with an UpdateConnector, or one line of an object in it.

    You can give a dict or a `msgspec.Struct` instead, with the names as they are in JSON. A name that starts with `@`
    belongs to the key, an element or a list of elements is an object, and everything else is a field. A member that is
    `msgspec.UNSET` is left out.

    Args:
        fields: Values by field id: str, int, float, Decimal, bool, date, datetime, bytes, or an Enum member with such a
            value. A datetime without a time zone is wall time in Amsterdam. Bytes are sent in base64, as attachments
            are. An empty str clears the field, and a field that you leave out stays as it is (AFAS, UpdateConnector).
        key: The values that identify an existing record, by field id without the `@`. Leave it empty for a new record.
        objects: The objects in the element by name, each as one element or as several.
        action: The action for this element, where it differs from that of the call. It is sent as `@Action`: the
            service then treats the whole call as one transaction (AFAS, UpdateConnector).

    Example:
        >>> Element({"FiNm": "Jan"}, key={"BcCo": "100"}, objects={"KnBasicAddressAdr": {"CoId": "NL"}}).key
        {'BcCo': '100'}
    """

    fields: Mapping[str, Any] = {}
    key: Mapping[str, Any] = {}
    objects: Mapping[str, Item | Sequence[Item]] = {}
    action: Action | None = None


# The meaning of None in a field: raise an error, leave the field as it is, or clear it.
Nulls: TypeAlias = Literal["refuse", "omit", "clear"]
Item: TypeAlias = Element | Mapping[str, Any] | msgspec.Struct


class ElementFault(msgspec.Struct, frozen=True):
    """One mistake in an element, found before the element is sent.

    `AfasClient.validate` returns one for each mistake in your elements. A fault never holds a value, so you can log it
    even if the elements are personal data.

    Args:
        index: The number of the element, from 0, in the order in which you gave the elements.
        field: The place in the element, such as `StId`, `@SbId` or `Objects.KnBasicAddressAdr[0].ZpCd`; empty for the
            element as a whole.
        message: The mistake.
        suggestion: The way to correct it; empty if the message says it.
        label: The label of the field in Profit; empty if unknown.

    Example:
        >>> print(ElementFault(0, "Ds", "is mandatory for a new record", "give it", "Subject"))
        Ds (Subject): is mandatory for a new record: give it
    """

    index: int
    field: str
    message: str
    suggestion: str = ""
    label: str = ""

    def __str__(self) -> str:
        shown = f"{self.field} ({self.label})" if self.label else self.field
        return ": ".join(part for part in (shown, self.message, self.suggestion) if part)


def element_of(item: object) -> Element:
    """Return an element of any form as an `Element`; elements in its objects keep their form.

    Raises:
        InvalidElementError: If it is neither an Element, a dict nor a Struct.
    """
    if isinstance(item, Element):
        for part in (item.fields, item.key, item.objects):
            if type(part) is not dict and not isinstance(part, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise InvalidElementError(
                    f"expected dicts as fields, key and objects of an Element, got {type_name(part)}"
                )
        return item
    fields: dict[str, Any] = {}
    key: dict[str, Any] = {}
    objects: dict[str, Any] = {}
    for name, value in _members(item):
        if value is msgspec.UNSET:
            continue
        if name.startswith("@"):
            key[name[1:]] = value
        elif _is_object(value):
            objects[name] = value
        else:
            fields[name] = value
    action = next((key.pop(name) for name in list(key) if name.lower() == "action"), None)
    return Element(fields, key, objects, action)


def with_nulls(item: object, nulls: Nulls) -> Element:
    """Return an element in which each field that is None is omitted, or cleared, also inside objects.

    Args:
        item: An element of any form.
        nulls: "omit" or "clear". With "refuse" each None stays, and a later check reports it.

    Raises:
        InvalidElementError: If it is neither an Element, a dict nor a Struct.

    Example:
        >>> with_nulls({"Ds": "x", "SbTx": None}, "omit").fields, with_nulls({"SbTx": None}, "clear").fields
        ({'Ds': 'x'}, {'SbTx': ''})
    """
    element = element_of(item)
    if nulls == "refuse":
        return element
    fields = {name: "" if value is None else value for name, value in element.fields.items()}
    if nulls == "omit":
        fields = {name: value for name, value in element.fields.items() if value is not None}
    objects = dict[str, Any]()
    for name, inner in cast("Mapping[str, object]", element.objects).items():
        if isinstance(inner, (list, tuple)):
            objects[name] = [with_nulls(part, nulls) for part in cast("Sequence[object]", inner)]
        elif inner is not None:
            objects[name] = with_nulls(inner, nulls)
    return Element(fields, element.key, objects, element.action)


def check_action(action: str, connector: str) -> None:
    """Raise UsageError unless `action` is "insert", "update" or "delete"."""
    if action not in ACTIONS:
        given = repr(action) if isinstance(action, str) else type_name(action)  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(f"{connector}: action must be one of {', '.join(ACTIONS)}, not {given}")


def _members(item: object) -> list[tuple[str, Any]]:
    if isinstance(item, msgspec.Struct):
        return [(name, getattr(item, attribute)) for attribute, name in _names(type(item))]
    if isinstance(item, Mapping):
        members = list(cast("Mapping[object, Any]", item).items())
        for name, _ in members:
            if not isinstance(name, str):
                raise InvalidElementError(f"expected field ids as str in the dict, got {type_name(name)}")
        return cast("list[tuple[str, Any]]", members)
    raise InvalidElementError(f"expected an Element, a dict of fields or a msgspec.Struct, got {type_name(item)}")


@lru_cache(maxsize=256)
def _names(struct: type[msgspec.Struct]) -> tuple[tuple[str, str], ...]:
    return tuple((field.name, field.encode_name) for field in msgspec.structs.fields(struct))


def _is_object(value: object) -> bool:
    if isinstance(value, (Mapping, msgspec.Struct)):
        return True
    return isinstance(value, (list, tuple)) and all(
        isinstance(part, (Mapping, msgspec.Struct)) for part in cast("Sequence[object]", value)
    )
