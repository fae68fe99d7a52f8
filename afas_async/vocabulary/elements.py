"""What a user gives to be written: elements, with their fields, keys and nested objects."""

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
    """One record of an UpdateConnector, or one line of an object in it.

    A dict or a `msgspec.Struct` does as well, by its names in JSON: a name with an `@` is part of the key, what is
    itself an element or a list of them is an object, and everything else is a field. `msgspec.UNSET` is left out.

    Args:
        fields: Values by field id: str, int, float, Decimal, bool, date, datetime (without a time zone: wall time in
            Amsterdam), bytes (sent in base64, as attachments are), or an Enum member with such a value. An empty str
            clears the field, and a field that is not named stays as it is (AFAS, UpdateConnector).
        key: The values that find the record, by field id without the `@`; none for a new one.
        objects: By its name each object, as one element or as several.
        action: What to do with this element where it is not what the whole call does: sent as `@Action`, with which
            the service treats the complete call as one transaction (AFAS, UpdateConnector).

    Example:
        >>> Element({"FiNm": "Jan"}, key={"BcCo": "100"}, objects={"KnBasicAddressAdr": {"CoId": "NL"}}).key
        {'BcCo': '100'}
    """

    fields: Mapping[str, Any] = {}
    key: Mapping[str, Any] = {}
    objects: Mapping[str, Item | Sequence[Item]] = {}
    action: Action | None = None


# What None means in a field: an error, a field that is left as it is, or one that is cleared.
Nulls: TypeAlias = Literal["refuse", "omit", "clear"]
Item: TypeAlias = Element | Mapping[str, Any] | msgspec.Struct


class ElementFault(msgspec.Struct, frozen=True):
    """Something that is wrong with an element, found before it is sent. It never holds a value.

    Args:
        index: Number of the element, from 0, in the order in which the elements were given.
        field: Where in the element, such as `StId`, `@SbId` or `Objects.KnBasicAddressAdr[0].ZpCd`; empty for the
            element as a whole.
        message: What is wrong.
        suggestion: What to do; empty if the message says it.
        label: The label of the field in Profit, if it is known.

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
    """Return what a user gave as an Element; the elements in its objects stay as they were given.

    Raises:
        InvalidElementError: If it is none of the forms of an element.
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
    """Return an element in which each None of a field is left out, or clears the field; those in objects too.

    Args:
        item: An element in any of its forms.
        nulls: "omit" or "clear"; with "refuse" they stay, for a check to find.

    Raises:
        InvalidElementError: If it is none of the forms of an element.

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
    """Raise UsageError unless a word is what can be done with the elements of a connector."""
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
