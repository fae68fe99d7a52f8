"""The order of elements: those with the same key go one after the other, all others in the order they came.

Two calls that are in flight together are carried out in any order, and a list in one call with the same key twice may
be refused. So of each lane, the elements with one key, only the first is there to be taken until it is done with. After
one whose outcome is unknown nothing of its lane may follow: it may still be carried out, and then after the later one.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Hashable

import msgspec


class Piece(msgspec.Struct, eq=False):
    """An element that waits to be sent.

    Args:
        index: Its place in the load.
        body: The encoded element.
        lane: What it has in common with elements that must not overtake it; None if there are none.
        item: The element as it was given, which may have been changed since.
        given: The encoded element as it was given, where the load has put something into the body; else empty.
    """

    index: int
    body: bytes
    lane: Hashable = None
    item: object = None
    given: bytes = b""

    @property
    def record(self) -> bytes:
        """The encoded element as it was given."""
        return self.given or self.body

    @property
    def digest(self) -> bytes:
        """What tells whether the element is the same as in an earlier run: the SHA-256 of what was given.

        A reference is left out: it tells the place, so that no element would be found again in another one.
        """
        return hashlib.sha256(self.record).digest()


class Lanes:
    """The elements that wait.

    Args:
        wrapping: Bytes that a call has around each element.

    Attributes:
        waiting: How many wait, those behind an element of their lane included.
        size: The bytes of all of them.
    """

    def __init__(self, wrapping: int = 1) -> None:
        self._wrapping = wrapping
        self.waiting: int = 0
        self.size: int = 0
        self._free: deque[Piece] = deque()
        self._behind: dict[Hashable, deque[Piece]] = {}  # for each lane of which one is free or taken
        self._closed: set[Hashable] = set()

    def add(self, piece: Piece) -> bool:
        """Let an element wait; return False if its lane is closed, so that it can never be sent."""
        if piece.lane is not None:
            if piece.lane in self._closed:
                return False
            if piece.lane in self._behind:
                self._behind[piece.lane].append(piece)
            else:
                self._behind[piece.lane] = deque()
                self._free.append(piece)
        else:
            self._free.append(piece)
        self.waiting += 1
        self.size += len(piece.body)
        return True

    def take(self, most: int, most_bytes: float) -> list[Piece]:
        """Take the next elements for a call: at most so many, and so many bytes unless the first alone has more."""
        taken: list[Piece] = []
        left = most_bytes
        while self._free and len(taken) < most:
            left -= len(self._free[0].body) + self._wrapping
            if left < 0 and taken:
                break
            taken.append(self._free.popleft())
        self.waiting -= len(taken)
        self.size -= sum(len(piece.body) for piece in taken)
        return taken

    def done(self, piece: Piece, *, close: bool) -> list[Piece]:
        """Let the lane of an element that was taken go on, or close it for ever.

        Returns:
            The elements that waited behind it and can never be sent, if the lane is closed.
        """
        if piece.lane is None:
            return []
        behind = self._behind[piece.lane]
        if close:
            del self._behind[piece.lane]
            self._closed.add(piece.lane)
            self.waiting -= len(behind)
            self.size -= sum(len(each.body) for each in behind)
            return list(behind)
        if behind:
            self._free.appendleft(behind.popleft())
        else:
            del self._behind[piece.lane]
        return []

    def shut(self, lane: Hashable) -> None:
        """Let no further element wait in a lane."""
        if lane is not None:
            self._closed.add(lane)

    def clear(self) -> list[Piece]:
        """Take all that waits, in no order."""
        left = [*self._free, *(piece for behind in self._behind.values() for piece in behind)]
        self._free.clear()
        for behind in self._behind.values():
            behind.clear()
        self.waiting = self.size = 0
        return left
