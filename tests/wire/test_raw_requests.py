"""Requests to any path: below the base URL, whatever is tried."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from afas_async.errors import QueryTooLongError, UsageError
from afas_async.wire.raw_requests import raw_request
from tests.support.each_case import each_case
from tests.support.thoroughness import examples

BASE = "https://12345.rest.afas.online/profitrestservices"
ESCAPES = [
    "", "/", "//", "///x", "//evil.example/x", "x//y", "x/", ".", "..", "../x", "x/..", "x/../y", "x/./y", "./x",
    "x/.../y", "x/.. /y", "x/. ./y", "x/ /y", "..;/x", "x/..;a=b/y", "x/;/y", "..\\x", "x\\..\\y", "\\\\evil\\x",
    "%2e%2e/x", "x/%2E%2E/y", "x%2f..%2fy", "%252e%252e/x", "x/%c0%ae%c0%ae/y", "x?y=z", "x#y", "x?", "#", "x y\n",
    "x\0y", "x\r\nHost: evil", "x\ty", "x\x7fy", "x\x85y", "\ud800", "https://evil.example/x", "http:/x", "https:x",
    "HTTPS://evil", "javascript:x", "file:///etc/passwd", "@evil.example:x/../..",
]  # fmt: skip


def url(path: str) -> str:
    return f"{BASE}/{raw_request('GET', path).path}"


@each_case("path", ESCAPES)
def test_ways_out(path: str) -> None:
    """A path that leads elsewhere, or might on its way, is refused before anything is sent."""
    with pytest.raises(UsageError):
        raw_request("GET", path)


@examples(1_000, 100)
@given(
    st.lists(st.sampled_from([*"./\\%?#@:;, ~a2eE\u2025\uff0e\n", "..", "%2e", "//", "http"]), max_size=12).map("".join)
)
def test_no_way_out(path: str) -> None:
    """An accepted path stays below the base URL, also for a parser of URLs, and unquotes to the given path."""
    try:
        found = url(path)
    except UsageError:
        return
    assert found.startswith(f"{BASE}/")
    parsed = URL(found)  # which resolves dots, where `encoded` would not
    assert str(parsed).startswith(f"{BASE}/")
    assert (parsed.host, parsed.query_string, parsed.fragment) == ("12345.rest.afas.online", "", "")
    assert unquote(found.removeprefix(f"{BASE}/")) == path.removeprefix("/")


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("metainfo", "metainfo"),
        ("/metainfo", "metainfo"),
        ("bi/Model/v2", "bi/Model/v2"),
        ("connectors/FiEntries/FiEntryPar/@UnId,JoCo/1,73", "connectors/FiEntries/FiEntryPar/@UnId,JoCo/1,73"),
        ("a b/caf\u00e9 & +", "a%20b/caf%C3%A9%20%26%20%2B"),
        ("x/..y/z..", "x/..y/z.."),
        ("x/a:b", "x/a:b"),
    ],
)
def test_paths(path: str, sent: str) -> None:
    """A path is plain text, and escaped once."""
    assert raw_request("GET", path).path == sent


def test_what_a_raw_request_is_called() -> None:
    """Errors, events and logs name it by its path, without the values of a key in it."""
    request = raw_request("DELETE", "/connectors/KnSubject/KnSubject/@SbId/7")
    assert (request.path, request.connector) == (
        "connectors/KnSubject/KnSubject/@SbId/7",
        "connectors/KnSubject/KnSubject/@SbId/...",
    )


def test_parameters() -> None:
    """Names and values are plain text too."""
    request = raw_request(
        "GET", "x", params={"a b": "c&d=e", "n": 5, "t": True, "f": False, "d": Decimal("1.50"), "e": ""}
    )
    assert request.query == "a%20b=c%26d%3De&n=5&t=true&f=false&d=1.50&e="
    with pytest.raises(QueryTooLongError):
        raw_request("GET", "x", params={"a": "x" * 2_100})


@pytest.mark.parametrize("params", [{"": "x"}, {"a": "x\r\ny"}, {"a\0": "x"}, {"a": None}, {"a": 1.5}, {"a": ["x"]}])
def test_parameters_that_are_none(params: Any) -> None:
    """A value without a plain spelling is refused."""
    with pytest.raises(UsageError):
        raw_request("GET", "x", params=params)


def test_bodies() -> None:
    """JSON in UTF-8, decimals as numbers. Null is a body; a request without a body sends none."""
    assert raw_request("POST", "x", json={"a": ["\u20ac", Decimal("1.50"), None, True]}).body == (
        '{"a":["\u20ac",1.50,null,true]}'.encode()
    )
    assert raw_request("PUT", "x", json=None).body == b"null"
    assert raw_request("DELETE", "x").body == b""
    with pytest.raises(UsageError):
        raw_request("GET", "x", json={})
    for bad in (object(), "\ud800", {1j: 2}):
        with pytest.raises(UsageError):
            raw_request("POST", "x", json=bad)


@pytest.mark.parametrize("method", ["get", "HEAD", "CONNECT", "TRACE", "GET /x HTTP/1.1\r\n", ""])
def test_methods(method: Any) -> None:
    """Only methods that the service could have."""
    with pytest.raises(UsageError):
        raw_request(method, "x")


@each_case(
    "name",
    [
        "Authorization", "authorization", "AUTHORIZATION", "Host", "content-length", "Transfer-Encoding", "connection",
        "Accept-Language", "IntegrationId", "integrationid", "Content-Type", "Accept-Encoding", "User-Agent", "Cookie",
        "Proxy-Authorization", "Expect", "Upgrade", "TE", "X:Y", "X Y", "X\r\nY", "", "X\u20ac", "X_Y",
    ],
)  # fmt: skip
def test_headers_that_are_not_the_callers(name: str) -> None:
    """Headers of the client or the connection are refused, and so are invalid names."""
    with pytest.raises(UsageError):
        raw_request("GET", "x", headers={name: "y"})


def test_headers() -> None:
    """Other headers are sent in one spelling, so that none is sent twice; no value can start another line."""
    assert raw_request("GET", "x", headers={"x-new": "a b", "accept": "text/plain"}).headers == (
        ("X-New", "a b"), ("Accept", "text/plain")
    )  # fmt: skip
    for bad in ("a\r\nb", "a\nb", "\0", "\u20ac", "x" * 3_000):
        with pytest.raises(UsageError):
            raw_request("GET", "x", headers={"X-New": bad})
