"""Writes: the elements in a request, what they change in the tables, and what is answered.

A value is taken as clients write it, as text or in JSON's own types, and kept as its column shows it. What the column
could not show is refused, never cut or rounded. A moment may have the `Z` of a row, which is no more true here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final, Literal

import msgspec

from afas_async.simulator.answer import (
    Answer,
    empty_answer,
    functional_error,
    invalid_json,
    json_answer,
    unexpected_error,
)
from afas_async.simulator.messages import (
    already_exists,
    does_not_exist,
    element_not_found,
    field_not_found,
    not_valid,
    required,
)
from afas_async.simulator.rules import Rules
from afas_async.simulator.samples import Field, UpdateConnector
from afas_async.simulator.store import DuplicateKeyError, Store, Value

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_BOOLEANS: Final = {"true": 1, "1": 1, "false": 0, "0": 0}
_MOMENT: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)Z?)?")
_DAY_LENGTH: Final = 10


class _Content(msgspec.Struct):
    elements: list[dict[str, Any]] | dict[str, Any] = msgspec.field(name="Element")


_DECODER: Final = msgspec.json.Decoder(float_hook=str)


def write(
    store: Store, connector: UpdateConnector, method: Literal["POST", "PUT"], body: bytes, rules: Rules
) -> Answer:
    """Insert (POST) or update (PUT) the elements of a request.

    Args:
        store: Where the rows are.
        connector: The connector.
        method: The HTTP method.
        body: The body, in UTF-8 whatever its content type says.
        rules: What becomes of a list in which an element is refused.

    Raises:
        RefusalError: The body is no JSON or has another shape; a field or an element is not the connector's; a value
            does not fit its field; or the key is missing, there already (POST) or not there (PUT).
    """
    elements = _elements(connector, body)
    keys: list[dict[str, str]] = []
    with store.transaction(connector.table, partial=rules.partial_lists):
        for element in elements:
            values = _values(connector, _given(connector, element))
            keys.append((_insert if method == "POST" else _update)(store, connector, values))
    if not connector.returns_key:
        return empty_answer(HTTPStatus.CREATED)
    return json_answer({"results": {connector.root: keys[0] if len(keys) == 1 else keys}}, HTTPStatus.CREATED)


def delete(store: Store, connector: UpdateConnector, element: str, names: str, values: str) -> Answer:
    """Delete a record.

    Args:
        store: Where the rows are.
        connector: The connector.
        element: The name of the element in the path.
        names: The fields of the key with commas between them, each with or without an `@`.
        values: Their values with commas between them, for which there is no escape.

    Raises:
        RefusalError: The element or the key is not the connector's, or there is no such record.
    """
    if element.lower() != connector.root.lower():
        raise functional_error(element_not_found(element))
    fields = [name.removeprefix("@") for name in names.split(",")]
    texts = values.split(",")
    if len(fields) != len(texts):
        raise unexpected_error()
    _refuse_unknown(fields, (field.id for field in connector.key))
    key = _key(connector, _values(connector, zip(fields, texts, strict=True)))
    if not store.delete(connector.table, key):
        raise functional_error(does_not_exist(_key_label(connector)))
    return empty_answer()


def _elements(connector: UpdateConnector, body: bytes) -> list[dict[str, Any]]:
    try:
        content = msgspec.convert(_DECODER.decode(_text(body)), dict[str, _Content])
    except msgspec.ValidationError:
        raise unexpected_error() from None
    except (msgspec.DecodeError, RecursionError):
        raise invalid_json() from None
    for name in content:
        if name != connector.root:
            raise functional_error(element_not_found(name))
    elements = content[connector.root].elements if content else []
    if not elements:
        raise unexpected_error()
    return elements if isinstance(elements, list) else [elements]


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        # What is not in UTF-8 arrives as question marks (AFAS, "REST API for developers").
        return body.decode(errors="replace").replace("\N{REPLACEMENT CHARACTER}", "?")


def _given(connector: UpdateConnector, element: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The fields of an element: those of the key may stand beside `Fields` with an `@`, among them, or in both."""
    try:
        fields = msgspec.convert(element.get("Fields") or {}, dict[str, Any])
    except msgspec.ValidationError:
        raise unexpected_error() from None
    if element.get("Objects"):
        raise functional_error(element_not_found("Objects"))  # no sample has any
    beside = {name: value for name, value in element.items() if name not in {"Fields", "Objects"}}
    _refuse_unknown(beside, (f"@{field.id}" for field in connector.key))
    _refuse_unknown(fields, connector.fields)
    return [*((name.removeprefix("@"), value) for name, value in beside.items()), *fields.items()]


def _refuse_unknown(given: Iterable[str], known: Iterable[str]) -> None:
    known = set(known)
    for name in given:
        if name not in known:
            raise functional_error(field_not_found(name))


def _values(connector: UpdateConnector, given: Iterable[tuple[str, Any]]) -> dict[str, Value]:
    """The values by column."""
    values: dict[str, Value] = {}
    for name, raw in given:
        column = connector.fields[name].column
        try:
            value = _stored(column, raw)
        except ValueError:
            raise functional_error(not_valid(column.label)) from None
        if values.setdefault(column.id, value) != value:
            raise unexpected_error()  # two keys are none
    return values


def _insert(store: Store, connector: UpdateConnector, values: dict[str, Value]) -> dict[str, str]:
    if connector.numbered:
        # A number that the request gives is ignored (help.afas.nl, App_Conect_UpdDsc_170: automatic numbering).
        column = connector.key[0].column.id
        values[column] = store.next_number(connector.table, column)
    key = _key(connector, values)
    try:
        store.insert(connector.table, values)
    except DuplicateKeyError:
        raise functional_error(already_exists(_key_label(connector))) from None
    return _result(connector, key)


def _update(store: Store, connector: UpdateConnector, values: dict[str, Value]) -> dict[str, str]:
    key = _key(connector, values)
    others = {column: value for column, value in values.items() if column not in key}
    if not store.update(connector.table, key, others):
        raise functional_error(does_not_exist(_key_label(connector)))
    return _result(connector, key)


def _key(connector: UpdateConnector, values: Mapping[str, Value]) -> dict[str, Value]:
    for field in connector.key:
        if values.get(field.column.id) is None:
            raise functional_error(required(field.column.label))
    return {field.column.id: values[field.column.id] for field in connector.key}


def _key_label(connector: UpdateConnector) -> str:
    return ", ".join(field.column.label for field in connector.key)


def _result(connector: UpdateConnector, key: Mapping[str, Value]) -> dict[str, str]:
    """The key as an answer has it: a number as text too (AFAS's OpenAPI specification)."""
    return {field.id: str(key[field.column.id]) for field in connector.key}


def _stored(column: Field, value: Any) -> Value:
    """Convert a value to what the store keeps; null and the empty text clear.

    Raises:
        ValueError: It does not fit the column.
    """
    match value:
        case None | "":
            return None
        case bool():
            text = str(value).lower()
        case str() | int():
            text = str(value)
        case _:
            raise ValueError(column.id)
    match column.type:
        case "string":
            return _string(column, text)
        case "boolean":
            return _boolean(text.strip().lower())
        case "date":
            return _moment(column, text.strip())
        case "int":
            return int(_number(column, text.strip()))
        case "decimal":
            return float(_number(column, text.strip()))


def _string(column: Field, text: str) -> str:
    # SQLite compares keys only up to a null character.
    if len(text) > column.length or "\0" in text:
        raise ValueError(text)
    return text


def _boolean(text: str) -> int:
    if text not in _BOOLEANS:
        raise ValueError(text)
    return _BOOLEANS[text]


def _number(column: Field, text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    number = Decimal(text)
    if number.adjusted() >= column.length - column.decimals or round(number, column.decimals) != number:
        raise ValueError(text)
    return number


def _moment(column: Field, text: str) -> str:
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError(text)
    moment = datetime.fromisoformat(f"{found[1]}T{found[2] or '00:00'}")
    if column.length == _DAY_LENGTH:
        moment = moment.replace(hour=0, minute=0, second=0)
    return f"{moment.isoformat()}Z"
