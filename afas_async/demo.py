"""The main job, end to end, for people who want to see it: `python -m afas_async demo`."""

from __future__ import annotations

import sys
import zlib
from decimal import Decimal
from time import perf_counter

import msgspec

from afas_async.client import AfasClient
from afas_async.connectors import GetConnector
from afas_async.read.stream import Progress
from afas_async.simulator import Latency, spawn

# A service that answers after 50 ms, and needs 20 ms for each thousand rows.
LATENCY = Latency(base=0.05, per_row=0.00002)
PROGRESS_SECONDS = 0.1


class WideRow(msgspec.Struct, frozen=True, gc=False, rename="pascal"):
    """A row of the simulator's wide connector. Dates stay text: their `Z` is false, they are Amsterdam wall time."""

    id: int
    code: str
    name: str
    description: str
    category: str
    region: str
    status: str
    quantity: int
    reserved: int
    score: int | None
    price: Decimal
    cost: Decimal
    discount: Decimal | None
    weight: Decimal
    active: bool
    blocked: bool
    created_on: str
    modified_on: str
    delivery_date: str | None
    remark: str | None


WIDE = GetConnector("Profit_Wide", WideRow, key="Id")


async def demo(rows: int) -> bool:
    """Read a large connector from a simulator in a process of its own, show how it goes, and check the result.

    Args:
        rows: Rows of the connector.

    Returns:
        Whether the rows read are those of the database, in number, content and order.
    """
    memory_before = _peak_memory()
    print(f"Starting a simulated AFAS Profit with {rows:,} rows of 20 fields ...", flush=True)
    async with spawn(rows=rows, latency=LATENCY) as simulator:
        truth = await simulator.checksum(WIDE.name)
        print(f"Reading {WIDE.name} in the order of its key, typed, pages fetched concurrently:", flush=True)
        async with AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas:
            checksum, shown, progress_at = 0, list[WideRow](), 0.0
            started, first_row_after = perf_counter(), 0.0
            # The rows as JSON again: equal to the database's texts only if no value has changed on its way.
            encoder = msgspec.json.Encoder(decimal_format="number")
            async with afas.rows(WIDE) as stream:
                async for batch in stream.batches():
                    if not shown:
                        first_row_after = perf_counter() - started
                        shown = batch[:3]
                    checksum = zlib.crc32(encoder.encode_lines(batch), checksum)
                    if perf_counter() > progress_at:
                        progress_at = perf_counter() + PROGRESS_SECONDS
                        _show_progress(stream.progress, rows)
                progress = stream.progress
            _show_progress(progress, rows)
            statistics = afas.statistics()
    complete = (progress.rows, checksum) == (truth.rows, truth.crc32)
    memory = _peak_memory() - memory_before
    print("\n\nFirst rows:")
    for row in shown:
        print(f"  {row.id:>3}  {row.code}  {row.name:<28} {row.price:>10}  {row.modified_on}")
    print(f"""
  rows         {progress.rows:,} in {progress.seconds:.2f} s: {progress.rows_per_second:,.0f} rows/s
  pages        {progress.pages} pages in {statistics.requests} requests, at most {statistics.peak_in_flight} in flight
  first row    after {first_row_after * 1000:.0f} ms
  memory       {memory:.0f} MB more at its peak than after the import
  check        {"complete: number and checksum equal the database's" if complete else "NOT what the database holds"}
               ({truth.rows:,} rows, checksum {truth.crc32:08x})""")
    return complete


def _show_progress(progress: Progress, rows: int) -> None:
    text = (
        f"  {progress.rows:>11,} of {rows:,} rows  {progress.pages:>4} pages  {progress.rows_per_second:>9,.0f} rows/s"
    )
    print(f"\r{text}" if sys.stdout.isatty() else text, end="" if sys.stdout.isatty() else "\n", flush=True)


def _peak_memory() -> float:
    """Return the largest size that this process has had, in MB; not a number where the platform does not tell."""
    try:
        import resource  # noqa: PLC0415 - Windows has none
    except ImportError:
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
