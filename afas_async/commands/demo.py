"""The command `demo`: read a large connector from end to end, and check the result."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import msgspec
import typer

from afas_async.client.client import AfasClient
from afas_async.commands.bars import print_bars, save_bars
from afas_async.commands.environment import HIDDEN, completed, environment_client
from afas_async.commands.latency import typed_latency
from afas_async.commands.naming import PROGRAM
from afas_async.commands.options import KEY_NOTATION, OwnSimulator, inspect_command, key_fields
from afas_async.commands.terminal import ProgressLine, fitting, peak_memory
from afas_async.errors import NonUniqueKeyError, UsageError
from afas_async.http.statistics import Statistics
from afas_async.read.stream import Progress
from afas_async.simulator import Latency, spawn
from afas_async.simulator.latency import NOTATION
from afas_async.simulator.samples.connectors import SAMPLES
from afas_async.vocabulary.connectors import GetConnector

ROWS = 300_000
# A service that responds after 50 ms, and needs 20 ms for each thousand rows.
LATENCY = Latency(base=0.05, per_row=0.00002)
WINDOW = 5
LOOP_TAKE = 1_000  # the usual page size of a hand-written loop
SHOWN = 3
EPILOG = HIDDEN


class WideRow(msgspec.Struct, frozen=True, gc=False, rename="pascal"):
    """A row of the simulator's wide connector. Dates stay text: they are wall time in Amsterdam, with a false `Z`."""

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

    def __str__(self) -> str:
        return f"{self.id:>3}  {self.code}  {self.name:<28} {self.price:>10}  {self.modified_on}"


WIDE = GetConnector("Profit_Wide", WideRow, key="Id")


@dataclass(frozen=True, slots=True)
class Read:
    """The measurements of one read.

    Attributes:
        rows: Rows read.
        complete: Whether it reached the end, and was not stopped.
        crc32: The CRC-32 of all rows, encoded as JSON lines; 0 without a database to compare with.
        crc32_sum: The sum of the CRC-32 of each row; also 0 then.
        first_row_after: Seconds to the first row.
        head: The first rows.
        progress: The progress of the stream.
        statistics: The statistics of the client.
    """

    rows: int
    complete: bool
    crc32: int
    crc32_sum: int
    first_row_after: float
    head: list[Any]
    progress: Progress
    statistics: Statistics

    @property
    def rows_per_second(self) -> float:
        """Rows read per second."""
        return self.rows / self.progress.seconds if self.progress.seconds else 0.0


async def demo_simulator(
    connector: GetConnector[Any], *, rows: int, latency: Latency, window: int, compare: bool, svg: Path | None = None
) -> bool:
    """Read a connector from a simulator in another process, and compare the result with its database.

    Args:
        connector: One of the simulator's connectors.
        rows: The size of the simulator's large connectors.
        latency: The latency of its responses.
        window: Pages in flight at a time, 1 to 8.
        compare: Whether to read it again with a plain loop.
        svg: The SVG file for the comparison.

    Returns:
        Whether the rows equal those in the database.

    Raises:
        AfasError: If the rows cannot be read.
        SimulatorError: If the simulator does not start, or fails.
    """
    memory_before = peak_memory()
    sample = next((sample.connector for sample in SAMPLES if sample.connector.name == connector.name), None)
    if sample is None:
        names = ", ".join(sample.connector.name for sample in SAMPLES)
        raise UsageError(
            f"the simulator has no connector {connector.name!r}: use {names}, or read your own environment without"
            " --simulator"
        )
    print(f"Starting a simulator in another process, with {rows:,} rows in its large connectors ...", flush=True)
    async with spawn(rows=rows, latency=latency) as simulator:
        truth = await simulator.checksum(connector.name)

        def client(concurrency: int) -> AfasClient:
            return AfasClient(base_url=simulator.base_url, auth=simulator.token, max_concurrency=concurrency)

        try:
            reads = await _read(client, connector, window=window, compare=compare, total=truth.rows)
        except NonUniqueKeyError:
            command = f"demo --simulator --connector {connector.name} --key {','.join(sample.key)} --rows {rows}"
            print(f"\nThis is not a key. Try the connector's own key:\n\n  {PROGRAM} {command}")
            raise
    complete = all((read.rows, read.crc32_sum) == (truth.rows, truth.crc32_sum) for read in reads)
    in_order = all(read.crc32 == truth.crc32 for read in reads)
    right = complete and (in_order or connector.key != sample.key)
    if not right:
        check = "NOT equal to the database"
    elif in_order:
        check = "complete and in order: number and checksum equal the database's"
    else:
        check = f"complete, each row once, in another order than that of {', '.join(sample.key)}"
    _print_rows(reads[0])
    _print_facts(reads[0], memory=peak_memory() - memory_before)
    print(f"  check        {check}\n               ({truth.rows:,} rows, checksum {truth.crc32:08x})")
    _print_comparison(reads, svg)
    return right


async def demo_environment(
    client: Callable[[int], AfasClient],
    connector: GetConnector[Any],
    *,
    limit: int | None,
    window: int,
    compare: bool,
    show: bool,
    svg: Path | None = None,
) -> None:
    """Read a connector of a real environment. Print the measurements, and what cannot be checked.

    Args:
        client: Makes a client, from the highest number of requests in flight.
        connector: The connector.
        limit: Rows to stop after, None for all.
        window: Pages in flight at a time, 1 to 8.
        compare: Whether to read it again with a plain loop.
        show: Whether to print the first rows: they may be personal data.
        svg: The SVG file for the comparison.

    Raises:
        AfasError: If the rows cannot be read.
    """
    memory_before = peak_memory()
    print(f"Through {client(window)}:", flush=True)
    reads = await _read(client, connector, window=window, compare=compare, limit=limit)
    if show:
        _print_rows(reads[0])
    else:
        print("\nThe first rows may be personal data: add --show to print them.")
    _print_facts(reads[0], memory=peak_memory() - memory_before)
    if reads[0].complete:
        print("  check        the end is proved by a response without new rows; the values cannot be compared:")
    else:
        print("  check        stopped at --rows, so neither the end nor the values could be checked:")
    print("               the service reports neither the number of its rows nor a checksum")
    _print_comparison(reads, svg)


async def _read(
    client: Callable[[int], AfasClient],
    connector: GetConnector[Any],
    *,
    window: int,
    compare: bool,
    total: int | None = None,
    limit: int | None = None,
) -> list[Read]:
    """Read a connector, and again with a plain loop if you compare. Each read has its own client."""
    form = "as dicts" if connector.row_type is dict else "typed"
    print(f"Reading {connector.name} in the order of its key, {form}, pages fetched concurrently:", flush=True)
    async with client(window) as afas:
        reads = [await _read_once(afas, connector, total=total, limit=limit)]
    if compare:
        print(f"And with a plain loop, {LOOP_TAKE:,} rows at a time, one page after the other:", flush=True)
        async with client(1) as afas:
            reads.append(await _read_once(afas, connector, total=total, limit=limit, take=LOOP_TAKE))
    return reads


async def _read_once(
    afas: AfasClient, connector: GetConnector[Any], *, total: int | None, limit: int | None, take: int | None = None
) -> Read:
    rows, crc32, crc32_sum, head = 0, 0, 0, list[Any]()
    started, first_row_after = perf_counter(), 0.0
    # The rows, encoded as JSON again: equal to the database's texts only if no value has changed.
    encoder = msgspec.json.Encoder(decimal_format="number")
    with ProgressLine(total) as line:
        async with afas.rows(connector, take=take) as stream:
            async for batch in stream.batches():
                if not rows:
                    first_row_after = perf_counter() - started
                wanted = batch if limit is None else batch[: limit - rows]
                head += wanted[: SHOWN - len(head)]
                rows += len(wanted)
                if total is not None:  # the number comes from a database to compare with
                    lines = encoder.encode_lines(wanted)
                    crc32 = zlib.crc32(lines, crc32)
                    crc32_sum += sum(map(zlib.crc32, lines.splitlines()))
                progress = stream.progress
                line.show(rows, pages=progress.pages, seconds=progress.seconds, bytes=progress.bytes)
                if rows == limit:
                    break
    _print_end(rows, total, stream.progress)
    return Read(rows, rows != limit, crc32, crc32_sum, first_row_after, head, stream.progress, afas.statistics())


def _print_end(rows: int, total: int | None, progress: Progress) -> None:
    of = "" if total is None else f" of {total:,}"
    rate = rows / progress.seconds if progress.seconds else 0.0
    print(fitting(f"  {rows:>11,}{of} rows  {progress.pages:>4} pages  {rate:>9,.0f} rows/s"), flush=True)


def _print_rows(read: Read) -> None:
    print("\nFirst rows:")
    for row in read.head:
        print(fitting(f"  {row}"))


def _print_facts(read: Read, *, memory: float) -> None:
    progress, statistics = read.progress, read.statistics
    print(f"""
  rows         {read.rows:,} in {progress.seconds:.2f} s: {read.rows_per_second:,.0f} rows/s
  pages        {progress.pages} pages in {statistics.requests} requests, at most {statistics.peak_in_flight} in flight
  first row    after {read.first_row_after * 1000:.0f} ms
  memory       {memory:.0f} MB more at its peak than after the import""")


def _print_comparison(reads: list[Read], svg: Path | None) -> None:
    """Print and draw two reads side by side; nothing for a single one."""
    for fast, slow in pairwise(reads):
        print(f"""
                 afas_async   plain loop
  seconds      {fast.progress.seconds:>12,.2f} {slow.progress.seconds:>12,.2f}
  rows/s       {fast.rows_per_second:>12,.0f} {slow.rows_per_second:>12,.0f}
  requests     {fast.statistics.requests:>12,} {slow.statistics.requests:>12,}
  first row    {fast.first_row_after * 1000:>9,.0f} ms {slow.first_row_after * 1000:>9,.0f} ms
  ratio        {fast.rows_per_second / max(slow.rows_per_second, 1e-9):>12,.1f} times as fast
""")
        bars = {"afas_async": fast.rows_per_second, "plain loop": slow.rows_per_second}
        print_bars(bars, unit="rows/s")
        if svg is not None:
            save_bars(svg, bars, unit="rows/s")


def command(
    *,
    connector: Annotated[str | None, typer.Option(metavar="NAME", help="Read this connector, as dicts.")] = None,
    key: Annotated[str | None, typer.Option(metavar=KEY_NOTATION, help="The key of that connector.")] = None,
    simulator: OwnSimulator = False,
    rows: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help=f"Rows in the simulator ({ROWS:,} by default), or rows to stop after."),
    ] = None,
    latency: Annotated[
        Latency | None,
        typer.Option(
            parser=typed_latency,
            metavar=NOTATION,
            help="Seconds that the simulator takes for a response, each 1,000 rows in it, and each 1,000 rows skipped"
            f" ({LATENCY} by default).",
        ),
    ] = None,
    window: Annotated[int, typer.Option(min=1, max=8, metavar="N", help="Pages fetched at a time.")] = WINDOW,
    compare: Annotated[bool, typer.Option("--compare", help="Read it again with a plain loop, and compare.")] = False,
    svg: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --compare: draw the comparison into this SVG file.")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the first rows of your environment too.")] = False,
) -> int:
    """Read a large connector from a simulator, and compare the result with its database.

    To read a connector of your environment, give --connector without --simulator.
    """
    if connector is None and key:
        raise typer.BadParameter("--key is the key of a --connector")
    if connector is not None and not key:
        advice = inspect_command(connector, simulator=simulator)
        raise typer.BadParameter(f"--connector needs its --key {KEY_NOTATION}; to find one: {advice}")
    if connector is not None and latency is not None and not simulator:
        raise typer.BadParameter("--latency is for the simulator: give --simulator too")
    if svg is not None and not compare:
        raise typer.BadParameter("--svg draws the comparison: give --compare too")
    declared: GetConnector[Any] = WIDE if connector is None else GetConnector(connector, key=key_fields(key))
    if declared is WIDE or simulator:
        work = demo_simulator(
            declared, rows=rows or ROWS, latency=latency or LATENCY, window=window, compare=compare, svg=svg
        )
        return 0 if completed(work) else 1
    completed(
        demo_environment(environment_client, declared, limit=rows, window=window, compare=compare, svg=svg, show=show)
    )
    return 0
