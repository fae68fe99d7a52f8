"""Elements as bodies: JSON in UTF-8 as UpdateConnectors take it (AFAS, UpdateConnector).

Each element is encoded once, on its own. So a batch is cut by bytes before anything is sent, and a journal holds
exactly the bytes that are sent. `Fields` comes first: `@Action` is added there when it is known that an element shares
its call.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final, cast

import msgspec

from afas_async.errors import InvalidElementError, InvalidFilterError
from afas_async.vocabulary.arguments import type_name
from afas_async.vocabulary.elements import ACTIONS, Action, Element, element_of
from afas_async.vocabulary.values import amsterdam, digits, without_zone

BODY_LIMIT: Final = 75_000_000  # bytes with attachments; the service refuses more with 413 (AFAS's notes on KnSubject)
_DEPTH: Final = 6  # AFAS, UpdateConnector: objects in objects
_PLAIN: Final = frozenset({int, bool})
_BODY_WORDS: Final = frozenset({"Element", "Fields"})  # used in the service's own form of an element
_START: Final = b'{"Fields":{'
_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


def encode_element(item: object, *, allow_none: bool = False) -> bytes:
    """Return an element as it is written in a body.

    Raises:
        InvalidElementError: If it is not an element, or has a value that cannot be sent; the message says where.
    """
    try:
        return _ENCODER.encode(_Plain(allow_none=allow_none).element(element_of(item), "", _DEPTH))
    except (UnicodeEncodeError, OverflowError) as error:
        reason = (
            "a number has more than 64 bits" if isinstance(error, OverflowError) else "a text has an unpaired surrogate"
        )
    raise InvalidElementError(f"the element cannot be written as JSON: {reason}")


def body_of(root: str, elements: Sequence[bytes]) -> bytes:
    """Return the body for encoded elements: one by itself, several in a list.

    Example:
        >>> body_of("KnSubject", [encode_element({"StId": 1, "Ds": "Offerte"})])
        b'{"KnSubject":{"Element":{"Fields":{"StId":1,"Ds":"Offerte"}}}}'
    """
    content = elements[0] if len(elements) == 1 else b"[" + b",".join(elements) + b"]"
    return b'{"%b":{"Element":%b}}' % (root.encode(), content)


def wrapping_of(action: Action) -> int:
    """Return how many bytes a call of several elements adds around each of them."""
    return len(tagged(b'{"Fields":{"":0}}', action)) - len(b'{"Fields":{"":0}}') + 1


def tagged(element: bytes, action: Action) -> bytes:
    """Return an encoded element with `@Action` in its fields, unless it already has one.

    With it the service checks the complete body and processes it as one transaction (AFAS, UpdateConnector).
    """
    rest = element[len(_START) :]
    if rest.startswith(b'"@Action":'):
        return element
    return b'%b"@Action":"%b"%b%b' % (_START, action.encode(), b"" if rest.startswith(b"}") else b",", rest)


def decode_element(element: bytes) -> Element:
    """Return an encoded element as an Element, with JSON's values."""
    return _decoded(_DECODER.decode(element))


def _decoded(content: dict[str, Any]) -> Element:
    fields = cast("dict[str, Any]", content.pop("Fields"))
    objects = {
        name: [_decoded(part) for part in inner["Element"]]
        if isinstance(inner["Element"], list)
        else _decoded(inner["Element"])
        for named in content.pop("Objects", ())
        for name, inner in named.items()
    }
    key = {name.removeprefix("@"): value for name, value in content.items()}
    return Element(fields, key, objects, fields.pop("@Action", None))


class _Plain:
    """Turns elements into JSON's types: dicts, lists and plain values."""

    def __init__(self, *, allow_none: bool) -> None:
        self._allow_none = allow_none

    def element(self, element: Element, place: str, depth: int) -> dict[str, Any]:
        if depth < 0:
            raise InvalidElementError(
                f"{place}: objects are nested more than {_DEPTH} levels deep, which the service refuses"
            )
        if not _BODY_WORDS.isdisjoint(element.objects):
            where = place and f"{place.removesuffix('.')}: "
            raise InvalidElementError(
                f"{where}the library writes the body: give fields by their names, such as"
                ' {"StId": 1, "Ds": "Offerte"}, and objects by theirs'
            )
        fields = self._values(element.fields, place)
        key = self._values(element.key, f"{place}@")
        action = _action(fields, key, element.action, place)
        if action is not None:
            fields = {"@Action": action, **fields}  # at the place where `tagged` looks for it
        found: dict[str, Any] = {"Fields": fields, **{f"@{name}": value for name, value in key.items()}}
        objects = [
            {name: {"Element": self._object(inner, f"{place}{name}.", depth - 1)}}
            for name, inner in element.objects.items()
            if not (isinstance(inner, (list, tuple)) and not inner)
        ]
        if objects:
            found["Objects"] = objects
        return found

    def _object(self, inner: object, place: str, depth: int) -> Any:
        if isinstance(inner, (list, tuple)):
            return [self.element(_inner(part, place), place, depth) for part in cast("Sequence[object]", inner)]
        return self.element(_inner(inner, place), place, depth)

    def _values(self, values: Mapping[str, Any], place: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in values.items():
            if type(value) is str:
                found[name] = without_zone(value)
            elif type(value) in _PLAIN:
                found[name] = value
            elif value is not msgspec.UNSET:
                found[name] = self._value(value, f"{place}{name}")
        return found

    def _value(self, value: object, place: str) -> object:
        match value:
            case Enum():
                return self._value(value.value, place)
            case str():
                # msgspec encodes no subclass of str, and some libraries return such texts.
                return without_zone(str.__str__(value))
            case int():
                return int(value)
            case Decimal() | float():
                return _number(value, place)
            case datetime():
                return _moment(value, place)
            case date():
                return value.isoformat()
            case bytes() | bytearray():
                return base64.b64encode(value).decode()
            case None if self._allow_none:
                return None
            case None:
                raise InvalidElementError(
                    f'{place}: None is ambiguous: leave the field out to keep it as it is, give "" to clear it, or make'
                    " the connector with allow_none=True to send a null, whose effect AFAS does not document"
                )
            case _:
                raise InvalidElementError(
                    f"{place}: expected str, int, float, Decimal, bool, date, datetime or bytes, got {type_name(value)}"
                )


def _action(fields: dict[str, Any], key: dict[str, Any], given: object, place: str) -> str | None:
    """Remove the action of an element from its values, however its name is spelled, and return it.

    The service accepts `@action` for `@Action` (AFAS's own examples have both).
    """
    actions = [given] if given is not None else []
    for values, word in ((fields, "@action"), (key, "action")):
        actions += [values.pop(name) for name in list(values) if name.lower() == word]
    for action in actions:
        if action not in ACTIONS:
            raise InvalidElementError(f"{place}@Action: unknown action {action!r}: use insert, update or delete")
    if len(set(actions)) > 1:
        raise InvalidElementError(f"{place}@Action: an element has one action, not {' and '.join(map(str, actions))}")
    return cast("str | None", actions[0] if actions else None)


def _inner(item: object, place: str) -> Element:
    try:
        return element_of(item)
    except InvalidElementError as error:
        reason = str(error)
    raise InvalidElementError(f"{place.removesuffix('.')}: {reason}")


def _number(number: Decimal | float, place: str) -> msgspec.Raw:
    """Return a number with all of its digits and without an exponent."""
    try:
        return msgspec.Raw(digits(number).encode())
    except ValueError as error:
        reason = str(error)
    raise InvalidElementError(f"{place}: a field cannot hold {reason}")


def _moment(moment: datetime, place: str) -> str:
    if moment.microsecond:
        raise InvalidElementError(
            f"{place}: a body holds whole seconds, but this datetime has a fraction: use value.replace(microsecond=0)"
        )
    try:
        return amsterdam(moment, place).isoformat(timespec="seconds")
    except InvalidFilterError as error:
        reason = str(error)
    raise InvalidElementError(reason)
