"""P9 and P12: the cost of reading far into a connector, and of verifying that pages join."""

from __future__ import annotations

from statistics import median

from afas_async.simulator import Latency
from benchmarks.figures import Figure, Scale, Section, Standing, interleave, ratio_figure, ratios
from benchmarks.measures.latency import LARGEST_PAGE, LATENCY, WINDOW, ideal
from benchmarks.measures.throughput import OURS
from benchmarks.stage import bare_server, read, simulator

# About the smallest value at which a row costs the opponent more than five times as much in the long read.
DEEP = Latency(LATENCY.base, LATENCY.per_row, per_skip=0.000_000_9)
OPPONENT = "requests_json"
# Two readings differ by more than the excess that is measured.
OVERLAP_ROUNDS = 25


def depth(scale: Scale) -> Section:
    """Compare the cost of a row in a long read with that in a read of a twentieth of its rows, if skipping takes time.

    This library reads everything. The opponent would need ten minutes, so it reads twenty pages that are spread evenly
    over the rows, in both reads. The ideal is for a service where skipping takes no time.
    """
    figures, standings = list[Figure](), list[Standing]()
    short_rows = scale.rows // 20
    with simulator(scale.rows, DEEP) as long, simulator(short_rows, DEEP) as short:
        for server in (long, short):
            read(server.task(OURS, take=10_000))  # fills the table of the simulator
        for name, take, variant in ((OURS, None, ""), (OURS, 1_000, ""), (OPPONENT, 1_000, "sample")):
            tasks = {
                f"{server.rows:,} rows": server.task(name, take=take, variant=variant, window=WINDOW)
                for server in (short, long)
            }
            runs = interleave(tasks, scale.rounds)
            first, last = runs.values()
            pages = f"pages of {take:,}" if take else "default pages"
            what = f"cost of a row, {scale.rows:,} rows against {short_rows:,}"
            growth = ratios(first, last)
            if name == OURS:
                figures.append(ratio_figure("P9", f"{what}, {pages}", growth, 1.2, at_most=True))
                shares = [ideal(scale.rows, take or LARGEST_PAGE) / run.seconds for run in last]
                spread = median(shares), min(shares), max(shares)
                figures.append(ratio_figure("P8", f"share of the ideal in that read, {pages}", spread, 0.90, ""))
            else:
                figures.append(ratio_figure("P9", f"{what}, {name}", growth, 5))
            for rows, found in runs.items():
                rate = median(run.rate for run in found)
                standings.append(Standing(rows, f"{name}, {f'20 {pages}' if variant else pages}", rate))
    return Section("Cost of a row if skipping takes time", figures, standings)


def overlap(scale: Scale) -> Section:
    """Compare the time of a read that joins its pages by key with that of a read that does not.

    The check that every key is unique is measured separately, because it serves another guarantee.
    """
    figures = list[Figure]()
    rounds = scale.rounds if scale.quick else OVERLAP_ROUNDS
    with bare_server(scale.rows) as server:
        for take in (1_000, 10_000, None):
            tasks = {
                "joining pages": server.task(OURS, take=take, variant="unchecked"),
                "joining pages and checking every key": server.task(OURS, take=take),
                "neither": server.task(OURS, take=take, verify=False),
            }
            *verified, plain = interleave(tasks, rounds).values()
            for label, found in zip(tasks, verified, strict=False):
                excess = [mine.seconds / other.seconds - 1 for mine, other in zip(found, plain, strict=True)]
                spread = median(excess), min(excess), max(excess)
                pages = f"pages of {take:,}" if take else "default pages"
                figures.append(ratio_figure("P12", f"excess time for {label}, {pages}", spread, 0.05, "", at_most=True))
    return Section("Overlap verification", figures)
