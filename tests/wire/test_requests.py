"""Requests: exact paths and query strings, and names that cannot change where they go."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from afas_async.errors import InvalidNameError, QueryTooLongError, UsageError
from afas_async.wire.metainfo_requests import metainfo_request, update_metainfo_request
from afas_async.wire.requests import QUERY_LIMIT, Request, query_string, without_values
from afas_async.wire.row_requests import rows_request, sort_field
from tests.support.each_case import each_case


@pytest.mark.parametrize(
    ("skip", "take", "order_by", "query"),
    [
        (0, 100, (), "skip=0&take=100"),
        (100, 1, (), "skip=100&take=1"),
        (-1, -1, (), "skip=-1&take=-1"),
        (0, 20, ("ItemCode",), "skip=0&take=20&orderbyfieldids=ItemCode"),
        (0, 20, ("-Price", "ItemCode"), "skip=0&take=20&orderbyfieldids=-Price%2CItemCode"),
        (99_999, 150_000, ("A_1",), "skip=99999&take=150000&orderbyfieldids=A_1"),
    ],
)
def test_queries(skip: int, take: int, order_by: tuple[str, ...], query: str) -> None:
    """Skip, take and sort order are written as documented, the comma escaped once."""
    request = rows_request("Profit_Article", skip=skip, take=take, order_by=order_by)
    assert request == Request("GET", "connectors/Profit_Article", query, "Profit_Article")


@pytest.mark.parametrize("name", ["Profit_Article", "profit.article", "A-b", "_x", "9", "x" * 128, "a..b"])
def test_paths(name: str) -> None:
    """A permitted name stands in the path as it is."""
    assert rows_request(name, skip=0, take=1).path == f"connectors/{name}"
    assert metainfo_request(name) == Request("GET", f"metainfo/get/{name}", "", name)
    assert update_metainfo_request(name) == Request("GET", f"metainfo/update/{name}", "", name)


def test_values_come_back_as_they_were() -> None:
    """A server that reads a query as a form, with a plus sign for a blank, reads each value unchanged."""
    texts = ["a+b", "+", "a b", " ", "50%", "%2B", "a&b=c", "a#b", "a?b", "a/b", "a,b;c", "\u20ac", '"', ":@", "a\tb\n"]
    for text in texts:
        for name in ("filtervalues", "filterjson"):
            query = query_string("X", [("skip", "0"), (name, text), ("take", "1")])
            read = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
            assert read == [("skip", "0"), (name, text), ("take", "1")]


@pytest.mark.parametrize(("skip", "take"), [(0, 0), (-1, 0), (-1, 1), (-1, 100), (0, -1), (2, -1), (-2, -1), (-2, 5)])
def test_skip_and_take(skip: int, take: int) -> None:
    """Values for which the service would return something else than requested are refused before they are sent."""
    with pytest.raises(UsageError):
        rows_request("Profit_Article", skip=skip, take=take)


def long_request(length: int) -> Request:
    """Return a request whose query string has that many characters."""
    for last in range(1, 41):
        names = ["A" * 10] * 153 + ["B" * last]
        query = len("skip=0&take=1&orderbyfieldids=") + sum(map(len, names)) + 3 * (len(names) - 1)
        if query == length:
            return rows_request("Profit_Article", skip=0, take=1, order_by=names)
    raise AssertionError(length)


def test_length_limit() -> None:
    """A query string of 2,048 characters is sent, one more is refused, with the numbers."""
    assert QUERY_LIMIT == 2_048
    assert len(long_request(2_048).query) == 2_048
    with pytest.raises(QueryTooLongError) as caught:
        long_request(2_049)
    assert (caught.value.length, caught.value.limit) == (2_049, 2_048)
    assert "2049" in str(caught.value)


BAD = [
    "",
    ".",
    "..",
    "...",
    ".a",
    "-a",
    "../metainfo",
    "a/b",
    "a\\b",
    "a?b",
    "a#b",
    "a&b",
    "a=b",
    "a b",
    "a%2fb",
    "%2e%2e",
    "a:b",
    "a;b",
    "a,b",
    "a\n",
    "a\r\n",
    "\na",
    "a\x00",
    "a\tb",
    "é.b",
    "a\u0661",
    "\uff41",
    "a\u200b",
    "x" * 129,
    "http://evil.example/",
    "//evil.example",
    "@evil.example",
]


@each_case("name", BAD)
def test_bad_connector_names(name: str) -> None:
    """A name that could change the target of the request is refused, and shown only in quotes."""
    for make in (
        lambda: rows_request(name, skip=0, take=1),
        lambda: metainfo_request(name),
        lambda: update_metainfo_request(name),
    ):
        with pytest.raises(InvalidNameError) as caught:
            make()
        assert repr(name) in str(caught.value)


@each_case("field", [*[name for name in BAD if name != "-a"], "a.b", "--a", "-", "-a\n", "x" * 65])
def test_bad_fields(field: str) -> None:
    """Field ids are letters, digits and `_`, with at most one `-` before them."""
    with pytest.raises(InvalidNameError):
        rows_request("Profit_Article", skip=0, take=1, order_by=["ItemCode", field])


@pytest.mark.parametrize("field", ["ItemCode", "-ItemCode", "U001", "_", "x" * 64, "-" + "x" * 64])
def test_sort_fields(field: str) -> None:
    """A field with or without a `-` comes back unchanged."""
    assert sort_field(field) == field


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", "GET connectors/X"),
        ("skip=0&take=20", "GET connectors/X?skip=...&take=..."),
        ("filtervalues=123456782&filterfieldids=Bsn", "GET connectors/X?filtervalues=...&filterfieldids=..."),
        ("a=123%3D456&b&", "GET connectors/X?a=...&b=..."),
        ("a=1=2", "GET connectors/X?a=..."),
    ],
)
def test_redacted(query: str, shown: str) -> None:
    """Logs show which parameters were sent, but not their values, which may be personal data."""
    assert Request("GET", "connectors/X", query, "X").redacted() == shown


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("connectors/X/X/@Id/geheim", "connectors/X/X/@Id/..."),
        ("connectors/X/X/@A,@B/geheim,1/Line/@C/geheim", "connectors/X/X/@A,@B/.../Line/@C/..."),
        ("connectors/X/X/@A,B/geheim", "connectors/X/X/@A,B/..."),
        ("@A/geheim/x", "@A/.../x"),
        ("fileconnector/geheim/geheim.pdf", "fileconnector/..."),
        ("ImageConnector/geheim", "ImageConnector/..."),
        ("subjectconnector/1/geheim", "subjectconnector/..."),
        ("reportconnector/A", "reportconnector/A"),
        ("connectors/fileconnector/x", "connectors/fileconnector/x"),
        ("", ""),
    ],
)
def test_paths_without_values(path: str, shown: str) -> None:
    """Logs do not show the values of a key, or the name of a requested file, either."""
    assert without_values(path) == shown
    assert repr(Request("DELETE", path, "", "X")) == f"Request(DELETE {shown})"
