"""Whether a failed read or write is sent again, when and how. It reads no clock and uses no randomness.

A read may always be repeated. A write is repeated only if it had no effect and may have one the next time (`verdicts`).
In all other cases it may have happened already (RFC 9110, 9.2.2). That includes PUT and DELETE, which here can insert,
or overtake a later change.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from afas_async import errors
from afas_async.policy.verdicts import OUT_OF_MEMORY, OUT_OF_TIME, Attempt, failed, mentions

BACKOFF_BASE = 0.5
BACKOFF_CAP = 30.0
ANSWER_RETRIES = 2  # a malformed response rarely gets better
LOCK_RETRIES = 8
LOCK_WAIT = 2.0

# How long to wait for the response to a write: the service itself ends a call after 900 seconds (AFAS,
# Troubleshooting).
WRITE_SECONDS = 960.0


class Retry(msgspec.Struct, frozen=True):
    """Send the request again.

    Args:
        wait: Seconds to wait first.
        smaller: Request half of the rows.
        calmer: The service is short of a resource: have fewer requests in flight.
        for_all: The service asks every caller to wait: send nothing else meanwhile.
    """

    wait: float
    smaller: bool = False
    calmer: bool = False
    for_all: bool = False


def retry_read(failures: Sequence[errors.AfasError], *, max_retries: int, jitter: float) -> Retry | None:
    """Decide about a read (GET) after its last failure.

    Args:
        failures: All failures of this request so far, the last one included; not empty.
        max_retries: How often to send a request again after transport faults and unavailability.
        jitter: A random number from 0 up to 1. It keeps clients that failed together from returning together.

    Returns:
        How to send it again, or None if the last failure is final.
    """
    failure = failures[-1]
    # Locks have their own count. After a response that was too large the request asks for less, and after a 401 it is
    # sent with another credential: neither counts as a fault.
    mended = sum(isinstance(past, (errors.PayloadTooLargeError, errors.AuthenticationError)) for past in failures)
    faults = len(failures) - mended - _locks(failures) - _shortages(failures)
    backoff = _backoff(faults, jitter) if faults <= max_retries else None
    match failure:
        case errors.RowError() | errors.PagingError() | errors.RequestTimeoutError():
            return None
        case errors.AnswerError():
            damaged = sum(isinstance(past, errors.AnswerError) for past in failures)
            return backoff if failure.damaged and damaged <= ANSWER_RETRIES else None
        case errors.ConnectError():
            return None if failure.permanent else backoff
        case errors.AnswerLostError():
            return backoff
        case errors.BusinessError():
            return _retry_refused(failures, failure, backoff, jitter)
        case errors.RateLimitError() | errors.UnavailableError():
            return None if backoff is None else _after(failure.retry_after, backoff, jitter)
        case errors.PayloadTooLargeError():
            return Retry(0, smaller=True)
        case errors.ServerError():
            return None if failure.status in {501, 505} else backoff
        case errors.ApiError(status=408):
            return backoff
        case _:
            return None


def retry_write(
    failures: Sequence[errors.AfasError],
    attempt: Attempt,
    *,
    max_retries: int,
    jitter: float,
    lock_retries: int = LOCK_RETRIES,
) -> Retry | None:
    """Decide about a write (POST, PUT, DELETE) after its last failure.

    Args:
        failures: See `retry_read`.
        attempt: The facts of the last attempt.
        max_retries: See `retry_read`.
        jitter: See `retry_read`.
        lock_retries: How often to wait for a lock.
    """
    failure = failures[-1]
    if failed(attempt, failure) != "not_sent":
        return None
    locks = _locks(failures)
    if isinstance(failure, errors.LockedError):
        return _after_lock(locks, jitter) if locks <= lock_retries else None
    faults = len(failures) - locks - sum(isinstance(past, errors.AuthenticationError) for past in failures)
    if faults > max_retries:
        return None
    match failure:
        case errors.ConnectError(permanent=False):
            return _backoff(faults, jitter)
        case errors.RateLimitError() | errors.UnavailableError():
            return _after(failure.retry_after, _backoff(faults, jitter), jitter)
        case _:
            return None


def _retry_refused(
    failures: Sequence[errors.AfasError], failure: errors.BusinessError, backoff: Retry | None, jitter: float
) -> Retry | None:
    if isinstance(failure, errors.LockedError):
        locks = _locks(failures)
        return _after_lock(locks, jitter) if locks <= LOCK_RETRIES else None
    if mentions(failure, OUT_OF_MEMORY):
        return Retry(backoff.wait if backoff else BACKOFF_BASE * jitter, smaller=True, calmer=True)
    if mentions(failure, OUT_OF_TIME):
        return Retry(0, smaller=True, calmer=True)  # down to a single row, or until the call times out
    return None


def _locks(failures: Sequence[errors.AfasError]) -> int:
    return sum(isinstance(failure, errors.LockedError) for failure in failures)


def _shortages(failures: Sequence[errors.AfasError]) -> int:
    phrases = (*OUT_OF_MEMORY, *OUT_OF_TIME)
    return sum(isinstance(failure, errors.BusinessError) and mentions(failure, phrases) for failure in failures)


def _after(stated: float | None, backoff: Retry, jitter: float) -> Retry:
    if not stated:
        return backoff
    return Retry(max(stated * (1 + jitter / 10), backoff.wait), calmer=True, for_all=True)


def _after_lock(locks: int, jitter: float) -> Retry:
    return Retry(min(BACKOFF_CAP, LOCK_WAIT * (1 + jitter * 2**locks)), calmer=True)


def _backoff(failure_count: int, jitter: float) -> Retry:
    return Retry(jitter * min(BACKOFF_CAP, BACKOFF_BASE * 2**failure_count))
