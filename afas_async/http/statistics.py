"""The counters of a client: in total, and for each connector."""

from __future__ import annotations

from typing import Final

import msgspec

MOST_CONNECTORS: Final = 1_000  # by name, so that a program that calls many paths does not fill its memory
OTHERS: Final = "(others)"


class Statistics(msgspec.Struct):
    """The counters of a client since it was created, for all its views together, or of one connector.

    `afas.statistics()` returns a copy, so you can keep it and compare it with a later one.

    Args:
        requests: The number of requests sent. It counts every attempt, and the requests for access tokens.
        retries: The number of requests that were sent again after a failure.
        failures: The number of requests that failed, including those that were sent again.
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
    failures: int = 0
    rows: int = 0
    bytes: int = 0
    seconds_waited: float = 0.0
    in_flight: int = 0
    peak_in_flight: int = 0


class Counts:
    """The statistics of a client.

    Attributes:
        total: The counters of all connectors together.
        by_connector: The counters of each connector.
    """

    def __init__(self) -> None:
        self.total: Statistics = Statistics()
        self.by_connector: dict[str, Statistics] = {}

    def of(self, connector: str) -> tuple[Statistics, Statistics]:
        """Return the counters for a request to a connector: the total, and its own."""
        own = self.by_connector.get(connector)
        if own is None:
            if len(self.by_connector) >= MOST_CONNECTORS:
                connector = OTHERS
            own = self.by_connector.setdefault(connector, Statistics())
        return self.total, own
