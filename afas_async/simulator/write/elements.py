"""Reads the elements in the body of a write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal, TypeVar

import msgspec

from afas_async.simulator.answer import functional_error, invalid_json, unexpected_error
from afas_async.simulator.messages import element_not_found, field_not_found, not_valid, one_only
from afas_async.simulator.samples.update_connectors import UpdateField, UpdateObject

Action = Literal["insert", "update", "delete"]
Kind = TypeVar("Kind")

_ACTION: Final = "@Action"
_ACTIONS: Final[dict[str, Action]] = {"insert": "insert", "update": "update", "delete": "delete"}


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(text) from None


_DECODER: Final = msgspec.json.Decoder(float_hook=_decimal)


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a request.

    Attributes:
        kind: Its kind.
        given: Its fields with their values as in the body. A field of the key may be in it twice.
        action: Its `@Action`, or None.
        within: The elements in its objects, in order.
        as_sent: Its fields and its key by their names in the body. A key beside `Fields` has a name with an `@`.
        listed: Whether the body has it in a list.
    """

    kind: UpdateObject
    given: Sequence[tuple[UpdateField, Any]]
    action: Action | None
    within: Sequence[Element]
    as_sent: Mapping[str, Any]
    listed: bool

    @property
    def acts(self) -> bool:
        """Whether it, or an element within it, has an `@Action`."""
        return self.action is not None or any(inner.acts for inner in self.within)


class _Content(msgspec.Struct):
    elements: list[dict[str, Any]] | dict[str, Any] = msgspec.field(name="Element")


def read_elements(kind: UpdateObject, body: bytes) -> list[Element]:
    """Read the elements of a request: one, or a list of them.

    Args:
        kind: Their kind.
        body: The body, in UTF-8 whatever its content type is.

    Raises:
        RefusalError: The body is not JSON or has another form, or an element has an unknown field, object or action.
    """
    try:
        content = _DECODER.decode(_text(body))
    except msgspec.ValidationError:  # a number that Decimal cannot hold
        raise unexpected_error() from None
    except (msgspec.DecodeError, RecursionError):
        raise invalid_json() from None
    elements = list[Element]()
    for name, inner in _converted(content, dict[str, Any]).items():
        if name != kind.name:
            raise functional_error(element_not_found(name))
        elements = _elements(kind, inner)
    if not elements:
        raise unexpected_error()
    return elements


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        # AFAS reads bytes that are not UTF-8 as question marks ("REST API for developers").
        return body.decode(errors="replace").replace("\N{REPLACEMENT CHARACTER}", "?")


def _elements(kind: UpdateObject, content: Any) -> list[Element]:
    elements = _converted(content, _Content).elements
    if not elements:
        raise unexpected_error()
    listed = isinstance(elements, list)
    return [_element(kind, each, listed=listed) for each in (elements if isinstance(elements, list) else [elements])]


def _element(kind: UpdateObject, content: Mapping[str, Any], *, listed: bool) -> Element:
    """Read one element.

    Its key may be in `Fields`, beside them with an `@`, or both. So may its action (docs.afas.help, "UpdateConnector":
    in `Fields` since August 2025, beside them before).
    """
    given: list[tuple[UpdateField, Any]] = []
    as_sent: dict[str, Any] = {}
    actions = set[Action]()
    for name, value in content.items():
        if _is_action(name):
            actions.add(_action(value))
        elif name not in {"Fields", "Objects"}:
            field = kind.fields.get(name.removeprefix("@"))
            if field not in kind.key or not name.startswith("@"):
                raise functional_error(field_not_found(name))
            given.append((field, value))
            as_sent[name] = value
    for name, value in _members(content.get("Fields")):
        if _is_action(name):
            actions.add(_action(value))
        elif name in kind.fields:
            given.append((kind.fields[name], value))
            as_sent[name] = value
        else:
            raise functional_error(field_not_found(name))
    if len(actions) > 1:
        raise unexpected_error()
    action = actions.pop() if actions else None
    return Element(kind, given, action, _objects(kind, content.get("Objects")), as_sent, listed)


def _objects(kind: UpdateObject, objects: Any) -> list[Element]:
    within: list[Element] = []
    for name, content in _members(objects):
        inner = kind.objects.get(name)
        if inner is None:
            raise functional_error(element_not_found(name))
        if content == {"Element": ""}:
            continue  # AFAS's own examples write this for no element
        within += _elements(inner, content)
        if inner.single and sum(each.kind is inner for each in within) > 1:
            raise functional_error(one_only(name))
    return within


def _members(content: Any) -> Iterator[tuple[str, Any]]:
    """Yield fields or objects. AFAS's examples have either as a JSON object, and as an array of such objects."""
    if not isinstance(content, list):
        content = [content or {}]
    for each in _converted(content, list[dict[str, Any]]):
        yield from each.items()


def _is_action(name: str) -> bool:
    return name.lower() == _ACTION.lower()


def _action(value: Any) -> Action:
    action = _ACTIONS.get(value.lower()) if isinstance(value, str) else None
    if action is None:
        raise functional_error(not_valid(_ACTION))
    return action


def _converted(content: Any, kind: type[Kind]) -> Kind:
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError:
        raise unexpected_error() from None
