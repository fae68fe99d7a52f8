"""The order of elements, against a model that is a list."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from afas_async.policy.lanes import Lanes, Piece

LANES = st.sampled_from([None, None, "a", "b", ("c", 1)])


class LanesMachine(RuleBasedStateMachine):
    """Elements arrive, go into calls, and end, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes = Lanes()
        self.count = 0
        self.waiting: list[Piece] = []
        self.taken: list[Piece] = []
        self.closed: set[Hashable] = set()
        self.order: dict[Hashable, int] = {}
        self.cleared = False

    def free(self) -> list[Piece]:
        """Elements that may be taken: those without a lane, and the first of each lane with no taken element."""
        busy = {piece.lane for piece in self.taken}
        free = list[Piece]()
        for piece in self.waiting:
            if piece.lane is None or piece.lane not in busy:
                free.append(piece)
                busy.add(piece.lane)
        return free

    @precondition(lambda self: not self.cleared)
    @rule(lane=LANES, size=st.integers(0, 20))
    def add(self, lane: Hashable, size: int) -> None:
        piece = Piece(self.count, b"x" * size, lane)
        self.count += 1
        assert self.lanes.add(piece) == (lane not in self.closed)
        if lane not in self.closed:
            self.waiting.append(piece)

    @rule(most=st.integers(1, 6), most_bytes=st.integers(1, 60))
    def take(self, most: int, most_bytes: int) -> None:
        free = self.free()
        taken = self.lanes.take(most, most_bytes)
        assert all(piece in free for piece in taken), "out of turn, or two of a lane at once"
        assert len(taken) == len(set(map(id, taken)))
        assert bool(taken) == bool(free), "something is sent as long as there is something to send"
        assert len(taken) <= most
        room = most_bytes - sum(len(piece.body) + 1 for piece in taken)
        assert room >= 0 or len(taken) == 1
        left = [piece for piece in free if piece not in taken]
        if left and len(taken) < most:
            assert any(len(piece.body) + 1 > room for piece in left), "a call has room for another element"
        without = [piece.index for piece in taken if piece.lane is None]
        assert without == sorted(without)
        for piece in taken:
            if piece.lane is not None:
                assert piece.index > self.order.get(piece.lane, -1)
                self.order[piece.lane] = piece.index
        self.waiting = [piece for piece in self.waiting if piece not in taken]
        self.taken += taken

    @precondition(lambda self: self.taken)
    @rule(which=st.integers(0, 100), close=st.booleans())
    def done(self, which: int, *, close: bool) -> None:
        piece = self.taken.pop(which % len(self.taken))
        behind = self.lanes.done(piece, close=close)
        lost = [other for other in self.waiting if close and piece.lane is not None and other.lane == piece.lane]
        assert behind == lost
        self.waiting = [other for other in self.waiting if other not in lost]
        if close and piece.lane is not None:
            self.closed.add(piece.lane)

    @rule(lane=LANES)
    def shut(self, lane: Hashable) -> None:
        self.lanes.shut(lane)
        if lane is not None:
            self.closed.add(lane)

    @rule()
    def clear(self) -> None:
        left = self.lanes.clear()
        assert sorted(piece.index for piece in left) == [piece.index for piece in self.waiting]
        self.waiting.clear()
        self.cleared = True

    @invariant()
    def counts(self) -> None:
        assert self.lanes.waiting == len(self.waiting)
        assert self.lanes.size == sum(len(piece.body) for piece in self.waiting)

    def teardown(self) -> None:
        """All waiting elements are taken in the end, each lane in its order."""
        while self.taken or self.waiting:
            self.take(6, 1_000)
            while self.taken:
                self.done(0, close=False)


test_lanes = LanesMachine.TestCase


def test_the_next_of_a_lane_goes_first() -> None:
    """An element that waited for its lane does not also wait for all that came after it."""
    lanes = Lanes()
    for index, lane in enumerate(["a", "a", None, None]):
        lanes.add(Piece(index, b"", lane))
    (first,) = lanes.take(1, 100)
    lanes.done(first, close=False)
    assert [piece.index for piece in lanes.take(4, 100)] == [1, 2, 3]


def test_digest() -> None:
    """All bytes of an element count in its digest."""
    assert Piece(0, b"{}").digest == hashlib.sha256(b"{}").digest()
