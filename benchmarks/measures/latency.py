"""P7, P8 and P13: reads from a service with latency: 50 ms, and 20 ms for each 1,000 rows."""

from __future__ import annotations

from statistics import median

from afas_async.policy.sizing import CELL_LIMIT
from afas_async.simulator import Latency
from benchmarks.figures import Figure, Scale, Section, interleave, ratio_figure, ratios, standing
from benchmarks.measures.throughput import OURS
from benchmarks.stage import read, simulator

LATENCY = Latency(base=0.05, per_row=0.00002)
WINDOW = 5
COLUMNS = 20
LARGEST_PAGE = (CELL_LIMIT - 1) // COLUMNS
BEST_TAKES = (10_000, 40_000, 100_000)
FIRST_ROW_ROUNDS = 9


def first_row(scale: Scale) -> Section:
    """Compare the time to the first row of a long read with one request for 100 rows."""
    with simulator(scale.few, LATENCY) as server, simulator(100, LATENCY) as small:
        tasks = {"stream": server.task(OURS), "one request": small.task("honest_script", take=100, window=1)}
        read(tasks["stream"])  # fills the table of the simulator
        runs = interleave(tasks, scale.rounds if scale.quick else FIRST_ROW_ROUNDS)
    pairs = [mine.first_row / one.first_row for mine, one in zip(runs["stream"], runs["one request"], strict=True)]
    what = "time to the first row, against one 100-row request"
    figure = Figure("P7", what, median(pairs), "x", 1.15, at_most=True, low=min(pairs), high=max(pairs))
    return Section("First row", [figure])


def efficiency(scale: Scale) -> Section:
    """Compare the time of a long read with the ideal, a window that is never empty."""
    figures = list[Figure]()
    with simulator(scale.rows, LATENCY) as server:
        read(server.task(OURS, take=10_000))  # fills the table of the simulator
        tasks = {
            "default pages": server.task(OURS, window=WINDOW),
            "pages of 1,000": server.task(OURS, take=1_000, window=WINDOW),
        }
        for label, found in interleave(tasks, scale.rounds).items():
            best = ideal(scale.rows, tasks[label].take or LARGEST_PAGE)
            shares = [best / run.seconds for run in found]
            spread = median(shares), min(shares), max(shares)
            figures.append(ratio_figure("P8", f"share of the ideal, {label}", spread, 0.90, ""))
    return Section("Efficiency under latency", figures)


def ideal(rows: int, take: int) -> float:
    """Return the seconds to read rows in full pages, if the window of requests is always full."""
    return rows * (LATENCY.base / take + LATENCY.per_row) / WINDOW


def task(scale: Scale) -> Section:
    """Do the whole task, against requests at its usual page size and at its best page size."""
    with simulator(scale.task, LATENCY) as server:
        read(server.task(OURS))  # fills the table of the simulator
        tries = {take: read(server.task("requests_json", take=take)) for take in BEST_TAKES}
        best = min(tries, key=lambda take: tries[take].seconds)
        tasks = {
            OURS: server.task(OURS),
            "requests_json, 1,000": server.task("requests_json", take=1_000),
            f"requests_json, {best:,}": server.task("requests_json", take=best),
            "httpx_gathered, 10,000": server.task("httpx_gathered", take=10_000),
            "honest_script, 7,500": server.task("honest_script", take=7_500),
            "wave": server.task("wave"),
            "one_call": server.task("one_call"),
        }
        runs = interleave(tasks, scale.rounds)
    usual, at_best = (ratios(runs[OURS], runs[label]) for label in list(tasks)[1:3])
    figures = [
        ratio_figure("P13", "whole task, against requests + json, pages of 1,000", usual, 10),
        ratio_figure("P13", f"whole task, against requests + json at its best, {best:,}", at_best, 3.5),
    ]
    group = f"{scale.task:,} rows"
    return Section(
        "Whole task under latency", figures, [standing(group, name, runs[OURS], runs[name]) for name in runs]
    )
