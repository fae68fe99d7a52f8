"""Cuts a read into parts of about equal size, with few and cheap requests.

The parts hold each row once wherever the cuts are: the cuts only decide about balance. A part is a group of tests on
the key, such as `A = 5 and B >= "b"`. Such a request is short, and the database finds its rows by an index. Only the
service compares values, as it may consider texts equal that Python does not.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

from afas_async.errors import UsageError
from afas_async.policy.order import Order
from afas_async.policy.spans import Key, KeyValue, Slice, Span, values_of
from afas_async.read.keys import KeyReader
from afas_async.read.parts import Part
from afas_async.read.query import KEY_LENGTH, MOST_GROUPS, SKIP_LIMIT, Query, refuse_without_key
from afas_async.read.window import read_page
from afas_async.vocabulary.arguments import check_type
from afas_async.vocabulary.filters import NO_VALUE, Group, Operator, Test
from afas_async.vocabulary.values import value_text
from afas_async.wire.requests import QUERY_LIMIT
from afas_async.wire.row_requests import EVERY_ROW

FARTHEST = SKIP_LIMIT - 1
NEAREST = 1_000
TRIALS = 10  # rows in sequence whose keys cannot be sent, before it stops looking for cuts


async def plan(query: Query[Any], count: int) -> list[Part]:
    """Cut a read into about `count` parts, or fewer if it has few keys or its condition leaves no space for them.

    Raises:
        UsageError: If `count` is invalid.
        SortKeyRequiredError: If the connector has no key.
        AfasError: If the rows to cut at cannot be read.
    """
    check_type("parts", count, int, "a whole number such as 4", connector=query.connector.name)
    if count < 1:
        raise UsageError(f"parts must be 1 or more, not {count}: give a number such as 4")
    if not query.connector.key:
        await refuse_without_key(query)
    ranges: list[tuple[Group, int | None]] = [((), None)]
    if query.where and count > 1:  # otherwise there is nothing to cut
        ranges = [*await _ranges(_looked_at(query), count)]
    longest = max(query.where, key=lambda group: sum(len(test.text) for test in group), default=())
    alone = replace(query, where=(longest,))  # a single group cannot be split
    if not all(alone.length(alone.within(tests).where) <= QUERY_LIMIT for tests, _ in ranges):
        ranges = [((), None)]
    return [Part(query.connector.name, query.connector.key, query.where, tests, rows) for tests, rows in ranges]


def _looked_at(query: Query[Any]) -> Query[Any]:
    """Return the rows to cut at: those of the condition, if it leaves space for keys."""
    by_key = replace(query, order=Order(query.connector.key))
    beside = _from(by_key, (KEY_LENGTH * "0",) * len(query.connector.key))
    if len(beside.where) > MOST_GROUPS or beside.key_space < KEY_LENGTH * len(query.connector.key):
        return replace(by_key, where=EVERY_ROW)  # any cuts are correct
    return by_key


async def _ranges(query: Query[Any], count: int) -> list[tuple[Group, int]]:
    """Return the tests of each part, and about how many rows it has at most."""
    key = query.connector.key
    first, last = [await _key_at(replace(query, order=Order((sign + key[0], *key[1:]))), 0) for sign in ("", "-")]
    if first is None or last is None:
        return [((), 0)]
    if len(key) == 1 and isinstance(first, int) and isinstance(last, int):
        return _even(key[0], first, last, count)
    for field in key[1:]:
        # No range has a row in which it is empty: the check of the keys raises if there is one.
        await _key_at(query.within((Test(field, Operator.EMPTY, NO_VALUE),)), 0)
    rows = await _about_how_many(query, count)
    return await _balanced(query, -(-rows // count))


def _test(field: str, operator: Operator, value: KeyValue) -> Test:
    return Test(field, operator, value_text(value, field))


def _even(field: str, lowest: int, highest: int, count: int) -> list[tuple[Group, int]]:
    """Cut whole numbers evenly between the lowest and the highest."""
    cuts = sorted({lowest + (highest - lowest + 1) * number // count for number in range(1, count)} - {lowest})
    from_each: list[Group] = [(), *((_test(field, Operator.AT_LEAST, cut),) for cut in cuts)]
    up_to: list[Group] = [*((_test(field, Operator.LESS, cut),) for cut in cuts), ()]
    ends = [lowest, *cuts, highest + 1]
    sizes = [end - begin for begin, end in pairwise(ends)]
    return [(lower + upper, size) for lower, upper, size in zip(from_each, up_to, sizes, strict=True)]


# --- all other keys: cut at existing rows ---


async def _about_how_many(query: Query[Any], count: int) -> int:
    """Return the number of rows, or slightly more, by looking up single rows at growing distances."""
    marks: list[Key | None] = [None]  # the keys of the rows 0, FARTHEST, 2 * FARTHEST ...

    async def is_there(row: int) -> bool:
        if row // FARTHEST == len(marks):
            mark = await _sendable(_from(query, marks[-1]), FARTHEST)
            if mark is not None:
                marks.append(mark)
            return mark is not None
        return await _key_at(_from(query, marks[row // FARTHEST]), row % FARTHEST) is not None

    low, high = 0, NEAREST
    while await is_there(high):
        low, high = high, high + FARTHEST if high >= FARTHEST else min(high * 10, FARTHEST)
    while high - low > max(1, low // (8 * count)):
        middle = (low + high) // 2
        low, high = (middle, high) if await is_there(middle) else (low, middle)
    return high


async def _balanced(query: Query[Any], share: int, same: Group = ()) -> list[tuple[Group, int]]:
    """Cut the rows that meet some tests into parts of about one share each, mostly three to seven quarters of it.

    Args:
        query: The rows to cut, in the order of the key.
        share: How many rows a part should have.
        same: The tests that all rows meet: their first fields have these values.
    """
    field, innermost = query.connector.key[len(same)], len(same) + 1 == len(query.connector.key)
    found: list[tuple[Group, int]] = []
    lower = same
    while (key := await _key_after(query.within(lower), share)) is not None:
        value = values_of(key)[len(same)]
        before = (*lower, _test(field, Operator.LESS, value))
        at = (*same, _test(field, Operator.EQUAL, value))
        if not innermost and await _key_after(query.within(at), share) is not None:  # too many rows for one part
            found.append((before, share))  # even if it is empty now: rows may appear there
            found += await _balanced(query, share, at)
            lower = (*same, _test(field, Operator.GREATER, value))
        elif innermost or await _key_after(query.within(before), share * 3 // 4) is not None:
            found.append((before, share))
            lower = (*same, _test(field, Operator.AT_LEAST, value))
        else:  # the value begins near the last cut and ends near the next
            found.append(((*lower, _test(field, Operator.AT_MOST, value)), share))
            lower = (*same, _test(field, Operator.GREATER, value))
    return [*found, (lower, share)]


async def _key_after(query: Query[Any], rows: int) -> Key | None:
    """Return the key `rows` rows after the first one, or some rows further on; None past the end."""
    key: Key | None = None
    while rows > FARTHEST and (key := await _sendable(_from(query, key), FARTHEST)) is not None:
        rows -= FARTHEST
    return None if rows > FARTHEST else await _sendable(_from(query, key), rows)


async def _sendable(query: Query[Any], row: int) -> Key | None:
    """Return the key of a row, or of a later one, that can be sent."""
    for number in range(row, row + TRIALS):
        key = await _key_at(query, number)
        # It becomes two bounds of a range, and the key from which a read continues.
        if key is None or (query.fits(key, times=3) and _from(query, key).fits(key)):
            return key
    return None


def _from(query: Query[Any], key: Key | None) -> Query[Any]:
    """Return the rows from a key on: those with a greater first value, or the same and a greater second, and so on."""
    if key is None:
        return query
    deepest = len(values_of(key)) - 1
    slices = [Slice("from" if depth == deepest else "after", key, depth) for depth in range(deepest + 1)]
    return query.within(*map(query.order.tests, slices))


async def _key_at(query: Query[Any], row: int) -> Key | None:
    rows = await read_page(query, Span(row, 1))
    return KeyReader(query.connector, query.order).read(rows, None, 0)[0] if rows else None
