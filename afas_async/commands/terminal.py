"""The output of commands: data to standard output, and progress to standard error while a person watches."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from math import inf
from time import perf_counter
from types import TracebackType
from typing import Any, Final, Self

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from afas_async.commands.json_log import is_json_log, note

REWRITE_SECONDS: Final = 0.1
LOG_SECONDS: Final = 5.0
_NARROW: Final = 12  # characters: the least width of a column in a table
_WIDE: Final = 24  # characters: the most that a column counts when columns are chosen to fit
_GAP: Final = 3  # characters between two columns


def output() -> Console:
    """Return the console for data and reports. It has colours only on a terminal, and not with NO_COLOR."""
    return Console(highlight=False, soft_wrap=True)


def errors() -> Console:
    """Return the console for progress and remarks."""
    return Console(stderr=True, highlight=False)


def remark(text: str) -> None:
    """Write a remark to standard error, if a person watches."""
    if sys.stderr.isatty() and not is_json_log():
        errors().print(Text(printable(text), style="dim"), soft_wrap=True)


class ProgressLine:
    """The progress of a command: a line that is rewritten in place on a terminal, and nothing elsewhere.

    With --log-json it is a line of JSON every few seconds.

    Args:
        total: The number of rows or records, if known.
        what: The name of the things counted.
    """

    def __init__(self, total: int | None = None, what: str = "rows") -> None:
        self._total = total
        self._what = what
        self._next = 0.0
        self._bar: Any = None
        self._task: Any = None

    @property
    def is_due(self) -> bool:
        """Whether `show` would write now. It is never True if nobody watches."""
        return self._next < inf and perf_counter() >= self._next

    def show(self, done: int, **facts: float) -> None:
        """Show the progress, unless it was shown a moment ago.

        Args:
            done: The number done so far.
            facts: Further numbers by name. `seconds` makes a rate, and `bytes` a size.
        """
        if not self.is_due:
            return
        if is_json_log():
            self._next = perf_counter() + LOG_SECONDS
            note("progress", **{self._what: done}, **facts)
        elif self._bar is not None:
            self._next = perf_counter() + REWRITE_SECONDS
            self._bar.update(self._task, completed=done, text=facts_text(done, self._what, self._total, facts))
            self._bar.refresh()
        else:
            self._next = inf

    def __enter__(self) -> Self:
        console = errors()
        if console.is_terminal and not is_json_log():
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn  # noqa: PLC0415 - for terminals

            column = SpinnerColumn() if self._total is None else BarColumn(bar_width=20)
            text = TextColumn("{task.fields[text]}", table_column=None, markup=False)
            self._bar = Progress(column, text, console=console, auto_refresh=False, transient=True)
            self._task = self._bar.add_task("", total=self._total, text="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def facts_text(done: int, what: str, total: int | None, facts: dict[str, float]) -> str:
    """Return the progress as a line of text.

    Example:
        >>> facts_text(1_000, "rows", 3_000, {"pages": 2, "seconds": 0.5, "bytes": 1_500_000})
        '1,000 of 3,000 rows  2 pages  2,000 rows/s  1.5 MB'
    """
    rest = dict(facts)
    seconds, size = rest.pop("seconds", 0.0), rest.pop("bytes", None)
    parts = [f"{done:,} {'' if total is None else f'of {total:,} '}{what}"]
    parts += [f"{value:,.0f} {name.replace('_', ' ')}" for name, value in rest.items()]
    if seconds:
        parts.append(f"{done / seconds:,.0f} {what}/s")
    if size is not None:
        parts.append(size_text(size))
    return "  ".join(parts)


def size_text(size: float) -> str:
    """Return a number of bytes as text for a person.

    Example:
        >>> size_text(900), size_text(1_234_000)
        ('900 bytes', '1.2 MB')
    """
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1000
    raise AssertionError


def print_table(
    headers: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Sequence[str] = (),
    wrap: bool = True,
    whole: int = 1,
) -> None:
    """Print a table. It fits the width of a terminal; elsewhere it has full width and two spaces between columns.

    Args:
        headers: The names of the columns.
        rows: The cells of each row; None is an empty cell.
        right: Names of the columns to align right.
        whole: The number of first columns that are never cut.
        wrap: Whether a long text wraps to the next line. Otherwise it is cut.
    """
    texts = [["" if value is None else printable(str(value)) for value in row] for row in rows]
    console = output()
    if console.is_terminal:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
        for number, (header, width) in enumerate(zip(headers, _widths(headers, texts), strict=True)):
            table.add_column(
                header,
                min_width=None if wrap else min(width, _NARROW),
                justify="right" if header in right else "left",
                style="cyan" if number == 0 else None,
                no_wrap=number < whole or not wrap,
                overflow="fold" if number < whole else "ellipsis",
            )
        for row in texts:
            table.add_row(*map(Text, row))
        console.print(table, soft_wrap=False)
        return
    widths = _widths(headers, texts)
    for row in (list(headers), *texts):
        cells = [
            text.rjust(width) if header in right else text.ljust(width)
            for text, width, header in zip(row, widths, headers, strict=True)
        ]
        print("  ".join(cells).rstrip())


def columns_that_fit(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    """Return how many columns of a table fit on the terminal; at least one."""
    texts = [["" if value is None else str(value) for value in row] for row in rows]
    room, count = output().width + _GAP, 0
    for width in _widths(headers, texts):
        room -= min(width, _WIDE) + _GAP
        if room < 0:
            break
        count += 1
    return max(count, 1)


def _widths(headers: Sequence[str], texts: Iterable[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(headers, *texts, strict=True)]


def print_json(value: object) -> None:
    """Print a value as JSON: indented on a terminal, elsewhere on one line."""
    indent = 2 if sys.stdout.isatty() else None
    print(json.dumps(value, indent=indent, ensure_ascii=False, default=str))


def printable(text: str) -> str:
    """Return a text without characters that would control a terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def fitting(text: str) -> str:
    """Return a text without characters that would control a terminal, cut to the terminal's width."""
    shown = printable(text)
    console = output()
    return shown if len(shown) <= console.width or not console.is_terminal else shown[: console.width - 3] + "..."


def peak_memory() -> float:
    """Return the peak memory of this process in MB; NaN if the platform does not report it."""
    try:
        import resource  # noqa: PLC0415 - missing on Windows
    except ImportError:
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
