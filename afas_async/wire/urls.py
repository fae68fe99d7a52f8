"""Requests: path and query, escaped once, within the service's length limit, and the body of those that write.

Every character that is left as it is makes room for values, so what RFC 3986 allows in a query (3.4) and no parameter
uses is not escaped: `:` of moments, `@` of the JSON form, and there also the comma, which separates in the other
parameters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Any, Final, Literal
from urllib.parse import quote

import msgspec

from afas_async.credentials import ClientCredentials
from afas_async.errors import InvalidElementError, QueryTooLongError, UsageError
from afas_async.filters import Group
from afas_async.names import connector_name, field_id
from afas_async.wire.filtering import JSON_FORM, filter_pairs

# AFAS (REST API for developers; GET connector): 2,048 characters; a longer query string is answered with 404.
QUERY_LIMIT = 2_048
TOKEN_PATH: Final = "oauth/token"  # noqa: S105 - no token, but where to get one
EVERY_ROW: Final[tuple[Group, ...]] = ((),)
_UNSAFE_KEY: Final = re.compile(r"[/\\%?#&:*<>+,\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.~-]*", re.ASCII)
_UNRESERVED: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


class Request(msgspec.Struct, frozen=True):
    """One request, without the base URL and without any header that is a secret.

    Args:
        method: The HTTP method.
        path: The path below the base URL, already percent-encoded, without a leading slash.
        query: The query string, already percent-encoded, without the question mark.
        connector: The connector or path as errors, events and logs name it.
        body: JSON in UTF-8, or empty.
        form: Whose form is the body in place of that, made when it is sent: so the secret in it stands nowhere.
        headers: Further headers, none of them a secret.
        shown: The path as events show it, where a part of it may be personal data.
    """

    method: str
    path: str
    query: str
    connector: str
    body: bytes = b""
    form: ClientCredentials | None = None
    headers: tuple[tuple[str, str], ...] = ()
    shown: str = ""

    @property
    def writes(self) -> bool:
        """Whether the service changes something because of it; of tokens it gives as many as are asked for."""
        return self.method != "GET" and self.form is None

    def redacted(self) -> str:
        """Return method, path and the names of the parameters: their values may be personal data."""
        names = "&".join(f"{pair.partition('=')[0]}=..." for pair in self.query.split("&") if pair)
        return f"{self.method} {self.shown or self.path}" + (f"?{names}" if names else "")

    def __repr__(self) -> str:
        return f"Request({self.redacted()})"  # a traceback with its locals must show neither values nor bodies


def rows_request(
    connector: str, *, skip: int, take: int, order_by: Sequence[str] = (), where: Sequence[Group] = EVERY_ROW
) -> Request:
    """Return the request for rows `skip` up to `skip + take` of a GetConnector.

    Args:
        connector: The connector's name.
        skip: How many rows to leave out, or -1 together with a `take` of -1 for everything in one answer.
        take: How many rows to answer at most.
        order_by: Field ids, each with a leading `-` for descending order. AFAS (GET connector): without an order,
            the database picks one that may differ from call to call.
        where: The groups of tests of which a row must meet one, as `Condition.groups()` returns them.

    Raises:
        InvalidNameError: If a name may not enter a URL.
        InvalidFilterError: If `where` has no group: no row can meet that, and no request says so.
        UsageError: If `skip` or `take` would be answered with something else than what was asked.
        QueryTooLongError: If the query string exceeds 2,048 characters.
    """
    # A take of 0 was answered with one row, and other negative numbers with an error or with skip 0.
    if not ((skip >= 0 and take >= 1) or (skip == -1 and take == -1)):
        raise UsageError(f"{connector}: skip must be 0 or more and take 1 or more, not skip={skip} and take={take}")
    pairs = _row_pairs(skip, take, order_by, where)
    return Request("GET", _connector_path(connector), query_string(connector, pairs), connector)


@lru_cache(maxsize=1_024)
def _connector_path(connector: str) -> str:
    return f"connectors/{quote(connector_name(connector), safe='')}"


def rows_query_length(*, skip: int, take: int, order_by: Sequence[str] = (), where: Sequence[Group] = EVERY_ROW) -> int:
    """Return the length of the query string that `rows_request` would make, also of one that is too long to be sent.

    It costs a quarter of making it, so that many can be tried.
    """
    pairs = _row_pairs(skip, take, order_by, where)
    return len(pairs) - 1 + sum(len(name) + 1 + _quoted_length(value, _safe(name)) for name, value in pairs)


def list_request() -> Request:
    """Return the request for the connectors that a token may use (AFAS, metainfo)."""
    return Request("GET", "metainfo", "", "metainfo")


def metainfo_request(connector: str) -> Request:
    """Return the request for the description of a GetConnector (AFAS, metainfo)."""
    return Request("GET", f"metainfo/get/{quote(connector_name(connector), safe='')}", "", connector)


def update_metainfo_request(connector: str) -> Request:
    """Return the request for the description of an UpdateConnector (AFAS, metainfo)."""
    return Request("GET", f"metainfo/update/{quote(connector_name(connector), safe='')}", "", connector)


def token_request(credentials: ClientCredentials) -> Request:
    """Return the request for an access token (AFAS, Authentication)."""
    headers = (("Content-Type", "application/x-www-form-urlencoded"),)
    return Request("POST", TOKEN_PATH, "", TOKEN_PATH, form=credentials, headers=headers)


def write_request(
    method: Literal["POST", "PUT"], connector: str, body: bytes = b"", *, sub: str | None = None
) -> Request:
    """Return the request that inserts (POST) or updates (PUT) the elements in a body (AFAS, UpdateConnector).

    Args:
        method: The HTTP method.
        connector: The connector's name.
        body: The elements.
        sub: The object to insert or update within an element that is there. AFAS knows one such level.

    Raises:
        InvalidNameError: If a name may not enter a URL.
    """
    names = (connector,) if sub is None else (connector, sub)
    path = "/".join(quote(connector_name(name), safe="") for name in names)
    return Request(method, f"connectors/{path}", "", connector, body)


def delete_request(connector: str, *elements: tuple[str, Mapping[str, Any]]) -> Request:
    """Return the request that deletes an element, or the line of an object in it.

    Args:
        connector: The connector's name.
        elements: The element's name and key, and for a line also the object's; values are text, numbers or days.

    Raises:
        InvalidNameError: If a name may not enter a URL.
        InvalidElementError: If a key is missing, or a value may not enter a URL: there is no escape for `,` (AFAS), and
            web servers refuse or reinterpret others.
    """
    parts = [quote(connector_name(connector), safe="")]
    for name, key in elements:
        if not key:
            raise InvalidElementError(f"{connector}: nothing is deleted without the key of {name}")
        fields = ",".join(f"@{field_id(field)}" for field in key)
        values = ",".join(_key_text(value, f"{connector}: {field}") for field, value in key.items())
        parts += [quote(connector_name(name), safe=""), fields, values]
    return Request("DELETE", "connectors/" + "/".join(parts), "", connector)


def _key_text(value: object, place: str) -> str:
    if isinstance(value, Enum):
        value = value.value
    text = value.isoformat() if type(value) is date else str(value)
    if not isinstance(value, (str, int, Decimal, date)) or isinstance(value, (bool, datetime)):
        raise InvalidElementError(f"{place}: the key in a URL cannot be a {type(value).__name__}")
    if not text or text in {".", ".."} or _UNSAFE_KEY.search(text):
        raise InvalidElementError(
            f"{place}: {text!r} cannot stand in a URL, where `/ \\ % ? # & : * < > + ,` and control characters have"
            ' another meaning: delete it by an update with Element(..., action="delete")'
        )
    return quote(text, safe="")


def sort_field(field: str) -> str:
    """Return a field of a sort order, `Field` or `-Field`, if it may enter a URL, else raise InvalidNameError."""
    descending = field.startswith("-")
    return ("-" if descending else "") + field_id(field.removeprefix("-"))


def _row_pairs(skip: int, take: int, order_by: Sequence[str], where: Sequence[Group]) -> list[tuple[str, str]]:
    pairs = [("skip", str(skip)), ("take", str(take))]
    if order_by:
        pairs.append(("orderbyfieldids", _order_text(tuple(order_by))))
    return pairs + filter_pairs(where)


@lru_cache(maxsize=1_024)
def _order_text(order_by: tuple[str, ...]) -> str:
    return ",".join(map(sort_field, order_by))


def _safe(name: str) -> str:
    return ":@," if name == JSON_FORM else ":@"


def _quoted_length(value: str, safe: str) -> int:
    encoded = value.encode()
    return len(encoded) + 2 * len(encoded.translate(None, (_UNRESERVED + safe).encode()))


def query_string(connector: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Return names and values as a query string; raise QueryTooLongError if the service would answer it with 404."""
    # Most values need no escape, and to find that out takes a tenth of the time of escaping.
    query = "&".join([
        f"{name}={value if _PLAIN.fullmatch(value) else quote(value, safe=_safe(name))}" for name, value in pairs
    ])
    if len(query) > QUERY_LIMIT:
        raise QueryTooLongError(
            f"{connector}: the query string has {len(query)} characters, and the service accepts {QUERY_LIMIT}:"
            " shorten the condition or the order",
            length=len(query),
            limit=QUERY_LIMIT,
        )
    return query
