"""What a contestant is asked to do, and what is measured while it does it."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter, process_time
from typing import Any

import msgspec


class Task(msgspec.Struct, frozen=True):
    """One reading of the connector `Profit_Wide`, or one load.

    Args:
        contestant: Name of a module in `contestants`.
        base_url: The server's base URL.
        token: The XML token.
        rows: Rows of the connector, whose `Id` is 1, 4, 7 and so on; or elements to load.
        take: Rows per page; None for the contestant's own choice; -1 for everything in one answer.
        window: Requests in flight at a time, for those who send several.
        variant: Which of several ways to read, for those who have several.
        verify: Whether this library joins pages by key, and verifies that they join.
        check: Whether to look at each row, to count those missing and doubled.
        ticker: Whether to measure how long the event loop is held.
        pause: Seconds to pause before each twentieth part of the rows, for a slow consumer.
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
        """The connector's URL."""
        return f"{self.base_url}/connectors/Profit_Wide"


class Measurement(msgspec.Struct, frozen=True):
    """What one reading cost.

    Args:
        seconds: From before the first connection to the last row.
        cpu: Seconds of processor time meanwhile.
        memory: MB that the process grew at its peak, over its size after the imports.
        first_row: Seconds until the first row was there.
        rows: Rows that came.
        missing: Rows that did not come, -1 if not looked at.
        doubled: Rows that came again, -1 if not looked at.
        hold: Seconds for which the event loop was held at most, own processor time between two ticks; -1 if unknown.
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
    """Takes the rows that a contestant has read.

    Args:
        task: What is read.
    """

    def __init__(self, task: Task) -> None:
        self.rows: int = 0
        self.first_row_at: float = 0.0
        self.start()
        self._seen = bytearray(task.rows) if task.check else None

    def start(self) -> None:
        """Start the clocks, again for one who has prepared something that does not count."""
        self.started_at: float = perf_counter()
        self.cpu_before: float = process_time()

    def add(self, rows: Sequence[Any]) -> None:
        """Take some rows, Structs or dicts."""
        if rows and not self.rows:
            self.first_row_at = perf_counter()
        self.rows += len(rows)
        if self._seen is not None:
            for row in rows:
                number = ((row["Id"] if isinstance(row, dict) else row.id) - 1) // 3
                self._seen[number] = min(self._seen[number] + 1, 255)

    @property
    def missing(self) -> int:
        """Rows that did not come, -1 if not looked at."""
        return -1 if self._seen is None else self._seen.count(0)

    @property
    def doubled(self) -> int:
        """Rows that came more than once, -1 if not looked at."""
        return -1 if self._seen is None else len(self._seen) - self._seen.count(0) - self._seen.count(1)
