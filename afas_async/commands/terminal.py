"""What the commands write: a line about work under way, and text that fits the terminal."""

from __future__ import annotations

import shutil
import sys
from time import perf_counter
from types import TracebackType
from typing import Self

PROGRAM = "python -m afas_async"
REWRITE_SECONDS = 0.1
LINE_SECONDS = 1.0  # where lines stay, as in a log


class ProgressLine:
    """A line about a read that is under way: rewritten in place on a terminal, elsewhere a new line each second.

    Args:
        total: How many rows there are, if that is known.
    """

    def __init__(self, total: int | None = None) -> None:
        self._of = "" if total is None else f" of {total:,}"
        self._rewrite = sys.stdout.isatty()
        self._seconds = REWRITE_SECONDS if self._rewrite else LINE_SECONDS
        self._next = 0.0 if self._rewrite else perf_counter() + self._seconds
        self._open = False

    def show(self, rows: int, pages: int, seconds: float) -> None:
        """Show how far the read has come, unless that was done a moment ago.

        Args:
            rows: Rows read.
            pages: Pages read completely.
            seconds: Seconds since the start.
        """
        if perf_counter() >= self._next:
            self._next = perf_counter() + self._seconds
            self._write(rows, pages, seconds)

    def finish(self, rows: int, pages: int, seconds: float) -> None:
        """Show how far the read has come in the end."""
        self._write(rows, pages, seconds)

    def _write(self, rows: int, pages: int, seconds: float) -> None:
        rate = rows / seconds if seconds else 0.0
        text = fitting(f"  {rows:>11,}{self._of} rows  {pages:>4} pages  {rate:>9,.0f} rows/s")
        print(f"\r{text}" if self._rewrite else text, end="" if self._rewrite else "\n", flush=True)
        self._open = self._rewrite

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._open:
            print(flush=True)


def printable(text: str) -> str:
    """Return a text without the characters that would steer a terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def fitting(text: str) -> str:
    """Return a text without the characters that would steer a terminal, and cut to its width if there is one."""
    width = shutil.get_terminal_size().columns
    shown = printable(text)
    return shown if len(shown) <= width or not sys.stdout.isatty() else shown[: width - 3] + "..."


def peak_memory() -> float:
    """Return the largest size that this process has had, in MB; not a number where the platform does not tell."""
    try:
        import resource  # noqa: PLC0415 - Windows has none
    except ImportError:
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
