"""Whether what failed is sent again, when, and how: one table for reads and writes, no clock and no chance of its own.

A read may always be repeated. A write is repeated only where the service never had it, says that it did not process it,
or refused it for a moment; in all other cases it may have happened (RFC 9110, 9.2.2), also as PUT or DELETE, which here
can insert, or overtake a later change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from afas_async import errors

BACKOFF_BASE = 0.5
BACKOFF_CAP = 30.0
ANSWER_RETRIES = 2  # an answer that is no answer rarely becomes one
LOCK_RETRIES = 8
LOCK_WAIT = 2.0

# How long an answer to a write is waited for: the service itself ends a call after 900 seconds (AFAS, Troubleshooting).
WRITE_SECONDS = 960.0

# The service's texts, case-folded, in the languages it speaks (AFAS, Troubleshooting; versions of 2025 and 2026).
# A text that is not listed is an ordinary refusal, and never sent again.
LOCKED = (
    "locked by",
    "blocked by another user",
    "deadlock",
    "vergrendeld door",
    "geblokkeerd door een andere gebruiker",
    "in gebruik door een andere gebruiker",
)
OUT_OF_MEMORY = ("out of memory", "out of string space", "onvoldoende geheugen")
OUT_OF_TIME = ("maximum duration", "command timeout expired", "maximale tijdsduur")


class Retry(msgspec.Struct, frozen=True):
    """Send again.

    Args:
        wait: Seconds to wait before.
        smaller: Ask for half of the rows.
        calmer: The service is short of something: have fewer requests in flight.
        for_all: The service asks to wait, whoever asks it: send nothing else meanwhile.
    """

    wait: float
    smaller: bool = False
    calmer: bool = False
    for_all: bool = False


def retry_read(failures: Sequence[errors.AfasError], *, max_retries: int, jitter: float) -> Retry | None:
    """Decide about a read (GET) after its last failure.

    Args:
        failures: All failures of this request so far, the last one included; not empty.
        max_retries: How often a request is sent again because of transport faults and unavailability.
        jitter: A random number from 0 up to 1, so that clients that failed together do not return together.

    Returns:
        How to send it again, or None if the last failure is final.
    """
    failure = failures[-1]
    # Locks have a count of their own; an answer that was too large is asked for in a smaller size, and one that was
    # refused (401) with another credential.
    mended = sum(isinstance(past, (errors.PayloadTooLargeError, errors.AuthenticationError)) for past in failures)
    faults = len(failures) - mended - _count_refusals(failures, (*LOCKED, *OUT_OF_MEMORY, *OUT_OF_TIME))
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
    failures: Sequence[errors.AfasError], *, connected: bool, whole: bool, max_retries: int, jitter: float
) -> Retry | None:
    """Decide about a write (POST, PUT, DELETE) after its last failure.

    Args:
        failures: See `retry_read`.
        connected: Whether the service may have got the request of the last attempt.
        whole: Whether a refusal is one of the complete call: it holds one element, or is one transaction.
        max_retries: See `retry_read`.
        jitter: See `retry_read`.
    """
    failure = failures[-1]
    locks = _count_refusals(failures, LOCKED)
    if isinstance(failure, errors.BusinessError):
        locked = whole and failure.status == 500 and _says(failure, LOCKED) and locks <= LOCK_RETRIES
        return _after_lock(locks, jitter) if locked else None
    faults = len(failures) - locks - sum(isinstance(past, errors.AuthenticationError) for past in failures)
    if faults > max_retries or write_status(failure, connected=connected, whole=whole) != "not_sent":
        return None
    match failure:
        case errors.ConnectError(permanent=False):
            return _backoff(faults, jitter)
        case errors.RateLimitError() | errors.UnavailableError():
            return _after(failure.retry_after, _backoff(faults, jitter), jitter)
        case _:
            return None


def write_status(
    failure: errors.AfasError, *, connected: bool, whole: bool
) -> Literal["not_sent", "rejected", "unknown"]:
    """Return what a failure tells about a write.

    Args:
        failure: The failure.
        connected: See `retry_write`.
        whole: See `retry_write`.
    """
    if not connected:
        return "not_sent"
    match failure:
        case errors.BusinessError():
            # Within a success it contradicts itself; and of a call that ran out of time or memory nobody knows.
            vague = failure.status != 500 or _says(failure, (*OUT_OF_MEMORY, *OUT_OF_TIME))
            return "unknown" if vague or not whole else "rejected"
        case errors.RateLimitError():
            return "not_sent"
        case errors.UnavailableError():
            return "unknown" if failure.retry_after is None else "not_sent"
        case errors.ApiError(status=501 | 505):
            return "rejected"
        case errors.ApiError() if 400 <= failure.status < 500 and failure.status != 408:
            return "rejected"
        case _:
            return "unknown"


def _retry_refused(
    failures: Sequence[errors.AfasError], failure: errors.BusinessError, backoff: Retry | None, jitter: float
) -> Retry | None:
    if _says(failure, LOCKED):
        locks = _count_refusals(failures, LOCKED)
        if locks > LOCK_RETRIES:
            return None
        return _after_lock(locks, jitter)
    if _says(failure, OUT_OF_MEMORY):
        return Retry(backoff.wait if backoff else BACKOFF_BASE * jitter, smaller=True, calmer=True)
    if _says(failure, OUT_OF_TIME):
        return Retry(0, smaller=True, calmer=True)  # until a single row, or the time-out of the call, is left
    return None


def _count_refusals(failures: Sequence[errors.AfasError], phrases: Sequence[str]) -> int:
    return sum(isinstance(failure, errors.BusinessError) and _says(failure, phrases) for failure in failures)


def _says(failure: errors.ApiError, phrases: Sequence[str]) -> bool:
    text = failure.message.casefold()
    return any(phrase in text for phrase in phrases)


def _after(stated: float | None, backoff: Retry, jitter: float) -> Retry:
    if not stated:
        return backoff
    return Retry(max(stated * (1 + jitter / 10), backoff.wait), calmer=True, for_all=True)


def _after_lock(locks: int, jitter: float) -> Retry:
    return Retry(min(BACKOFF_CAP, LOCK_WAIT * (1 + jitter * 2**locks)), calmer=True)


def _backoff(failure_count: int, jitter: float) -> Retry:
    return Retry(jitter * min(BACKOFF_CAP, BACKOFF_BASE * 2**failure_count))
