"""Requests to any path below the base URL, for calls that this library does not know."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Literal
from urllib.parse import quote

import msgspec

from afas_async.errors import UsageError
from afas_async.vocabulary.arguments import check_type
from afas_async.wire.requests import Request, query_string, without_values

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Parameter = str | int | bool | Decimal

_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
# The path is plain text and is escaped here. Refused are characters that could end it, be unescaped on the way or lead
# elsewhere. So are segments of dots, even with blanks or with parameters that some servers strip (`..;x`).
_UNSAFE_PATH: Final = re.compile(r"[%?#\\\x00-\x1f\x7f-\x9f\ud800-\udfff]|\A[A-Za-z][A-Za-z0-9+.\-]*:")
_UNSAFE_SEGMENT: Final = re.compile(r"[.\s]*(;.*)?")
_TEXT: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9\-]{1,64}", re.ASCII)
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]{0,2048}", re.ASCII)
# Headers that the client sends itself, and headers that would change the connection or the framing.
_OWN_HEADERS: Final = frozenset({
    "Accept-Encoding", "Accept-Language", "Authorization", "Connection", "Content-Encoding", "Content-Length",
    "Content-Type", "Cookie", "Expect", "Host", "Integrationid", "Keep-Alive", "Proxy-Authorization",
    "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent",
})  # fmt: skip
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


def raw_request(
    method: Method,
    path: str,
    *,
    params: Mapping[str, Parameter] | None = None,
    json: object = msgspec.UNSET,
    headers: Mapping[str, str] | None = None,
) -> Request:
    """Return a request to any path below the base URL.

    Args:
        method: The HTTP method.
        path: The path in plain text, not escaped, such as "connectors/Profit_Article"; a leading slash is dropped.
        params: The parameters of the query, not escaped.
        json: The value to send as JSON; nothing by default.
        headers: Further headers.

    Raises:
        UsageError: If the request could go elsewhere than it seems, or contradicts what the client sends itself.
        QueryTooLongError: If the query string exceeds 2,048 characters.
    """
    check_type("method", method, str, f"one of {', '.join(sorted(_METHODS))}")
    check_type("path", path, str, 'text such as "connectors/Profit_Article"')
    check_type("params", params, Mapping | None, "a dict of names and values")
    check_type("headers", headers, Mapping | None, "a dict of names and values")
    if method not in _METHODS:
        raise UsageError(f"unknown method {method!r}: use one of {', '.join(sorted(_METHODS))}")
    if method == "GET" and json is not msgspec.UNSET:
        raise UsageError(f"{path!r}: a GET has no body: use `params` instead of `json`")
    segments = path.removeprefix("/").split("/")
    if _UNSAFE_PATH.search(path) or any(map(_UNSAFE_SEGMENT.fullmatch, segments)):
        raise UsageError(
            f"{path!r} is not a path below the base URL: give plain text such as connectors/Profit_Article, without a"
            " host, escapes, `.` or `..` or empty segments, and the query as `params`"
        )
    name = without_values(path.removeprefix("/"))
    return Request(
        method,
        "/".join(quote(segment, safe="@,:") for segment in segments),
        query_string(name, [_pair(key, value) for key, value in (params or {}).items()]),
        name,
        b"" if json is msgspec.UNSET else _body(name, json),
        headers=tuple(_header(key, value) for key, value in (headers or {}).items()),
    )


def _pair(name: str, value: Parameter) -> tuple[str, str]:
    check_type("params", name, str, "names as text")
    check_type(f"params[{name!r}]", value, str | int | bool | Decimal, "str, int, bool or Decimal")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if not _TEXT.fullmatch(name) or (text and not _TEXT.fullmatch(text)):
        raise UsageError(f"{name!r}: a parameter must have a name, and no control characters")
    return quote(name, safe=""), text


def _header(name: str, value: str) -> tuple[str, str]:
    check_type("headers", name, str, "names as text")
    check_type(f"headers[{name!r}]", value, str, "str")
    spelled = name.title()  # one spelling, so that it replaces the client's own header
    if spelled in _OWN_HEADERS or not (_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
        raise UsageError(
            f"{name!r} cannot be set here: headers hold ASCII text, and the client itself sends Authorization,"
            " Accept-Language, Content-Type, IntegrationId and the headers of the connection"
        )
    return spelled, value


def _body(name: str, json: object) -> bytes:
    try:
        return _ENCODER.encode(json)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        reason = type(error).__name__
    raise UsageError(f"{name}: `json` cannot be written as JSON ({reason})")
