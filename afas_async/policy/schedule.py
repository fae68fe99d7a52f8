"""Which elements of a load go into the next call, and what follows when a call has ended.

This is a state machine: the caller feeds it and asks it, and it never waits. Elements wait in lanes (`lanes.py`). Calls
are sized by the time that earlier calls took (`batching.py`).

A refused call can be split, to find the elements at fault. Its halves go next, and while calls are refused new ones are
smaller too. If both halves are locked, the lock covers more than a few records, and further splits would only wait for
it again and again.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import chain
from typing import Final

import msgspec

from afas_async.errors import AfasError, AuthenticationError, BusinessError, PayloadTooLargeError, PermissionDeniedError
from afas_async.policy.batching import Batching
from afas_async.policy.lanes import Lanes, Piece
from afas_async.policy.retrying import LOCK_RETRIES
from afas_async.policy.verdicts import Verdict

MEMORY: Final = 16 << 20  # bytes of waiting elements
MOST_UNKNOWN: Final = 10  # unknown calls in a row: a service that swallows everything must not get the whole load
SHARE_FROM: Final = 100  # outcomes needed before a share of them means anything

_NO_ACCESS: Final = (AuthenticationError, PermissionDeniedError)


class _Halves(msgspec.Struct, eq=False):
    """Two halves of a refused call, and those of them that were locked."""

    ended: int = 0
    locked: list[tuple[LoadCall, Verdict]] = []


class LoadCall(msgspec.Struct, eq=False):
    """The elements of one call.

    Args:
        number: Its number in the load.
        pieces: The elements.
        started: When it began, by the clock of the caller.
        halves: The halves of the refused call that this call belongs to, if it is one.
    """

    number: int
    pieces: list[Piece]
    started: float
    halves: _Halves | None = None

    @property
    def lock_retries(self) -> int:
        """How often to wait for a lock: a half waits once, as the whole call has waited already."""
        return LOCK_RETRIES if self.halves is None else 1

    @property
    def size(self) -> int:
        """The size of its elements in bytes."""
        return sum(len(piece.body) for piece in self.pieces)


class Ended(msgspec.Struct, frozen=True):
    """What follows from the end of a call.

    Args:
        settled: The calls whose elements have an outcome now.
        again: Whether the elements of the call that ended are sent again, or may be.
        held_back: Elements that are never sent, because an earlier element of their lane is not applied.
        stop: Why nothing more is sent, if so.
    """

    settled: list[tuple[LoadCall, Verdict]] = []
    again: bool = False
    held_back: list[Piece] = []
    stop: AfasError | None = None


class Schedule:
    """The elements of one load that have no outcome yet.

    Args:
        batching: Sizes the calls.
        slots: How many calls may be in flight.
        max_bytes: The maximum size of a call's elements in bytes.
        wrapping: Bytes that a call adds around each element.
        on_reject: How to treat a refused call: "continue", "stop" or "split".
        max_rejected: How many elements may be rejected before nothing more is sent; a float is a share of all outcomes.
        first_call: The number of the first call.
    """

    def __init__(
        self,
        batching: Batching,
        *,
        slots: int,
        max_bytes: int,
        wrapping: int,
        on_reject: str,
        max_rejected: float | None = None,
        first_call: int = 0,
    ) -> None:
        self.calls: int = first_call
        self.stopped: bool = False
        self._batching = batching
        self._slots = slots
        self._most_bytes: float = max_bytes
        self._wrapping = wrapping
        self._on_reject = on_reject
        self._max_rejected = max_rejected
        self._lanes = Lanes(wrapping)
        self._halves: list[tuple[list[Piece], _Halves]] = []
        self._in_flight: list[LoadCall] = []
        self._is_last = False
        self._in_turn = False
        self._most: int | None = None  # the limit of elements in a call after refusals
        self._unknown_in_a_row = 0
        self._rejected = self._settled = 0

    # --- elements that wait ---

    @property
    def waiting(self) -> int:
        """How many elements wait to be sent."""
        parked = sum(len(call.pieces) for halves in self._pairs() for call, _ in halves.locked)
        return self._lanes.waiting + sum(len(pieces) for pieces, _ in self._halves) + parked

    @property
    def in_flight(self) -> int:
        """How many elements are in calls that have not ended."""
        return sum(len(call.pieces) for call in self._in_flight)

    @property
    def is_idle(self) -> bool:
        """Whether no element waits and no call is in flight."""
        return not (self._in_flight or self._halves or self._lanes.waiting)

    def is_full(self, most: int) -> bool:
        """Whether `most` elements for each slot wait, or too many bytes."""
        return self._lanes.waiting >= self._slots * most or self._lanes.size >= MEMORY

    def is_under_way(self, call: LoadCall) -> bool:
        """Whether a call has not ended."""
        return call in self._in_flight

    def add(self, piece: Piece) -> bool:
        """Queue an element; return False if its lane is closed, so that it can never be sent."""
        return self._lanes.add(piece)

    def close(self, lane: Hashable) -> None:
        """Accept no further element of a lane, as one of its elements is not sent."""
        self._lanes.shut(lane)

    def one_at_a_time(self) -> None:
        """From now on, let no call overtake another."""
        self._slots = 1
        self._in_turn = True

    def finish(self) -> None:
        """Declare that no more elements will come."""
        self._is_last = True

    def stop(self) -> list[Piece]:
        """Send nothing more, and return the waiting elements in the order of the load."""
        self.stopped = True
        parked = [call.pieces for halves in self._pairs() for call, _ in halves.locked]
        for halves in self._pairs():
            halves.locked.clear()
        left = [*self._lanes.clear(), *chain.from_iterable(pieces for pieces, _ in self._halves), *chain(*parked)]
        self._halves.clear()
        return sorted(left, key=lambda piece: piece.index)

    # --- calls ---

    def next(self, now: float) -> LoadCall | None:
        """Return the next call, or None if no call can start now."""
        if self.stopped or len(self._in_flight) >= self._slots:
            return None
        halves: _Halves | None = None
        if self._halves:
            pieces, halves = self._halves.pop()
        else:
            pieces = self._lanes.take(self._size(now), min(self._most_bytes, self._batching.most_bytes))
        if not pieces:
            return None
        call = LoadCall(self.calls, pieces, now, halves)
        self.calls += 1
        self._in_flight.append(call)
        return call

    def _size(self, now: float) -> int:
        if not self._is_last:
            size = self._batching.next()
        else:
            ends = [call.started + self._batching.expect(len(call.pieces)) for call in self._in_flight]
            idle = [0.0] * max(0, self._slots - len(ends) - 1)  # besides the slot that this call gets
            size = self._batching.last(self._lanes.waiting, [*(max(0.0, end - now) for end in ends), *idle])
        return size if self._most is None else min(size, self._most)

    def ended(self, call: LoadCall, verdict: Verdict) -> Ended:
        """Record the outcome of a call, and return what follows."""
        self._in_flight.remove(call)
        self._learn(call, verdict)
        if not self.stopped and len(call.pieces) > 1 and isinstance(verdict.error, PayloadTooLargeError):
            self._most_bytes = min(self._most_bytes, call.size // 2)
            self._split(call)
            return self._follow(call.halves, again=True)
        if self._on_reject == "split" and not self.stopped:
            if _is_locked(verdict):
                return self._locked(call, verdict)
            if verdict.status == "rejected" and len(call.pieces) > 1 and not isinstance(verdict.error, _NO_ACCESS):
                self._split(call)
                return self._follow(call.halves, again=True)
        return self._follow(call.halves, settled=[(call, verdict)])

    def _locked(self, call: LoadCall, verdict: Verdict) -> Ended:
        """Split a locked call, unless it cannot be split or the other half of the same call was locked too."""
        halves = call.halves
        if halves is None:
            if len(call.pieces) > 1:
                self._split(call)
                return self._follow(None, again=True)
            return self._follow(None, settled=[(call, verdict)])
        if self._in_turn:  # the other half would overtake one that waits
            return self._follow(halves, settled=[(call, verdict)])
        halves.locked.append((call, verdict))
        return self._follow(halves, again=True)

    def _split(self, call: LoadCall) -> None:
        middle, halves = len(call.pieces) // 2, _Halves()
        self._halves += [(call.pieces[middle:], halves), (call.pieces[:middle], halves)]
        self._most = max(1, middle)

    def _pairs(self) -> list[_Halves]:
        """Return the halves of refused calls of which at least one has not ended."""
        found = [call.halves for call in self._in_flight] + [halves for _, halves in self._halves]
        return list({id(halves): halves for halves in found if halves is not None}.values())

    def _follow(
        self, halves: _Halves | None, *, settled: Sequence[tuple[LoadCall, Verdict]] = (), again: bool = False
    ) -> Ended:
        """Return what follows, including for a half that waited for the other one."""
        done = list(settled)
        if halves is not None:
            halves.ended += 1
            if halves.ended == 2:  # both have ended
                parked, halves.locked = halves.locked, []
                for call, verdict in parked:
                    if len(parked) == 1 and len(call.pieces) > 1 and not self.stopped:
                        self._split(call)
                    else:
                        done.append((call, verdict))
        return self._settled_now(done, again=again)

    def _settled_now(self, done: list[tuple[LoadCall, Verdict]], *, again: bool) -> Ended:
        held_back, stop = list[Piece](), None
        for call, verdict in done:
            for place, piece in enumerate(call.pieces):
                applied = place < verdict.applied or verdict.status == "applied"
                held_back += self._lanes.done(piece, close=not applied)
            stop = stop or self._reason_to_stop(call, verdict)
        return Ended(done, again, held_back, stop)

    def _learn(self, call: LoadCall, verdict: Verdict) -> None:
        elements = len(call.pieces)
        # A refusal may come before any work. A call that took too long did work, whatever its outcome.
        if verdict.status == "applied" or verdict.seconds > self._batching.target_seconds:
            self._batching.learn(elements, verdict.seconds, size=call.size)
        self._unknown_in_a_row = self._unknown_in_a_row + 1 if verdict.status == "unknown" else 0
        if verdict.status == "applied" and self._most is not None and elements >= self._most:
            self._most *= 2

    def _reason_to_stop(self, call: LoadCall, verdict: Verdict) -> AfasError | None:
        self._settled += len(call.pieces)
        self._rejected += len(call.pieces) if verdict.status == "rejected" else 0
        if verdict.error is None:
            return None
        # No later call would fare better; and the service must not be flooded with a credential that it refuses.
        hopeless = verdict.status == "not_sent" and not _is_locked(verdict)
        if (
            hopeless
            or isinstance(verdict.error, _NO_ACCESS)
            or self._unknown_in_a_row >= MOST_UNKNOWN
            or self._on_reject == "stop"
            or self._too_many_rejected()
        ):
            return verdict.error
        return None

    def _too_many_rejected(self) -> bool:
        most = self._max_rejected
        if isinstance(most, float):
            return self._settled >= SHARE_FROM and self._rejected > most * self._settled
        return most is not None and self._rejected > most


def _is_locked(verdict: Verdict) -> bool:
    return verdict.status == "not_sent" and isinstance(verdict.error, BusinessError)
