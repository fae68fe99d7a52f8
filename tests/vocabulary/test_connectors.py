"""The user's declaration of a connector: names, row types and keys, checked when they are declared."""

from __future__ import annotations

import copy
import pickle
import traceback
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import pytest

from afas_async import GetConnector
from afas_async.errors import InvalidNameError, UnknownFieldError, UsageError
from afas_async.vocabulary.connectors import row_fields
from tests.support.each_case import each_case


class Article(msgspec.Struct, frozen=True):
    item_code: str = msgspec.field(name="ItemCode")
    line: int = msgspec.field(name="Line", default=0)
    price: Decimal | None = msgspec.field(name="Price", default=None)


class Fields(msgspec.Struct, rename="pascal"):
    text: str
    number: int
    optional: str | None = None
    limited: Annotated[int, msgspec.Meta(ge=0)] = 0
    decimal: Decimal = Decimal()
    real: float = 0.0
    flag: bool = False
    moment: datetime | None = None
    either: str | int = ""
    word: Literal["a", "b"] = "a"
    anything: Any = None
    nothing: None = None
    parts: list[str] = []


class Tagged(msgspec.Struct, tag=True):
    a: int


class Positional(msgspec.Struct, array_like=True):
    a: int


class Plain:
    a: int


# --- keys ---


@pytest.mark.parametrize(
    ("key", "fields"),
    [
        ("ItemCode", ("ItemCode",)),
        (("ItemCode",), ("ItemCode",)),
        (("ItemCode", "Line"), ("ItemCode", "Line")),
        (("Line", "ItemCode"), ("Line", "ItemCode")),
        ((), ()),
    ],
)
def test_keys(key: str | tuple[str, ...], fields: tuple[str, ...]) -> None:
    """A key is one field or several, in the order given, by the names that the service uses."""
    assert GetConnector("Profit_Article", Article, key=key).key == fields


@pytest.mark.parametrize("row_type", [dict, msgspec.Raw])
def test_keys_of_untyped_rows(row_type: Any) -> None:
    """Untyped rows have the declared key; only the data can show whether it exists."""
    assert GetConnector("Profit_Article", row_type, key="Whatever").key == ("Whatever",)


@pytest.mark.parametrize("key", ["Text", "Number", "Optional", "Limited"])
def test_key_types(key: str) -> None:
    """Text and whole numbers survive the round trip through a filter; generated models make them optional."""
    assert GetConnector("X", Fields, key=key).key == (key,)


@pytest.mark.parametrize(
    "key", ["Decimal", "Real", "Flag", "Moment", "Either", "Word", "Anything", "Nothing", "Parts", ("Text", "Real")]
)
def test_bad_key_types(key: str | tuple[str, ...]) -> None:
    """Other types do not survive the round trip, and are refused with the field's name."""
    with pytest.raises(UsageError, match="must be str or int") as caught:
        GetConnector("X", Fields, key=key)
    assert (key if isinstance(key, str) else "Real") in str(caught.value)


@pytest.mark.parametrize("key", ["itemcode", "Missing", ("ItemCode", "Missing")])
def test_unknown_keys(key: str | tuple[str, ...]) -> None:
    """A key field that the row type lacks is refused, and the error names the fields that exist."""
    with pytest.raises(UnknownFieldError, match="ItemCode, Line, Price"):
        GetConnector("Profit_Article", Article, key=key)


def test_attributes_as_keys() -> None:
    """A key is named by the field id: the attribute of the row type is refused with the id to give."""
    with pytest.raises(UnknownFieldError, match="'item_code' is an attribute of Article: use the field id 'ItemCode'"):
        GetConnector("Profit_Article", Article, key="item_code")


@each_case("key", ["", "a.b", "a b", "a,b", "-ItemCode", "ItemCode\n", "é.b", ("ItemCode", "..")])
@each_case("row_type", [Article, dict, msgspec.Raw])
def test_bad_key_names(key: str | tuple[str, ...], row_type: Any) -> None:
    """A key field enters URLs, so its name is checked whatever the row type."""
    with pytest.raises(InvalidNameError):
        GetConnector("Profit_Article", row_type, key=key)


@pytest.mark.parametrize("name", ["", "..", "../metainfo", "a/b", "a?b", "Profit_Article\n", "é.b"])
def test_bad_names(name: str) -> None:
    """The connector's name is checked too."""
    with pytest.raises(InvalidNameError):
        GetConnector(name)


@pytest.mark.parametrize(("name", "key"), [("a/b", "Id"), ("Profit_Article", "a.b")])
def test_the_traceback_can_be_shown(name: str, key: str) -> None:
    """A crash reporter that shows the variables of a refusal can show the refused connector."""
    with pytest.raises(InvalidNameError) as caught:
        GetConnector(name, key=key)
    shown = [repr(frame.f_locals) for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert len(shown) >= 2


def test_doubled_key_fields() -> None:
    """A field that is twice in a key is a slip."""
    with pytest.raises(UsageError, match="twice"):
        GetConnector("Profit_JournalLines", key=("UnitId", "UnitId"))


# --- row types ---


@pytest.mark.parametrize(
    "row_type", [Plain, list, tuple, str, int, Tagged, Positional, dict[str, Any], Any, None, "dict"]
)
def test_bad_row_types(row_type: Any) -> None:
    """Rows are Structs of plain objects, dicts or undecoded."""
    with pytest.raises(UsageError, match="X: row_type: expected a"):
        GetConnector("X", row_type)


def test_default_row_type() -> None:
    """Without a row type, rows are dicts without a key."""
    connector = GetConnector("Profit_Article")
    assert (connector.name, connector.row_type, connector.key) == ("Profit_Article", dict, ())


def test_row_fields() -> None:
    """The fields of a row type have the names that the service uses, in their order."""
    fields = row_fields(Article)
    assert fields is not None
    assert list(fields) == ["ItemCode", "Line", "Price"]
    assert [row_fields(other) for other in (dict, Tagged, Positional, Plain)] == [None, None, None, None]


def test_generics_at_run_time() -> None:
    """The subscripted class makes the same connector as the class itself."""
    made = GetConnector[Article]("Profit_Article", Article, key="ItemCode")
    assert made == GetConnector("Profit_Article", Article, key="ItemCode")
    assert type(made) is GetConnector


# --- values ---


def test_equality_and_hash() -> None:
    """Connectors are equal if name, row type and key are, and then hash alike."""
    one = GetConnector("Profit_Article", Article, key="ItemCode")
    assert one == GetConnector("Profit_Article", Article, key=("ItemCode",))
    assert hash(one) == hash(GetConnector("Profit_Article", Article, key=("ItemCode",)))
    others = [
        GetConnector("Profit_Articles", Article, key="ItemCode"),
        GetConnector("Profit_Article", dict, key="ItemCode"),
        GetConnector("Profit_Article", Article, key=("ItemCode", "Line")),
        "Profit_Article",
    ]
    assert [one == other for other in others] == [False] * 4


def test_frozen() -> None:
    """A connector does not change."""
    connector: Any = GetConnector("Profit_Article")
    for name in ("name", "row_type", "key"):
        with pytest.raises(AttributeError):
            setattr(connector, name, "x")


@pytest.mark.parametrize(
    "connector",
    [GetConnector("A"), GetConnector("B", Article, key=("ItemCode", "Line")), GetConnector("C", msgspec.Raw, key="X")],
)
def test_copies(connector: GetConnector[Any]) -> None:
    """Connectors travel to other processes."""
    assert pickle.loads(pickle.dumps(connector)) == connector  # noqa: S301 - our own
    assert copy.copy(connector) == connector
    assert copy.deepcopy(connector) == connector


def test_repr() -> None:
    """A connector shows its name and its key."""
    shown = repr(GetConnector("Profit_Article", Article, key="ItemCode"))
    assert ("Profit_Article" in shown, "ItemCode" in shown) == (True, True)
