"""What a client has done, and what happens to its requests."""

from __future__ import annotations

from typing import Literal

import msgspec

from afas_async.errors import AfasError


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


class Event(msgspec.Struct, frozen=True):
    """Something that happened to a request, for logs and metrics.

    It never holds a header, nor the value of a parameter or a key. Only the service may repeat one in the text of an
    error.

    An attempt that is cancelled has no event. Rows are decoded later: what is wrong with them is no event but an error
    of the stream, or a "retrying".

    Args:
        kind: "answered" (received to its end, with a success status), "failed" (this attempt), or "retrying".
        connector: The connector or path.
        request: Method, path and names, such as `GET connectors/Profit_Article?skip=...&take=...` or
            `DELETE connectors/FbItemArticle/FbItemArticle/@ItCd/...`; empty for "retrying".
        attempt: Number of the attempt, from 1.
        seconds: Duration of the attempt; for "retrying" the seconds until the next.
        bytes: Bytes of the body as they came over the connection.
        error: The failure, if any.
        trace_id: By what AFAS finds the call; empty if no answer came, or it does not say (see `ApiError`).
    """

    kind: Literal["answered", "failed", "retrying"]
    connector: str
    request: str
    attempt: int
    seconds: float
    bytes: int = 0
    error: AfasError | None = None
    trace_id: str = ""
