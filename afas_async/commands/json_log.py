"""`--log-json`: requests, steps and warnings as lines of JSON on standard error, for a scheduler's log."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from afas_async.http.events import Event


class _Log(logging.Handler):
    """Writes the library's log records as lines of JSON."""

    is_on = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        note(record.levelname.lower(), message=record.getMessage())


_LOG = _Log()


def switch_json_log(*, on: bool) -> None:
    """Turn the log on or off; called once for each command."""
    _LOG.is_on = on
    logger = logging.getLogger("afas_async")
    logger.removeHandler(_LOG)
    if on:
        logger.addHandler(_LOG)


def is_json_log() -> bool:
    """Whether the log is on."""
    return _LOG.is_on


def note(event: str, **facts: Any) -> None:
    """Write a line, if the log is on.

    Args:
        event: What happened.
        facts: Numbers and texts, but never a value of a row.
    """
    if _LOG.is_on:
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **facts}
        print(json.dumps(line, default=str), file=sys.stderr, flush=True)


def event_listener() -> Callable[[Event], None] | None:
    """Return the listener that logs a client's requests; None if the log is off."""
    return _note_request if _LOG.is_on else None


def _note_request(event: Event) -> None:
    from msgspec import structs  # noqa: PLC0415 - `--help` imports this module

    facts = {name: value for name, value in structs.asdict(event).items() if value and name != "kind"}
    note(event.kind, **{name: round(value, 3) if isinstance(value, float) else value for name, value in facts.items()})
