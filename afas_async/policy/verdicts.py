"""What became of a write: one table, from the facts of its last attempt to what the next run does with its elements.

Only what denies a write clearly denies it. Whatever else fails once the service may have it leaves the outcome unknown:
the service goes on with what it was sent, whoever has hung up (AFAS, Troubleshooting).

Time decides too. The service ends a call after 900 seconds with a refusal, and may finish the work all the same. How it
words that differs between versions and languages, so a refusal that comes so late is never taken for one.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal, TypeAlias

import msgspec

from afas_async import errors
from afas_async.vocabulary.outcomes import Status, WriteResult
from afas_async.wire.write_answers import Body, Ending

LATE_SECONDS = 840.0
# The slowest line on which a body is sent to its end: 16 KiB a second, once a minute has passed.
UPLOAD_GRACE, UPLOAD_RATE = 60.0, 16 << 10

# "planned": to be sent, as nothing has come of it yet. What is in flight when a load ends is "unknown" in the next.
State: TypeAlias = Literal["planned", "applied", "rejected", "unknown"]

# The service's texts, as for a `LockedError` (`wire.error_answers`).
OUT_OF_MEMORY = ("out of memory", "out of string space", "onvoldoende geheugen")
OUT_OF_TIME = ("maximum duration", "command timeout expired", "maximale tijdsduur")


class Reach(Enum):
    """How far an attempt came."""

    NOWHERE = "no connection stood, so nothing was sent"
    SERVICE = "the service may have it"


class Scope(Enum):
    """Of what a refusal is one."""

    ALL = "one element, or one transaction"
    SOME = "one or more of several elements, of which others may be applied"


class Resumption(Enum):
    """What to do with an element of a load that goes on with a journal."""

    SEND = "it has had no effect"
    KEEP = "its outcome stands in the journal"
    REFUSE = "it is another one than that in its place, and one of them may be there"


class Attempt(msgspec.Struct, frozen=True):
    """The facts of an attempt.

    Args:
        reach: How far it came.
        scope: Of what a refusal is one.
        seconds: How long the service has had it.
    """

    reach: Reach
    scope: Scope
    seconds: float = 0.0


class Verdict(msgspec.Struct, frozen=True):
    """What became of a call.

    Args:
        status: What became of its elements, but for those that are applied.
        seconds: How long the service took for the last attempt.
        result: What it answered, if it said that it succeeded.
        error: Why not all of them are applied.
        applied: How many of them are, the first ones.
    """

    status: Status
    seconds: float
    result: WriteResult | None = None
    error: errors.AfasError | None = None
    applied: int = 0


def failed(attempt: Attempt, failure: errors.AfasError) -> Status:
    """Return what became of the elements of a write that failed."""
    if attempt.reach is Reach.NOWHERE:
        return "not_sent"
    if attempt.seconds >= LATE_SECONDS:
        return "unknown"
    match failure:
        case errors.BusinessError(status=500):
            # Of a call that ran out of time or memory nobody knows.
            if attempt.scope is Scope.SOME or says(failure, (*OUT_OF_MEMORY, *OUT_OF_TIME)):
                return "unknown"
            return "not_sent" if isinstance(failure, errors.LockedError) else "rejected"
        case errors.BusinessError():  # within a success it contradicts itself
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
    """Return how many of the elements, the first ones, a success says to be applied; the outcome of others is unknown.

    Args:
        body: What its body is.
        ending: How that ended.
        elements: How many elements were sent.
        keys: How many keys it has. Fewer than elements are those of a service that takes no lists, and drops the rest.
        known_path: Whether it is known what the path answers.
    """
    match body:
        case Body.KEYS | Body.EMPTY | Body.BROKEN:
            return keys if 0 < keys < elements and ending is not Ending.BROKEN else elements
        case Body.FOREIGN:
            return 0 if known_path else elements
        case Body.REFUSAL | Body.PAGE:
            return 0


def noted(status: Status, *, elements: int, error: errors.AfasError | None) -> State:
    """Return the state in which a journal notes an element of a call that ended.

    Args:
        status: What became of it.
        elements: How many elements the call had: of a refused call nobody knows which is at fault.
        error: Why it is not applied. With another credential the same elements may be sent.
    """
    no_access = isinstance(error, (errors.AuthenticationError, errors.PermissionDeniedError))
    if status == "not_sent" or (status == "rejected" and (elements > 1 or no_access)):
        return "planned"
    return status


def resumed(state: State | None, *, same: bool, elsewhere: bool) -> Resumption:
    """Return what to do with an element that is given to a load with a journal.

    Args:
        state: What the journal says of the element in its place, None if it says nothing.
        same: Whether that is the same element.
        elsewhere: Whether the element was in a later place, and may be at the service: one before it is missing now.
    """
    if state in {"applied", "unknown"}:
        return Resumption.KEEP if same else Resumption.REFUSE
    return Resumption.REFUSE if elsewhere and not same else Resumption.SEND


def upload_seconds(size: int) -> float:
    """Return how long the upload of a body of so many bytes may take."""
    return UPLOAD_GRACE + size / UPLOAD_RATE


def says(failure: errors.ApiError, phrases: tuple[str, ...]) -> bool:
    """Whether the message of a refusal has one of some phrases."""
    text = failure.message.casefold()
    return any(phrase in text for phrase in phrases)
