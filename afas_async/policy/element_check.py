"""Checks elements against metainfo before anything is sent, and finds every fault of each.

The service does not say which element of a call it refuses, so a fault that is found here saves a whole batch. No fault
is a guess: whatever the service might accept passes. This matters most for mandatory fields. AFAS requires them for
inserted elements, while an update needs only its key (AFAS, UpdateConnector and its fields):

* An inserted element must have them. An object in it must if it is certainly new. That is so if it says `insert`
  itself. It is also so if the element around it is certainly new, and the object has no value of a key by which the
  service could find an existing record.
* Fields of the key are left to the service, which numbers records, and knows the key of the element around a line.
* A record that is matched (`MatchPer` and its like) is certainly new only by "always new". For a KnUser the field
  `MtCd` decides, not the method.
* A postal address is ignored if `PadAdr` is true (AFAS's notes on KnOrganisation).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

from afas_async.errors import InvalidElementError
from afas_async.policy.value_check import Judge, is_empty, is_true, judge_of
from afas_async.vocabulary.elements import ACTIONS, Action, Element, ElementFault, element_of
from afas_async.vocabulary.metainfo import UpdateField, UpdateMetainfo, UpdateObject

_ALWAYS_NEW: Final = {"MatchPer": "7", "MatchOga": "6"}  # AFAS, OpenAPI specification: their values
_ACTION_AMONG_FIELDS: Final = ("@Action", "@action")
_ACTION_AMONG_KEYS: Final = ("Action", "action")
_Kind: TypeAlias = Literal["field", "object"]
_PARTS_OF_A_BODY: Final = frozenset({"Element", "Fields", "Objects"})


class Checker:
    """Finds the faults of a connector's elements by its metainfo.

    Args:
        metainfo: The metainfo of the connector.
        action: What the call does with elements that have no action of their own.
        allow_none: Whether the connector may send None.

    Example:
        >>> fields = [UpdateField(id="Ds", label="Subject", data_type="string", length=5, mandatory=True)]
        >>> checker = Checker(UpdateMetainfo(id="KnSubject", fields=fields), "insert")
        >>> for fault in checker.faults(Element({"ds": "Offer"})):
        ...     print(fault)
        ds: unknown field: use Ds (Subject)
        Ds (Subject): is mandatory for a new record: add it
    """

    def __init__(self, metainfo: UpdateMetainfo, action: Action, *, allow_none: bool = False) -> None:
        self._part = _Part(metainfo.fields, metainfo.objects, allow_none=allow_none)
        self._action = action

    def faults(self, element: Element, index: int = 0) -> list[ElementFault]:
        """Return all faults of an element; an empty list if it has none.

        A value that cannot be written as JSON is found by encoding it, not here.

        Args:
            element: The element.
            index: Its number, for the faults.
        """
        found = self._part.faults(element, "", self._action, outermost=True)
        return [ElementFault(index, *fault) for fault in found]


class _Fault(NamedTuple):
    """An `ElementFault` whose element has no number yet."""

    field: str
    message: str
    suggestion: str = ""
    label: str = ""


class _Part:
    """An element or an object in it as metainfo describes it, prepared for lookups."""

    def __init__(
        self, fields: Sequence[UpdateField], objects: Sequence[UpdateObject] | None, *, allow_none: bool
    ) -> None:
        self.fields: dict[str, UpdateField] = {field.id: field for field in fields}
        self.objects: dict[str, _Part] = {
            inner.name: _Part(inner.fields, inner.objects, allow_none=allow_none) for inner in objects or ()
        }
        self._allow_none = allow_none
        self._judges: dict[str, Judge] = {field.id: judge_of(field, allow_none=allow_none) for field in fields}
        self._keys = [field.id for field in fields if field.primary_key]
        self._mandatory = [field.id for field in fields if field.mandatory and not field.primary_key]
        self._matching = [name for name in self.fields if name.startswith("Match") or name == "MtCd"]
        # All elements may have the same unknown name, and finding similar names takes a millisecond.
        self._advice: Callable[[_Kind, str], tuple[str, str]] = lru_cache(maxsize=256)(self._unknown_name)

    def faults(self, element: Element, place: str, action: str, *, outermost: bool) -> list[_Fault]:
        """Return the faults of an element that this part describes, and of the objects in it.

        Args:
            element: The element.
            place: The prefix of its field names.
            action: What the call does with it if it has no action of its own.
            outermost: Whether it is the whole element, not an object in one.
        """
        if not self.fields and not self.objects:
            return []  # metainfo does not describe it
        found = self._faults_of_values(element.fields, place)
        own = element.action or _action_as_sent(element)
        if own is not None:
            action = own.lower()
            if action not in ACTIONS:
                found.append(_Fault(f"{place}@Action", "unknown action", f"use {_either(ACTIONS)}"))
        if element.key:
            found.extend(self._faults_of_key(element.key, place, action))
        new = action == "insert" and self._is_new(element, certain=outermost or own is not None)
        if new:
            found.extend(self._missing(element, place))
        elif outermost and action in {"update", "delete"} and not self._can_be_found(element):
            message = f"nothing identifies the record to {action}"
            found.append(_Fault(f"{place}key", message, f"give {self._all_keys()}"))
        for name, items in element.objects.items():
            ignored = name == "KnBasicAddressPad" and is_true(element.fields.get("PadAdr"))
            inherited = "insert" if new and not ignored else "update"
            found.extend(self._faults_of_object(name, items, f"{place}Objects.{name}", inherited))
        return found

    def _faults_of_values(self, fields: Mapping[str, Any], place: str) -> list[_Fault]:
        found: list[_Fault] = []
        judges = self._judges
        for name, value in fields.items():
            judge = judges.get(name)
            if judge is None:
                if name not in _ACTION_AMONG_FIELDS:
                    found.append(_Fault(f"{place}{name}", *self._advice("field", str(name))))
            elif (misfit := judge(value)) is not None:
                found.append(self._misfit(place, name, misfit))
        return found

    def _faults_of_key(self, key: Mapping[str, Any], place: str, action: str) -> Iterator[_Fault]:
        for name, value in key.items():
            if name in self.fields:
                if (misfit := self._judges[name](value)) is not None:
                    yield self._misfit(f"{place}@", name, misfit)
                # The key of a delete is part of its URL; AFAS's own example has a field there that is not in the key.
                if self._keys and name not in self._keys and not self._matching and action != "delete":
                    yield self._misfit(f"{place}@", name, f"is not in the key, {self._all_keys()}: give it as a field")
            elif name not in _ACTION_AMONG_KEYS:
                yield _Fault(f"{place}@{name}", *self._advice("field", str(name)))

    def _misfit(self, place: str, name: str, text: str) -> _Fault:
        message, _, suggestion = text.partition(": ")
        return _Fault(f"{place}{name}", message, suggestion, self.fields[name].label)

    def _faults_of_object(self, name: str, items: Any, place: str, action: str) -> Iterator[_Fault]:
        part = self.objects.get(name)
        if part is None:
            yield _Fault(place, *self._advice("object", str(name)))
            return
        lines = cast("Sequence[object]", items) if isinstance(items, (list, tuple)) else (items,)
        for index, item in enumerate(lines):
            there = f"{place}[{index}]"
            try:
                line = element_of(item)
            except InvalidElementError as error:
                yield _Fault(there, *str(error).split(": ", 1))
            else:
                yield from part.faults(line, f"{there}.", action, outermost=False)

    def _missing(self, element: Element, place: str) -> Iterator[_Fault]:
        for name in self._mandatory:
            value = element.fields.get(name)
            if not is_empty(value) or name in element.key:
                continue
            if value is not None or name not in element.fields or self._allow_none:  # else reported as a None
                yield self._misfit(place, name, "is mandatory for a new record: add it")

    def _is_new(self, element: Element, *, certain: bool) -> bool:
        fields = element.fields
        if any(str(fields.get(name)) != _ALWAYS_NEW.get(name) for name in self._matching):
            return False
        return certain or not self._has_key(element)

    def _can_be_found(self, element: Element) -> bool:
        return not self._keys or bool(self._matching) or self._has_key(element)

    def _has_key(self, element: Element) -> bool:
        if any(not is_empty(value) and name not in _ACTION_AMONG_KEYS for name, value in element.key.items()):
            return True
        return any(not is_empty(element.fields.get(name)) for name in self._keys)

    def _all_keys(self) -> str:
        return " and ".join(map(self._shown, self._keys))

    def _shown(self, name: str) -> str:
        label = self.fields[name].label
        return f"{name} ({label})" if label else name

    def _unknown_name(self, kind: _Kind, name: str) -> tuple[str, str]:
        """Return the fault of an unknown field or object, and what could be meant."""
        instead = self._instead_of_field(name) if kind == "field" else self._instead_of_object(name)
        return f"unknown {kind}", instead

    def _instead_of_field(self, name: str) -> str:
        if name.lstrip("@") != name and name.lstrip("@") in self.fields:
            return f"write {name.lstrip('@')} without the @, in `key` or among the fields"
        if name in self.objects:
            return "it is an object: give an element, or a list of elements, in `objects`"
        folded = name.casefold()
        for names in (
            [field.id for field in self.fields.values() if field.id.casefold() == folded],
            [field.id for field in self.fields.values() if field.label.casefold() == folded],
        ):
            if names:
                return f"use {_either(map(self._shown, names))}"
        if places := list(_places(self, name, lambda part: part.fields)):
            return f"it is a field of {_either(places)}"
        labels = {field.label: field.id for field in self.fields.values()}
        near = _near(name, self.fields) or [labels[label] for label in _near(name, labels)]
        return f"did you mean {_either(map(self._shown, near))}?" if near else "see the metainfo for all fields"

    def _instead_of_object(self, name: str) -> str:
        if name in _PARTS_OF_A_BODY:
            return "the library writes the body: give fields by their names, and objects by theirs"
        if name in self.fields:
            return "it is a field: give it a value"
        if places := list(_places(self, name, lambda part: part.objects)):
            return f"it is an object of {_either(places)}"
        if near := _near(name, self.objects):
            return f"did you mean {_either(near)}?"
        return f"the objects are {', '.join(self.objects)}" if self.objects else "this part has no objects"


def _action_as_sent(element: Element) -> str | None:
    """Return the action of an element that has it where AFAS's examples put it: beside the fields, or among them."""
    for values, names in ((element.key, _ACTION_AMONG_KEYS), (element.fields, _ACTION_AMONG_FIELDS)):
        for name in names:
            if name in values:
                return str(values[name])
    return None


def _places(
    part: _Part, name: str, members: Callable[[_Part], Mapping[str, object]], path: str = "Objects."
) -> Iterator[str]:
    """Yield the objects in a part that have a member of this name."""
    for inner, described in part.objects.items():
        if name in members(described):
            yield f"{path}{inner}"
        yield from _places(described, name, members, f"{path}{inner}.Objects.")


def _near(name: str, known: Iterable[str]) -> list[str]:
    folded = {other.casefold(): other for other in known}
    return [folded[near] for near in get_close_matches(name.casefold(), folded)]


def _either(names: Iterable[str]) -> str:
    return " or ".join(list(names)[:3])
