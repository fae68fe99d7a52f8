"""Record an environment, to simulate it elsewhere: `python -m afas_async simulate --record`."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from afas_async.client.client import AfasClient
from afas_async.commands.key_check import type_fault
from afas_async.commands.row_shapes import shape, unique_fields
from afas_async.errors import AfasError
from afas_async.policy.sizing import CELL_LIMIT
from afas_async.simulator.own.recordings import RecordedGetConnector, RecordedUpdateConnector, Recording

SAMPLE: Final = 10_000  # rows of a connector to read
SAMPLE_OF_BLOBS: Final = 1_000  # rows, if a field may hold files
_FARTHEST: Final = 1_000_000  # rows to count at most: skipping more takes the service too long

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


async def record_environment(path: Path) -> bool:
    """Record the environment in the variables; see `record`."""
    async with AfasClient.from_env() as afas:
        return await record(afas, path)


async def record(afas: AfasClient, path: Path) -> bool:
    """Record the connectors of an environment, and the shapes and sizes of their rows, but no value.

    This reads 10,000 rows of each connector, or 1,000 if it has blobs. The number of further rows is found by skipping,
    with about ten requests. Connectors that cannot be read are left out.

    Args:
        afas: An open client.
        path: The file to write.

    Returns:
        Whether all connectors that the token may use are in the file.

    Raises:
        AfasError: If the service does not list the connectors.
        OSError: If the file cannot be written.
    """
    await asyncio.to_thread(path.touch)  # a wrong path fails before anything is read
    today = datetime.now(UTC).date()
    listed = await afas.metainfo(refresh=True)
    get_connectors, update_connectors = list[RecordedGetConnector](), list[RecordedUpdateConnector]()
    complete = True
    for connector in listed.get_connectors:
        try:
            recorded = await _get_connector(afas, connector.id, today)
        except AfasError as error:
            complete = _left_out(connector.id, error)
            continue
        get_connectors.append(recorded)
        key = f", unique fields: {', '.join(recorded.key)}" if recorded.key else ""
        print(f"{recorded.id}: {recorded.rows:,} rows{key}", flush=True)
    for connector in listed.update_connectors:
        try:
            metainfo = (await afas.request("GET", f"metainfo/update/{connector.id}")).json(dict[str, Any])
        except AfasError as error:
            complete = _left_out(connector.id, error)
            continue
        update_connectors.append(RecordedUpdateConnector(id=connector.id, metainfo=metainfo))
    recording = Recording(recorded=today, get_connectors=get_connectors, update_connectors=update_connectors)
    await asyncio.to_thread(path.write_bytes, msgspec.json.format(_ENCODER.encode(recording), indent=1))
    print(f"\n{path}: GetConnectors: {len(get_connectors)}, UpdateConnectors: {len(update_connectors)}")
    return complete


def _left_out(connector: str, error: AfasError) -> bool:
    print(f"{connector}: left out: {error}", flush=True)
    return False


async def _get_connector(afas: AfasClient, name: str, today: date) -> RecordedGetConnector:
    metainfo = (await afas.request("GET", f"metainfo/get/{name}")).json(dict[str, Any])
    fields = (await afas.get_metainfo(name)).fields
    order = next((field.id for field in fields if type_fault(field) is None), ())
    sample = SAMPLE_OF_BLOBS if any(field.data_type == "blob" for field in fields) else SAMPLE
    take = min(sample // 10, (CELL_LIMIT - 1) // max(len(fields), 1))
    rows = await _first_rows(afas, name, sample, take, order)
    return RecordedGetConnector(
        id=name,
        metainfo=metainfo,
        rows=len(rows) if len(rows) < sample else await _count(afas, name, sample, order),
        key=unique_fields(fields, rows),
        fields={field.id: shape(field.data_type, [row.get(field.id) for row in rows], today) for field in fields},
    )


async def _first_rows(
    afas: AfasClient, name: str, sample: int, take: int, order: str | tuple[()]
) -> list[dict[str, Any]]:
    """Read the first rows, until a page is empty. A short page may come from a limit of the service."""
    rows = list[dict[str, Any]]()
    while len(rows) < sample:
        page = await afas.page(name, skip=len(rows), take=min(take, sample - len(rows)), order_by=order)
        if not page.rows:
            break
        rows += page.rows
    return rows


async def _count(afas: AfasClient, name: str, known: int, order: str | tuple[()]) -> int:
    """Count rows to a twentieth by asking whether there are more: the service does not report their number."""
    low, high = known, known * 2
    while high <= _FARTHEST and await _has_more(afas, name, high, order):
        low, high = high, high * 2
    while high <= _FARTHEST and high - low > low // 20:
        middle = (low + high) // 2
        if await _has_more(afas, name, middle, order):
            low = middle
        else:
            high = middle
    return low


async def _has_more(afas: AfasClient, name: str, rows: int, order: str | tuple[()]) -> bool:
    return bool((await afas.page(name, skip=rows, take=1, order_by=order)).rows)
