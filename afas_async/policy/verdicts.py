"""The outcome of a write: one table, from the facts of its last attempt to what the next run does with its elements.

A write is denied only if the service denies it clearly. Any other failure, once the service may have the request,
leaves the outcome unknown: the service carries on with the work even if the client has hung up (AFAS, Troubleshooting).

Time decides too. The service ends a call after 900 seconds with a refusal, and may finish the work all the same. The
wording of that refusal differs between versions and languages, so a refusal that comes this late is never believed.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal, TypeAlias

import msgspec

from afas_async import errors
from afas_async.vocabulary.outcomes import Status, WriteResult
from afas_async.wire.write_answers import Body, Ending

LATE_SECONDS = 840.0
# The slowest connection that may still finish an upload: 16 KiB a second, after a minute of grace.
UPLOAD_GRACE, UPLOAD_RATE = 60.0, 16 << 10

# "planned": not sent yet, or without any effect. An element in flight when a load ends is "unknown" in the next run.
State: TypeAlias = Literal["planned", "applied", "rejected", "unknown"]

# The service's texts, case-folded, in the documented languages (AFAS, Troubleshooting; versions of 2025 and 2026). A
# text that is not listed is an ordinary refusal. Those of a LockedError are in `wire.error_answers`.
OUT_OF_MEMORY = ("out of memory", "out of string space", "onvoldoende geheugen")
OUT_OF_TIME = ("maximum duration", "command timeout expired", "maximale tijdsduur")


class Reach(Enum):
    """How far an attempt came."""

    NOWHERE = "no connection was established, so nothing was sent"
    SERVICE = "the service may have received it"


class Scope(Enum):
    """Which elements a refusal is about."""

    ALL = "all elements of the call: one element, or one transaction"
    SOME = "at least one of several elements; others may be applied"


class Resumption(Enum):
    """What to do with an element of a load that continues from a journal."""

    SEND = "it has had no effect"
    KEEP = "its outcome is in the journal"
    REFUSE = "the journal has a different element at this place, and one of the two may be at the service"


class Attempt(msgspec.Struct, frozen=True):
    """The facts of an attempt.

    Args:
        reach: How far it came.
        scope: Which elements a refusal would be about.
        seconds: How long the service has had it.
    """

    reach: Reach
    scope: Scope
    seconds: float = 0.0


class Verdict(msgspec.Struct, frozen=True):
    """The outcome of a call.

    Args:
        status: The outcome of its elements, except those that are applied.
        seconds: How long the service took for the last attempt.
        result: The service's response, if it reported success.
        error: Why some elements are not applied.
        applied: How many elements are applied, counted from the first.
    """

    status: Status
    seconds: float
    result: WriteResult | None = None
    error: errors.AfasError | None = None
    applied: int = 0


def failed(attempt: Attempt, failure: errors.AfasError) -> Status:
    """Return the status of the elements of a write that failed."""
    if attempt.reach is Reach.NOWHERE:
        return "not_sent"
    if attempt.seconds >= LATE_SECONDS:
        return "unknown"
    match failure:
        case errors.BusinessError(status=500):
            # After running out of time or memory, a call may or may not have had an effect.
            if attempt.scope is Scope.SOME or mentions(failure, (*OUT_OF_MEMORY, *OUT_OF_TIME)):
                return "unknown"
            return "not_sent" if isinstance(failure, errors.LockedError) else "rejected"
        case errors.BusinessError():  # a refusal inside a success contradicts itself
            return "unknown"
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


def applied(body: Body, ending: Ending, *, elements: int, keys: int, known_path: bool = True) -> int:
    """Return how many elements a successful response confirms, counted from the first; the others are unknown.

    Args:
        body: The kind of its body.
        ending: How that body ended.
        elements: How many elements were sent.
        keys: How many keys it has. Fewer keys than elements come from a service that takes no lists and drops the rest.
        known_path: Whether the response of this path is documented.
    """
    match body:
        case Body.KEYS | Body.EMPTY | Body.BROKEN:
            return keys if 0 < keys < elements and ending is not Ending.BROKEN else elements
        case Body.FOREIGN:
            return 0 if known_path else elements
        case Body.REFUSAL | Body.PAGE:
            return 0


def noted(status: Status, *, elements: int, error: errors.AfasError | None) -> State:
    """Return the state to record in the journal for an element of a call that ended.

    Args:
        status: The outcome of the element.
        elements: How many elements the call had. If a call with several is refused, the one at fault is unknown.
        error: Why the element is not applied. With another credential it may still be sent.
    """
    no_access = isinstance(error, (errors.AuthenticationError, errors.PermissionDeniedError))
    if status == "not_sent" or (status == "rejected" and (elements > 1 or no_access)):
        return "planned"
    return status


def resumed(state: State | None, *, same: bool, elsewhere: bool) -> Resumption:
    """Return what to do with an element that is given to a load with a journal.

    Args:
        state: The journal's state of the element at this place, None if it has no entry.
        same: Whether that entry is about the same element.
        elsewhere: Whether the journal has this element at a later place, where it may have reached the service. An
            earlier element is missing now.
    """
    if state in {"applied", "unknown"}:
        return Resumption.KEEP if same else Resumption.REFUSE
    return Resumption.REFUSE if elsewhere and not same else Resumption.SEND


def upload_seconds(size: int) -> float:
    """Return how many seconds the upload of a body of `size` bytes may take."""
    return UPLOAD_GRACE + size / UPLOAD_RATE


def mentions(failure: errors.ApiError, phrases: tuple[str, ...]) -> bool:
    """Whether the message of a refusal contains one of the phrases."""
    text = failure.message.casefold()
    return any(phrase in text for phrase in phrases)
