"""What a client has done: counted for all of it, and for each connector."""

from __future__ import annotations

from typing import Final

import msgspec

MOST_CONNECTORS: Final = 1_000  # by name; a program that calls any paths must not fill its memory with them
OTHERS: Final = "(others)"


class Statistics(msgspec.Struct):
    """What a client has done since it was made, all views together; or what it has done with one connector.

    Args:
        requests: Requests sent, every attempt counted, and those for access tokens.
        retries: Requests sent again after a failure.
        failures: Requests that failed, those that were sent again included.
        rows: Rows handed out.
        bytes: Bytes of bodies, as they came over the connection.
        seconds_waited: Seconds that requests waited for a free slot, added up.
        in_flight: Requests in flight now.
        peak_in_flight: The most requests in flight at a time.
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
        total: Of all its connectors.
        by_connector: Of each.
    """

    def __init__(self) -> None:
        self.total: Statistics = Statistics()
        self.by_connector: dict[str, Statistics] = {}

    def of(self, connector: str) -> tuple[Statistics, Statistics]:
        """Return where to count what a connector does: in total, and its own."""
        own = self.by_connector.get(connector)
        if own is None:
            if len(self.by_connector) >= MOST_CONNECTORS:
                connector = OTHERS
            own = self.by_connector.setdefault(connector, Statistics())
        return self.total, own
