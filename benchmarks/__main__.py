"""The command `python -m benchmarks`: measures, prints, writes and draws."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks.figures import QUICK, Scale, Section
from benchmarks.measures.cluster import cluster
from benchmarks.measures.columns import columns
from benchmarks.measures.completeness import completeness, requests
from benchmarks.measures.depth import depth, overlap
from benchmarks.measures.fairness import fairness
from benchmarks.measures.glance import glance
from benchmarks.measures.latency import efficiency, first_row, task
from benchmarks.measures.loading import loading
from benchmarks.measures.moments import moments
from benchmarks.measures.service import service
from benchmarks.measures.slow_view import slow_view
from benchmarks.measures.steadiness import hold, memory
from benchmarks.measures.throughput import iteration, throughput
from benchmarks.plot import draw
from benchmarks.progress import show
from benchmarks.report import Results, describe, summary, text_of, this_machine

BENCHMARKS: dict[str, Callable[[Scale], Section]] = {
    "glance": glance,
    "completeness": completeness,
    "throughput": throughput,
    "iteration": iteration,
    "hold": hold,
    "memory": memory,
    "first_row": first_row,
    "efficiency": efficiency,
    "depth": depth,
    "overlap": overlap,
    "requests": requests,
    "slow_view": slow_view,
    "fairness": fairness,
    "moments": moments,
    "task": task,
    "loading": loading,
    "cluster": cluster,
    "columns": columns,
    "service": service,
}


def main(arguments: list[str]) -> int:
    """Run benchmarks.

    Returns:
        1 if a target was missed. A quick run ignores targets.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure this library against common alternatives. Each measurement runs in its own process,"
        " against servers on this computer. The contestants take turns, and figures are ratios within one run.",
    )
    parser.add_argument("name", nargs="?", choices=BENCHMARKS, metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="check that everything runs; ignore the figures")
    parser.add_argument("--runs", type=int, default=1, help="number of consecutive runs (default: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results of all runs to a file")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE.svg", help="draw the last run: FILE.svg, and FILE-dark.svg for dark pages"
    )
    options = parser.parse_args(arguments)
    chosen = [BENCHMARKS[options.name]] if options.name else list(BENCHMARKS.values())
    runs = [_run(chosen, QUICK if options.quick else Scale()) for _ in range(options.runs)]
    if len(runs) > 1:
        print(summary(runs))
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(runs)))
    if options.plot:
        try:
            draw(runs[-1], options.plot)
        except (ImportError, ValueError) as error:
            parser.exit(1, f"{parser.prog}: {error}\n")
    met = all(figure.met for run in runs for figure in run.figures)
    return 0 if met or options.quick else 1


def _run(chosen: list[Callable[[Scale], Section]], scale: Scale) -> Results:
    machine, sections = this_machine(), list[Section]()
    print(describe(machine), flush=True)
    for measure in chosen:
        sections.append(measure(scale))
        show("")
        print(text_of(sections[-1]), flush=True)
    return Results(machine, sections)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
