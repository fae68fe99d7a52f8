"""The counters of a client, and the events of its requests."""

from __future__ import annotations

from typing import Literal

import msgspec

from afas_async.errors import AfasError


class Statistics(msgspec.Struct):
    """The counters of a client since it was created, for all its views together.

    `afas.statistics()` returns a copy, so you can keep it and compare it with a later one.

    Args:
        requests: The number of requests sent. It counts every attempt, and the requests for access tokens.
        retries: The number of requests that were sent again after a failure.
        rows: The number of rows that you received.
        bytes: The size of all response bodies in bytes, as they came over the connection.
        seconds_waited: The time that requests waited for a free slot, in seconds, added up.
        in_flight: The number of requests in flight now.
        peak_in_flight: The highest number of requests in flight at the same time.

    Example:
        >>> async def main():
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         await afas.rows("Profit_Article", key="ItemCode").to_list()
        ...         return afas.statistics()
        >>> asyncio.run(main()).rows
        500
    """

    requests: int = 0
    retries: int = 0
    rows: int = 0
    bytes: int = 0
    seconds_waited: float = 0.0
    in_flight: int = 0
    peak_in_flight: int = 0


class Event(msgspec.Struct, frozen=True):
    """One step of a request, for your logs and metrics: pass `on_event` to an `AfasClient` to receive it.

    An event never holds a header, or the value of a parameter or a key. Only an error text of the service may repeat
    such a value.

    A cancelled attempt has no event. Rows are decoded later, so a faulty row gives an error of the stream, or a
    "retrying" event, and never a "failed" one.

    Args:
        kind: "answered" if the response was received to its end with a success status, "failed" if the attempt failed,
            or "retrying" if another attempt follows.
        connector: The connector or path.
        request: Method, path and names, such as `GET connectors/Profit_Article?skip=...&take=...` or
            `DELETE connectors/FbItemArticle/FbItemArticle/@ItCd/...`; empty for "retrying".
        attempt: The number of the attempt, from 1.
        seconds: The duration of the attempt in seconds, or for "retrying" the wait until the next attempt.
        bytes: The size of the response body in bytes, as it came over the connection.
        error: The failure; None for "answered".
        trace_id: The id by which AFAS finds the call; empty if there was no response, or none with an id (see
            `ApiError`).

    Example:
        >>> async def main():
        ...     events = []
        ...     async with Simulator() as sim:
        ...         async with AfasClient(base_url=sim.base_url, auth=sim.token, on_event=events.append) as afas:
        ...             await afas.page("Profit_Article", take=1)
        ...     return events
        >>> [(event.kind, event.connector) for event in asyncio.run(main())]
        [('answered', 'Profit_Article')]
    """

    kind: Literal["answered", "failed", "retrying"]
    connector: str
    request: str
    attempt: int
    seconds: float
    bytes: int = 0
    error: AfasError | None = None
    trace_id: str = ""
