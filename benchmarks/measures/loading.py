"""P11: a load through an UpdateConnector with latency: 150 ms a call, and 1 ms for each element."""

from __future__ import annotations

from statistics import median

from afas_async.simulator import Latency
from benchmarks.figures import Figure, Scale, Section, interleave, ratio_figure, ratios, standing
from benchmarks.stage import simulator
from benchmarks.task import Measurement

LATENCY = Latency(base=0.15, per_element=0.001)
IN_FLIGHT = 4
OURS = "afas_async_load"
OPPONENT = "requests_post"


def _spread(runs: list[Measurement], best: float) -> tuple[float, float, float]:
    times = [run.seconds / best for run in runs]
    return median(times), min(times), max(times)


def loading(scale: Scale) -> Section:
    """Compare a load with the time of its elements plus one call, and with one call for each element."""
    with simulator(0, LATENCY) as server:
        tasks = {name: server.task(name, rows=scale.elements, window=IN_FLIGHT) for name in (OURS, OPPONENT)}
        tasks["journal"] = server.task(OURS, rows=scale.elements, window=IN_FLIGHT, variant="journal")
        runs = interleave(tasks, scale.rounds)
        holding = server.task(OURS, rows=scale.elements, window=IN_FLIGHT, variant="journal", ticker=True)
        holds = [run.hold * 1e3 for run in interleave({"journal": holding}, scale.rounds)["journal"]]
    best = scale.elements * LATENCY.per_element / IN_FLIGHT + LATENCY.base
    what = f"loading {scale.elements:,} elements"
    figures = [
        ratio_figure(
            "P11", f"{what}, against their own time plus one call", _spread(runs[OURS], best), 1.25, at_most=True
        ),
        ratio_figure(
            "P11", f"{what} with a journal, against the same", _spread(runs["journal"], best), 1.25, at_most=True
        ),
        Figure(
            "P5",
            "longest hold of the event loop during a load with a journal",
            median(holds),
            "ms",
            5.0,
            at_most=True,
            low=min(holds),
            high=max(holds),
        ),
        ratio_figure("P11", f"{what}, against one element a call", ratios(runs[OURS], runs[OPPONENT]), 10),
    ]
    group = f"{scale.elements:,} elements"
    return Section("Loading", figures, [standing(group, name, runs[OURS], runs[name]) for name in runs])
