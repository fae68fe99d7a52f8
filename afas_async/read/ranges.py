"""Plans: key ranges of about equal size as plain data, each to be read alone, here or elsewhere.

They are found with few and cheap requests. Ranges tile the order of the key wherever the cuts lie: where they lie
decides about balance only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from afas_async.errors import UsageError
from afas_async.policy.order import Order
from afas_async.policy.spans import Key, KeyRange, KeyValue, Slice, Span, values_of
from afas_async.read.keys import KeyReader
from afas_async.read.query import MOST_GROUPS, ROOM, SKIP_LIMIT, Query, refuse_without_key
from afas_async.read.window import read_page
from afas_async.vocabulary.arguments import check_type, type_name
from afas_async.wire.requests import QUERY_LIMIT
from afas_async.wire.row_requests import EVERY_ROW

FARTHEST = SKIP_LIMIT - 1
NEAREST = 1_000
TRIALS = 10  # rows whose keys cannot be sent, one behind the other, before there are no more cuts


class _PlannedPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    connector: str
    field: str
    lower: KeyValue | None
    upper: KeyValue | None


async def plan(query: Query[Any], parts: int) -> list[dict[str, Any]]:
    """Return the parts of a read as plain data."""
    check_type("parts", parts, int, "a whole number such as 4", connector=query.connector.name)
    if parts < 1:
        raise UsageError(f"parts must be 1 or more, not {parts}")
    if not query.connector.key:
        await refuse_without_key(query)
    name, field = query.connector.name, query.connector.key[0]
    asked = query
    if not query.where:  # no row can meet it
        parts = 1
    elif len(query.where) > MOST_GROUPS or query.room < ROOM * len(query.order.fields):
        query = replace(query, where=EVERY_ROW)  # any cuts will do
    ranges = await key_ranges(query, parts)
    if not _all_fit(asked, ranges):
        ranges = (KeyRange(None, None),)
    return [msgspec.to_builtins(_PlannedPart(name, field, each.lower, each.upper)) for each in ranges]


def _all_fit(query: Query[Any], ranges: Sequence[KeyRange]) -> bool:
    """Whether the bounds of each range fit into a request beside the longest alternative, which cannot be split."""
    longest = max(query.where, key=lambda group: sum(len(test.text) for test in group), default=())
    alone = replace(query, where=(longest,))
    return all(alone.length(alone.within(each).where) <= QUERY_LIMIT for each in ranges)


def restrict(query: Query[Any], part: Mapping[str, Any]) -> Query[Any]:
    """Return what is to be read of a part of a plan.

    Raises:
        UsageError: If it is no part of a plan for this connector and key.
    """
    name, key = query.connector.name, query.connector.key
    try:
        planned = msgspec.convert(dict(part), _PlannedPart)
    except (msgspec.ValidationError, TypeError, ValueError):
        given = "another dict" if isinstance(part, Mapping) else type_name(part)  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(f"{name}: part: expected one of the parts that plan() returned, got {given}") from None
    if not key or (planned.connector, planned.field) != (name, key[0]):
        raise UsageError(
            f"{name}: this part was planned for {planned.connector} with {planned.field} as the first field of its key"
        )
    return query.within(KeyRange(planned.lower, planned.upper))


# --- where to cut ---


async def key_ranges(query: Query[Any], count: int) -> tuple[KeyRange, ...]:
    """Cut a read into key ranges at values of the first key field: fewer than `count` if that has too few values."""
    edges = [await _edge(query, descending=descending) for descending in (False, True)] if count > 1 else []
    cuts: list[KeyValue]
    match edges:
        case [] | [None, _]:
            cuts = []
        case [int(lowest), int(highest)]:
            even = {lowest + (highest - lowest + 1) * number // count for number in range(1, count)}
            cuts = [*sorted(even - {lowest})]
        case _:
            cuts = await _probed(query, count, edges[0])
    return tuple(KeyRange(*bounds) for bounds in zip([None, *cuts], [*cuts, None], strict=True))


async def _edge(query: Query[Any], *, descending: bool) -> KeyValue | None:
    """Return the first value of the first key field in the order of the key, or against it."""
    sign = "-" if descending else ""
    by_key = replace(query, order=Order(tuple(sign + field for field in query.connector.key)))
    key = await _key_at(by_key, Span(0, 1))
    return None if key is None else values_of(key)[0]


async def _key_at(query: Query[Any], span: Span) -> Key | None:
    rows = await read_page(query, span)
    return KeyReader(query.connector, query.order).read(rows, None, 0)[0] if rows else None


async def _probed(query: Query[Any], count: int, first: KeyValue | None) -> list[KeyValue]:
    """Return cuts at values that rows have: single rows at growing distances tell how many there are, and where."""
    by_key = replace(query, order=Order(query.connector.key))
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


async def _key_behind(query: Query[Any], key: Key | None, rows: int) -> Key | None:
    """Return the key so many rows behind another one, or from the first row on; None if there is none.

    It is one that can be sent, perhaps some rows further on.
    """
    while rows > FARTHEST and (key := await _sendable(query, key, FARTHEST)) is not None:
        rows -= FARTHEST
    return None if rows > FARTHEST else await _sendable(query, key, rows)


async def _sendable(query: Query[Any], behind: Key | None, rows: int) -> Key | None:
    within = None if behind is None else Slice("from", behind)
    for further in range(TRIALS):
        key = await _key_at(query, Span(rows + further, 1, within))
        if key is None or query.fits(key, times=3):  # as two bounds of a range, and where its read stands
            return key
    return None


async def _next_mark(query: Query[Any], marks: list[Key | None]) -> Key | None:
    last = marks[-1]
    key = await _sendable(query, last, FARTHEST)
    if key is not None and last is not None and values_of(key)[0] == values_of(last)[0]:
        # More rows have this value than can be skipped, and no cut lies among them: go on behind them.
        key = await _key_at(query, Span(0, 1, Slice("after", key)))
    if key is not None:
        marks.append(key)
    return key
