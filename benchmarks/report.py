"""Results, as data and as text."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from benchmarks.figures import Figure, Section, Standing

_PACKAGES = ("aiohttp", "msgspec", "anyio", "requests", "httpx", "orjson", "pyarrow", "pandas", "duckdb", "polars")


class Machine(msgspec.Struct, frozen=True):
    """The machine and the packages of a run."""

    processor: str
    cores: int
    system: str
    python: str
    packages: dict[str, str]
    date: str


class Results(msgspec.Struct, frozen=True):
    """One run of benchmarks."""

    machine: Machine
    sections: list[Section]

    @property
    def figures(self) -> list[Figure]:
        """The figures of all sections."""
        return [figure for section in self.sections for figure in section.figures]


def this_machine() -> Machine:
    """Describe this machine."""
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 0,
        system=platform.platform(),
        python=platform.python_version(),
        packages={name: _version(name) for name in _PACKAGES},
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def describe(machine: Machine) -> str:
    """Describe a machine in one line."""
    packages = ", ".join(f"{name} {number}" for name, number in machine.packages.items())
    return (
        f"{machine.processor}, {machine.cores} cores, {machine.system}, Python {machine.python}, {packages},"
        f" {machine.date}"
    )


def text_of(section: Section) -> str:
    """Format a section as lines of text."""
    lines = ["", section.title, "-" * len(section.title)]
    if section.standings:
        lines += _table(section.standings)
    lines += [_line(figure) for figure in section.figures]
    lines += [f"      {note}" for note in section.notes]
    return "\n".join(lines)


def _table(standings: Sequence[Standing]) -> list[str]:
    head = (
        "",
        "",
        "rows/s",
        "ours/theirs",
        "(spread)",
        "us/row",
        "MB",
        "first ms",
        "hold ms",
        "requests",
        "missing",
        "duplicate",
    )
    rows: list[tuple[str, ...]] = [head]
    for line in standings:
        loses = " LOSES ROWS" if line.missing > 0 or line.doubled > 0 else ""
        ratio, low, high = line.ours
        rows.append((
            line.group,
            line.contestant + loses,
            f"{line.rate:,.0f}" if line.rate else "",
            f"{ratio:.2f}x" if ratio else "",
            f"({low:.2f}-{high:.2f})" if ratio else "",
            *(
                f"{value:.{digits}f}" if value else ""
                for value, digits in (
                    (line.cpu, 2),
                    (line.memory, 1),
                    (line.first_row, 1),
                    (line.hold, 1),
                )
            ),
            *(f"{count:,}" if count >= 0 else "" for count in (line.requests, line.missing, line.doubled)),
        ))
    used = [column for column in range(len(head)) if any(row[column] for row in rows[1:])]
    widths = {column: max(len(row[column]) for row in rows) for column in used}
    return [
        "  ".join(
            row[column].ljust(widths[column]) if column < 2 else row[column].rjust(widths[column]) for column in used
        )
        for row in rows
    ] + [""]


def _line(figure: Figure) -> str:
    spread = "" if figure.low is None or figure.high is None else f" ({figure.low:.2f}-{figure.high:.2f})"
    bound = "at most" if figure.at_most else "at least"
    verdict = "met" if figure.met else "MISSED"
    value = f"{figure.value:.2f}" if figure.unit not in {"requests", "rows"} else f"{figure.value:.0f}"
    target = f"{figure.unit:<8} {bound} {figure.target:g}"
    return f"{figure.number:>4}  {figure.what:<66} {value:>8} {target}: {verdict}{spread}"


def summary(runs: Sequence[Results]) -> str:
    """Format each figure of several runs in one line. A target is met if all runs meet it."""
    lines = ["", f"{len(runs)} consecutive runs", "-" * 18]
    for figures in zip(*(run.figures for run in runs), strict=True):
        first = figures[0]
        values = "  ".join(f"{figure.value:8.2f}" for figure in figures)
        bound = "<=" if first.at_most else ">="
        verdict = "met" if all(figure.met for figure in figures) else "MISSED"
        lines.append(
            f"{first.number:>4}  {first.what:<66} {values}  {first.unit:<8} {bound} {first.target:g}: {verdict}"
        )
    return "\n".join(lines)
