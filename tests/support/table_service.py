"""A service at the seam of the transport: it reads real query strings, and its table changes between its responses."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from operator import eq, ge, gt, le, lt, ne
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs

import msgspec

from afas_async import AnswerLostError
from afas_async.wire.requests import QUERY_LIMIT, Request
from tests.support.universe import Record, Universe

_SIGNS: Mapping[str, Callable[[int, int], bool]] = {"1": eq, "2": ge, "3": le, "4": gt, "5": lt, "7": ne}
_EMPTY = "8"  # which no row is
_OUT_OF_MEMORY = b'{"externalMessage":"Out of memory","profitLogReference":"1","errorNumber":"1"}'
MOST_REQUESTS = 5_000
PIECE = 200

Test = tuple[str, Callable[[int, int], bool], int]


class Answer:
    """A response in pieces, which may break."""

    headers: Mapping[str, str] = {"Content-Type": "application/json"}

    def __init__(self, body: bytes, *, status: int = 200, breaks: bool = False, seconds: float = 0.0) -> None:
        self.status = status
        self._body = body
        self._breaks = breaks
        self._seconds = seconds

    async def read(self) -> bytes:
        if self._seconds:
            await asyncio.sleep(self._seconds)
        piece, self._body = self._body[:PIECE], self._body[PIECE:]
        if not piece and self._breaks:
            raise AnswerLostError("X: the connection broke during the response", connector="X")
        return piece

    def close(self) -> None:
        """Do nothing, as there is no connection."""


class Service:
    """A table, and what happens to it and to its responses.

    Args:
        universe: All possible rows.
        chance: Decides everything.
        cap: The most rows in a response, None for no such limit.
        memory: The most rows for which the service does not refuse a request, None for no such limit.
        faults: How many responses go wrong.
        changes: How many changes there may be.

    Attributes:
        stable: The rows that have been there all the time.
        requests: How many requests came.
        under_way: How many of them have no response yet.
        peak: The most that were ever under way.
        longest: The length of the longest query string.
    """

    def __init__(
        self,
        universe: Universe,
        chance: random.Random,
        *,
        cap: int | None = None,
        memory: int | None = None,
        faults: int = 0,
        changes: int = 0,
    ) -> None:
        self.universe = universe
        self.chance = chance
        size = chance.randrange(len(universe.records) + 1)
        self.table: set[Record] = set(chance.sample(universe.records, size))
        self.stable = set(self.table)
        self.requests = self.under_way = self.peak = self.longest = 0
        self.cap = cap
        self._memory = memory
        self._faults = faults
        self._changes = changes
        self._returned: set[Record] = set()  # a row is made again once only: an anchor that comes and goes is refused
        self._hot: list[Record] = []  # where reads are likely to stand

    async def __aenter__(self) -> object:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        pass

    async def send(
        self,
        request: Request,
        headers: Mapping[str, str],
        connected: Callable[[], None],
        sent: Callable[[], None],
        _: object,
    ) -> Answer:
        assert headers
        connected()
        sent()
        self.requests += 1
        assert self.requests < MOST_REQUESTS, "the read does not end"
        self.under_way += 1
        self.peak = max(self.peak, self.under_way)
        self.longest = max(self.longest, len(request.query))
        assert len(request.query) <= QUERY_LIMIT
        try:
            await asyncio.sleep(self.chance.random())
            return self._answer(request)
        finally:
            self.under_way -= 1

    def _answer(self, request: Request) -> Answer:
        if request.path.startswith("metainfo/"):
            fields = [
                {"id": field, "dataType": "int" if kind is int else "string"}
                for field, kind in self.universe.types.items()
            ]
            return Answer(msgspec.json.encode({"name": "X", "fields": fields}))
        query = {name: values[0] for name, values in parse_qs(request.query, keep_blank_values=True).items()}
        self.change()
        fault = self.chance.randrange(12) if self._faults else 12
        self._faults -= fault < 3
        if fault == 0:
            return Answer(b"", status=503)
        if fault == 1:
            raise AnswerLostError("X: the connection broke before the response", connector="X")
        skip, take = int(query["skip"]), int(query["take"])
        rows = self.select(query)
        rows = rows if skip == -1 else rows[skip : skip + min(take, self.cap or take)]
        if self._memory is not None and len(rows) > self._memory:
            return Answer(_OUT_OF_MEMORY, status=500)
        if rows:
            self._hot = [*self._hot[-4:], rows[0], rows[-1]]
        body = b'{"skip":%d,"take":%d,"rows":[%s]}' % (skip, take, b",".join(row.encoded for row in rows))
        seconds = self.chance.random() / 10 if self.chance.random() < 0.3 else 0.0
        if fault == 2:
            return Answer(body[: self.chance.randrange(len(body))], breaks=True, seconds=seconds)
        return Answer(body, seconds=seconds)

    def select(self, query: Mapping[str, str]) -> list[Record]:
        """Return the rows that meet the filter of a request, in its order."""
        groups = self._groups(query)
        rows = [row for row in self.table if any(all(sign(row.ranks[f], v) for f, sign, v in g) for g in groups)]
        for field in reversed(query["orderbyfieldids"].split(",")):
            name = field.removeprefix("-")
            rows.sort(key=lambda row: row.ranks[name], reverse=field.startswith("-"))
        return rows

    def _groups(self, query: Mapping[str, str]) -> list[list[Test]]:
        if "filterjson" in query:
            filters: Any = msgspec.json.decode(query["filterjson"])["Filters"]["Filter"]
            return [[self._test(**test) for test in group["Field"]] for group in filters]
        if "filterfieldids" not in query:
            return [[]]
        lists = [query[name] for name in ("filterfieldids", "operatortypes", "filtervalues")]
        if ";" in lists[1]:
            return [[self._test(*texts)] for texts in zip(*(texts.split(";") for texts in lists), strict=True)]
        return [[self._test(*texts) for texts in zip(*(texts.split(",") for texts in lists), strict=True)]]

    def _test(self, *texts: str, **json: str) -> Test:
        field, operator, text = texts or (json["@FieldId"], json["@OperatorType"], json["#text"])
        if operator == _EMPTY:
            return field, lambda _, __: False, 0
        return field, _SIGNS[operator], self.universe.compared(field, text)

    def change(self) -> None:
        """Let something happen to the table, or nothing."""
        if self._changes <= 0 or self.chance.random() < 0.4:
            return
        self._changes -= 1
        chance = self.chance
        rows = self.universe.records
        middle = chance.randrange(len(rows))
        match chance.randrange(40):
            case 0:
                self._remove(rows)
            case 1:
                self._remove(rows[:middle])
            case 2:
                self._remove(rows[middle:])
            case 3:
                self._add(rows[:middle])
            case 4:
                self._add(rows)
            case number if number < 16:
                self._remove(chance.choices(self._hot or rows, k=2))
            case number if number < 26:
                self._add(chance.choices(rows, k=chance.randrange(1, 6)))
            case _:
                self._remove(chance.choices(rows, k=chance.randrange(1, 6)))

    def _remove(self, rows: Sequence[Record]) -> None:
        self.table.difference_update(rows)
        self.stable.difference_update(rows)

    def _add(self, rows: Sequence[Record]) -> None:
        new = set(rows) - self.table - self._returned
        self._returned |= new
        self.table |= new
