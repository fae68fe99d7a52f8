"""From the status, headers and body of a response to its error."""

from __future__ import annotations

import base64
import json

import pytest

from afas_async import errors
from afas_async.wire.error_answers import MESSAGE_LIMIT, clean, error_for, token_error_for, trace_of
from tests.support.each_case import each_case
from tests.support.thoroughness import by_default

PROFIT = {
    "externalMessage": "The entered value for 'Employee' does not exist.",
    "errorNumber": -2147220469,
    "profitLogReference": "B8213AF1C3C54E579686406A8DE71C6C",
}


def answer(status: int, body: object = b"", **headers: str) -> errors.ApiError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-").title(): value for name, value in headers.items()}
    return error_for(status, names, data, connector="Profit_Article")


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


# --- kinds ---


@each_case(
    ("status", "kind"),
    [
        (301, errors.ApiError),
        (302, errors.ApiError),
        (304, errors.ApiError),
        (307, errors.ApiError),
        (400, errors.BadRequestError),
        (401, errors.AuthenticationError),
        (402, errors.ApiError),
        (403, errors.PermissionDeniedError),
        (404, errors.NotFoundError),
        (405, errors.BadRequestError),
        (406, errors.BadRequestError),
        (408, errors.ApiError),
        (411, errors.BadRequestError),
        (413, errors.PayloadTooLargeError),
        (414, errors.BadRequestError),
        (415, errors.BadRequestError),
        (418, errors.ApiError),
        (429, errors.RateLimitError),
        (431, errors.BadRequestError),
        (500, errors.ServerError),
        (501, errors.ServerError),
        (502, errors.ServerError),
        (503, errors.UnavailableError),
        (504, errors.ServerError),
        (505, errors.ServerError),
        (520, errors.ServerError),
        (599, errors.ServerError),
    ],
)
def test_kinds(status: int, kind: type[errors.ApiError]) -> None:
    """Each status has its class, and a message that is never empty."""
    error = answer(status)
    assert type(error) is kind
    assert (error.status, error.connector, error.attempts) == (status, "Profit_Article", 1)
    assert error.message
    assert (error.error_number, error.log_reference, error.retry_after) == (None, None, None)


def test_business_error() -> None:
    """A 500 in Profit's shape is Profit's refusal, with number and log reference."""
    error = answer(500, PROFIT)
    assert type(error) is errors.BusinessError
    assert error.message == "The entered value for 'Employee' does not exist."
    assert (error.error_number, error.log_reference) == (-2147220469, "B8213AF1C3C54E579686406A8DE71C6C")
    assert str(error) == (
        "Profit_Article: HTTP 500: The entered value for 'Employee' does not exist."
        " (Profit log reference B8213AF1C3C54E579686406A8DE71C6C)"
    )


@pytest.mark.parametrize("status", [400, 401, 403, 404, 503, 502])
def test_profit_text_under_other_statuses(status: int) -> None:
    """Only a 500 becomes a BusinessError; under other statuses Profit's facts are kept."""
    error = answer(status, PROFIT)
    assert type(error) is type(answer(status))
    assert (error.message, error.log_reference) == (PROFIT["externalMessage"], PROFIT["profitLogReference"])


@pytest.mark.parametrize("body", [PROFIT, dict(reversed(PROFIT.items())), {**PROFIT, "internalMessage": "x"}])
@pytest.mark.parametrize(
    "content_type", ["application/xml; charset=utf-8", "application/json", "text/html", "", "nonsense"]
)
def test_content_type_decides_nothing(body: object, content_type: str) -> None:
    """AFAS labels its JSON errors as XML, so neither the label nor the order of the members counts."""
    error = answer(500, body, content_type=content_type)
    assert (type(error), error.error_number) == (errors.BusinessError, -2147220469)


def test_byte_order_mark() -> None:
    """A byte order mark before the JSON is left out."""
    assert answer(500, b"\xef\xbb\xbf" + json.dumps(PROFIT).encode()).error_number == -2147220469


# --- bodies that say little ---


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"<html><body><h1>500</h1></body></html>",
        b"plain text",
        b"\x00\x01\x02",
        json.dumps(PROFIT).encode()[:-1],
        b"[]",
        b'"text"',
        b"null",
        b"1",
        b"[" * 100_000,
        b'{"externalMessage":1e999}',
        b'{"externalMessage":null,"errorNumber":null}',
        b'{"externalMessage":{"a":1}}',
        b'{"externalMessage":""}',
        b'{"message":7,"error":{"message":null}}',
        b'{"error":"text"}',
    ],
)
def test_bodies_that_say_nothing(body: bytes) -> None:
    """A body without a message, in any shape, leaves only the status."""
    error = answer(500, body)
    assert (type(error), error.message) == (errors.ServerError, "the service gave no message")
    assert (error.error_number, error.log_reference, error.retry_after) == (None, None, None)


@pytest.mark.parametrize("body", [b'{"externalMessage":"Niet geldig: \xe9\xe9n"}', b'{"\xff":1}'])
def test_bodies_not_utf_8(body: bytes) -> None:
    """An error body in latin-1 leaves only the status, and raises no exception of its own."""
    assert type(answer(500, body)) is errors.ServerError


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (400, {"message": "Invalid json"}, "Invalid json"),
        (503, {"error": {"code": "503", "message": "Maintenance until six."}}, "Maintenance until six."),
        (500, {"message": "An error has occurred."}, "An error has occurred."),
    ],
)
def test_other_shapes(status: int, body: object, message: str) -> None:
    """Messages of proxies and of the maintenance page are read, and do not make a BusinessError."""
    error = answer(status, body)
    assert (type(error), error.message) == (type(answer(status)), message)


@pytest.mark.parametrize("number", ["-1", True, 1.5, None, [1], {"a": 1}])
def test_numbers_that_are_none(number: object) -> None:
    """An error number that is not a whole number is left out."""
    assert answer(500, {**PROFIT, "errorNumber": number}).error_number is None


def test_a_log_reference_alone() -> None:
    """A log reference proves that Profit itself responded, also without a message."""
    error = answer(500, {"profitLogReference": "AB"})
    assert (type(error), error.log_reference) == (errors.BusinessError, "AB")


# --- the obsolete header ---


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b64("Niet geldig: één €".encode()), "Niet geldig: één €"),
        (b64("Niet geldig: één".encode("utf-8-sig")), "Niet geldig: één"),
        (b64("Niet geldig: één".encode("utf-16")), "Niet geldig: één"),
        (b64("Niet geldig: één €".encode("cp1252")), "Niet geldig: één €"),
        (f"  {b64(b'text')} ", "text"),
        ("not base64 at all!", "not base64 at all!"),
        ("TmlldA", "TmlldA"),
        ("één", "één"),
        (b64(b"\xff\xfea"), "\ufffd"),
        (b64(b"\x81\x8d"), "\ufffd\ufffd"),
        (b64(b"a\x1b[2Jb"), "a\\u001b[2Jb"),
    ],
)
def test_header_message(header: str, message: str) -> None:
    """The header is base64 of UTF-8. In practice it has other encodings, or none: the text is kept all the same."""
    error = answer(500, x_profit_error=header)
    assert (type(error), error.message) == (errors.BusinessError, message)


def test_body_speaks_before_header() -> None:
    """The message in the body counts; the header is used where the body has no message."""
    header = b64(b"old")
    assert answer(500, PROFIT, x_profit_error=header).message == PROFIT["externalMessage"]
    assert answer(500, {"errorNumber": 5}, x_profit_error=header).message == "old"
    assert answer(500, {"message": "proxy"}, x_profit_error=header).message == "old"
    assert answer(500, b"<html>", x_profit_error=header).message == "old"
    assert answer(500, b"", x_profit_error="").message == "the service gave no message"


def test_a_long_header() -> None:
    """A header of 60 kB is read and its message cut."""
    error = answer(500, x_profit_error=b64(b"x" * 45_000))
    assert error.message == "x" * (MESSAGE_LIMIT - 3) + "..."


# --- retry after ---

DATE = "Wed, 21 Oct 2026 07:28:00 GMT"


@each_case("status", [429, 503])
@each_case(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("1", 1.0),
        (" 120 ", 120.0),
        ("7200", 7200.0),
        ("1000000000", 1e9),
        ("Wed, 21 Oct 2026 07:30:00 GMT", 120.0),
        ("Wed, 21 Oct 2026 09:30:00 +0200", 120.0),
        ("Wed, 21 Oct 2026 07:00:00 GMT", 0.0),
        ("", None),
        ("-5", None),
        ("1e9", None),
        ("1.5.2", None),
        ("soon", None),
        ("\u0663", None),
        ("Wed, 32 Oct 2026 07:30:00 GMT", None),
        ("9" * 400, None),
    ],
)
def test_retry_after_header(status: int, header: str, seconds: float | None) -> None:
    """Seconds, or a date measured by the server's own clock; any other value counts as absent."""
    assert answer(status, retry_after=header, date=DATE).retry_after == seconds


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", b""),
        ("Mon, 01 Jan 2026 00:00:00 +99999999999999999999", b""),
        ("", b'{"retry_after":1' + b"0" * 400 + b"}"),
    ],
)
def test_retry_after_beyond_all_numbers(header: str, body: bytes) -> None:
    """An absurd number raises no exception of its own."""
    assert type(answer(503, body, retry_after=header, date=DATE)) is errors.UnavailableError


@pytest.mark.parametrize("date", ["", "yesterday"])
def test_retry_after_date_without_the_servers_clock(date: str) -> None:
    """Without the server's date, its moment says nothing about how long to wait."""
    assert answer(503, retry_after="Wed, 21 Oct 2026 07:30:00 GMT", date=date).retry_after is None


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        (7200, 7200.0),
        (1, 1.0),
        (0, 0.0),
        (2.5, 2.5),
        (1_000_000_000, 1e9),
        (-1, None),
        ("x", None),
        (None, None),
        (True, None),
        ([], None),
    ],
)
def test_retry_after_in_the_body(stated: object, seconds: float | None) -> None:
    """The maintenance page states the wait in its body, as a number of seconds."""
    body = {"error": {"code": "503", "message": "Maintenance"}, "retry_after": stated}
    error = answer(503, body)
    assert (error.retry_after, error.message) == (seconds, "Maintenance")


def test_header_before_body() -> None:
    """The header overrules the body. An unreadable header leaves it to the body."""
    assert answer(503, {"retry_after": 7200}, retry_after="60").retry_after == 60.0
    assert answer(503, {"retry_after": 7200}, retry_after="-5").retry_after == 7200.0


# --- text of a server ---


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain é € 😀", "plain é € 😀"),
        ("a\x00b\x1bc\x7fd", "a\\u0000b\\u001bc\\u007fd"),
        ("a\nb\rc\td", "a\\u000ab\\u000dc\\u0009d"),
        ("a\x85b\x9bc", "a\\u0085b\\u009bc"),
        ("a\u202eb\u2066c\u200ed", "a\\u202eb\\u2066c\\u200ed"),
        ("a\u2028b\u2029c\ufeffd", "a\\u2028b\\u2029c\\ufeffd"),
        ("  a  \r\n", "a"),
        ("", ""),
    ],
)
def test_clean(text: str, safe: str) -> None:
    """Control characters, and those that reorder or break lines, are escaped instead of sent on."""
    assert clean(text) == safe


@pytest.mark.parametrize("text", ["a\u061cb", "a\udce9b"])
def test_clean_all(text: str) -> None:
    """Every character that reorders text is escaped, and the result can be written to a log."""
    safe = clean(text)
    assert safe.encode("utf-8").isascii()


@pytest.mark.parametrize("length", [1_999, 2_000, 2_001, by_default(100_000, 1_000_000)])
@pytest.mark.parametrize("character", ["x", "\x1b", "é"])
def test_length(length: int, character: str) -> None:
    """A message has 2,000 characters at most, escapes included, and shows that it was cut."""
    message = answer(500, {"externalMessage": "a" + character * (length - 2) + "b"}).message
    assert len(message) <= 2_000
    assert message.endswith("b" if length <= 2_000 and character != "\x1b" else "...")


# --- by what AFAS finds a call ---


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, ""),
        ({"x-trace-identifier": "T"}, "T"),
        ({"x-request-id": "R"}, "R"),
        ({"x-trace-identifier": "T", "x-request-id": "R"}, "T"),
        ({"x-trace-identifier": " ", "x-request-id": " R "}, "R"),
        ({"x-trace-identifier": "\x1b[31m\u202eT"}, "\\u001b[31m\\u202eT"),
        ({"x-trace-identifier": "T" * 101}, "T" * 100),
        ({"x-trace-identifier": "\udcff" * 5_000}, ("\\udcff" * 17)[:100]),
    ],
)
def test_trace(headers: dict[str, str], found: str) -> None:
    """AFAS's own header overrules that of a proxy; it is bounded, and steers no terminal."""
    assert trace_of(headers) == found
    for make in (error_for, token_error_for):
        for status in (400, 401, 500, 503):
            assert make(status, headers, b"", connector="Profit_Article").trace_id == found


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_an_error_in_plain_text(status: int) -> None:
    """Its text is kept, cut at a limit, without characters that steer a terminal; a page of HTML is not kept."""
    body = b"Request blocked by gateway, reference 18.5f6a \x1b[31m" + b"x" * 9_000
    error = error_for(status, {"Content-Type": "text/plain; charset=utf-8"}, body, connector="X")
    assert "reference 18.5f6a" in str(error)
    assert "\x1b" not in str(error)
    assert len(str(error)) < 2_500
    assert "gateway" not in str(error_for(status, {"Content-Type": "text/html"}, body, connector="X"))
