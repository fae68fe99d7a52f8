"""The schedule of a load: which elements go into the next call, and what follows after a call."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from afas_async import errors
from afas_async.policy.batching import Batching
from afas_async.policy.lanes import Piece
from afas_async.policy.schedule import Ended, LoadCall, Schedule
from afas_async.policy.verdicts import Verdict
from tests.policy.test_retrying import LOCKED, api, refused
from tests.support.thoroughness import by_default

NO = refused("Het veld is verplicht")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LOST = errors.OutcomeUnknownError(connector="X", sent_at=NOW, quiet_until=NOW, stage="sent", reason="lost")
RUNS = by_default(300, 5_000)


def schedule(count: int = 0, *, most: int = 1_000, slots: int = 4, **options: Any) -> Schedule:
    """Return a schedule with some elements in it."""
    batching = Batching(max_elements=most, target_seconds=60)
    plan = Schedule(
        batching, **{"slots": slots, "max_bytes": 1 << 20, "wrapping": 1, "on_reject": "continue"} | options
    )
    for number in range(count):
        assert plan.add(Piece(number, b"{}"))
    return plan


def applied(call: LoadCall) -> Verdict:
    return Verdict("applied", 1.0, applied=len(call.pieces))


def rejected(error: errors.AfasError = NO) -> Verdict:
    return Verdict("rejected", 0.1, error=error)


def locked() -> Verdict:
    return Verdict("not_sent", 30.0, error=LOCKED)


def numbers(ended: Ended) -> dict[str, list[int]]:
    """Return the elements that have an outcome, grouped by it."""
    found: dict[str, list[int]] = {}
    for call, verdict in ended.settled:
        for place, piece in enumerate(call.pieces):
            found.setdefault("applied" if place < verdict.applied else verdict.status, []).append(piece.index)
    return found


def next_call(plan: Schedule) -> LoadCall:
    call = plan.next(0.0)
    assert call is not None
    return call


def test_no_more_calls_than_slots() -> None:
    """Each element is in one call."""
    plan = schedule(500, slots=3)
    calls = [next_call(plan) for _ in range(3)]
    assert plan.next(0.0) is None
    assert (plan.in_flight, plan.waiting) == (16 + 32 + 64, 500 - 112)
    plan.ended(calls[0], applied(calls[0]))
    assert next_call(plan).number == 3
    assert plan.next(0.0) is None


@pytest.mark.parametrize("culprits", [{3}, {0, 15}, set(range(16))])
def test_a_refused_call_is_split_until_the_culprits_are_alone(culprits: set[int]) -> None:
    plan = schedule(16, on_reject="split")
    plan.finish()
    outcomes: dict[str, list[int]] = {"applied": [], "rejected": []}
    while (call := plan.next(0.0)) is not None:
        guilty = any(piece.index in culprits for piece in call.pieces)
        ended = plan.ended(call, rejected() if guilty else applied(call))
        assert ended.again == (guilty and len(call.pieces) > 1)
        for status, found in numbers(ended).items():
            outcomes[status] += found
    assert plan.is_idle
    assert (sorted(outcomes["rejected"]), len(outcomes["applied"])) == (sorted(culprits), 16 - len(culprits))


def test_calls_are_smaller_after_refusals() -> None:
    """A closed period refuses every call: each call of a thousand would be split ten times. Calls grow again later."""
    plan = schedule(10_000, on_reject="split", slots=1)
    while (call := next_call(plan)) and len(call.pieces) < 1_000:
        plan.ended(call, applied(call))
    plan.ended(call, rejected())
    halves = [next_call(plan), None]
    assert len(halves[0].pieces) == 500  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    plan.ended(halves[0], applied(halves[0]))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    second = next_call(plan)
    plan.ended(second, applied(second))
    assert len(next_call(plan).pieces) == 1_000


def test_a_lock_of_one_record_is_narrowed_down() -> None:
    """The locked half waits for the other half, which is applied, and is split further."""
    plan = schedule(16, on_reject="split", slots=1)
    plan.finish()
    outcomes: dict[str, list[int]] = {"applied": [], "not_sent": []}
    retries = list[int]()
    while (call := plan.next(0.0)) is not None:
        retries.append(call.lock_retries)
        guilty = any(piece.index == 5 for piece in call.pieces)
        ended = plan.ended(call, locked() if guilty else applied(call))
        assert ended.stop is None
        for status, found in numbers(ended).items():
            outcomes[status] += found
    assert outcomes["not_sent"] == [5]
    assert len(outcomes["applied"]) == 15
    assert retries == [8, *[1] * (len(retries) - 1)]


def test_a_lock_of_everything_ends_after_two_halves() -> None:
    """Splitting further would wait for the same lock hundreds of times: three calls, and the rest is not sent."""
    plan = schedule(64, on_reject="split", slots=1, max_bytes=1 << 20)
    calls = 0
    plan.finish()
    first = next_call(plan)
    plan.ended(first, locked())
    outcomes: list[int] = []
    while plan.waiting and calls < 2:
        call = next_call(plan)
        ended = plan.ended(call, locked())
        outcomes += numbers(ended).get("not_sent", [])
        calls += 1
    assert sorted(outcomes) == sorted(piece.index for piece in first.pieces)


def test_halves_of_which_one_waits_are_not_lost_when_the_load_stops() -> None:
    plan = schedule(16, on_reject="split", slots=1)
    plan.ended(next_call(plan), locked())
    plan.ended(next_call(plan), locked())  # waits for the other half
    assert plan.waiting == 16
    assert [piece.index for piece in plan.stop()] == list(range(16))
    assert plan.waiting == 0


def test_a_body_too_large_is_split_whatever_refusals_mean() -> None:
    plan = schedule(16, slots=1)
    call = next_call(plan)
    assert plan.ended(call, rejected(api(413))).again
    assert [len(next_call(plan).pieces)] == [8]


@pytest.mark.parametrize(
    ("verdict", "options", "stops"),
    [
        (rejected(), {}, False),
        (rejected(), {"on_reject": "stop"}, True),
        (rejected(api(401)), {}, True),
        (rejected(api(403)), {"on_reject": "split"}, True),
        (locked(), {}, False),
        (locked(), {"on_reject": "stop"}, True),
        (Verdict("not_sent", 0.0, error=api(429)), {}, True),
        (Verdict("unknown", 0.0, error=LOST), {}, False),
        (rejected(), {"max_rejected": 15}, True),
        (rejected(), {"max_rejected": 16}, False),
        (rejected(), {"max_rejected": 0.5}, False),  # too few for a share
    ],
)
def test_what_stops_a_load(verdict: Verdict, options: dict[str, Any], *, stops: bool) -> None:
    plan = schedule(16, **options)
    assert (plan.ended(next_call(plan), verdict).stop is not None) == stops


def test_a_share_of_rejected_elements_stops_a_load() -> None:
    plan = schedule(2_000, most=10, slots=1, max_rejected=0.2)
    for number in range(20):
        call = next_call(plan)
        ended = plan.ended(call, rejected() if number % 3 == 0 else applied(call))
        assert (ended.stop is not None) == (number >= 9 and number % 3 == 0)


def test_ten_unknown_calls_in_a_row_stop_a_load() -> None:
    plan = schedule(2_000, most=1, slots=1)
    for number in range(9):
        assert plan.ended(next_call(plan), Verdict("unknown", 960.0, error=LOST)).stop is None, number
    assert plan.ended(next_call(plan), Verdict("unknown", 960.0, error=LOST)).stop is LOST


def test_what_waits_behind_one_that_is_not_applied_is_held_back() -> None:
    """A response has fewer keys than elements.

    The lanes of the first elements continue, and those of the others close.
    """
    plan = schedule(slots=1)
    for number in range(6):
        assert plan.add(Piece(number, b"{}", number % 2))
    call = next_call(plan)
    assert [piece.index for piece in call.pieces] == [0, 1]
    ended = plan.ended(call, Verdict("unknown", 1.0, error=LOST, applied=1))
    assert [piece.index for piece in ended.held_back] == [3, 5]
    assert not plan.add(Piece(7, b"{}", 1))
    assert [piece.index for piece in next_call(plan).pieces] == [2]


def test_no_half_overtakes_another_where_keys_are_not_known() -> None:
    """The halves may change the same record, so a locked first half does not wait for the second."""
    plan = schedule(4, on_reject="split", most=4)
    plan.one_at_a_time()
    whole = next_call(plan)
    assert numbers(plan.ended(whole, rejected())) == {}
    first = next_call(plan)
    assert numbers(plan.ended(first, locked())) == {"not_sent": [0, 1]}
    second = next_call(plan)
    assert numbers(plan.ended(second, applied(second))) == {"applied": [2, 3]}
    assert plan.is_idle


def test_no_call_overtakes_another_where_keys_are_not_known() -> None:
    plan = schedule(100)
    first = next_call(plan)
    plan.one_at_a_time()
    assert plan.next(0.0) is None
    plan.ended(first, applied(first))
    assert next_call(plan) is not None
    assert plan.next(0.0) is None


def test_elements_that_become_heavier() -> None:
    """Elements of sixteen times the bytes take sixteen times as long.

    As many of them would pass the service's limit.
    """
    plan = Schedule(
        Batching(max_elements=10_000, target_seconds=60),
        slots=1, max_bytes=75_000_000, wrapping=0, on_reject="continue",
    )  # fmt: skip
    seconds_per_byte = 60 / 1_000_000
    for number in range(20_000):
        plan.add(Piece(number, b"x" * (1_000 if number < 3_000 else 16_000)))
    longest = 0.0
    while (call := plan.next(0.0)) is not None:
        seconds = call.size * seconds_per_byte
        longest = max(longest, seconds)
        plan.ended(call, Verdict("applied", seconds, applied=len(call.pieces)))
    assert longest < 120


def test_the_bytes_around_elements_count() -> None:
    plan = schedule(100, max_bytes=100, wrapping=8)
    assert len(next_call(plan).pieces) == 10


def test_every_element_has_one_outcome_whatever_comes() -> None:
    """Random loads: each element is settled, held back, or left when the load stops; lanes keep their order."""
    for seed in range(RUNS):
        draw = random.Random(seed)  # noqa: S311 - no secret
        plan = schedule(
            most=draw.choice([1, 3, 50]),
            slots=draw.randint(1, 4),
            on_reject=draw.choice(["continue", "split"]),
            max_rejected=draw.choice([None, 3, 0.5]),
        )
        total, seen, under_way = draw.randint(1, 120), Counter[int](), list[LoadCall]()
        last: dict[object, int] = {}
        ahead = iter(range(total))
        stopped = False
        while True:
            if (number := next(ahead, None)) is None:
                plan.finish()
            elif stopped or not plan.add(Piece(number, b"{}", draw.choice([None, 0, 1, 2]))):
                seen[number] += 1
                continue
            while draw.random() < 0.7 and (call := plan.next(0.0)) is not None:
                under_way.append(call)
                for piece in call.pieces:
                    if piece.lane is not None:
                        assert last.get(piece.lane, -1) <= piece.index, f"seed {seed}: overtaken"
                        last[piece.lane] = piece.index
            if under_way and draw.random() < 0.6:
                call = under_way.pop(draw.randrange(len(under_way)))
                ended = plan.ended(call, _verdict(draw, call))
                for found in numbers(ended).values():
                    seen.update(found)
                seen.update(piece.index for piece in ended.held_back)
                if ended.stop is not None and not stopped:
                    stopped = True
                    seen.update(piece.index for piece in plan.stop())
            if number is None and not under_way and (stopped or plan.is_idle):
                break
        assert sum(seen.values()) >= len(seen) == total, f"seed {seed}: {total - len(seen)} elements have no outcome"
        assert set(seen.values()) == {1}, f"seed {seed}: an element has two outcomes"


def _verdict(draw: random.Random, call: LoadCall) -> Verdict:
    return draw.choice([
        applied(call),
        applied(call),
        rejected(),
        locked(),
        Verdict("unknown", 960.0, error=LOST, applied=draw.randrange(len(call.pieces))),
        rejected(api(413)),
    ])  # fmt: skip
