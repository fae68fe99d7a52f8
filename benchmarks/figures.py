"""The results of a benchmark: the standings of all contestants, and figures with targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TypeVar

import msgspec

from benchmarks import stage
from benchmarks.progress import show
from benchmarks.task import Measurement, Task

Label = TypeVar("Label", bound=str)
Runs = dict[Label, list[Measurement]]


class Scale(msgspec.Struct, frozen=True):
    """The amount of work in a run.

    Args:
        rounds: The number of times that each pair is measured.
        rows: Rows of a long read.
        large: Rows of a read that would not fit into memory.
        few: Rows of a read whose length does not matter.
        task: Rows of the whole task.
        elements: Elements of a load.
        quick: Whether the run only checks that everything works. Its figures are meaningless.
    """

    rounds: int = 3
    rows: int = 1_000_000
    large: int = 3_000_000
    few: int = 300_000
    task: int = 200_000
    elements: int = 10_000
    quick: bool = False


QUICK = Scale(rounds=1, rows=20_000, large=20_000, few=6_000, task=4_000, elements=200, quick=True)


class Figure(msgspec.Struct, frozen=True):
    """A figure with its target.

    Args:
        number: Its number, such as "P1".
        what: A description of the figure.
        value: The value.
        unit: "x", "ms", "MB", "requests", "rows" or "" for a share.
        target: The lower bound, or the upper bound if `at_most` is set.
        at_most: Whether the target is an upper bound.
        low: The minimum over the rounds.
        high: The maximum over the rounds.
    """

    number: str
    what: str
    value: float
    unit: str
    target: float
    at_most: bool = False
    low: float | None = None
    high: float | None = None

    @property
    def met(self) -> bool:
        """Whether the value meets the target."""
        return self.value <= self.target if self.at_most else self.value >= self.target


class Standing(msgspec.Struct, frozen=True):
    """The results of a contestant, as medians over the rounds. Times of 0 and counts of -1 were not measured.

    Args:
        group: The name of the comparison, such as "pages of 1,000".
        contestant: The name of the contestant.
        rate: Rows per second.
        ours: The speed of this library divided by the contestant's: median, minimum and maximum over the rounds.
        cpu: Microseconds of processor time per row.
        memory: Peak memory in MB, minus the memory after the imports.
        first_row: Milliseconds to the first row.
        hold: The longest hold of the event loop in milliseconds.
        requests: Requests that the server received.
        missing: Missing rows.
        doubled: Rows that came more than once.
    """

    group: str
    contestant: str
    rate: float = 0.0
    ours: tuple[float, float, float] = (0.0, 0.0, 0.0)
    cpu: float = 0.0
    memory: float = 0.0
    first_row: float = 0.0
    hold: float = 0.0
    requests: int = -1
    missing: int = -1
    doubled: int = -1


class Section(msgspec.Struct, frozen=True):
    """The results of one benchmark.

    Args:
        title: The title.
        figures: The figures with targets.
        standings: The standings of the contestants.
        notes: Lines of text.
        curves: Named curves: rows per second for each number of workers.
    """

    title: str
    figures: list[Figure]
    standings: list[Standing] = []
    notes: list[str] = []
    curves: dict[str, dict[int, float]] = {}


def interleave(tasks: Mapping[Label, Task], rounds: int) -> Runs[Label]:
    """Measure tasks in turn (A B A B ...), so that noise on the machine affects all of them."""
    runs: Runs[Label] = {label: [] for label in tasks}
    for number in range(rounds):
        for label, task in tasks.items():
            show(f"round {number + 1} of {rounds}: {label}")
            runs[label].append(stage.read(task))
    return runs


def ratios(ours: Sequence[Measurement], theirs: Sequence[Measurement]) -> tuple[float, float, float]:
    """Return our speed divided by theirs, pair by pair: median, minimum and maximum."""
    pairs = [mine.rate / other.rate for mine, other in zip(ours, theirs, strict=True)]
    return median(pairs), min(pairs), max(pairs)


def standing(group: str, contestant: str, ours: Sequence[Measurement], theirs: Sequence[Measurement]) -> Standing:
    """Summarise the rounds of a contestant."""

    def middle(value: Callable[[Measurement], float]) -> float:
        return median(map(value, theirs))

    return Standing(
        group=group,
        contestant=contestant,
        rate=middle(lambda run: run.rate),
        ours=ratios(ours, theirs),
        cpu=middle(lambda run: run.cpu / run.rows * 1e6),
        memory=max(run.memory for run in theirs),
        first_row=middle(lambda run: run.first_row * 1e3),
        hold=middle(lambda run: max(run.hold, 0.0) * 1e3),
        missing=max(run.missing for run in theirs),
        doubled=max(run.doubled for run in theirs),
    )


def ratio_figure(
    number: str, what: str, pairs: tuple[float, float, float], target: float, unit: str = "x", *, at_most: bool = False
) -> Figure:
    """Return the figure for a ratio: median, minimum and maximum."""
    return Figure(number, what, pairs[0], unit, target, at_most=at_most, low=pairs[1], high=pairs[2])
