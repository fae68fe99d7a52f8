"""The task of a contestant, and the measurement of it."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter, process_time
from typing import Any

import msgspec


class Task(msgspec.Struct, frozen=True):
    """Read the connector `Profit_Wide` once, or load elements.

    Args:
        contestant: The name of a module in `contestants`.
        base_url: The base URL of the server.
        token: The XML token.
        rows: The number of rows, whose `Id` is 1, 4, 7 and so on; or the number of elements to load.
        take: Rows per page; None for the contestant's default; -1 for everything in one response.
        window: The number of requests in flight, for contestants that send several.
        variant: The way to read, for contestants that have several.
        verify: Whether this library joins pages by key, and verifies that they join.
        check: Whether to count missing and duplicate rows.
        ticker: Whether to measure how long the event loop is held.
        pause: Seconds to pause before each twentieth of the rows, for a slow consumer.
    """

    contestant: str
    base_url: str
    token: str
    rows: int
    take: int | None = None
    window: int = 5
    variant: str = ""
    verify: bool = True
    check: bool = False
    ticker: bool = False
    pause: float = 0.0

    @property
    def url(self) -> str:
        """The URL of the connector."""
        return f"{self.base_url}/connectors/Profit_Wide"


class Measurement(msgspec.Struct, frozen=True):
    """The measurement of one task.

    Args:
        seconds: The time from before the first connection to the last row.
        cpu: The seconds of processor time in that time.
        memory: The peak memory in MB, minus the memory after the imports.
        first_row: The seconds to the first row.
        rows: The number of rows that were read.
        missing: The number of missing rows; -1 if not counted.
        doubled: The number of duplicate rows; -1 if not counted.
        hold: The longest hold of the event loop in seconds: processor time between two ticks; -1 if not measured.
    """

    seconds: float
    cpu: float
    memory: float
    first_row: float
    rows: int
    missing: int = -1
    doubled: int = -1
    hold: float = -1.0

    @property
    def rate(self) -> float:
        """Rows per second."""
        return self.rows / self.seconds


class Tally:
    """Counts the rows that a contestant has read.

    Args:
        task: The task.
    """

    def __init__(self, task: Task) -> None:
        self.rows: int = 0
        self.first_row_at: float = 0.0
        self.start()
        self._seen = bytearray(task.rows) if task.check else None

    def start(self) -> None:
        """Start the clocks. Call it again after a preparation that does not count."""
        self.started_at: float = perf_counter()
        self.cpu_before: float = process_time()

    def add(self, rows: Sequence[Any]) -> None:
        """Count some rows, Structs or dicts."""
        if rows and not self.rows:
            self.first_row_at = perf_counter()
        self.rows += len(rows)
        if self._seen is not None:
            for row in rows:
                number = ((row["Id"] if isinstance(row, dict) else row.id) - 1) // 3
                self._seen[number] = min(self._seen[number] + 1, 255)

    @property
    def missing(self) -> int:
        """The number of missing rows; -1 if not counted."""
        return -1 if self._seen is None else self._seen.count(0)

    @property
    def doubled(self) -> int:
        """The number of rows that came more than once; -1 if not counted."""
        return -1 if self._seen is None else len(self._seen) - self._seen.count(0) - self._seen.count(1)
