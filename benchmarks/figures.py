"""What a benchmark yields: how each contestant did, and the figures that have a target."""

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
    """How much is measured.

    Args:
        rounds: How often each pair is measured in turn.
        rows: Rows of a long read.
        large: Rows of one that no memory holds.
        few: Rows where it does not matter how many.
        task: Rows of the whole task.
        elements: Elements of a load.
        quick: Whether this is only to see that everything runs; the figures then mean nothing.
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
    """One figure with its target.

    Args:
        number: Its number, such as "P1".
        what: What is measured.
        value: The figure.
        unit: "x", "ms", "MB", "requests" or "" for a share.
        target: What it should be at least, or at most.
        at_most: Whether the target is an upper bound.
        low: The least over the rounds.
        high: The most over the rounds.
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
        """Whether the target is met."""
        return self.value <= self.target if self.at_most else self.value >= self.target


class Standing(msgspec.Struct, frozen=True):
    """How a contestant did: medians over the rounds. Times of 0 and counts of -1 were not measured.

    Args:
        group: What is compared with what, such as "pages of 1,000".
        contestant: The contestant.
        rate: Rows per second.
        ours: How many times as fast this library was, and the least and most over the rounds.
        cpu: Microseconds of processor time for a row.
        memory: MB at the peak, over the size after the imports.
        first_row: Milliseconds until the first row.
        hold: Milliseconds for which the event loop was held at most.
        requests: Requests that the server saw.
        missing: Rows that did not come.
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
    """What one benchmark yields.

    Args:
        title: What it is about.
        figures: The figures that have a target.
        standings: How the contestants did.
        notes: Lines of text.
        curves: Rows per second by the number of workers, by name.
    """

    title: str
    figures: list[Figure]
    standings: list[Standing] = []
    notes: list[str] = []
    curves: dict[str, dict[int, float]] = {}


def interleave(tasks: Mapping[Label, Task], rounds: int) -> Runs[Label]:
    """Measure tasks in turn (A B A B ...), so that a noisy moment of the machine meets all of them."""
    runs: Runs[Label] = {label: [] for label in tasks}
    for number in range(rounds):
        for label, task in tasks.items():
            show(f"round {number + 1} of {rounds}: {label}")
            runs[label].append(stage.read(task))
    return runs


def ratios(ours: Sequence[Measurement], theirs: Sequence[Measurement]) -> tuple[float, float, float]:
    """Return how many times as fast ours was, pair by pair: the median, the least and the most."""
    pairs = [mine.rate / other.rate for mine, other in zip(ours, theirs, strict=True)]
    return median(pairs), min(pairs), max(pairs)


def standing(group: str, contestant: str, ours: Sequence[Measurement], theirs: Sequence[Measurement]) -> Standing:
    """Sum up a contestant's rounds."""

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
    """Return the figure of a ratio that should be large, or small."""
    return Figure(number, what, pairs[0], unit, target, at_most=at_most, low=pairs[1], high=pairs[2])
