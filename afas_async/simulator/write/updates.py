"""Carries out the elements of a request on the tables."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, Literal

from afas_async.errors import InvalidFilterError
from afas_async.simulator.answer import Answer, empty_answer, functional_error, json_answer, unexpected_error
from afas_async.simulator.messages import (
    ONE_EACH,
    already_exists,
    does_not_exist,
    element_not_found,
    field_not_found,
    not_valid,
    required,
)
from afas_async.simulator.rules import Rules
from afas_async.simulator.samples.connectors import Field
from afas_async.simulator.samples.update_connectors import UpdateConnector, UpdateField, UpdateObject
from afas_async.simulator.storage.schema import digits_column
from afas_async.simulator.storage.store import DuplicateKeyError, Store, Value
from afas_async.simulator.write.elements import Action, Element, read_elements
from afas_async.simulator.write.values import stored, stored_digits
from afas_async.simulator.write.written import Written, as_given
from afas_async.vocabulary.values import amsterdam


@dataclass(frozen=True, slots=True)
class Work:
    """A write that was read, but not carried out yet.

    Attributes:
        elements: The number of its elements, without those in objects.
        carry_out: Carries it out at once and returns the response. Raises RefusalError if it is refused.
    """

    elements: int
    carry_out: Callable[[], Answer]


def now() -> datetime:
    """Return the wall time in Amsterdam, or that of this computer if it has no time zone database."""
    try:
        return amsterdam(datetime.now(UTC), "ModifiedOn")
    except InvalidFilterError:
        return datetime.now()  # noqa: DTZ005 (the fields hold wall time)


class Updates:
    """Writes to the tables.

    Args:
        store: The tables.
        rules: The form of a response, and how to treat a list with a refused element.

    Attributes:
        clock: Returns the moment for the `ModifiedOn` of rows. Without a time zone it is wall time in Amsterdam.
        written: The elements that were carried out.
    """

    def __init__(self, store: Store, rules: Rules) -> None:
        self.clock: Callable[[], datetime] = now
        self.written: Final = Written()
        self._ids = 0
        self._store = store
        self._rules = rules

    def reset(self) -> None:
        """Remove the elements in `written`, and restore the clock and the ids of the start."""
        self.clock = now
        self.written.clear()
        self._ids = 0

    def write(self, connector: UpdateConnector, method: Literal["POST", "PUT"], body: bytes, sub: str = "") -> Work:
        """Read a request that inserts (POST) or updates (PUT) elements.

        Args:
            connector: The connector.
            method: The HTTP method.
            body: The body.
            sub: The name of an object. Such a request always updates its elements, and inserts or updates these
                objects in them.

        Raises:
            RefusalError: The body is not JSON or has another form, or an element is unknown. All other checks come when
                the work is carried out.
        """
        action: Action = "insert" if method == "POST" else "update"
        elements = read_elements(connector.root, body)
        if not sub:
            return Work(len(elements), lambda: self._written(connector, elements, action, None))
        _object(connector.root, sub)
        return Work(len(elements), lambda: self._written(connector, elements, "update", action))

    def delete(self, connector: UpdateConnector, path: Sequence[str]) -> Work:
        """Read a request that deletes a record, or an object in it.

        Args:
            connector: The connector.
            path: The name of the element, the fields of its key, and their values. Commas separate fields and values,
                and cannot be escaped. A field may have an `@`. For an object, the same three parts of it follow.

        Raises:
            RefusalError: An element or a field of the key is unknown.
        """
        kind = connector.root
        if path[0].lower() != kind.name.lower():
            raise functional_error(element_not_found(path[0]))
        key, named = _address(kind, path[1], path[2])
        as_sent: dict[str, Any] = {**named}
        if len(path) > 3:
            kind = _object(kind, path[3])
            inner_key, inner_named = _address(kind, path[4], path[5])
            key |= inner_key
            as_sent = {"@Action": "update", **as_sent, kind.name: {"@Action": "delete", **inner_named}}
        return Work(1, lambda: self._deleted(kind, key, connector, {"@Action": "delete", **as_sent}))

    def _written(
        self, connector: UpdateConnector, elements: Sequence[Element], action: Action, inner_action: Action | None
    ) -> Answer:
        if len(elements) > 1 and connector.name in self._rules.one_each:
            raise functional_error(ONE_EACH)
        # A body with an `@Action` is one transaction (docs.afas.help, "UpdateConnector").
        whole = not self._rules.partial_lists or any(element.acts for element in elements)
        keys: list[dict[str, str]] = []
        for group in [elements] if whole else [[element] for element in elements]:
            with self._store.transaction(*connector.root.tables()):
                for element in group:
                    key = self._carry_out(element, element.action or action, {}, inner_action)
                    keys.append({field.id: str(key[field.column.id]) for field in connector.root.key})
            for element in group:
                self.written.add(connector.name, as_given(element, element.action or action, inner_action))
        return self._result(connector, keys)

    def _deleted(
        self, kind: UpdateObject, key: Mapping[str, Value], connector: UpdateConnector, as_sent: Mapping[str, Any]
    ) -> Answer:
        with self._store.transaction(*kind.tables()):
            self._delete(kind, key)
        self.written.add(connector.name, as_sent)
        return empty_answer()

    def _carry_out(
        self, element: Element, action: Action, above: Mapping[str, Value], inner_action: Action | None = None
    ) -> dict[str, Value]:
        """Carry out an element and the elements within it.

        Args:
            element: The element.
            action: Its action.
            above: The key of the element around it.
            inner_action: The action for elements within it that have no `@Action`; by default the usual one.

        Returns:
            Its key.
        """
        kind = element.kind
        values = {**above, **_values(element.given)}
        match action:
            case "insert":
                key = self._insert(kind, values, above)
            case "update":
                key = self._update(kind, values, above)
            case "delete":
                key = _key(kind, values, above)
                self._delete(kind, key)
                return key
        for inner in element.within:
            self._carry_out(inner, inner.action or inner_action or self._usual(inner, action, key), key)
        return key

    def _usual(self, inner: Element, outer: Action, above: Mapping[str, Value]) -> Action:
        """The usual action for an element within another: insert without a key (docs.afas.help, "UpdateConnector").

        A single object is updated if it exists.
        """
        if outer == "insert":
            return "insert"
        if not inner.kind.single:
            given = {field.id for field, value in inner.given if value not in (None, "")}
            return "update" if given.issuperset(field.id for field in inner.kind.key) else "insert"
        return "update" if self._store.has(inner.kind.table, above) else "insert"

    def _insert(self, kind: UpdateObject, values: dict[str, Value], above: Mapping[str, Value]) -> dict[str, Value]:
        if kind.numbered != "never":
            *others, last = kind.key
            if kind.numbered != "absent" or values.get(last.column.id) is None:
                rest = {**above, **_present(others, values)}
                values[last.column.id] = self._next(kind, last.column, rest)
        key = _key(kind, values, above)
        if any(values[column] != value for column, value in above.items()):
            raise unexpected_error()  # its own fields name another outer element
        _present((field for field in kind.fields.values() if field.mandatory), values)
        self._check(kind, values)
        if kind.single:
            self._store.delete(kind.table, above)  # a new address replaces the old one
        try:
            self._store.insert(kind.table, values | self._stamp(kind))
        except DuplicateKeyError:
            raise functional_error(already_exists(_label(kind))) from None
        return key

    def _next(self, kind: UpdateObject, column: Field, within: Mapping[str, Value]) -> Value:
        """The last part of the key of a new record."""
        if kind.numbered == "id":
            self._ids += 1
            return f"A{self._ids:031X}"
        if column.type == "int":
            return self._store.next_number(kind.table, column.id, within)
        return self._store.next_text(kind.table, column.id, within)

    def _update(self, kind: UpdateObject, values: Mapping[str, Value], above: Mapping[str, Value]) -> dict[str, Value]:
        if any(field.is_file for field in kind.fields.values()):
            # A file cannot be changed: clients delete it and add another (help.afas.nl, App_Conect_UpdDsc_170).
            raise functional_error(not_valid(kind.name))
        key = _key(kind, values, above)
        others = {column: value for column, value in values.items() if column not in key}
        self._check(kind, others)
        if not self._store.update(kind.table, key, others | self._stamp(kind)):
            raise functional_error(does_not_exist(_label(kind)))
        return key

    def _delete(self, kind: UpdateObject, key: Mapping[str, Value]) -> None:
        if not self._store.delete(kind.table, key):
            raise functional_error(does_not_exist(_label(kind)))
        for inner in kind.within():
            self._store.delete(inner.table, key)

    def _check(self, kind: UpdateObject, values: Mapping[str, Value]) -> None:
        """Check codes, zeros, files and references."""
        for field in kind.fields.values():
            value = values.get(field.column.id)
            if value is None:
                continue
            if field.codes and not _is_code(field, value):
                raise functional_error(not_valid(field.column.label))
            if field.not_zero and value == 0:
                raise functional_error(not_valid(field.column.label))
            if field.is_file and not _is_base64(str(value)):
                raise functional_error(not_valid(field.column.label))
            if field.refers and not self._store.has(field.refers[0], {field.refers[1]: value}):
                raise functional_error(does_not_exist(field.column.label))

    def _stamp(self, kind: UpdateObject) -> dict[str, Value]:
        if not kind.stamped:
            return {}
        moment = amsterdam(self.clock(), "ModifiedOn")
        return {"ModifiedOn": f"{moment.isoformat(timespec='seconds')}Z"}

    def _result(self, connector: UpdateConnector, keys: list[dict[str, str]]) -> Answer:
        """Return the response with the keys; numbers are texts, too (AFAS's OpenAPI specification)."""
        rules = self._rules
        form = rules.results or ("wrapped" if connector.returns_key else "empty")
        status = HTTPStatus(rules.written)
        if form == "empty":
            return empty_answer(status)
        collapsed = form == "first" or (len(keys) == 1 and rules.list_of_one == "object")
        content: dict[str, Any] = {connector.root.name: keys[0] if collapsed else keys}
        return json_answer(content if form == "bare" else {"results": content}, status)


def _object(kind: UpdateObject, name: str) -> UpdateObject:
    for inner in kind.objects.values():
        if inner.name.lower() == name.lower():
            return inner
    raise functional_error(element_not_found(name))


def _address(kind: UpdateObject, names: str, values: str) -> tuple[dict[str, Value], dict[str, str]]:
    """Read a key from a path. Return its values by column, and its texts by field with an `@`."""
    known = {field.id: field for field in kind.key}
    fields = [name.removeprefix("@") for name in names.split(",")]
    texts = values.split(",")
    if len(fields) != len(texts):
        raise unexpected_error()
    for name in fields:
        if name not in known:
            raise functional_error(field_not_found(name))
    key = _present(kind.key, _values(zip((known[name] for name in fields), texts, strict=True)))
    return key, {f"@{name}": text for name, text in zip(fields, texts, strict=True)}


def _values(given: Iterable[tuple[UpdateField, Any]]) -> dict[str, Value]:
    """The values by column."""
    values: dict[str, Value] = {}
    for field, raw in given:
        column = field.column
        try:
            value = stored(column, raw)
        except ValueError:
            raise functional_error(not_valid(column.label)) from None
        before = values.get(column.id)
        if None not in {before, value} and before != value:
            raise unexpected_error()  # two different keys for one element
        if before is None:  # AFAS's own examples have an empty key beside `Fields` and the real one in them
            values[column.id] = value
            if column.exact:
                values[digits_column(column.id)] = stored_digits(column, raw)
    return values


def _present(fields: Iterable[UpdateField], values: Mapping[str, Value]) -> dict[str, Value]:
    """The values of fields by column; a missing value is refused."""
    present: dict[str, Value] = {}
    for field in fields:
        value = values.get(field.column.id)
        if value is None:
            raise functional_error(required(field.column.label))
        present[field.column.id] = value
    return present


def _key(kind: UpdateObject, values: Mapping[str, Value], above: Mapping[str, Value]) -> dict[str, Value]:
    return {**above, **_present(kind.key, values)}


def _is_code(field: UpdateField, value: Value) -> bool:
    """Whether a field can have this code.

    If all codes are numbers, any other text counts as the external name of a code, such as "Art" for 2 (AFAS, endpoint
    notes of FiEntries).
    """
    if isinstance(value, str):
        return value in field.codes or (all(map(str.isdecimal, field.codes)) and not value.isdecimal())
    return any(code.isdecimal() and int(code) == value for code in field.codes)


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return True


def _label(kind: UpdateObject) -> str:
    """The labels of the key, for messages; or the name of an element without a key."""
    return ", ".join(field.column.label for field in kind.key) or kind.name
