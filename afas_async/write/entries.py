"""What a journal knows of an element, and how it writes down why one is not applied."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from afas_async.errors import AfasError, ApiError, OutcomeUnknownError
from afas_async.policy.verdicts import State


class Entry(msgspec.Struct, frozen=True):
    """What the journal knows of an element.

    Args:
        number: Its place in the load, from 0.
        state: What became of it.
        digest: SHA-256 of the encoded element.
        sent: When its last call was begun, in seconds by the clock of event loops, which counts from when the machine
            was started and is never set.
        key: The key that the service answered.
        error: Why it is not applied.
    """

    number: int
    state: State
    digest: bytes
    sent: float
    key: dict[str, str] | None
    error: AfasError | None


def entry_of(row: tuple[int, State, bytes, float, str | None, str | None]) -> Entry:
    """Return what stands in a row of the journal.

    Raises:
        MsgspecError: If it is damaged.
    """
    number, state, digest, sent, key, error = row
    return Entry(
        number,
        state,
        digest,
        sent,
        None if key is None else msgspec.json.decode(key, type=dict[str, str]),
        None if error is None else _error(msgspec.json.decode(error, type=dict[str, Any])),
    )


def error_text(error: AfasError | None) -> str | None:
    """Return an error as JSON: its class and facts. Only those of outcomes occur."""
    facts: dict[str, Any]
    match error:
        case OutcomeUnknownError():
            facts = {name: getattr(error, name) for name in ("sent_at", "quiet_until", "stage", "reason", "trace_id")}
        case ApiError():
            names = ("message", "status", "error_number", "log_reference", "trace_id")
            facts = {name: getattr(error, name) for name in names}
        case _:
            return None
    return msgspec.json.encode({"class": type(error).__name__, "connector": error.connector, **facts}).decode()


def _error(facts: dict[str, Any]) -> AfasError:
    kind = facts.pop("class")
    if kind == "OutcomeUnknownError":
        for moment in ("sent_at", "quiet_until"):
            facts[moment] = datetime.fromisoformat(facts[moment])
        return OutcomeUnknownError(**facts)
    kinds: list[type[ApiError]] = [ApiError, *ApiError.__subclasses__()]
    return {each.__name__: each for each in kinds}[kind](facts.pop("message"), **facts)
