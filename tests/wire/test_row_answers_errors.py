"""Rows that are malformed or do not fit the row type: the error says which row, and where in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from afas_async.errors import AnswerError, RowError
from tests.support.row_answers import bytewise, feed, outcome, page_of, parser


class Address(msgspec.Struct):
    city: str = msgspec.field(name="City")
    number: int = msgspec.field(name="Number", default=0)


class Article(msgspec.Struct):
    code: str = msgspec.field(name="ItemCode")
    price: float = msgspec.field(name="Price", default=0.0)
    address: Address | None = msgspec.field(name="Address", default=None)
    tags: list[str] = msgspec.field(name="Tags", default_factory=list)


GOOD = '{"ItemCode":"},{"}'


def fails(rows: Sequence[str], row_type: Any = Article, *, size: int = 1 << 16, page: int = 3) -> RowError:
    body = page_of(*rows)
    with pytest.raises(RowError) as caught:
        parse(bytewise(body, size), row_type, page)
    return caught.value


def parse(pieces: Sequence[bytes], row_type: Any, page: int) -> None:
    reader = parser(row_type, page=page)
    for piece in pieces:
        reader.feed(piece)
    reader.finish()


@pytest.mark.sampled(3)
@pytest.mark.parametrize("size", [1, 9, 1 << 16])
@pytest.mark.parametrize("before", [0, 1, 4])
@pytest.mark.parametrize(
    ("row", "path"),
    [
        ('{"ItemCode":1}', ".ItemCode"),
        ('{"ItemCode":null}', ".ItemCode"),
        ('{"Price":1}', ""),
        ('{"ItemCode":"a","Price":"1"}', ".Price"),
        ('{"ItemCode":"a","Price":null}', ".Price"),
        ('{"ItemCode":"a","Address":{}}', ".Address"),
        ('{"ItemCode":"a","Address":{"City":null}}', ".Address.City"),
        ('{"ItemCode":"a","Address":{"City":"x","Number":"1"}}', ".Address.Number"),
        ('{"ItemCode":"a","Address":[]}', ".Address"),
        ('{"ItemCode":"a","Tags":["a",1]}', ".Tags[1]"),
        ("[]", ""),
        ("null", ""),
        ("1", ""),
        ('"},{"', ""),
    ],
)
def test_a_row_that_does_not_fit(row: str, path: str, before: int, size: int) -> None:
    """Type, missing field and null, in the row and in objects in it: page, index and path are those of the response."""
    error = fails([*[GOOD] * before, row, GOOD], size=size)
    assert (error.connector, error.page, error.index) == ("Profit_Article", 3, before)
    assert error.path == f"$.rows[{before}]{path}"
    assert error.path in str(error)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("row_type", [Article, dict, msgspec.Raw])
@pytest.mark.parametrize("size", [1, 9, 1 << 16])
@pytest.mark.parametrize(
    "row",
    [
        '{"ItemCode":"a" "Price":1}',
        '{"ItemCode":"a",}',
        "{ItemCode:1}",
        '{"ItemCode":"\\x"}',
        '{"ItemCode":"\\ud800"}',
        '{"ItemCode":"\\udc00\\ud800"}',
        '{"ItemCode":"a\nb"}',
        '{"ItemCode":"a","Price":NaN}',
        '{"ItemCode":"a","Price":Infinity}',
        '{"ItemCode":"a","Price":01}',
        '{"ItemCode":"a","Price":+1}',
        '{"ItemCode":"a","Price":1.}',
        '{"ItemCode":"a","Price":0x1}',
        '{"ItemCode":"a","Price":True}',
        '{"ItemCode":["a"}',
        "1",
        "null",
        "true",
        "[{}]",
        '"a"',
    ],
)
def test_a_malformed_row(row: str, size: int, row_type: Any) -> None:
    """A row that is not a JSON object is refused, whatever the row type, and the rows before it are the right ones."""
    body = page_of(GOOD, row, GOOD)
    rows, error = outcome(bytewise(body, size), row_type)
    assert isinstance(error, AnswerError)
    assert len(rows) <= 1
    if isinstance(error, RowError):
        assert (error.index, error.path.startswith("$.rows[1]")) == (1, True)


@pytest.mark.parametrize("size", [1, 100, 1 << 16])
def test_index_counts_from_the_page(size: int) -> None:
    """The index counts all rows of the page, including those of earlier slices."""
    error = fails([*[GOOD] * 900, '{"Price":1}'], size=size)
    assert (error.index, error.path) == (900, "$.rows[900]")


def test_rows_before_the_bad_one() -> None:
    """Rows of earlier bytes have already come when a later one fails."""
    rows, error = outcome([page_of("{}", "{}", "{}")[:-4], b'{"Text":1}]}'], Article)
    assert (rows, isinstance(error, RowError)) == ([], True)
    rows, error = outcome(bytewise(page_of('{"a":1}', '{"a":2}', '{"a":x}')), dict)
    assert rows == [{"a": 1}, {"a": 2}]
    assert isinstance(error, RowError)
    assert error.index == 2


@pytest.mark.parametrize("row_type", [dict, msgspec.Raw])
def test_other_row_types(row_type: Any) -> None:
    """A row that is not an object is refused for dict and undecoded rows too, with its index."""
    error = fails(["{}", "{}", "[1]"], row_type)
    assert (error.index, error.path) == (2, "$.rows[2]")


@pytest.mark.parametrize("row_type", [Article, dict, msgspec.Raw])
def test_text_not_utf_8(row_type: Any) -> None:
    """A row in latin-1 is refused with its index."""
    body = page_of(GOOD, '{"ItemCode":"\xe9"}').decode().encode("latin-1")
    rows, error = outcome(bytewise(body, 4), row_type)
    assert len(rows) <= 1
    assert isinstance(error, RowError)
    assert error.index == 1


@pytest.mark.parametrize(
    "row",
    [
        pytest.param('{"ItemCode":"a","Other":"\xe9"}', id="value"),
        pytest.param('{"ItemCode":"a","\xe9":1}', id="name in the first row"),
    ],
)
def test_skipped_text_not_utf_8(row: str) -> None:
    """The parser does not look into members that the row type skips: this makes a small row type fast."""
    rows, error = outcome([page_of(row, GOOD).decode().encode("latin-1")], Article)
    assert (len(rows), error) == (2, None)


@pytest.mark.parametrize("number", ["1e99999999999999999999", "-1.5E-99999999999999999999"])
def test_numbers_beyond_decimal(number: str) -> None:
    """A number that not even Decimal holds is a RowError, as it is for a Struct."""
    _, error = outcome([page_of("{}", f'{{"a":{number}}}')], dict)
    assert isinstance(error, RowError)
    assert error.index == 1


def test_long_numbers() -> None:
    """Integers beyond 64 bits and decimals of any length are exact; an integer of 5,000 digits is refused."""
    assert feed([page_of(f'{{"a":{2**80},"b":{"1" * 50}.5}}')])[0]["a"] == 2**80
    _, error = outcome([page_of("{}", f'{{"a":{"1" * 5_000}}}')], dict)
    assert isinstance(error, RowError)
    assert error.index == 1


def test_a_name_twice_in_a_row() -> None:
    """If a row has a member twice, the last one counts."""
    assert feed([page_of('{"a":1,"a":2}')]) == [{"a": 2}]


@pytest.mark.parametrize("text", ["\\ud83d", "x\\ud83dx", "\\uD83D\\u0041"])
def test_half_of_a_character(text: str) -> None:
    """A database that cuts a text within an emoji leaves half of a character. The error names the row, and says so."""
    _, error = outcome(bytewise(page_of('{"Id":1}', f'{{"Id":2,"Note":"{text}"}}', '{"Id":3}'), 64), dict)
    assert isinstance(error, RowError)
    assert "unpaired surrogate" in str(error)
    assert error.index == 1
