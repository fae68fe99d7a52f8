"""The order of elements: those with the same key are sent one after the other, all others in the order they came.

The service may carry out two calls that are in flight together in any order, and may refuse a list that has the same
key twice. So of each lane, the elements with one key, only the first can be sent until it has an outcome. After an
element whose outcome is unknown, nothing of its lane may follow: it may still be carried out, and then after the later
one.
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
        lane: Shared by elements that must not overtake each other; None if no other element matters.
        item: The element as the user gave it; it may have changed since.
        given: The encoded element as the user gave it, if the load has added something to the body; otherwise empty.
    """

    index: int
    body: bytes
    lane: Hashable = None
    item: object = None
    given: bytes = b""

    @property
    def record(self) -> bytes:
        """The encoded element as the user gave it."""
        return self.given or self.body

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the given element, which recognises it in a later run.

        A reference that the load adds is left out. It depends on the place, so that the same element would differ at
        another one.
        """
        return hashlib.sha256(self.record).digest()


class Lanes:
    """The elements that wait.

    Args:
        wrapping: Bytes that a call adds around each element.

    Attributes:
        waiting: How many wait, including those queued after an element of their lane.
        size: The size of all of them in bytes.
    """

    def __init__(self, wrapping: int = 1) -> None:
        self._wrapping = wrapping
        self.waiting: int = 0
        self.size: int = 0
        self._free: deque[Piece] = deque()
        self._queued: dict[Hashable, deque[Piece]] = {}  # for each lane with a free or taken element
        self._closed: set[Hashable] = set()

    def add(self, piece: Piece) -> bool:
        """Queue an element; return False if its lane is closed, so that it can never be sent."""
        if piece.lane is not None:
            if piece.lane in self._closed:
                return False
            if piece.lane in self._queued:
                self._queued[piece.lane].append(piece)
            else:
                self._queued[piece.lane] = deque()
                self._free.append(piece)
        else:
            self._free.append(piece)
        self.waiting += 1
        self.size += len(piece.body)
        return True

    def take(self, most: int, most_bytes: float) -> list[Piece]:
        """Take the next elements for a call: `most` and `most_bytes` at most, but always the first one."""
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
        """Let the lane of a taken element continue, or close it for ever.

        Returns:
            The elements that waited in the lane and can never be sent, if the lane is closed.
        """
        if piece.lane is None:
            return []
        queued = self._queued[piece.lane]
        if close:
            del self._queued[piece.lane]
            self._closed.add(piece.lane)
            self.waiting -= len(queued)
            self.size -= sum(len(each.body) for each in queued)
            return list(queued)
        if queued:
            self._free.appendleft(queued.popleft())
        else:
            del self._queued[piece.lane]
        return []

    def shut(self, lane: Hashable) -> None:
        """Accept no further element in a lane."""
        if lane is not None:
            self._closed.add(lane)

    def clear(self) -> list[Piece]:
        """Take all waiting elements, in no particular order."""
        left = [*self._free, *(piece for queued in self._queued.values() for piece in queued)]
        self._free.clear()
        for queued in self._queued.values():
            queued.clear()
        self.waiting = self.size = 0
        return left
