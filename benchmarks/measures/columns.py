"""P17: the task of a data engineer, from the service to Parquet, without rounding."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from benchmarks.figures import Figure, Scale, Section, interleave, ratio_figure, ratios, standing
from benchmarks.stage import bare_server, read
from benchmarks.task import Measurement

OURS = "afas_async_columns"
PLAIN, TYPED = "json + pandas", "json + pandas, right types"
DUCKDB, POLARS = "NDJSON, then DuckDB (rounds)", "NDJSON, then polars (floats)"
CONTESTANTS = {
    OURS: OURS,
    PLAIN: "pandas_parquet",
    TYPED: "pandas_parquet",
    "typed Structs, by hand": "structs_columns",
    DUCKDB: "json_readers",
    POLARS: "json_readers",
}
PIPELINE = "dlt_duckdb"
VARIANTS = {TYPED: "typed", POLARS: "polars"}
AGAINST_PLAIN, AGAINST_TYPED = 0.65, 0.38
AGAINST_DICTS = 10.0
MOST_MEMORY = 250.0
LONGEST_HOLD = 5.0


def columns(scale: Scale) -> Section:
    """Compare the processor time of writing Parquet, and measure its memory and the longest hold of the event loop."""
    with bare_server(scale.few) as server:
        tasks = {label: server.task(name, variant=VARIANTS.get(label, "")) for label, name in CONTESTANTS.items()}
        runs = interleave(tasks, scale.rounds)
        holds = interleave({OURS: server.task(OURS, ticker=True)}, scale.rounds)[OURS]
    with bare_server(scale.few // 10) as server:
        pipelines = {name: server.task(PIPELINE, variant=name) for name in ("batches", "dicts")}
        loads = interleave(pipelines, 1)  # with dicts it takes minutes
    with bare_server(scale.large) as server:
        large = read(server.task(OURS))
    what = f"CPU of writing {scale.few:,} rows as Parquet"
    figures = [
        ratio_figure("P17", f"{what}, against {PLAIN}", _cpu(runs[OURS], runs[PLAIN]), AGAINST_PLAIN, at_most=True),
        ratio_figure("P17", f"{what}, against right types", _cpu(runs[OURS], runs[TYPED]), AGAINST_TYPED, at_most=True),
        ratio_figure(
            "P17", "dlt into DuckDB, batches against dicts", ratios(loads["batches"], loads["dicts"]), AGAINST_DICTS
        ),
        _memory(scale.few, max(run.memory for run in runs[OURS])),
        _memory(scale.large, large.memory),
        Figure(
            "P5",
            "longest hold of the event loop while Parquet is written",
            median(run.hold * 1e3 for run in holds),
            "ms",
            LONGEST_HOLD,
            at_most=True,
        ),
    ]
    group = f"{scale.few:,} rows"
    return Section("Columns", figures, [standing(group, name, runs[OURS], found) for name, found in runs.items()])


def _cpu(ours: Sequence[Measurement], theirs: Sequence[Measurement]) -> tuple[float, float, float]:
    pairs = [mine.cpu / other.cpu for mine, other in zip(ours, theirs, strict=True)]
    return median(pairs), min(pairs), max(pairs)


def _memory(rows: int, peak: float) -> Figure:
    return Figure("P17", f"peak memory of writing {rows:,} rows as Parquet", peak, "MB", MOST_MEMORY, at_most=True)
