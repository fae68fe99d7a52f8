"""Errors as problem documents (RFC 9457): what a service answers when AFAS, or the call to it, failed."""

from __future__ import annotations

from datetime import datetime
from math import ceil
from typing import Final

import msgspec

from afas_async.errors import (
    AfasError,
    Applied,
    AuthenticationError,
    BusinessError,
    LockedError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitError,
    RequestTimeoutError,
    UnavailableError,
    Whose,
)
from afas_async.vocabulary.outcomes import LoadError

MEDIA_TYPE: Final = "application/problem+json"
_WAIT_SECONDS: Final = 5  # where AFAS does not say how long; a locked record is open in somebody's window
_STATUS_BY_WHOSE: Final[dict[Whose, int]] = {"caller": 422, "service": 500, "afas": 502}
_TITLES: Final = {
    404: "AFAS does not have this",
    422: "AFAS cannot accept this",
    500: "This service made a call that cannot work",
    502: "AFAS gave no usable answer",
    503: "AFAS cannot do this now",
    504: "AFAS gave no answer in time",
}


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem document, which `msgspec.json.encode` writes.

    It has no row, no value of yours and no credential. Only what AFAS itself says of a refused record may quote it.

    Attributes:
        status: The HTTP status.
        title: What it means, the same text for each status.
        detail: What was wrong, for the caller's own mistakes (404 and 422); else empty.
        retryable: Whether the same call may succeed later.
        applied: "maybe" if a write may have been applied.
        trace_id: By what AFAS finds the call.
        log_reference: Profit's log reference.
        quiet_until: Until when AFAS may still be at work on a write of which no outcome is known, in UTC.
        retry_after: Seconds to wait, for the header of that name.
    """

    status: int
    title: str
    detail: str = ""
    retryable: bool = False
    applied: Applied = "no"
    trace_id: str = ""
    log_reference: str | None = None
    quiet_until: datetime | None = None
    retry_after: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer, without the content type."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


def problem_of(error: AfasError) -> ProblemDocument:
    """Return the problem document of an error.

    The status follows from who can mend it (see `afas_async.errors`):

    - 422 what the caller sent: a filter, a field, a record that AFAS refuses (with its text and log reference).
    - 404 what AFAS does not have, or the token may not see.
    - 502 the credential of this service (AFAS said 401 or 403), or an answer that cannot be used.
    - 503 with Retry-After: a locked record, maintenance, too many requests.
    - 504 a time-out, or a write whose outcome is unknown: `applied` and `quiet_until` say what to look up, and when.
    - 500 all else: this program made a call that cannot work.

    Args:
        error: The error.

    Example:
        >>> locked = UnavailableError("maintenance", status=503, connector="Profit_Article", retry_after=29.5)
        >>> problem_of(locked).headers
        {'Retry-After': '30'}
    """
    status = status_of(error)
    return ProblemDocument(
        status=status,
        title=_TITLES[status],
        detail=_detail(error) if status in {404, 422} else "",
        retryable=error.retryable,
        applied=error.applied,
        trace_id=error.trace_id,
        log_reference=error.log_reference if isinstance(error, BusinessError) else None,
        quiet_until=error.quiet_until if isinstance(error, OutcomeUnknownError) else None,
        retry_after=ceil(getattr(error, "retry_after", None) or _WAIT_SECONDS) if status == 503 else None,
    )


def status_of(error: AfasError) -> int:
    """Return the HTTP status for an error; see `problem_of`."""
    match error:
        case AuthenticationError() | PermissionDeniedError():
            return 502
        case LockedError() | UnavailableError() | RateLimitError():
            return 503
        case RequestTimeoutError() | OutcomeUnknownError():
            return 504
        case LoadError() if error.report.counts["unknown"]:
            return 504
        case NotFoundError():
            return 404
        case _:
            return _STATUS_BY_WHOSE[error.whose]


def _detail(error: AfasError) -> str:
    return error.message if isinstance(error, BusinessError) else str(error)
