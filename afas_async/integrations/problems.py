"""Errors as problem documents (RFC 9457), for the responses of your web service."""

from __future__ import annotations

__docformat__ = "google"

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
_WAIT_SECONDS: Final = 5  # if AFAS does not say how long; a locked record is open on somebody's screen
_STATUS_BY_WHOSE: Final[dict[Whose, int]] = {"caller": 422, "service": 500, "afas": 502}
_TITLES: Final = {
    404: "AFAS does not have this",
    422: "AFAS cannot accept this",
    500: "This service made a call that cannot work",
    502: "AFAS gave no usable response",
    503: "AFAS cannot do this now",
    504: "AFAS gave no response in time",
}


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem document. Encode it with `msgspec.json.encode`, and send it as `MEDIA_TYPE`.

    It contains no rows, none of your values and no credentials. There is one exception: if AFAS refuses a record, its
    message in `detail` may quote the record.

    Attributes:
        status: The HTTP status.
        title: The meaning of the status. Each status has one text.
        detail: The mistake, if it is your caller's (404 and 422); else empty.
        retryable: Whether the same call may succeed later.
        applied: "maybe" if a write may have been applied.
        trace_id: The id with which AFAS finds the call.
        log_reference: Profit's log reference.
        quiet_until: The moment in UTC until which AFAS may still work on a write with an unknown outcome.
        retry_after: The seconds to wait, for the Retry-After header.
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
        """The headers of the response, without the content type."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


def problem_of(error: AfasError) -> ProblemDocument:
    """Return the problem document of an error.

    The status depends on who can fix the error (see the guide `afas_async.errors`):

    | Status | Error |
    |---|---|
    | 404 | AFAS does not have it, or your token may not see it |
    | 422 | your caller sent a wrong filter or field, or a record that AFAS refuses (with its text and log reference) |
    | 500 | your program made a call that cannot work; all other errors |
    | 502 | AFAS refuses your credential (401 or 403), or its response cannot be used |
    | 503 | a locked record, maintenance, too many requests; with Retry-After |
    | 504 | a time-out, or a write with an unknown outcome: see `applied` and `quiet_until` |

    Args:
        error: The error.

    Returns:
        The document. Its `status` and `headers` are those of your response.

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
    """Return the HTTP status of your response to an error. `problem_of` lists them."""
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
