"""Whether a read that failed is sent again, when, and how: one table, no clock and no chance of its own."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from afas_async import errors

BACKOFF_BASE = 0.5
BACKOFF_CAP = 30.0
ANSWER_RETRIES = 2  # an answer that is no answer rarely becomes one
LOCK_RETRIES = 8
LOCK_WAIT = 2.0

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
    """

    wait: float
    smaller: bool = False
    calmer: bool = False


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
    # Locks have a count of their own, and an answer that was too large is asked for in a smaller size.
    too_large = sum(isinstance(past, errors.PayloadTooLargeError) for past in failures)
    faults = len(failures) - too_large - _count_refusals(failures, (*LOCKED, *OUT_OF_MEMORY, *OUT_OF_TIME))
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
            if backoff is None or failure.retry_after is None:
                return backoff
            return Retry(max(failure.retry_after * (1 + jitter / 10), backoff.wait))
        case errors.PayloadTooLargeError():
            return Retry(0, smaller=True)
        case errors.ServerError():
            return None if failure.status in {501, 505} else backoff
        case errors.ApiError(status=408):
            return backoff
        case _:
            return None


def _retry_refused(
    failures: Sequence[errors.AfasError], failure: errors.BusinessError, backoff: Retry | None, jitter: float
) -> Retry | None:
    if _says(failure, LOCKED):
        locks = _count_refusals(failures, LOCKED)
        if locks > LOCK_RETRIES:
            return None
        return Retry(min(BACKOFF_CAP, LOCK_WAIT * (1 + jitter * 2**locks)), calmer=True)
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


def _backoff(failure_count: int, jitter: float) -> Retry:
    return Retry(jitter * min(BACKOFF_CAP, BACKOFF_BASE * 2**failure_count))
