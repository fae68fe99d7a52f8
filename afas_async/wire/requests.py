"""Requests: path and query, escaped once, within the service's length limit, and the body of those that write.

Every character that is left as it is makes room for values, so what RFC 3986 allows in a query (3.4) and no parameter
uses is not escaped: `:` of moments, `@` of the JSON form, and there also the comma, which separates in the other
parameters.
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

# AFAS (REST API for developers; GET connector): 2,048 characters; a longer query string is answered with 404.
QUERY_LIMIT = 2_048
TOKEN_PATH: Final = "oauth/token"  # noqa: S105 - no token, but where to get one
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.~-]*", re.ASCII)
# AFAS, UpdateConnector: a delete has the fields of a key in its path, `@` before the first, and then their values.
_VALUES: Final = re.compile(r"((?:\A|/)@[^/]*/)[^/]+|(\A(?:file|image|subject)connector/).+", re.IGNORECASE)
_UNRESERVED: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


class Request(OwnRepr, msgspec.Struct, frozen=True):
    """One request, without the base URL and without any header that is a secret.

    Args:
        method: The HTTP method.
        path: The path below the base URL, already percent-encoded, without a leading slash.
        query: The query string, already percent-encoded, without the question mark.
        connector: The connector or path as errors, events and logs name it.
        body: JSON in UTF-8, or empty.
        form: Whose form is the body in place of that, made when it is sent: so the secret in it stands nowhere.
        headers: Further headers, none of them a secret.
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
        """Whether the service changes something because of it; of tokens it gives as many as are asked for."""
        return self.method != "GET" and self.form is None

    def redacted(self) -> str:
        """Return method, path and the names of keys and parameters: their values may be personal data."""
        names = "&".join(f"{pair.partition('=')[0]}=..." for pair in self.query.split("&") if pair)
        return f"{self.method} {without_values(self.path)}" + (f"?{names}" if names else "")

    def __repr__(self) -> str:
        return f"Request({self.redacted()})"  # a traceback with its locals must show neither values nor bodies


def without_values(path: str) -> str:
    """Return a path without the values in it, as events and logs show it: keys, and the ids and names of files.

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
    """Return the length of the query string of names and values, which costs a quarter of making it."""
    return len(pairs) - 1 + sum(len(name) + 1 + _quoted_length(value, _safe(name)) for name, value in pairs)


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
