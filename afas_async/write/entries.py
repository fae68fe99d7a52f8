"""The entries of a journal: one for each element, with its error as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from afas_async.errors import AfasError, ApiError, OutcomeUnknownError
from afas_async.policy.verdicts import State


class Entry(msgspec.Struct, frozen=True):
    """The entry of one element.

    Args:
        number: The position of the element in the load, from 0.
        state: Its state.
        digest: SHA-256 of the encoded element.
        sent: The moment when its last call began, in seconds on the clock of the event loop. That clock counts from the
            start of the machine, and nobody can set it.
        key: The key that the service returned.
        error: The reason why it is not applied.
    """

    number: int
    state: State
    digest: bytes
    sent: float
    key: dict[str, str] | None
    error: AfasError | None


def entry_of(row: tuple[int, State, bytes, float, str | None, str | None]) -> Entry:
    """Return a row of the journal as an entry.

    Raises:
        MsgspecError: If the row is damaged.
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
    """Return an OutcomeUnknownError or an ApiError as JSON, its class and attributes; None for any other error."""
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
