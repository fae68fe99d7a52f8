"""Requests for rows of a GetConnector."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from afas_async.errors import InvalidNameError, UsageError
from afas_async.vocabulary.arguments import check_type
from afas_async.vocabulary.filters import Group
from afas_async.vocabulary.names import connector_name, field_id
from afas_async.wire.filter_parameters import filter_pairs
from afas_async.wire.requests import Request, query_length, query_string

EVERY_ROW: Final[tuple[Group, ...]] = ((),)


def rows_request(
    connector: str,
    *,
    skip: int,
    take: int,
    order_by: Sequence[str] = (),
    where: Sequence[Group] = EVERY_ROW,
    listed: bool = False,
) -> Request:
    """Return the request for rows `skip` up to `skip + take` of a GetConnector.

    Args:
        connector: The connector's name.
        skip: How many rows to leave out, or -1 together with a `take` of -1 for everything in one response.
        take: How many rows to return at most.
        order_by: Field ids, each with a leading `-` for descending order. Without an order, the database picks one that
            may differ from call to call (AFAS, GET connector).
        where: The groups of tests of which a row must meet one, as `Condition.groups()` returns them.
        listed: Whether to write groups of one test each as a list, which is short.

    Raises:
        InvalidNameError: If a name may not enter a URL.
        InvalidFilterError: If `where` has no group: no row can meet that, and no request can express it.
        UsageError: If the service would treat `skip` or `take` as another number.
        QueryTooLongError: If the query string exceeds 2,048 characters.
    """
    # The service answered a take of 0 with one row, and other negative numbers with an error or as skip 0.
    if not ((skip >= 0 and take >= 1) or (skip == -1 and take == -1)):
        raise UsageError(f"{connector}: skip must be 0 or more and take 1 or more, not skip={skip} and take={take}")
    pairs = _row_pairs(skip, take, order_by, where, listed=listed)
    return Request("GET", _connector_path(connector), query_string(connector, pairs), connector)


def rows_query_length(
    *, skip: int, take: int, order_by: Sequence[str] = (), where: Sequence[Group] = EVERY_ROW, listed: bool = False
) -> int:
    """Return the length of the query string of `rows_request`, even if it is too long to be sent.

    It takes a quarter of the time of making it, so you can try many.
    """
    return query_length(_row_pairs(skip, take, order_by, where, listed=listed))


def sort_field(field: str) -> str:
    """Return a field of a sort order, `Field` or `-Field`; raise InvalidNameError if it may not enter a URL."""
    check_type("order_by", field, str, 'field ids such as "Price" or "-Price"')
    if field.lower().endswith((" asc", " desc")):
        raise InvalidNameError(f'order_by: {field!r} is not a field id: give "Price", or "-Price" for descending')
    descending = field.startswith("-")
    return ("-" if descending else "") + field_id(field.removeprefix("-"))


def _row_pairs(
    skip: int, take: int, order_by: Sequence[str], where: Sequence[Group], *, listed: bool
) -> list[tuple[str, str]]:
    pairs = [("skip", str(skip)), ("take", str(take))]
    if order_by:
        pairs.append(("orderbyfieldids", _order_text(tuple(order_by))))
    return pairs + filter_pairs(where, listed=listed)


@lru_cache(maxsize=1_024)
def _order_text(order_by: tuple[str, ...]) -> str:
    return ",".join(map(sort_field, order_by))


@lru_cache(maxsize=1_024)
def _connector_path(connector: str) -> str:
    return f"connectors/{quote(connector_name(connector), safe='')}"
