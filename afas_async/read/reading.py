"""A read, put together: from what a user asks for to a window over it, with all that makes no sense refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from afas_async.connectors import GetConnector
from afas_async.errors import AnswerError, ApiError, SortKeyRequiredError, TransportError, UsageError
from afas_async.http.engine import Options
from afas_async.http.fetch import MEMORY
from afas_async.http.session import Session
from afas_async.metadata import field_ids
from afas_async.policy.paging import EVERYTHING, Paging
from afas_async.read.fetch import Source
from afas_async.read.window import Window
from afas_async.wire.urls import rows_request, sort_field

# AFAS (GET connector; Troubleshooting): beyond it a request is too slow to be of use.
SKIP_LIMIT = 100_000
LARGEST = 10**9  # rows that a skip may count


def source_of(
    session: Session,
    options: Options,
    connector: GetConnector[Any] | str,
    *,
    key: str | tuple[str, ...] = (),
    order_by: str | Sequence[str] = (),
) -> Source[Any]:
    """Return what is to be read, in an order that is unique if there is a key.

    Raises:
        UsageError: If connector, key or order make no sense, or do not fit into a request.
    """
    if isinstance(connector, str):
        connector = GetConnector(connector, key=key)
    elif key:
        raise UsageError(f"{connector.name}: its key is part of its declaration: give key= to GetConnector")
    order = tuple(sort_field(field) for field in ((order_by,) if isinstance(order_by, str) else order_by))
    # Without the key behind it, rows that are equal in the order may change places between pages.
    sorted_by = {field.removeprefix("-") for field in order}
    order += tuple(field for field in connector.key if field not in sorted_by)
    rows_request(connector.name, skip=LARGEST, take=LARGEST, order_by=order)  # whether it fits into a query
    return Source(session, options, connector, order)


def window_of(
    source: Source[Any], *, take: int | None, window: int | None, verify: bool, whole_pages: bool
) -> Window[Any]:
    """Return the window for a read of several pages, or of everything in one.

    Raises:
        UsageError: If an option makes no sense.
    """
    most = source.session.max_concurrency
    if window is not None and not 1 <= window <= most:
        raise UsageError(f"window must be 1 to {most}, the client's max_concurrency, not {window}")
    if take is not None and take < 1 and take != EVERYTHING:
        raise UsageError(f"take must be 1 or more, not {take}")
    in_order = bool(source.connector.key) or take == EVERYTHING
    return Window(
        source,
        Paging(
            window=window or most,
            take=take,
            byte_budget=MEMORY,
            skip_limit=None if source.connector.key else SKIP_LIMIT,
        ),
        early=in_order and not whole_pages,
        refuse=None if in_order or not verify else _refuse_without_key,
    )


async def _refuse_without_key(source: Source[Any]) -> NoReturn:
    """Raise the error for a read of several pages without a key, with the fields there are to choose from."""
    name = source.connector.name
    try:
        fields = ", out of " + ", ".join(await field_ids(source.session, source.options, source.connector))
    except (TransportError, ApiError, AnswerError):
        fields = ""  # that the key is missing is what matters
    raise SortKeyRequiredError(
        f"{name}: a read of several pages needs a key to sort by, or it loses and doubles rows: give key= the field, or"
        f" fields, that are unique and never empty{fields}; or verify=False for best effort"
    )
