"""Elements as the bytes that are sent, and back."""

from __future__ import annotations

import base64
import enum
import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afas_async import Element, InvalidElementError, InvalidNameError
from afas_async.vocabulary.elements import with_nulls
from afas_async.wire.element_bodies import BODY_LIMIT, body_of, decode_element, encode_element, tagged
from afas_async.wire.write_requests import delete_request, write_request
from tests.support.each_case import each_case


class Kind(enum.Enum):
    PERSON = "P"
    ORGANISATION = 1


class Text(str):
    """The text type of some libraries."""

    __slots__ = ()

    def __str__(self) -> str:
        return "not what it holds"


class Number(int):
    """The number type of some libraries."""


class Line(msgspec.Struct, rename="pascal"):
    code: str | msgspec.UnsetType = msgspec.UNSET
    amount: Decimal | msgspec.UnsetType = msgspec.UNSET


def field(value: object) -> bytes:
    """Return the JSON of a value as it is sent."""
    encoded = encode_element({"X": value})
    assert encoded.startswith(b'{"Fields":{"X":')
    assert encoded.endswith(b"}}")
    return encoded[15:-2]


# --- values ---


@each_case(
    ("value", "sent"),
    [
        ("", b'""'),
        ("Café €", '"Café €"'.encode()),
        ('a"b\\c\n\x00', b'"a\\"b\\\\c\\n\\u0000"'),
        ("007", b'"007"'),
        (Text("text"), b'"text"'),
        ("2024-02-29T13:05:00Z", b'"2024-02-29T13:05:00"'),  # a moment out of a dict row, whose Z is false
        (Text("2024-02-29T13:05:00Z"), b'"2024-02-29T13:05:00"'),
        ("Zwolle, Amersfoort Z", b'"Zwolle, Amersfoort Z"'),  # of the same length
        (0, b"0"),
        (-5, b"-5"),
        (2**70, b"1180591620717411303424"),
        (Number(7), b"7"),
        (True, b"true"),
        (False, b"false"),
        (Decimal("1.50"), b"1.50"),
        (Decimal("1E+3"), b"1000"),
        (Decimal("1E-7"), b"0.0000001"),
        (Decimal("-0.10"), b"-0.10"),
        (Decimal("12345678901234567890.123456789"), b"12345678901234567890.123456789"),
        (0.1, b"0.1"),
        (1e16, b"10000000000000000"),
        (1e-7, b"0.0000001"),
        (date(2024, 2, 29), b'"2024-02-29"'),
        (datetime(2024, 2, 29, 13, 5), b'"2024-02-29T13:05:00"'),  # noqa: DTZ001 - wall time in Amsterdam
        (datetime(2024, 7, 1, 12, tzinfo=UTC), b'"2024-07-01T14:00:00"'),
        (datetime(2024, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=3))), b'"2023-12-31T22:30:00"'),
        (b"\x00\xffabc", b'"AP9hYmM="'),
        (bytearray(b"abc"), b'"YWJj"'),
        (b"", b'""'),
        (Kind.PERSON, b'"P"'),
        (Kind.ORGANISATION, b"1"),
    ],
)
def test_values(value: object, sent: bytes) -> None:
    """Each type is sent as the service reads it: numbers with all digits and no exponent, moments in Amsterdam."""
    assert field(value) == sent
    assert encode_element(Element({}, key={"X": value})) == b'{"Fields":{},"@X":%b}' % sent


@each_case(
    ("value", "reason"),
    [
        (object(), ", got object$"),
        ({1, 2}, ", got set$"),
        (["a"], ", got list$"),
        (1j, ", got complex$"),
        (timedelta(1), ", got timedelta$"),
        (memoryview(b"x"), ", got memoryview$"),
        (float("nan"), "cannot hold infinity or NaN"),
        (float("inf"), "cannot hold infinity or NaN"),
        (Decimal("NaN"), "cannot hold infinity or NaN"),
        (Decimal("-Infinity"), "infinity or NaN"),
        (Decimal("1E+999999999"), "more than 400 digits"),
        (Decimal("1E-999999999"), "more than 400 digits"),
        (datetime(2024, 1, 1, 0, 0, 0, 5), "fraction"),  # noqa: DTZ001
        (datetime(9999, 12, 31, 23, 30, tzinfo=UTC), "no date"),
        ("half a \ud83d", "unpaired surrogate"),
    ],
)
@each_case("place", ["fields", "key", "object"])
def test_values_that_are_refused(value: object, reason: str, place: str) -> None:
    """A value that no field can hold is refused with its place, before anything is sent."""
    elements: dict[str, Any] = {
        "fields": {"Bad": value},
        "key": {"@Bad": value},
        "object": {"Line": [{"Bad": value}]},
    }
    with pytest.raises(InvalidElementError, match=reason) as raised:
        encode_element(elements[place])
    where = {"fields": "Bad: ", "key": "@Bad: ", "object": "Line.Bad: "}[place]
    assert str(raised.value).startswith(where) or "\ud83d" in str(value)
    assert raised.value.__context__ is None, "another error, with values of the record in its frames"


@pytest.mark.parametrize(
    "item", [{"Element": {"Fields": {"StId": 1}}}, {"Element": [{"StId": 1}]}, {"Fields": {"StId": 1}}]
)
def test_whole_bodies(item: dict[str, Any]) -> None:
    """The parts of a body that the library itself writes around the fields are refused."""
    with pytest.raises(InvalidElementError, match=r"^the library writes the body: give fields by their names"):
        encode_element(item)


@pytest.mark.parametrize("place", [{"Ds": None}, {"@SbId": None}, {"Line": {"Ds": None}}, Element({"Ds": None})])
def test_none(place: Any) -> None:
    """None is refused with the alternative to it, unless the connector allows it."""
    with pytest.raises(
        InvalidElementError, match='leave the field out to keep it as it is, give "" to clear it'
    ) as raised:
        encode_element(place)
    assert "allow_none=True" in str(raised.value)
    assert b":null" in encode_element(place, allow_none=True)


def test_what_is_not_sent() -> None:
    """UNSET is left out, and so is an object without lines."""
    assert encode_element({"A": msgspec.UNSET, "B": 1, "@K": msgspec.UNSET}) == b'{"Fields":{"B":1}}'
    assert encode_element(Element({"A": msgspec.UNSET}, key={"K": msgspec.UNSET})) == b'{"Fields":{}}'
    assert encode_element(Line(amount=Decimal("1.0"))) == b'{"Fields":{"Amount":1.0}}'
    nothing: list[Sequence[Element]] = [[], ()]
    for empty in nothing:
        assert encode_element({"Line": empty}) == b'{"Fields":{}}'
        assert encode_element(Element({"A": 1}, objects={"Line": empty})) == b'{"Fields":{"A":1}}'


# --- structure ---


def test_structure() -> None:
    """Keys stand beside the fields, and objects in a list of their own, each with one element or several."""
    person = {
        "FiNm": "Jan",
        "@BcCo": "100",
        "KnBasicAddressAdr": {"CoId": "NL"},
        "KnBankAccount": [Line(code="a"), Element({"Code": "b"}, key={"No": 2}), {"Code": "c", "Deeper": {"X": 1}}],
    }
    assert json.loads(encode_element(person)) == {
        "Fields": {"FiNm": "Jan"},
        "@BcCo": "100",
        "Objects": [
            {"KnBasicAddressAdr": {"Element": {"Fields": {"CoId": "NL"}}}},
            {
                "KnBankAccount": {
                    "Element": [
                        {"Fields": {"Code": "a"}},
                        {"Fields": {"Code": "b"}, "@No": 2},
                        {"Fields": {"Code": "c"}, "Objects": [{"Deeper": {"Element": {"Fields": {"X": 1}}}}]},
                    ]
                }
            },
        ],
    }


def test_body() -> None:
    """One element stands by itself, several stand in a list, under the connector's name for it."""
    one, two = encode_element({"A": 1}), encode_element({"A": 2})
    assert body_of("FiEntryPar", [one]) == b'{"FiEntryPar":{"Element":{"Fields":{"A":1}}}}'
    assert body_of("FiEntryPar", [one, two]) == b'{"FiEntryPar":{"Element":[{"Fields":{"A":1}},{"Fields":{"A":2}}]}}'
    assert BODY_LIMIT == 75_000_000


@pytest.mark.parametrize("action", ["insert", "update", "delete"])
def test_action(action: Any) -> None:
    """The action stands first in the fields of an element, and a call does not change it."""
    own = encode_element({"@Action": action, "@SbId": 7, "Ds": "x"})
    assert own == b'{"Fields":{"@Action":"%b","Ds":"x"},"@SbId":7}' % action.encode()
    assert encode_element(Element({"Ds": "x"}, key={"SbId": 7}, action=action)) == own
    assert encode_element(Element({"Ds": "x", "@Action": action}, key={"SbId": 7})) == own
    assert tagged(own, "insert") == own
    assert tagged(encode_element({"Ds": "x"}), action) == b'{"Fields":{"@Action":"%b","Ds":"x"}}' % action.encode()
    assert tagged(encode_element({"@K": 1}), action) == b'{"Fields":{"@Action":"%b"},"@K":1}' % action.encode()
    assert json.loads(encode_element({"Line": {"@Action": action, "@No": 1}}))["Objects"] == [
        {"Line": {"Element": {"Fields": {"@Action": action}, "@No": 1}}}
    ]


def test_a_text_that_looks_like_an_action() -> None:
    """A value in the place of the tag is not taken for a tag."""
    assert b'{"@Action":"update","Ds":' in tagged(encode_element({"Ds": '{"Fields":{"@Action":'}), "update")
    assert b'{"@Action":"update","@Actio":' in tagged(encode_element(Element({"@Actio": 1})), "update")


@pytest.mark.parametrize("many", [False, True])
def test_depth(*, many: bool) -> None:
    """Objects may be nested six deep, as AFAS says, and no deeper."""

    def nested(levels: int) -> dict[str, Any]:
        element: dict[str, Any] = {"X": 1}
        for _ in range(levels):
            element = {"O": [element] if many else element}
        return element

    assert encode_element(nested(6)).count(b'"Objects"') == 6
    with pytest.raises(InvalidElementError, match="more than 6 levels deep"):
        encode_element(nested(7))


def test_an_element_that_contains_itself() -> None:
    """A record that is part of itself is refused like any that is too deep."""
    record: dict[str, Any] = {"X": 1}
    record["Line"] = record
    with pytest.raises(InvalidElementError, match="deep"):
        encode_element(record)


def test_encoded_at_once() -> None:
    """An encoded element does not change when its source changes."""
    record = {"A": 1, "Line": [{"B": 2}]}
    encoded = encode_element(record)
    record["A"] = 5
    assert encoded == encode_element({"A": 1, "Line": [{"B": 2}]})


# --- back ---

_names = st.text("ABCDEFabcdef0123456789_", min_size=1, max_size=8)
_plain = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.integers(-(2**63), 2**63),
    st.booleans(),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=3),
)
_members = st.dictionaries(_names, _plain, max_size=4)
_actions = st.sampled_from(["insert", "update", "delete", None])


def _with_objects(inner: st.SearchStrategy[Element]) -> st.SearchStrategy[Element]:
    objects = st.dictionaries(_names, st.one_of(inner, st.lists(inner, min_size=1, max_size=3)), max_size=2)
    return st.builds(Element, _members, key=_members, objects=objects, action=_actions)


_elements = st.one_of(
    st.builds(Element, _members, key=_members, action=_actions),
    _with_objects(st.builds(Element, _members, key=_members, action=_actions)),
    _with_objects(_with_objects(st.builds(Element, _members, key=_members, action=_actions))),
)


@given(_elements)
def test_back(element: Element) -> None:
    """A decoded element is equal to the encoded one, and encodes to the same bytes."""
    encoded = encode_element(element)
    assert decode_element(encoded) == element
    assert encode_element(decode_element(encoded)) == encoded
    json.loads(encoded.decode())


@given(_elements, _actions.filter(bool))
def test_tagged_and_back(element: Element, action: Any) -> None:
    """The tag is the element's action, and nothing else of the element changes."""
    decoded = decode_element(tagged(encode_element(element), action))
    assert decoded == Element(element.fields, element.key, element.objects, element.action or action)


@given(st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.decimals(allow_nan=False, allow_infinity=False)))
def test_numbers(number: float | Decimal) -> None:
    """A number arrives with all of its digits, in JSON's notation; or it is refused."""
    try:
        sent = field(number)
    except InvalidElementError:
        assert abs(Decimal(number).adjusted()) > 400
        return
    assert b"E" not in sent.upper()
    assert Decimal(json.loads(sent, parse_float=Decimal, parse_int=Decimal)) == Decimal(str(number))


@given(st.binary())
def test_files(data: bytes) -> None:
    """An attachment arrives in base64."""
    assert base64.b64decode(json.loads(field(data)), validate=True) == data


# --- URLs ---


@pytest.mark.parametrize(
    ("elements", "path"),
    [
        ([("KnSubject", {"SbId": 7})], "KnSubject/@SbId/7"),
        ([("KnSubject", {"SbId": "007"})], "KnSubject/@SbId/007"),
        ([("AfasEmployee", {"EmId": "Floor A", "ViSe": "U"})], "AfasEmployee/@EmId,@ViSe/Floor%20A,U"),
        ([("X", {"Da": date(2024, 2, 29), "Nr": Decimal("1.50")})], "X/@Da,@Nr/2024-02-29,1.50"),
        ([("X", {"A": "é€"}), ("Line", {"B": 1, "C": "~_-."})], "X/@A/%C3%A9%E2%82%AC/Line/@B,@C/1,~_-."),
        ([("X", {"Id": "{AB-12}"})], "X/@Id/%7BAB-12%7D"),
    ],
)
def test_delete_urls(elements: Any, path: str) -> None:
    """Keys stand in the path, composite ones with commas, those of a line after those of its record."""
    request = delete_request("FiEntries", *elements)
    assert (request.method, request.path) == ("DELETE", f"connectors/FiEntries/{path}")
    assert (request.query, request.body, request.connector, request.writes) == ("", b"", "FiEntries", True)


UNSAFE = [*"/\\%?#&:*<>+,", *map(chr, range(32)), *map(chr, range(0x7F, 0xA0)), "\ud800", "\udfff"]


def test_keys_that_cannot_stand_in_a_url() -> None:
    """A value with a special path character is refused, with another way to delete the record."""
    for text in [*UNSAFE, *(f"a{character}b" for character in UNSAFE), "", ".", ".."]:
        with pytest.raises(InvalidElementError, match='action="delete"'):
            delete_request("X", ("X", {"Id": text}))
        with pytest.raises(InvalidElementError, match='action="delete"'):
            delete_request("X", ("X", {"Id": 1}), ("Line", {"A": 1, "B": text}))


@pytest.mark.parametrize("value", [None, True, 1.5, b"x", datetime(2024, 1, 1), ["x"], object()])  # noqa: DTZ001
def test_keys_of_other_types(value: object) -> None:
    """A value of a type without a documented key text is refused."""
    with pytest.raises(InvalidElementError, match="expected str, int, Decimal or date, got "):
        delete_request("X", ("X", {"Id": value}))


@pytest.mark.parametrize("name", ["", "..", "a/b", "a?b", "a#b", "a%2fb", "é.b"])
def test_names_in_urls(name: str) -> None:
    """No name changes the target of a write."""
    makes: list[Callable[[], object]] = [
        lambda: write_request("POST", name),
        lambda: write_request("PUT", "X", sub=name),
        lambda: delete_request(name, ("X", {"A": 1})),
        lambda: delete_request("X", (name, {"A": 1})),
        lambda: delete_request("X", ("X", {name: 1})),
    ]
    for make in makes:
        with pytest.raises(InvalidNameError):
            make()


def test_nothing_is_deleted_without_a_key() -> None:
    """A delete without a key could mean everything."""
    with pytest.raises(InvalidElementError, match="a delete needs the key of"):
        delete_request("X", ("X", {}))
    with pytest.raises(InvalidElementError, match="a delete needs the key of"):
        delete_request("X", ("X", {"A": 1}), ("Line", {}))


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_write_urls(method: Any) -> None:
    """A write names its connector, and the object in it if there is one."""
    request = write_request(method, "KnPerson", b"{}", sub="KnAddress")
    assert (request.method, request.path, request.body) == (method, "connectors/KnPerson/KnAddress", b"{}")
    assert write_request(method, "KnPerson", b"{}").path == "connectors/KnPerson"
    assert (request.redacted(), request.writes) == (f"{method} connectors/KnPerson/KnAddress", True)


@pytest.mark.parametrize("item", [{"@Action": "upsert"}, Element({"@Action": "upsert"}), {"@Action": ["insert"]}])
def test_an_action_that_is_none(item: Any) -> None:
    """The action must be one of three, wherever it is given."""
    with pytest.raises(InvalidElementError, match=r"@Action: unknown action .*: use insert, update or delete"):
        encode_element(item)


@each_case(
    ("nulls", "fields", "lines"),
    [
        ("omit", {"Ds": "x"}, [{"No": 1}, {"No": 2, "Tx": "y"}]),
        ("clear", {"Ds": "x", "SbTx": ""}, [{"No": 1, "Tx": ""}, {"No": 2, "Tx": "y"}]),
    ],
)
def test_nulls(nulls: Any, fields: dict[str, Any], lines: list[dict[str, Any]]) -> None:
    """The null values of DataFrames, SQL and CSV readers leave fields as they are, or clear them."""
    item = {"@SbId": 3, "Ds": "x", "SbTx": None, "Lines": [{"No": 1, "Tx": None}, Element({"No": 2, "Tx": "y"})]}
    element = with_nulls(item, nulls)
    assert (element.key, element.fields) == ({"SbId": 3}, fields)
    sent = json.loads(encode_element(element))
    assert [line["Fields"] for line in sent["Objects"][0]["Lines"]["Element"]] == lines
    with pytest.raises(InvalidElementError, match="None is ambiguous"):
        encode_element(with_nulls(item, "refuse"))
