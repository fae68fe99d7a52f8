"""Elements to write, in every form that a user gives."""

from __future__ import annotations

from collections import OrderedDict
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from afas_async.errors import InvalidElementError, UsageError
from afas_async.vocabulary.arguments import type_name
from afas_async.vocabulary.elements import Element, element_of


class Address(msgspec.Struct):
    country: str = msgspec.field(name="CoId", default="NL")


class Person(msgspec.Struct, rename={"number": "@BcCo", "name": "LaNm", "first": "FiNm", "addresses": "KnAddress"}):
    number: str = "100"
    name: str | None = None
    first: str | msgspec.UnsetType = msgspec.UNSET
    addresses: list[Address] | Address | msgspec.UnsetType = msgspec.UNSET


def test_an_element_stays_itself() -> None:
    """An Element is taken unchanged."""
    element = Element({"@odd": 1, "KnAddress": {}}, key={"BcCo": "1"})
    assert element_of(element) is element


@pytest.mark.parametrize("kind", [dict, OrderedDict])
def test_a_dict(kind: type[dict[str, Any]]) -> None:
    """Names with an @ are the key, elements and lists of them are objects, and all other names are fields."""
    address = {"CoId": "NL"}
    item = kind({
        "@BcCo": "100",
        "LaNm": "Jansen",
        "Empty": "",
        "Nothing": None,
        "Price": Decimal("1.50"),
        "File": b"abc",
        "Left": msgspec.UNSET,
        "KnAddress": address,
        "KnBank": [{"Iban": "NL1"}, Element({"Iban": "NL2"})],
        "KnContact": (Address(),),
    })
    element = element_of(item)
    assert element.fields == {
        "LaNm": "Jansen",
        "Empty": "",
        "Nothing": None,
        "Price": Decimal("1.50"),
        "File": b"abc",
    }
    assert element.key == {"BcCo": "100"}
    assert element.objects == {
        "KnAddress": address,
        "KnBank": [{"Iban": "NL1"}, Element({"Iban": "NL2"})],
        "KnContact": (Address(),),
    }
    assert element.objects["KnAddress"] is address
    assert element.action is None


def test_a_struct() -> None:
    """A Struct has its names in JSON, and UNSET values are left out."""
    assert element_of(Person()) == Element({"LaNm": None}, key={"BcCo": "100"})
    address = Address("BE")
    assert element_of(Person(number="7", name="Jansen", addresses=address)) == Element(
        {"LaNm": "Jansen"}, key={"BcCo": "7"}, objects={"KnAddress": address}
    )
    assert element_of(Person(name="Jansen", first="", addresses=[address])) == Element(
        {"LaNm": "Jansen", "FiNm": ""}, key={"BcCo": "100"}, objects={"KnAddress": [address]}
    )


def test_an_action() -> None:
    """`@Action` is the action for the element, not a key."""
    assert element_of({"@Action": "delete", "@SbId": 7}) == Element(key={"SbId": 7}, action="delete")
    assert element_of({"@Action": None, "@SbId": 7}) == Element(key={"SbId": 7})


@pytest.mark.parametrize("empty", [[], (), {}])
def test_an_object_without_lines(empty: object) -> None:
    """An empty list, tuple or dict is an object, as no field has such a value."""
    assert element_of({"KnBank": empty}).objects == {"KnBank": empty}


@pytest.mark.parametrize("value", [["NL1"], [{}, "NL1"], ("a",), {"a"}])
def test_other_lists_are_no_objects(value: object) -> None:
    """A list of other values stays a field, and is refused when it is encoded."""
    assert element_of({"KnBank": value}).fields == {"KnBank": value}


@pytest.mark.parametrize("item", [None, "text", b"bytes", 5, [("a", 1)], [{}], Person, object()])
def test_what_is_no_element(item: object) -> None:
    """Any other value is refused by its type, without its content."""
    with pytest.raises(InvalidElementError, match=rf"expected an Element, .*, got {type_name(item)}$") as raised:
        element_of(item)
    assert isinstance(raised.value, UsageError)
    assert "text" not in str(raised.value)


@pytest.mark.parametrize("arguments", [{"fields": [("a", 1)]}, {"key": "x"}, {"objects": [{}]}, {"fields": None}])
def test_parts_of_an_element(arguments: dict[str, Any]) -> None:
    """The fields, the key and the objects of an Element are dicts."""
    with pytest.raises(InvalidElementError, match="expected dicts as fields, key and objects of an Element, got "):
        element_of(Element(**arguments))


@pytest.mark.parametrize("name", [1, None, b"Ds"])
def test_names_are_texts(name: object) -> None:
    """A name that is not a str is refused before it is sent as one."""
    with pytest.raises(InvalidElementError, match="expected field ids as str in the dict, got "):
        element_of({name: "x"})


def test_elements_are_values() -> None:
    """Elements with the same content are equal, cannot be changed, and begin empty."""
    assert Element({"a": 1}, key={"b": 2}) == Element({"a": 1}, key={"b": 2})
    assert Element() == Element({}, key={}, objects={}, action=None)
    with pytest.raises(AttributeError):
        Element().action = "insert"  # type: ignore[misc]
