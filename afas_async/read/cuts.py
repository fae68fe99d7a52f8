"""Cutting a connector into key ranges of about equal size, with few and cheap requests.

Ranges tile the order of the key wherever the cuts lie: where they lie decides about balance only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from afas_async.policy.order import Order
from afas_async.policy.spans import Key, KeyValue, Slice, Span, values_of
from afas_async.read.position import KeyRange
from afas_async.read.rowkeys import KeyReader
from afas_async.read.source import SKIP_LIMIT, Source
from afas_async.read.window import read_page

FARTHEST = SKIP_LIMIT - 1
NEAREST = 1_000


async def key_ranges(source: Source[Any], count: int) -> tuple[KeyRange, ...]:
    """Cut a read into key ranges at values of the first key field: fewer than `count` if that has too few values."""
    edges = [await _edge(source, descending=descending) for descending in (False, True)] if count > 1 else []
    cuts: list[KeyValue]
    match edges:
        case [] | [None, _]:
            cuts = []
        case [int(lowest), int(highest)]:
            even = {lowest + (highest - lowest + 1) * number // count for number in range(1, count)}
            cuts = [*sorted(even - {lowest})]
        case _:
            cuts = await _probed(source, count, edges[0])
    return tuple(KeyRange(*bounds) for bounds in zip([None, *cuts], [*cuts, None], strict=True))


async def _edge(source: Source[Any], *, descending: bool) -> KeyValue | None:
    """Return the first value of the first key field in the order of the key, or against it."""
    sign = "-" if descending else ""
    by_key = replace(source, order=Order(tuple(sign + field for field in source.connector.key)))
    key = await _key_at(by_key, Span(0, 1))
    return None if key is None else values_of(key)[0]


async def _key_at(source: Source[Any], span: Span) -> Key | None:
    rows = await read_page(source, span)
    return KeyReader(source.connector, source.order).read(rows, None, 0)[0] if rows else None


async def _probed(source: Source[Any], count: int, first: KeyValue | None) -> list[KeyValue]:
    """Return cuts at values that rows have: single rows at growing distances tell how many there are, and where."""
    by_key = replace(source, order=Order(source.connector.key))
    marks: list[Key | None] = [None]  # the keys of the rows 0, FARTHEST, 2 * FARTHEST ...

    async def key_at(row: int) -> Key | None:
        mark = marks[row // FARTHEST]
        return await _key_at(by_key, Span(row % FARTHEST, 1, None if mark is None else Slice("from", mark)))

    low, high = 0, NEAREST
    while (await key_at(high) if high % FARTHEST else await _next_mark(by_key, marks)) is not None:
        low, high = high, high + FARTHEST if high >= FARTHEST else min(high * 10, FARTHEST)
    while high - low > max(1, low // (8 * count)):
        middle = (low + high) // 2
        low, high = (low, middle) if await key_at(middle) is None else (middle, high)
    cuts: list[KeyValue] = []
    # Each is found from the one before it: by their numbers alone they would change places when rows appear meanwhile.
    last: Key | None = None
    for number in range(1, count):
        last = await _key_behind(by_key, last, low * number // count - low * (number - 1) // count)
        if last is None:  # rows have vanished meanwhile
            break
        value = values_of(last)[0]
        if value not in {first, *cuts}:
            cuts.append(value)
    return cuts


async def _key_behind(source: Source[Any], key: Key | None, rows: int) -> Key | None:
    """Return the key so many rows behind another one, or from the first row on; None if there is none."""
    while True:
        key = await _key_at(source, Span(min(rows, FARTHEST), 1, None if key is None else Slice("from", key)))
        rows -= FARTHEST
        if rows <= 0 or key is None:
            return key


async def _next_mark(source: Source[Any], marks: list[Key | None]) -> Key | None:
    last = marks[-1]
    key = await _key_at(source, Span(FARTHEST, 1, None if last is None else Slice("from", last)))
    if key is not None and last is not None and values_of(key)[0] == values_of(last)[0]:
        # More rows have this value than can be skipped, and no cut lies among them: go on behind them.
        key = await _key_at(source, Span(0, 1, Slice("after", key)))
    if key is not None:
        marks.append(key)
    return key
