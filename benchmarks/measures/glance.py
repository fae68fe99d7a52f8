"""The picture of the README: rates, memory and holds of the event loop, of this library and what people use today."""

from __future__ import annotations

from statistics import median

import msgspec

from benchmarks.figures import Scale, Section, interleave, standing
from benchmarks.measures.throughput import OURS
from benchmarks.stage import bare_server

_NAMES = {
    OURS: "afas_async",
    "honest_script": "aiohttp + msgspec",
    "aiohttp_orjson": "aiohttp + orjson",
    "httpx_gathered": "httpx, gathered",
    "requests_json": "requests",
}
_TAKE = 10_000


def glance(scale: Scale) -> Section:
    """Compare what a reader of the README would use otherwise. Only code that awaits has an event loop to hold."""
    with bare_server(scale.rows) as server:
        fast = interleave({name: server.task(name, take=_TAKE) for name in _NAMES}, scale.rounds)
        awaiting = [name for name in _NAMES if name != "requests_json"]
        ticking = interleave({name: server.task(name, take=_TAKE, ticker=True) for name in awaiting}, scale.rounds)
    standings = [standing("", label, fast[OURS], fast[name]) for name, label in _NAMES.items()]
    for place, name in enumerate(awaiting):
        held = median(run.hold for run in ticking[name]) * 1e3
        standings[place] = msgspec.structs.replace(standings[place], hold=held)
    return Section(f"{scale.rows:,} rows in pages of {_TAKE:,}, the server takes no time", [], standings)
