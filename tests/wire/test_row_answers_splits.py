"""However a response is cut on its way, its rows are those that decoding it as a whole gives."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import combinations, islice
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afas_async.errors import RowError
from afas_async.wire import slices
from tests.support import thoroughness
from tests.support.row_answers import (
    ROW_TYPES,
    TRICKY,
    Record,
    Written,
    answers,
    bytewise,
    feed,
    page_of,
    parser,
    plain,
    split,
    whole,
    write,
)

every_row_type = pytest.mark.parametrize("row_type", ROW_TYPES, ids=["struct", "dict", "raw"])


def examples(count: int) -> settings:
    return settings(thoroughness.examples(count, count // 6), suppress_health_check=list(HealthCheck))


@every_row_type
@examples(30)
@given(answers())
def test_every_split_in_two(row_type: Any, answer: Written) -> None:
    """Every cut into two pieces gives the same rows."""
    expected = whole(answer.body, row_type)
    for cut in range(0, len(answer.body) + 1, thoroughness.by_default(2, 1)):
        assert feed(split(answer.body, cut), row_type) == expected


@every_row_type
@examples(60)
@given(answers(max_rows=12), st.integers(1, 7))
def test_small_pieces(row_type: Any, answer: Written, size: int) -> None:
    """Pieces of one byte, and of a few, give the same rows."""
    expected = whole(answer.body, row_type)
    assert feed(bytewise(answer.body), row_type) == expected
    assert feed(bytewise(answer.body, size), row_type) == expected


@every_row_type
@examples(40)
@given(answers(max_rows=12), st.data())
def test_any_pieces(row_type: Any, answer: Written, data: st.DataObject) -> None:
    """Any pieces give the same rows, also where no boundary is guessed and slices are tiny."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(answer.body)), max_size=6)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices, "SLICE", data.draw(st.sampled_from([1, 16, 65_536])))
        assert feed(split(answer.body, *cuts), row_type) == whole(answer.body, row_type)


@examples(60)
@given(answers(max_rows=12))
def test_another_parser_agrees(answer: Written) -> None:
    """Dict rows are those of Python's own json, decimals as Decimal."""
    expected = json.loads(answer.body, parse_float=Decimal)["rows"]
    assert feed(bytewise(answer.body, 5), dict) == expected


@pytest.mark.parametrize("row_type", [Record, dict], ids=["struct", "dict"])
@examples(60)
@given(answers(max_rows=8), st.integers(1, 40))
def test_profit_6_decimals(row_type: Any, answer: Written, size: int) -> None:
    """Decimals without a leading zero mean the same as with one. Texts that contain such decimals stay unchanged."""
    expected = whole(answer.body, row_type)
    assert feed(bytewise(answer.profit_6, size), row_type) == expected
    assert feed([answer.profit_6], row_type) == expected


SHORT = (
    '{"skip":0,"take":1000,"rows":[{"Id":1},{"Id":2}]}',
    '{"rows":[{"Text":"},{"},{"Id":2}],"take":1000,"skip":0}',
    '{"take":1000,"rows":[{"More":[{},{}]},{"Id":1}],"x":[{},{}],"skip":0}',
    '{"skip":0,"take":1000,"rows":[{"Text":"\\\\\\"},{"} , {"Id":3}\n]}\n',
    '{"skip":0,"take":1000,"r\\u006fws":[{"Text":"\\ud83d\\ude00]}"},{}]}',
    '{"skip":0,"x":{"rows":[{"a":1}]},"take":1000,"rows":[{"Text":"é"},{}]}',
)


@pytest.mark.parametrize("text", SHORT)
def test_every_split_in_three(text: str) -> None:
    """Every cut of a short response into three pieces gives the same rows, whatever their type."""
    body = text.encode()
    expected = [whole(body, row_type) for row_type in ROW_TYPES]
    every = thoroughness.by_default(4, 1)
    for number, cuts in enumerate(islice(combinations(range(len(body) + 1), 2), 0, None, every)):
        which = number % len(ROW_TYPES)
        assert feed(split(body, *cuts), ROW_TYPES[which]) == expected[which]


@pytest.mark.sampled(3)
@every_row_type
@pytest.mark.parametrize("tricky", TRICKY)
def test_tricky_strings(row_type: Any, tricky: str) -> None:
    """Text that looks like structure stays text, as a value, as a name and deeper down, wherever it is cut."""
    row = {"Text": tricky, tricky: 1, "More": [{tricky: [tricky, {}]}, {"a": tricky}], "Id": 1}
    for ascii_only in (False, True):
        body = page_of(*[write(row, ascii_only=ascii_only)] * 2)
        expected = whole(body, row_type)
        for cut in range(0, len(body) + 1, thoroughness.by_default(3, 1)):
            assert feed(split(body, cut), row_type) == expected


@pytest.mark.sampled(3)
@every_row_type
@pytest.mark.parametrize("space", ["", " ", "\r\n", "\n" + " " * 30, " " * 9_000])
def test_long_pages(row_type: Any, space: str) -> None:
    """A page of many slices gives all rows, in pieces of the size that connections use."""
    rows = [
        {"Id": number, "Text": "},{" * (number % 7), "More": [{"a": number}]}
        for number in range(thoroughness.by_default(300, 600) if len(space) < 100 else 12)
    ]
    body = write({"skip": 0, "take": 1000, "rows": rows}, space).encode()
    expected = whole(body, row_type)
    for size in (1_000, 65_536, len(body)):
        assert feed(bytewise(body, size), row_type) == expected


def test_rows_come_early() -> None:
    """A row comes when the next one begins, before the response has ended."""
    page = parser()
    assert page.feed(b'{"skip":0,"take":1000,"rows":[{"a":1},{"a":2},{"a":') == [{"a": 1}, {"a": 2}]
    assert (page.rows, page.columns) == (2, 1)
    assert page.feed(b"3},{") == [{"a": 3}]
    assert page.feed(b'"a":4}]}') == []
    assert page.finish() == [{"a": 4}]
    assert page.rows == 4


def test_raw_rows_are_the_bytes_sent() -> None:
    """Undecoded rows are passed through as they were written."""
    rows = ['{"a": 1.50 ,\t"b":"\\u00e9"}', "{}", '{"c":[{},{}]}']
    page = parser(msgspec.Raw)
    handed = page.feed(page_of(*rows)) + page.finish()
    assert plain(handed) == [row.encode() for row in rows]


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_raw_rows_are_json(size: int) -> None:
    """Undecoded rows are JSON that any parser reads, also where Profit 6's decimals were not."""
    body = page_of('{"a":-.5,"b":"-.5"}', '{"a":[.5]}', '{"a":1}')
    assert feed(bytewise(body, size), msgspec.Raw) == [b'{"a":-0.5,"b":"-.5"}', b'{"a":[0.5]}', b'{"a":1}']


@pytest.mark.parametrize(
    ("text", "number"),
    [("-.5", "-0.5"), (".5", "0.5"), (".0", "0.0"), ("-.25e3", "-0.25e3"), ("-0.5", "-0.5"), ("10.05", "10.05")],
)
def test_spellings_of_decimals(text: str, number: str) -> None:
    """Each spelling of a decimal is exact, in an object, in an array and after white space."""
    row = f'{{"a":{text},"b":[{text},{text}, {text}],"c": {text},"d":"{text}, {text}"}}'
    value = Decimal(number)
    expected = {"a": value, "b": [value, value, value], "c": value, "d": f"{text}, {text}"}
    assert feed([page_of(row, "{}", row)], dict) == [expected, {}, expected]


@pytest.mark.parametrize("text", ["1.", "5,.", ".", "-.", "+.5", "..5", "1 .5", ".5.5", "- .5"])
def test_what_is_no_decimal(text: str) -> None:
    """The tolerance for Profit 6 ends there: other spellings that are not JSON are refused."""
    with pytest.raises(RowError):
        feed([page_of(f'{{"a":{text}}}')], dict)
