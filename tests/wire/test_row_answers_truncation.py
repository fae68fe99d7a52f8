"""A response that ends early never counts as complete: the end of its JSON is the only proof of its end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from afas_async.errors import AnswerError, AnswerLostError
from tests.support.row_answers import ROW_TYPES, Written, answers, bytewise, outcome, page_of, split, whole
from tests.support.thoroughness import by_default, examples

every_row_type = pytest.mark.parametrize("row_type", ROW_TYPES, ids=["struct", "dict", "raw"])


@every_row_type
@settings(examples(25, 6), suppress_health_check=[HealthCheck.too_slow])
@given(answers())
def test_every_prefix(row_type: Any, answer: Written) -> None:
    """Every proper prefix of a response is lost, and the rows before the cut are the first of the page."""
    body = answer.body.rstrip()
    complete = whole(body, row_type)
    for end in range(len(body) - 1, -1, -by_default(2, 1)):
        rows, error = outcome([body[:end]], row_type)
        assert type(error) is AnswerLostError
        assert rows == complete[: len(rows)]


@every_row_type
@pytest.mark.parametrize(
    "text",
    [
        '{"skip":0,"take":1000,"rows":[{"Id":1},{"Id":2,"Text":"]}"},{"Id":3,"More":[[],{}]}]}',
        '{"rows":[{"Text":"},{\\\\"},{"Text":"\\"]}"}],"take":1000,"x":[{"a":[]}],"skip":0}',
        '\r\n{ "skip" : 0 , "rows" : [ { "Id" : 1 } , { "Id" : 2 } ] , "take" : 1000 }',
        '{"skip":0,"take":1000,"rows":[]}',
        '{"skip":0,"take":1000,"rows":[{"More":-.5},{"More":[.5]}]}',
        '{"externalMessage":"},{","errorNumber":1}',
    ],
)
def test_every_prefix_however_it_comes(text: str, row_type: Any) -> None:
    """The ends of the pieces of a cut response make no difference: byte by byte and in two, it is lost too."""
    body = text.encode()
    for end in range(len(body) - 1, -1, -by_default(2, 1)):
        for pieces in (bytewise(body[:end]), split(body[:end], end // 2), split(body[:end], max(0, end - 1))):
            _, error = outcome(pieces, row_type)
            assert type(error) is AnswerLostError


@every_row_type
def test_a_long_page(row_type: Any) -> None:
    """A page of several slices that is cut is lost, wherever the cut is."""
    rows = [f'{{"Id":{number},"Text":"{"},{" * 30}"}}' for number in range(1_000)]
    body = page_of(*rows)
    complete = whole(body, row_type)
    for end in [
        *range(1, len(body), by_default(30_011, 12_345)),
        *range(len(body) - 130, len(body), by_default(13, 1)),
    ]:
        got, error = outcome(bytewise(body[:end], 20_000), row_type)
        assert type(error) is AnswerLostError
        assert got == complete[: len(got)]


def test_what_the_error_says() -> None:
    """The error names connector and page, and how many rows came before."""
    _, error = outcome(bytewise(page_of('{"a":1}', '{"a":2}', '{"a":3}')[:-5]))
    assert isinstance(error, AnswerLostError)
    assert (error.connector, error.sent) == ("Profit_Article", "maybe")
    assert str(error) == "Profit_Article: page 0: the response ended early, after 2 rows"


@pytest.mark.parametrize("end", [1, 2])
def test_cut_in_the_byte_order_mark(end: int) -> None:
    """Even a part of a byte order mark does not make an empty page."""
    _, error = outcome([b"\xef\xbb\xbf"[:end]])
    assert isinstance(error, (AnswerLostError, AnswerError))


@pytest.mark.parametrize("end", ["", " ", "\r\n\t "])
def test_white_space_at_the_end(end: str) -> None:
    """White space after the end may be cut off, as nothing is lost with it."""
    assert outcome([page_of('{"a":1}') + end.encode()]) == ([{"a": 1}], None)
