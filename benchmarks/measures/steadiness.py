"""P5 and P6: the longest hold of the event loop, and the memory of a long read."""

from __future__ import annotations

from statistics import median

from benchmarks.figures import Figure, Scale, Section, Standing, interleave
from benchmarks.measures.throughput import OURS
from benchmarks.stage import bare_server, read

TAKES = (1_000, 10_000, 100_000, None, -1)
OPPONENTS = ("aiohttp_orjson", "honest_script", "httpx_gathered", "wave")
LONGEST_HOLD = 5.0
MOST_MEMORY = 32.0
MOST_OF_MANY = 40.0  # 16 MiB of responses, and for each stream 128 KiB and the decoded rows
PAUSE = 0.1


def hold(scale: Scale) -> Section:
    """Measure the longest hold with pages of all sizes, plain and compressed."""
    figures, standings = list[Figure](), list[Standing]()
    for coding in ("identity", "gzip"):
        with bare_server(scale.few, gzip=coding == "gzip") as server:
            tasks = {
                f"{coding}, {_pages(take)}": server.task(OURS, take=take, ticker=True, pause=0.001) for take in TAKES
            }
            for task in tasks.values():
                read(task)  # the server compresses a page at the first request for it
            for label, runs in interleave(tasks, scale.rounds).items():
                holds = [run.hold * 1e3 for run in runs]
                what = f"longest hold of the event loop, {label}"
                figures.append(
                    Figure("P5", what, median(holds), "ms", LONGEST_HOLD, at_most=True, low=min(holds), high=max(holds))
                )
    with bare_server(scale.few) as server:
        opponents = {name: server.task(name, take=10_000, ticker=True) for name in OPPONENTS}
        for name, runs in interleave(opponents, 1).items():
            standings.append(Standing("for comparison, pages of 10,000", name, hold=runs[0].hold * 1e3))
    return Section("Steadiness of the event loop", figures, standings)


def memory(scale: Scale) -> Section:
    """Measure the peak memory of a long read with pages of all sizes, for a fast and a pausing reader."""
    figures = list[Figure]()
    with bare_server(scale.rows) as server:
        for reader, pause in (("fast", 0.0), ("pausing", PAUSE)):
            tasks = {f"{reader} reader, {_pages(take)}": server.task(OURS, take=take, pause=pause) for take in TAKES}
            for label, runs in interleave(tasks, 1).items():
                what = f"peak memory for {scale.rows:,} rows, {label}"
                figures.append(Figure("P6", what, runs[0].memory, "MB", MOST_MEMORY, at_most=True))
        many = read(server.task(OURS, variant="many", pause=0.01))
    what = "peak memory of 20 slow streams of one client"
    figures.append(Figure("P6", what, many.memory, "MB", MOST_OF_MANY, at_most=True))
    return Section("Memory", figures)


def _pages(take: int | None) -> str:
    return "default pages" if take is None else "one response" if take < 0 else f"pages of {take:,}"
