"""Requests: path and query, escaped once and within the service's length limit, and the body of those that write.

Every character that needs no escape leaves more characters for values. So characters that RFC 3986 allows in a query
(3.4) and no parameter uses are not escaped: `:` of moments, `@` of the JSON form, and in that form also the comma,
which is a separator in the other parameters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

import msgspec

from afas_async.errors import QueryTooLongError
from afas_async.vocabulary.credentials import ClientCredentials
from afas_async.vocabulary.hiding import OwnRepr
from afas_async.wire.filter_parameters import JSON_FORM

# AFAS (REST API for developers; GET connector): 2,048 characters; the service answers longer query strings with 404.
QUERY_LIMIT = 2_048
TOKEN_PATH: Final = "oauth/token"  # noqa: S105 - a path, not a token
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.~-]*", re.ASCII)
# AFAS, UpdateConnector: the path of a delete has the fields of a key, `@` before the first, and then their values.
_VALUES: Final = re.compile(r"((?:\A|/)@[^/]*/)[^/]+|(\A(?:file|image|subject)connector/).+", re.IGNORECASE)
_UNRESERVED: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


class Request(OwnRepr, msgspec.Struct, frozen=True):
    """One request, without the base URL and without any secret header.

    Args:
        method: The HTTP method.
        path: The path below the base URL, already percent-encoded, without a leading slash.
        query: The query string, already percent-encoded, without the question mark.
        connector: The connector or path as errors, events and logs name it.
        body: JSON in UTF-8, or empty.
        form: The credentials whose form is the body instead. It is made when it is sent, so that its secret is stored
            nowhere.
        headers: Further headers, without secrets.
    """

    method: str
    path: str
    query: str
    connector: str
    body: bytes = b""
    form: ClientCredentials | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def writes(self) -> bool:
        """Whether the service changes something because of it. A token request does not: it may be repeated."""
        return self.method != "GET" and self.form is None

    def redacted(self) -> str:
        """Return method, path and the names of keys and parameters; their values may be personal data."""
        names = "&".join(f"{pair.partition('=')[0]}=..." for pair in self.query.split("&") if pair)
        return f"{self.method} {without_values(self.path)}" + (f"?{names}" if names else "")

    def __repr__(self) -> str:
        return f"Request({self.redacted()})"  # a traceback with its local variables must show neither values nor bodies


def without_values(path: str) -> str:
    """Return a path for events and logs, without the values of keys and without the ids and names of files.

    Example:
        >>> without_values("connectors/KnPerson/KnPerson/@BcCo/123456782")
        'connectors/KnPerson/KnPerson/@BcCo/...'
    """
    return _VALUES.sub(r"\1\2...", path)


def token_request(credentials: ClientCredentials) -> Request:
    """Return the request for an access token (AFAS, Authentication)."""
    headers = (("Content-Type", "application/x-www-form-urlencoded"),)
    return Request("POST", TOKEN_PATH, "", TOKEN_PATH, form=credentials, headers=headers)


def _safe(name: str) -> str:
    return ":@," if name == JSON_FORM else ":@"


def query_length(pairs: Sequence[tuple[str, str]]) -> int:
    """Return the length of the query string of names and values, in a quarter of the time of making it."""
    return len(pairs) - 1 + sum(len(name) + 1 + _quoted_length(value, _safe(name)) for name, value in pairs)


def _quoted_length(value: str, safe: str) -> int:
    encoded = value.encode()
    return len(encoded) + 2 * len(encoded.translate(None, (_UNRESERVED + safe).encode()))


def query_string(connector: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Return names and values as a query string; raise QueryTooLongError if it is too long for the service."""
    # Most values need no escape, and this check takes a tenth of the time of escaping.
    query = "&".join([
        f"{name}={value if _PLAIN.fullmatch(value) else quote(value, safe=_safe(name))}" for name, value in pairs
    ])
    if len(query) > QUERY_LIMIT:
        raise QueryTooLongError(
            f"{connector}: the query string has {len(query)} characters, but the service accepts {QUERY_LIMIT}:"
            " shorten the condition or the order",
            length=len(query),
            limit=QUERY_LIMIT,
        )
    return query
