"""How many elements a call holds: no call comes near the service's limit, and calls soon reach their target."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from afas_async.policy.batching import FIRST, Batching

# The service ends a call after 900 seconds, 15 times the default target.
LIMIT = 15.0

Factor = Callable[[float], float]


@dataclass
class Service:
    """The seconds of a call: a fixed time and a time for each element, times a factor that changes.

    Args:
        overhead: Seconds of a call without elements.
        each: Seconds of an element.
        factor: How many times slower the service is when a call comes in, by the seconds since the start.
    """

    overhead: float
    each: float
    factor: Factor = lambda _: 1.0
    calls: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])

    def load(
        self, batching: Batching, *, in_flight: int = 4, calls: int = 60, filled: list[float] | None = None
    ) -> None:
        """Send calls, the next as soon as one has its response; with `filled` only that part of each is used."""
        under_way: list[tuple[float, int, int, float]] = []
        now = 0.0
        for number in range(calls):
            if number >= in_flight:
                now, _, elements, seconds = heapq.heappop(under_way)
                batching.learn(elements, seconds)
            part = filled[number % len(filled)] if filled else 1.0
            elements = max(1, int(batching.next() * part))
            seconds = self.factor(now) * (self.overhead + self.each * elements)
            self.calls.append((elements, seconds))
            heapq.heappush(under_way, (now + seconds, number, elements, seconds))

    @property
    def longest(self) -> float:
        return max(seconds for _, seconds in self.calls)


targets = st.floats(0.01, 899)
# Nothing is known of the first call: it must fit by itself, with the same margin as the others.
shares = st.tuples(st.floats(0, 1), st.floats(1e-6, 1)).map(
    lambda drawn: (drawn[0] * 1.45 * (1 - drawn[1]), 1.45 * drawn[1] / max(FIRST))
)
factors = st.one_of(
    st.floats(0, 100).map(lambda moment: lambda now: 10.0 if now >= moment else 1.0),
    st.floats(0, 100).map(lambda moment: lambda now: 1.0 if now >= moment else 10.0),
    st.floats(1, 100).map(lambda length: lambda now: 1 + 9 * min(1.0, now / length)),
    st.floats(1, 100).map(lambda length: lambda now: 10 - 9 * min(1.0, now / length)),
    st.lists(st.floats(1, 10), min_size=1).map(lambda steps: lambda now: steps[int(now) % len(steps)]),
)


@given(
    target=targets,
    share=shares,
    factor=factors,
    most=st.integers(1, 100_000),
    in_flight=st.integers(1, 8),
    filled=st.lists(st.floats(0.01, 1), max_size=8),
)
@example(target=60, share=(0, 1e-6), factor=lambda now: 10.0 if now >= 2 else 1.0, most=100_000, in_flight=4, filled=[])
def test_no_call_passes_the_limit(  # noqa: PLR0917 - hypothesis names them
    target: float, share: tuple[float, float], factor: Factor, most: int, in_flight: int, filled: list[float]
) -> None:
    """Calls end below 15 targets, however the service drifts between its speed and a tenth of it, even at once."""
    service = Service(share[0] * target, share[1] * target, lambda now: factor(now / target))
    batching = Batching(max_elements=most, target_seconds=target)
    service.load(batching, in_flight=in_flight, filled=filled)
    assert service.longest < LIMIT * target
    assert all(1 <= elements <= most for elements, _ in service.calls)


@given(
    calls=st.lists(st.tuples(st.integers(1, 100_000), st.floats(0, 1e6)), max_size=30),
    most=st.integers(1, 100_000),
    target=targets,
    left=st.integers(0, 1_000_000),
    busy=st.lists(st.floats(0, 1e6), max_size=7),
)
def test_sizes(calls: list[tuple[int, float]], most: int, target: float, left: int, busy: list[float]) -> None:
    """Whatever calls took, even no time at all, the next holds at least one element and at most the allowed number."""
    batching = Batching(max_elements=most, target_seconds=target)
    assert [batching.next() for _ in range(5)] == [min(most, first) for first in (*FIRST, FIRST[0])]
    for elements, seconds in calls:
        batching.learn(elements, seconds)
        assert 1 <= batching.next() <= most
        assert 1 <= batching.last(left, busy) <= batching.next()
        assert batching.expect(elements) >= 0


@given(
    target=targets,
    overhead=st.floats(0, 0.4),
    each=st.floats(1e-5, 0.02),
    in_flight=st.integers(1, 8),
)
def test_calls_come_to_take_their_target(target: float, overhead: float, each: float, in_flight: int) -> None:
    """This holds as long as a call without elements takes less than half of the target."""
    batching = Batching(max_elements=1_000_000, target_seconds=target)
    service = Service(overhead * target, each * target)
    service.load(batching, in_flight=in_flight)
    for _, seconds in service.calls[-in_flight:]:
        assert 0.8 * target <= seconds <= 1.2 * target


@given(
    overhead=st.floats(0, 0.4),
    each=st.floats(1e-5, 0.02),
    before=st.sampled_from([0.1, 0.3, 3.0, 10.0]),
    in_flight=st.integers(1, 8),
)
def test_calls_come_to_take_their_target_again(overhead: float, each: float, before: float, in_flight: int) -> None:
    """After the service was quicker or slower for a time, calls may stay smaller than they could be."""
    batching = Batching(max_elements=1_000_000, target_seconds=1)
    Service(overhead * before, each * before).load(batching, in_flight=in_flight)
    service = Service(overhead, each)
    service.load(batching, in_flight=in_flight)
    for _, seconds in service.calls[-in_flight:]:
        assert 0.3 <= seconds <= 1.45


@given(overhead=st.floats(0.5, 20))
def test_a_slow_service_gets_small_calls(overhead: float) -> None:
    """Where calls are slow by themselves, they still hold elements."""
    batching = Batching(max_elements=1_000, target_seconds=1)
    service = Service(overhead, 0.1)
    service.load(batching)
    assert service.calls[-1][0] >= 1
    assert service.calls[-1][1] < 2.0 + overhead


@given(elements=st.integers(1, 100_000), target=targets)
def test_after_a_time_out(elements: int, target: float) -> None:
    """After a call that timed out in the service, the next has a tenth of it, and soon single elements."""
    batching = Batching(max_elements=elements, target_seconds=target)
    batching.learn(elements, 1e-9)
    assert batching.next() == elements
    for _ in range(6):
        before = batching.next()
        batching.learn(before, LIMIT * target)
        assert batching.next() <= max(1, before / 10)
    assert batching.next() == 1


def test_recovery() -> None:
    """Once single elements are quick again, calls grow again."""
    batching = Batching(max_elements=1_000, target_seconds=60)
    for _ in range(3):
        batching.learn(batching.next(), 900)
    assert batching.next() == 1
    service = Service(0.5, 0.05)
    service.load(batching, calls=12)
    assert service.calls[-1][0] > 500


@given(
    elements=st.integers(1, 10_000),
    most=st.integers(64, 2_000),
    in_flight=st.integers(1, 8),
    overhead=st.floats(0, 0.45),
    each=st.floats(1e-4, 0.01),
)
def test_the_last_elements(elements: int, most: int, in_flight: int, overhead: float, each: float) -> None:
    """The last elements are spread so that all calls end together, not much later than they could."""
    batching = Batching(max_elements=most, target_seconds=1)
    service = Service(overhead, each)
    service.load(batching, in_flight=in_flight)
    size = batching.next()
    busy = list[float]()
    now, sent, left = 0.0, 0, elements
    while left:
        if len(busy) == in_flight:
            now = min(busy)
            busy.remove(now)
        idle = [0.0] * (in_flight - len(busy) - 1)
        count = min(left, batching.last(left, [*(end - now for end in busy), *idle]))
        assert 1 <= count <= size
        left -= count
        sent += 1
        busy.append(now + overhead + each * count)
    calls = -(-elements // size)
    rounds = -(-calls // in_flight)
    shortest = rounds * overhead + each * max(elements / in_flight, 1)
    assert max(busy) <= 1.5 * shortest + overhead + 2 * each
    assert sent <= calls + 2 * in_flight


@pytest.mark.parametrize(
    ("left", "busy", "share"),
    [
        (400, [0, 0, 0], 100),
        (40, [0, 0, 0], 10),
        (100, [0.1, 0.1, 0.1], 32),
        (40, [9, 9, 9], 40),
        (800, [9, 9, 9], 100),
    ],
)
def test_what_is_left_is_split(left: int, busy: list[float], share: int) -> None:
    """A call gets at most the elements that it can finish while the others finish theirs."""
    batching = Batching(max_elements=100, target_seconds=1)
    for elements in (10, 100):
        batching.learn(elements, elements / 100)
    assert batching.last(left, busy) == pytest.approx(share, abs=1)


def test_nothing_known_of_the_last() -> None:
    """Before the first response even the last calls are small."""
    batching = Batching(max_elements=100, target_seconds=1)
    assert [batching.last(1_000, []) for _ in range(5)] == [16, 32, 64, 100, 16]
    assert batching.expect(1_000) == 0


def test_what_calls_cost() -> None:
    """From two calls of different sizes follows how long a call takes by itself, and how long an element takes."""
    batching = Batching(max_elements=1_000, target_seconds=1)
    batching.learn(100, 0.25)
    batching.learn(200, 0.35)
    assert batching.expect(500) == pytest.approx(0.65)
    assert batching.next() == 828, "1.45 targets, if the whole time had been the elements'"
