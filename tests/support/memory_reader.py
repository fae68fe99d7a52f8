"""Read a large connector to its end and report the cost: `python -m tests.support.memory_reader ROWS TAKE PAUSE`.

The service runs in a process of its own, so that this process holds nothing but the reader.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import warnings
import zlib
from pathlib import Path

import msgspec

from afas_async import AfasClient, GetConnector
from afas_async.simulator import spawn

PAUSE_SECONDS = 0.15


class Wide(msgspec.Struct):
    """All twenty fields."""

    Id: int
    Code: str
    Name: str
    Description: str
    Category: str
    Region: str
    Status: str
    Quantity: int
    Reserved: int
    Score: int | None
    Price: float
    Cost: float
    Discount: float | None
    Weight: float
    Active: bool
    Blocked: bool
    CreatedOn: str
    ModifiedOn: str
    DeliveryDate: str | None
    Remark: str | None


TYPED = GetConnector("Profit_Wide", Wide, key="Id")
RAW = GetConnector("Profit_Wide", msgspec.Raw, key="Id")


def forget_peak() -> int:
    """Start a new measurement of the peak where the system can, and return the size now, in bytes."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return peak()


def peak() -> int:
    """Return the largest size so far, in bytes."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


async def read_typed(afas: AfasClient, rows: int, take: int | None, pauses: int) -> dict[str, int | bool]:
    count = total = last = 0
    ordered = True
    async for row in afas.rows(TYPED, take=take):
        count += 1
        total += row.Quantity
        ordered = ordered and row.Id > last
        last = row.Id
        if pauses and count % (rows // pauses) == 1:
            await asyncio.sleep(PAUSE_SECONDS)
    return {"count": count, "total": total, "ordered": ordered, "last": last}


async def read_raw(afas: AfasClient) -> tuple[int, int, int]:
    count = crc32 = total = 0
    quantity = msgspec.json.Decoder(msgspec.defstruct("Quantity", [("Quantity", int)]))
    async for batch in afas.rows(RAW).batches():
        for row in batch:
            count += 1
            crc32 = zlib.crc32(bytes(row) + b"\n", crc32)
            total += quantity.decode(row).Quantity
    return count, crc32, total


async def main(rows: int, take: int | None, pauses: int) -> None:
    async with spawn(rows=rows) as simulator:
        truth = await simulator.checksum("Profit_Wide")
        async with AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas:
            await afas.page(TYPED, take=1)
            before = forget_peak()
            found = await read_typed(afas, rows, take, pauses)
            typed = peak() - before
            before = forget_peak()
            count, crc32, total = await read_raw(afas)
            raw = peak() - before
    print(  # noqa: T201
        json.dumps({
            **found,
            "typed_growth": typed,
            "raw_growth": raw,
            "raw_is_true": (count, crc32) == (truth.rows, truth.crc32),
            "raw_total": total,
        })
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]) or None, int(sys.argv[3])))
