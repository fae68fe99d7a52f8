"""What a client has done."""

from __future__ import annotations

import msgspec


class Statistics(msgspec.Struct):
    """What a client has done since it was made, all views together.

    Args:
        requests: Requests sent, every attempt counted, and those for access tokens.
        retries: Requests sent again after a failure.
        rows: Rows handed out.
        bytes: Bytes of bodies, as they came over the connection.
        seconds_waited: Seconds that requests waited for a free slot, added up.
        in_flight: Requests in flight now.
        peak_in_flight: The most requests in flight at a time.
    """

    requests: int = 0
    retries: int = 0
    rows: int = 0
    bytes: int = 0
    seconds_waited: float = 0.0
    in_flight: int = 0
    peak_in_flight: int = 0
