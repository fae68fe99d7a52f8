"""How far a cluster scales: simulates services and workers on a virtual clock, with processor time measured here.

Each environment responds to `SLOTS` requests at a time, after 50 ms and 20 ms per 1,000 rows. Each worker has one core
for its rows, and reads `THREADS` parts at a time. So there are two limits: the rate of the environments and the rate of
the cores. The lower one decides.
"""

from __future__ import annotations

import asyncio
import heapq
import tempfile
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from time import process_time

from afas_async import AfasClient
from afas_async.columns import to_parquet
from afas_async.simulator import spawn
from benchmarks.figures import Figure, Scale, Section
from benchmarks.progress import show

WORKERS = (1, 2, 4, 8)
ENVIRONMENTS = (1, 2, 4, 8, 20, 50)
SLOTS = 5
THREADS = 4
PAGE = 5_000
PAGES = 8  # in a part
PARTS = 400  # in all environments together
PAGE_SECONDS = 0.05 + 0.02 * PAGE / 1_000


def cluster(scale: Scale) -> Section:
    """Simulate clusters of several sizes, and report the limit of their growth."""
    row_seconds = asyncio.run(_row_seconds(scale.few))
    rates = {
        environments: {workers: simulated(workers, environments, row_seconds) for workers in WORKERS}
        for environments in ENVIRONMENTS
    }
    notes = [
        f"simulated with {row_seconds * 1e6:.1f} us of processor time per row, as measured for to_parquet here",
        f"{'environments':<13}"
        + "".join(f"{f'{workers} worker(s)':>14}" for workers in WORKERS)
        + "   slots are full at",
    ]
    for environments, by_workers in rates.items():
        most = environments * SLOTS * PAGE / PAGE_SECONDS
        line = f"{environments:<13}" + "".join(f"{rate:>14,.0f}" for rate in by_workers.values())
        notes.append(f"{line}   {most * row_seconds:.1f} workers, {most:,.0f} rows/s")
    notes.append("Up to that point, each worker adds the rate of its core. Beyond it, only more environments add rows.")
    gain = rates[8][2] / rates[8][1]
    return Section(
        "A cluster: rows per second",
        [Figure("-", "8 environments, simulated: 2 workers against 1", gain, "x", 1.8)],
        notes=notes,
        curves={f"{environments} environments": by_workers for environments, by_workers in rates.items()},
    )


async def _row_seconds(rows: int) -> float:
    """Return the processor time of this process per row, from its bytes to the Parquet file."""
    show("to_parquet")
    async with spawn(rows=rows) as simulator, AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas:
        with tempfile.TemporaryDirectory() as folder:
            await to_parquet(afas, "Profit_Wide", Path(folder, "first"), key="Id", take=100)  # loads all imports
            began = process_time()
            written = await to_parquet(afas, "Profit_Wide", Path(folder, "rows"), key="Id", take=PAGE)
            return (process_time() - began) / written.rows


@dataclass
class _Part:
    """A part that is being read."""

    environment: int
    worker: int
    to_parse: int = PAGES  # pages


def simulated(workers: int, environments: int, row_seconds: float) -> float:
    """Return the rows per second of a cluster that reads environments of the same size.

    Args:
        workers: The number of workers, with one core each.
        environments: The number of environments. Their parts take turns.
        row_seconds: The processor time per row.
    """
    waiting = deque(number % environments for number in range(max(1, PARTS // environments) * environments))
    total = len(waiting) * PAGES * PAGE
    asking: list[deque[_Part]] = [deque() for _ in range(environments)]  # the queue for slots
    free = [SLOTS] * environments
    busy_until = [0.0] * workers
    events: list[tuple[float, int, str, _Part]] = []
    now, number = 0.0, 0

    def begin(worker: int) -> None:
        if waiting:
            part = _Part(waiting.popleft(), worker)
            asking[part.environment].extend([part] * PAGES)
            serve(part.environment)

    def serve(environment: int) -> None:
        nonlocal number
        while free[environment] and asking[environment]:
            free[environment] -= 1
            number += 1
            heapq.heappush(events, (now + PAGE_SECONDS, number, "answered", asking[environment].popleft()))

    for _ in range(THREADS):
        for worker in range(workers):
            begin(worker)
    while events:
        now, _, what, part = heapq.heappop(events)
        if what == "answered":
            free[part.environment] += 1
            serve(part.environment)
            busy_until[part.worker] = max(busy_until[part.worker], now) + PAGE * row_seconds
            number += 1
            heapq.heappush(events, (busy_until[part.worker], number, "parsed", part))
        else:
            part.to_parse -= 1
            if not part.to_parse:
                begin(part.worker)
    return total / now
