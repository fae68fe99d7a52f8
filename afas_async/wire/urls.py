"""Requests for GetConnectors: path and query, escaped once, within the service's length limit."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from afas_async.errors import QueryTooLongError, UsageError
from afas_async.names import connector_name, field_id

# AFAS (REST API for developers; GET connector): 2,048 characters; a longer query string is answered with 404.
QUERY_LIMIT = 2_048


class Request(msgspec.Struct, frozen=True):
    """One request, without the base URL and without any header that is a secret.

    Args:
        method: The HTTP method.
        path: The path below the base URL, already percent-encoded, without a leading slash.
        query: The query string, already percent-encoded, without the question mark.
        connector: The connector or path as errors, events and logs name it.
    """

    method: str
    path: str
    query: str
    connector: str

    def redacted(self) -> str:
        """Return method, path and the names of the parameters: their values may be personal data."""
        names = "&".join(f"{pair.partition('=')[0]}=..." for pair in self.query.split("&") if pair)
        return f"{self.method} {self.path}" + (f"?{names}" if names else "")


def rows_request(connector: str, *, skip: int, take: int, order_by: Sequence[str] = ()) -> Request:
    """Return the request for rows `skip` up to `skip + take` of a GetConnector.

    Args:
        connector: The connector's name.
        skip: How many rows to leave out, or -1 together with a `take` of -1 for everything in one answer.
        take: How many rows to answer at most.
        order_by: Field ids, each with a leading `-` for descending order. AFAS (GET connector): without an order,
            the database picks one that may differ from call to call.

    Raises:
        InvalidNameError: If a name may not enter a URL.
        UsageError: If `skip` or `take` would be answered with something else than what was asked.
        QueryTooLongError: If the query string exceeds 2,048 characters.
    """
    # A take of 0 was answered with one row, and other negative numbers with an error or with skip 0.
    if not ((skip >= 0 and take >= 1) or (skip == -1 and take == -1)):
        raise UsageError(f"{connector}: skip must be 0 or more and take 1 or more, not skip={skip} and take={take}")
    pairs = [("skip", str(skip)), ("take", str(take))]
    if order_by:
        pairs.append(("orderbyfieldids", ",".join(sort_field(field) for field in order_by)))
    return Request(
        "GET", f"connectors/{quote(connector_name(connector), safe='')}", _query(connector, pairs), connector
    )


def metainfo_request(connector: str) -> Request:
    """Return the request for the description of a GetConnector (AFAS, metainfo)."""
    return Request("GET", f"metainfo/get/{quote(connector_name(connector), safe='')}", "", connector)


def sort_field(field: str) -> str:
    """Return a field of a sort order, `Field` or `-Field`, if it may enter a URL, else raise InvalidNameError."""
    descending = field.startswith("-")
    return ("-" if descending else "") + field_id(field.removeprefix("-"))


def _query(connector: str, pairs: Sequence[tuple[str, str]]) -> str:
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs)
    if len(query) > QUERY_LIMIT:
        raise QueryTooLongError(
            f"{connector}: the query string has {len(query)} characters, and the service accepts {QUERY_LIMIT}:"
            " ask for fewer fields",
            length=len(query),
            limit=QUERY_LIMIT,
        )
    return query
