"""The events of a client, by their kind."""

from __future__ import annotations

from collections.abc import Iterable

from afas_async import Event


def attempts(events: Iterable[Event]) -> list[Event]:
    """Return how attempts ended, and which of them were made again."""
    return [event for event in events if event.kind not in {"sent", "ended"}]


def operations(events: Iterable[Event]) -> list[Event]:
    """Return how operations ended."""
    return [event for event in events if event.kind == "ended"]
