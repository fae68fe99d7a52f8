"""Several windows read as one: the parts of a condition too long for one request."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import islice
from typing import Any, Generic, cast

import msgspec

from afas_async.errors import UsageError
from afas_async.http.host import Job
from afas_async.policy.spans import Key
from afas_async.read.position import Position
from afas_async.read.window import Window
from afas_async.vocabulary.connectors import RowT

# With fewer rows ready for its turn, a part fetches more.
READY = 100
MERGED = 1_000


class Turn(Enum):
    """Whose rows come next."""

    FIRST = auto()  # of one part after the other
    LEAST = auto()  # those with the least key, which must be whole numbers


@dataclass(eq=False)
class _Part(Generic[RowT]):
    """A window, the rows of it that are not handed out yet with their keys, and the last key handed out before."""

    number: int
    window: Window[RowT]
    rows: list[RowT] = field(default_factory=list[RowT])
    keys: list[Key] = field(default_factory=list[Key])

    @property
    def over(self) -> bool:
        return self.window.ended and not self.rows

    def cut(self, count: int) -> tuple[list[RowT], list[Key]]:
        """Take the first rows off, with their keys."""
        rows, keys = self.rows[:count], self.keys[:count]
        del self.rows[:count], self.keys[:count]
        return rows, keys


class Union(Generic[RowT]):
    """The rows of several windows.

    Args:
        windows: The windows, in the order of their parts; taken when they are wanted.
        turn: Whose rows come next.
        at_once: How many of the windows may have requests under way.
        start: Where the read begins.
        rank: For LEAST: returns what keys are compared by.
        disjoint: Whether no row is in two parts. Otherwise a row that comes again is left out; by LEAST without
            remembering any, otherwise by remembering all keys.

    Attributes:
        news: Set when `poll` may have something to do.
    """

    def __init__(
        self,
        windows: Iterable[Window[RowT]],
        *,
        turn: Turn,
        at_once: int,
        start: Position,
        rank: Callable[[Key], Any] | None = None,
        disjoint: bool = True,
    ) -> None:
        self.news: asyncio.Event = asyncio.Event()
        self._parts = (_Part(number, window) for number, window in enumerate(windows, start.over or 0))
        self._more = True  # whether there may be parts not taken yet
        self._left: list[_Part[RowT]] = []
        self._over: list[_Part[RowT]] = []  # with requests that still run
        self._turn = turn
        self._at_once = at_once
        self._rank = rank
        self._seen: set[Key] | None = None if disjoint or turn is Turn.LEAST else set()
        self._pages = 0
        self._bytes = 0
        # The keys of the rows returned last, the part where they came from, and where the read stood before them.
        self._keys: Sequence[Key] = ()
        self._number = 0
        self._before = start

    @property
    def ended(self) -> bool:
        """Whether all rows have been handed out."""
        return not (self._left or self._more)

    @property
    def pages(self) -> int:
        """How many pages have been handed out completely."""
        return self._pages + sum(part.window.pages for part in self._left)

    @property
    def bytes(self) -> int:
        """Bytes of their bodies, as they came over the connection."""
        return self._bytes + sum(part.window.bytes for part in self._left)

    def position(self, handed_out: int) -> Position:
        """Return where the read stands if so many of the rows returned last have been handed out.

        Raises:
            UsageError: If that is not enough to go on, because the parts overlap.
        """
        if self._seen is not None:
            raise UsageError(
                "the condition of this read was too long for one request, and its parts overlap, so that it has no"
                " point to go on from: give the connector a key of whole numbers, or read the parts one by one"
            )
        if not handed_out:
            return self._before
        key = self._keys[handed_out - 1]
        if self._turn is Turn.FIRST:
            return msgspec.structs.replace(self._before, after=key, over=self._number)
        return msgspec.structs.replace(self._before, after=key)  # no part has a row left before this one

    def poll(self) -> list[RowT] | None:
        """Return the next rows, an empty list if there may be more at once, or None if there are none before `news`.

        Raises:
            AfasError: If rows of any part cannot be had.
        """
        progress = self._take_parts()
        progress = self._fill() or progress
        rows: list[RowT] | None = self._least() if self._turn is Turn.LEAST else self._next()
        if rows is None:
            rows = [] if progress else None
        return [] if self._leave_parts() and not rows else rows

    def jobs(self) -> list[Job]:
        """Return what is under way."""
        return [job for part in (*self._left, *self._over) for job in part.window.jobs()]

    def forget(self) -> None:
        """Forget what was on its way, once its jobs have been cancelled."""
        for part in (*self._left, *self._over):
            part.window.forget()

    def _take_parts(self) -> bool:
        """Take as many parts as may be under way, or for LEAST so many more; return whether there were any."""
        wanted = self._at_once if self._turn is Turn.LEAST else self._at_once - len(self._left)
        if not self._more or wanted <= 0:
            return False
        taken = list(islice(self._parts, wanted))
        for part in taken:
            part.window.news = self.news
        self._left += taken
        self._more = len(taken) == wanted
        return True

    def _fill(self) -> bool:
        """Let parts that have few rows fetch more, and return whether any has."""
        progress, tried = False, 0
        # Of parts that are merged, the rows of one page each fill enough memory.
        ready = READY if self._turn is Turn.FIRST else 1
        for part in self._left:
            if tried == self._at_once:  # no more requests than that, and no more to decode at a time
                break
            if len(part.rows) < ready and not part.window.ended:
                tried += 1
                if (rows := part.window.poll()) is not None:
                    part.rows += rows
                    part.keys += part.window.keys if rows else ()
                    progress = True
        return progress

    def _leave_parts(self) -> bool:
        """Leave the parts behind that are over, and return whether there are any."""
        over = [part for part in self._left if part.over]
        self._left = [part for part in self._left if not part.over]
        self._pages += sum(part.window.pages for part in over)
        self._bytes += sum(part.window.bytes for part in over)
        self._over = [part for part in (*self._over, *over) if part.window.jobs()]
        return bool(over)

    def _next(self) -> list[RowT] | None:
        """Return the rows of the first part, but those that were handed out before, or None if it has none yet."""
        part = next((part for part in self._left[:1] if part.rows), None)
        if part is None:
            return None
        rows, keys = part.cut(len(part.rows))
        if self._seen is not None:
            rows = [row for row, key in zip(rows, keys, strict=True) if key not in self._seen]
            self._seen.update(keys)
        if rows:
            self._hand_out(keys, part.number)
        return rows

    def _least(self) -> list[RowT] | None:
        """Return rows, but those handed out before, while every part has one to compare; None if one has not."""
        rank = cast("Callable[[Key], Any]", self._rank)
        if self._more or any(not part.rows and not part.window.ended for part in self._left):
            return None
        heap = [(rank(part.keys[0]), number, 0, part) for number, part in enumerate(self._left) if part.rows]
        heapq.heapify(heap)
        merged: list[RowT] = []
        keys: list[Key] = []
        last = self._keys[-1] if self._keys else self._before.after
        behind = None if last is None else rank(last)
        taken: dict[int, int] = {}
        while heap and len(merged) < MERGED:
            value, number, index, part = heap[0]
            taken[number] = index + 1
            # The same row of another part, or one that has moved to it, or has appeared behind the reader.
            if behind is None or value > behind:
                merged.append(part.rows[index])
                keys.append(part.keys[index])
                behind = value
            if index + 1 < len(part.rows):
                heapq.heapreplace(heap, (rank(part.keys[index + 1]), number, index + 1, part))
            elif part.window.ended:
                heapq.heappop(heap)
            else:
                break
        for number, count in taken.items():
            self._left[number].cut(count)
        if merged:
            self._hand_out(keys, 0)
        return merged

    def _hand_out(self, keys: Sequence[Key], number: int) -> None:
        if self._seen is None:
            self._before = self.position(len(self._keys))
        self._keys, self._number = keys, number
