"""One sampled read: a query, a way to consume it and a service, all drawn by lot, and the check of its result."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from afas_async import AfasClient, Condition, F, GetConnector, Pages, Rows
from afas_async.http.limiter import Limiter
from afas_async.http.session import Session
from afas_async.policy.spans import Key
from tests.support import canary
from tests.support.table_service import Service
from tests.support.universe import GROUPS, KINDS, Record, Universe, universe

ADDRESS = "http://127.0.0.1:9/profitrestservices"


def client_of(service: Service, *, max_concurrency: int = 5) -> AfasClient:
    """Return a client whose transport is the service itself."""
    client = AfasClient(base_url=ADDRESS, auth=canary.TOKEN, max_retries=20)
    client._session = Session(service, limiter=Limiter(max_concurrency))  # pyright: ignore[reportPrivateUsage]
    return client


@dataclass
class Query:
    """The query of a read, and the rows that meet it.

    Attributes:
        connector: The connector.
        options: The arguments of `rows`.
        meets: Whether a row meets the condition.
        sorted_by: The fields that the rows come sorted by.
        refusable: Whether it may be refused, as its condition has to be split and its order cannot be kept then.
        resumable: Whether there are cursors.
        pages: Whether to read whole pages.
    """

    connector: GetConnector[Any]
    options: dict[str, Any]
    meets: Callable[[Record], bool]
    sorted_by: Sequence[str]
    refusable: bool
    resumable: bool
    pages: bool


@dataclass
class Outcome:
    """What became of a read: the keys that it returned, and their faults."""

    query: Query
    keys: list[Key] = field(default_factory=list[Key])
    lost: set[Key] = field(default_factory=set[Key])
    doubled: int = 0
    disordered: bool = False
    alien: set[Key] = field(default_factory=set[Key])
    legs: int = 1

    @property
    def right(self) -> bool:
        return not (self.lost or self.doubled or self.disordered or self.alien)


def _every(_: Record) -> bool:
    return True


def _condition(chance: random.Random, rows: Universe) -> tuple[Condition | None, Callable[[Record], bool], str]:
    """Return a condition, what it means, and how it will be split: "whole", "value" or "overlap"."""
    records = rows.records
    field_, low, high = rows.key[0], *sorted(chance.sample(range(len(records)), 2))
    first, last = records[low].values[field_], records[high].values[field_]
    ends = records[low].ranks[field_], records[high].ranks[field_]
    group = chance.randrange(GROUPS)
    chosen = set(chance.sample(range(GROUPS), 3))
    match chance.choices(range(7), weights=(6, 3, 3, 3, 2, 2, 2))[0]:
        case 0:
            return None, _every, "whole"
        case 1:
            return F.Group == group, lambda row: row.values["Group"] == group, "whole"
        case 2:
            return F.Group.in_(chosen), lambda row: row.values["Group"] in chosen, "value"
        case 3 if rows.types[field_] is int or ends[0] < ends[1]:
            between = F[field_].between(first, last) & (F.Group != group)
            return (
                between,
                lambda row: ends[0] <= row.ranks[field_] <= ends[1] and row.values["Group"] != group,
                "whole",
            )
        case 4:
            wanted = {row.values[field_] for row in chance.sample(records, 30)}
            values = [*wanted, *(range(5_000, 5_060) if rows.types[field_] is int else map("none{}".format, range(60)))]
            chance.shuffle(values)
            return F[field_].in_(values), lambda row: row.values[field_] in wanted, "value"
        case 5:
            numbers = {row.values["Id"] for row in chance.sample(records, 40)}
            return F.Id.in_([*numbers, *range(5_000, 5_060)]), lambda row: row.values["Id"] in numbers, "value"
        case _:
            lines, numbers = set(chance.sample(range(8), 3)), {row.values["Id"] for row in chance.sample(records, 40)}
            return (
                F.Line.in_(lines) | F.Id.in_([*numbers, *range(5_000, 5_040)]) | (F.Group == group),
                lambda row: row.values["Line"] in lines or row.values["Id"] in numbers or row.values["Group"] == group,
                "overlap",
            )


def draw(chance: random.Random, *, verify: bool = True) -> Query:
    """Draw a query."""
    rows = universe(chance.choice(KINDS))
    types: list[Any] = [dict, rows.row_type, rows.row_type, msgspec.Raw]
    row_type = chance.choice(types)
    where, meets, splits = _condition(chance, rows)
    options: dict[str, Any] = {
        "where": where,
        "take": chance.choice([None, 1, 2, 3, 5, 8, 13]),
        "window": chance.randint(1, 5),
    }
    numeric = all(rows.types[name] is int for name in rows.key)
    order = chance.choice([(), (), ("-Group",), ("Group",), tuple(f"-{name}" for name in rows.key)])
    if not verify:
        order, splits, meets = (), "whole", _every
        options["where"] = None
        options["verify"] = False
    elif chance.random() < 0.05:
        options["take"] = -1
    if order:
        options["order_by"] = order
    pages = options["take"] != -1 and chance.random() < 0.3
    sorted_by = [*order, *(name for name in rows.key if f"-{name}" not in order)]
    refusable = splits != "whole" and (pages or not numeric)
    return Query(GetConnector("X", row_type, key=rows.key), options, meets, sorted_by, refusable, verify, pages)


async def read(chance: random.Random, query: Query, service: Service) -> Outcome:
    """Read a query to its end, with stops on the way after which a new client continues."""
    outcome = Outcome(query)
    key_of = service.universe.keys_of[query.connector.row_type]
    cursor: str | None = None
    while True:
        options: dict[str, Any] = {**query.options, "after": cursor}
        async with client_of(service) as client:
            made = client.pages if query.pages else client.rows
            stream: Rows[Any] | Pages[Any] = made(query.connector, **options)
            stop = chance.randrange(40) if query.resumable and chance.random() < 0.5 else None
            if isinstance(stream, Pages):
                ended = await _pages(chance, stream, outcome.keys, key_of, stop)
            else:
                ended = await _rows(chance, stream, outcome.keys, key_of, stop)
            if ended:
                break
            cursor = stream.cursor
            outcome.legs += 1
        service.change()
    _judge(outcome, service)
    return outcome


async def _rows(
    chance: random.Random, rows: Rows[Any], keys: list[Key], key_of: Callable[[Any], Key], stop: int | None
) -> bool:
    way = chance.randrange(3)
    count = 0
    if way == 0:
        async for batch in rows.batches():
            keys += map(key_of, batch)
            count += len(batch)
            if stop is not None and count >= stop:
                return False
        return True
    async for row in rows:
        keys.append(key_of(row))
        count += 1
        if count == stop:
            return False
        if way == 1 and count % 7 == 0:
            await asyncio.sleep(chance.random())
    return True


async def _pages(
    chance: random.Random, pages: Pages[Any], keys: list[Key], key_of: Callable[[Any], Key], stop: int | None
) -> bool:
    async for page in pages:
        assert page.rows
        keys += map(key_of, page.rows)
        if stop is not None and page.number * 5 >= stop:
            return False
        if chance.random() < 0.1:
            await asyncio.sleep(1)
    return True


def _judge(outcome: Outcome, service: Service) -> None:
    query, keys = outcome.query, outcome.keys
    expected = {row.key for row in service.stable if query.meets(row)}
    outcome.lost = expected - set(keys)
    if query.refusable:  # where rows are counted, new ones may come out of order, and twice if they were inserted twice
        keys = [key for key in keys if key in expected]
    outcome.doubled = len(keys) - len(set(keys))
    records = {row.key: row for row in service.universe.records}
    outcome.alien = {key for key in keys if not query.meets(records[key])}
    ranks = [
        tuple(
            records[key].ranks[name.removeprefix("-")] * (-1 if name.startswith("-") else 1) for name in query.sorted_by
        )
        for key in keys
    ]
    outcome.disordered = ranks != sorted(ranks)
