"""Around the rows: the envelope in every shape that a server may give it, and responses that are not rows."""

from __future__ import annotations

from typing import Any

import pytest

from afas_async.errors import AfasError, AnswerError, AnswerLostError, BusinessError, PagingError
from tests.support.each_case import each_case
from tests.support.row_answers import ROW_TYPES, bytewise, feed, outcome, page_of, parser

ONE = [{"Id": 1}]


def fails(body: bytes) -> AfasError:
    """Return the error of a response. It must be the same whole and byte by byte, for each type of row."""
    errors = [outcome(pieces, row_type)[1] for pieces in ([body], bytewise(body)) for row_type in ROW_TYPES]
    first = errors[0]
    assert first is not None
    assert {(type(error), str(error)) for error in errors} == {(type(first), str(first))}
    return first


@pytest.mark.parametrize(
    "text",
    [
        '{"skip":0,"take":1000,"rows":[{"Id":1}]}',
        '{"rows":[{"Id":1}],"take":1000,"skip":0}',
        '{"take":1000,"rows":[{"Id":1}],"skip":0}',
        ' \r\n{"skip" :\t0,\n"take":1000 , "rows"\n:\n[ {"Id":1} ] }\r\n ',
        '\ufeff{"skip":0,"take":1000,"rows":[{"Id":1}]}',
        '{"skip":0,"take":1000,"r\\u006fws":[{"Id":1}]}',
        '{"\\u0072\\u006f\\u0077\\u0073":[{"Id":1}],"skip":0,"take":1000}',
        '{"a":[{"rows":[{"Id":9}]},{}],"rows":[{"Id":1}],"skip":0,"take":1000}',
        '{"rows":[{"Id":1}],"a":{"rows":[{"Id":9},{"Id":8}]},"b":["]}"],"c":"},{","skip":0,"take":1000}',
        '{"\\"rows":[{"Id":9}],"\\\\":[],"rows":[{"Id":1}]}',
        '{"x":"rows","rows":[{"Id":1}]}',
        '{"ROWS":[{"Id":9}],"rows":[{"Id":1}]}',
        '{"rows":[{"Id":1}]}',
        '{"skip":null,"take":null,"rows":[{"Id":1}]}',
        '{"skip":"0","take":"1000","rows":[{"Id":1}]}',
    ],
)
def test_one_row(text: str) -> None:
    """The members come in any order, with others among them, and only the envelope's own `rows` are rows."""
    assert feed([text.encode()]) == ONE
    assert feed(bytewise(text.encode())) == ONE


@pytest.mark.parametrize(
    "text",
    [
        '{"skip":0,"take":1000,"rows":[]}',
        '{"skip":0,"take":1000,"rows":[ \n ]}',
        '{"skip":0,"take":1000,"rows":null}',
        '{"skip":0,"take":1000}',
        '{"rows":[],"skip":0,"take":1000}',
        '{"skip":0,"take":1000,"x":[{"rows":[{"Id":1}]}]}',
    ],
)
def test_no_rows(text: str) -> None:
    """An empty page has an empty list, null, or no member `rows` at all."""
    for row_type in ROW_TYPES:
        assert feed([text.encode()], row_type) == []
        assert feed(bytewise(text.encode()), row_type) == []


@pytest.mark.parametrize(
    "text",
    [
        '{"skip":0,"take":1000,"rows":[{"Id":1}],"rows":[{"Id":1}]}',
        '{"skip":0,"take":1000,"rows":[],"rows":[]}',
        '{"skip":0,"take":1000,"rows":[{"Id":1}],"rows":null}',
        '{"skip":0,"take":1000,"rows":null,"rows":[{"Id":1}]}',
        '{"skip":0,"take":1000,"rows":[{"Id":1}],"r\\u006fws":[]}',
        '{"skip":0,"skip":0,"take":1000,"rows":[]}',
        '{"skip":0,"take":1000,"rows":[]}{"skip":0,"take":1000,"rows":[]}',
        '{"skip":0,"take":1000,"rows":[],"take":1000}',
    ],
)
def test_a_member_twice(text: str) -> None:
    """A second `rows`, `skip` or `take` would silently replace the first: refused."""
    error = fails(text.encode())
    assert isinstance(error, AnswerError)
    assert ("twice" in str(error), error.damaged) == (True, False)


@pytest.mark.parametrize(
    "text",
    [
        '{"skip":0,"take":1000,"rows":{"Id":1}}',
        '{"skip":0,"take":1000,"rows":"[]"}',
        '{"skip":0,"take":1000,"rows":1}',
        '{"skip":0,"take":1000,"rows":false}',
    ],
)
def test_rows_that_are_no_list(text: str) -> None:
    """`rows` is a list or nothing. The service sends this itself, so that a retry would not help."""
    error = fails(text.encode())
    assert isinstance(error, AnswerError)
    assert (type(error), error.damaged) == (AnswerError, False)


@each_case(
    "text",
    [
        "{}",
        "[]",
        "null",
        "0",
        '"rows"',
        '[{"skip":0,"take":1000,"rows":[]}]',
        '{"skip":0}',
        '{"take":1000}',
        '{"error":"x"}',
        "<html><body>Maintenance: [see here], {soon}</body></html>",
        "Service unavailable",
        '{"skip":0,"take":1000,"rows":[]}}',
        '{"skip":0,"take":1000,"rows":[{"Id":1}},{"Id":2}]}',
        '{"skip":0,"take":1000,"rows":[]}]',
        '{"skip":0,"take":1000,"rows":[]},',
        '{"skip":0,"take":1000,"rows":[]} x',
        '{"skip":0,"take":1000,"rows":[],}',
        '{"skip":0 "take":1000,"rows":[]}',
        '{"skip":0,"take":1000,"rows",:[]}',
        '{"skip":0,"take":1000,"rows" []}',
        '{"skip":0,"take":1000,rows:[]}',
        '{"skip":NaN,"take":1000,"rows":[]}',
        "{'skip':0,'take':1000,'rows':[]}",
        '{"skip":0,"take":1000,"rows":[]}\x00',
    ],
)
def test_no_answer_at_all(text: str) -> None:
    """A response that is not one JSON object with `rows`, or with `skip` and `take`, is damaged.

    The next may be better.
    """
    error = fails(text.encode())
    assert isinstance(error, AnswerError)
    assert (type(error), error.damaged) == (AnswerError, True)


@pytest.mark.parametrize("body", [b"", b" \r\n", b"\xef\xbb\xbf", b"{", b'{"skip":0,"take":1000,"rows":'])
def test_nothing_came(body: bytes) -> None:
    """An empty body is not an empty page: the response was lost."""
    assert type(fails(body)) is AnswerLostError


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_encodings(encoding: str) -> None:
    """JSON in another encoding than UTF-8 is refused."""
    for row_type in ROW_TYPES:
        rows, error = outcome([page_of('{"Id":1}').decode().encode(encoding)], row_type)
        assert (rows, isinstance(error, AfasError)) == ([], True)


@pytest.mark.parametrize(
    "body",
    [
        b'{"skip":0,"take":1000,"rows":[],"\xff":1}',
        b'{"skip":"\xff","take":1000,"rows":[]}',
        b'{"rows\xff":[],"skip":0,"take":1000}',
        b'{"externalMessage":"\xe9\xe9n"}',
    ],
)
def test_envelope_not_utf_8(body: bytes) -> None:
    """An envelope in latin-1 is not as documented: AnswerError."""
    assert type(fails(body)) is AnswerError


@pytest.mark.parametrize("size", [1, 1_000])
def test_refusal_under_success(size: int) -> None:
    """Profit's own error under status 200 raises that error, with all its facts."""
    body = b'{"profitLogReference":"B8213AF1","errorNumber":-2147220469,"externalMessage":"Bestaat niet.\\u001b[2J"}'
    page = parser()
    assert [page.feed(piece) for piece in bytewise(body, size)] == [[]] * len(bytewise(body, size))
    with pytest.raises(BusinessError) as caught:
        page.finish()
    error = caught.value
    assert (error.status, error.connector, error.message) == (200, "Profit_Article", "Bestaat niet.\\u001b[2J")
    assert (error.error_number, error.log_reference) == (-2147220469, "B8213AF1")


@pytest.mark.parametrize(("asked", "answered"), [(0, 100), (100, 0), (100, 200), (-1, 0)])
def test_an_answer_for_another_page(asked: int, answered: int) -> None:
    """A response for another `skip` would lose or repeat rows: it raises PagingError with the page."""
    page = parser(skip=asked, page=7)
    with pytest.raises(PagingError) as caught:
        page.feed(page_of('{"Id":1}', skip=answered))
    assert (caught.value.connector, caught.value.page) == ("Profit_Article", 7)


def test_an_answer_that_says_late_that_it_is_for_another_page() -> None:
    """The same holds if the response says so only after its rows."""
    page = parser(skip=100, page=7)
    assert page.feed(b'{"take":1,"rows":[{"Id":1}') == []
    page.feed(b'],"skip":0}')
    with pytest.raises(PagingError):
        page.finish()


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('{"skip":0,"take":2,"rows":[{"Id":1}]}', 1),
        ('{"skip":0,"take":1000,"rows":null}', 0),
        ('{"skip":0,"take":1000}', 0),
    ],
)
def test_what_is_asked_for_once_more(text: str, rows: int) -> None:
    """A response with another `take`, or no rows, may belong to another request.

    If it comes again, the service means it. A documented example repeats another `take` than the requested one.
    """
    body = text.encode()
    with pytest.raises(AnswerError) as caught:
        feed([body], lenient=False)
    assert caught.value.damaged
    assert len(feed([body])) == rows


@pytest.mark.parametrize("row_type", ROW_TYPES)
@pytest.mark.parametrize("size", [1, 10, 10_000])
def test_more_rows_than_asked_for(row_type: Any, size: int) -> None:
    """A page has at most `take` rows; exactly that many are fine, and with a take of -1 any number is."""
    body = page_of(*['{"Id":1}'] * 5)
    assert len(feed(bytewise(body, size), row_type, take=5)) == 5
    assert len(feed(bytewise(body, size), row_type, take=-1)) == 5
    with pytest.raises(PagingError):
        feed(bytewise(body, size), row_type, take=4)


@pytest.mark.parametrize("text", ['{"Id":1},', ',{"Id":1}', '{"Id":1},,{"Id":2}', ",", '{"Id":1} {"Id":2}'])
def test_a_row_is_missing(text: str) -> None:
    """A comma without a row on both sides, or rows without one between them, are refused."""
    assert isinstance(fails(page_of(text)), AnswerError)


@pytest.mark.parametrize("row_type", ROW_TYPES)
@pytest.mark.parametrize("size", [1, 5, 1_000])
def test_a_comma_before_the_end(row_type: Any, size: int) -> None:
    """A comma after the last row is refused too, also where you got that row before the bracket came."""
    for row in ('{"Id":1}', '{"More":[{},{}]}'):
        rows, error = outcome(bytewise(page_of(row, row, ""), size), row_type)
        assert (len(rows) <= 2, isinstance(error, AnswerError)) == (True, True)
