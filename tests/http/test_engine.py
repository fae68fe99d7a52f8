"""The engine over a fake transport: slots, clocks, attempts, and fewer requests under overload."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import Any

import anyio
import pytest

from afas_async import AnswerLostError, ApiError, BusinessError, RequestTimeoutError, ServerError, UnavailableError
from afas_async.http.engine import Engine
from afas_async.http.limiter import Limiter
from tests.support.fake_transport import FakeCall, FakeTransport, Script, after, in_turn, lost, options
from tests.support.thoroughness import by_default

OK = after(1, 200, b"{}")
LOCKED = after(0, 500, json.dumps({"externalMessage": "Locked by another", "profitLogReference": "R"}).encode())
MEMORY = after(0, 500, json.dumps({"externalMessage": "Out of memory", "profitLogReference": "R"}).encode())


def engine(script: Script, limit: int = 1) -> tuple[Engine, FakeTransport]:
    transport = FakeTransport(script)
    return Engine(transport, limiter=Limiter(limit)), transport


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_waiting_for_a_slot_is_free() -> None:
    """The clock starts after the slot is taken. A call that waits for others keeps all of its time."""
    sender, transport = engine(after(9, 200, b"{}"))
    calls = [FakeCall(10) for _ in range(20)]
    assert await asyncio.gather(*[sender.send(call, options(10)) for call in calls]) == [None] * 20
    assert transport.peak == 1
    assert all(0.9 < call.seconds_left < 1.1 for call in calls)
    assert sender.counts.total.seconds_waited == pytest.approx(sum(9 * n for n in range(20)), rel=0.01)


async def test_waiting_between_attempts_counts() -> None:
    """One deadline covers all attempts and the waits between them."""
    sender, transport = engine(in_turn(after(4, 503, Retry_After="4"), after(9, 200, b"{}")))
    started = now()
    error = await sender.send(FakeCall(10), options(10))
    assert isinstance(error, RequestTimeoutError)
    assert now() - started == pytest.approx(10, abs=0.1)
    assert len(transport.sent) == 2
    assert (error.seconds, error.connector) == (10, "X")


async def test_body_counts() -> None:
    """The deadline covers the body, however steadily it arrives."""
    sender, transport = engine(after(0, 200, *[b"x", 1.0] * 100))
    started = now()
    assert isinstance(await sender.send(FakeCall(10), options(10)), RequestTimeoutError)
    assert now() - started == pytest.approx(10, abs=0.1)
    assert transport.responses[0].closed


async def test_slots_are_free_between_attempts() -> None:
    """A call that waits for its next attempt holds no slot."""
    sender, _ = engine(in_turn(after(0, 502), OK), 1)
    sender._random = Random(3)  # noqa: S311 - a known jitter
    patient = asyncio.create_task(sender.send(FakeCall(), options()))
    await asyncio.sleep(0.01)
    assert await sender.send(FakeCall(), options()) is None
    assert not patient.done()
    assert await patient is None


async def test_a_stated_wait_is_for_all_calls() -> None:
    """While a service asks to wait, no call sends anything. Afterwards fewer are in flight."""
    sender, transport = engine(in_turn(after(0, 503, Retry_After="100"), after(10, 200)), 4)
    started = now()
    calls = [asyncio.create_task(sender.send(FakeCall(), options())) for _ in range(9)]
    await asyncio.sleep(50)
    late = asyncio.create_task(sender.send(FakeCall(1), options(20)))  # its time begins when it is sent
    sent = len(transport.sent)
    await asyncio.sleep(40)
    assert len(transport.sent) == sent <= 4
    transport.peak = transport.now
    assert [await call for call in (*calls, late)][:9] == [None] * 9
    assert transport.peak == 2
    assert now() - started > 100


@pytest.mark.parametrize(("stated", "requests"), [(5, 2), (8, 2), (11, 1), (7200, 1)])
async def test_stated_wait(stated: int, requests: int) -> None:
    """A stated wait that is longer than the remaining time fails at once."""
    sender, transport = engine(in_turn(after(1, 503, Retry_After=str(stated)), after(0, 200)))
    started = now()
    error = await sender.send(FakeCall(10), options(10))
    assert len(transport.sent) == requests
    if requests == 1:
        assert isinstance(error, UnavailableError)
        assert (error.retry_after, error.attempts) == (stated, 1)
        assert now() - started < 1.1


@pytest.mark.parametrize("max_retries", [0, 1, 3, 7])
async def test_attempts(max_retries: int) -> None:
    """The error states how often the request was sent, which `max_retries` limits."""
    sender, transport = engine(after(0, 502))
    error = await sender.send(FakeCall(), options(max_retries=max_retries))
    assert isinstance(error, ServerError)
    assert (error.attempts, len(transport.sent)) == (max_retries + 1, max_retries + 1)
    assert f"after {max_retries + 1} attempts" in str(error) or max_retries == 0
    assert (sender.counts.total.requests, sender.counts.total.retries) == (max_retries + 1, max_retries)


async def test_last_error_counts() -> None:
    """After different failures, the last one is raised; all of them count."""
    sender, transport = engine(in_turn(after(0, 502), after(0, 200, b"{", lost()), after(0, 404)))
    error = await sender.send(FakeCall(), options())
    assert isinstance(error, ApiError)
    assert (error.status, error.attempts, len(transport.sent)) == (404, 3, 3)
    assert all(response.closed for response in transport.responses)


async def test_call_that_cannot_be_repeated() -> None:
    """A call that cannot continue where it stopped is not sent again."""
    sender, transport = engine(after(0, 200, b"{", lost()))
    call = FakeCall()
    call.repeatable = False
    assert isinstance(await sender.send(call, options()), AnswerLostError)
    assert len(transport.sent) == 1


@pytest.mark.parametrize("halves", [0, 1, 3])
async def test_halving_ends(halves: int) -> None:
    """A call that is too large is sent again only while it can be halved."""
    sender, transport = engine(after(0, 413))
    error = await sender.send(FakeCall(halves=halves), options())
    assert isinstance(error, ApiError)
    assert (error.status, len(transport.sent)) == (413, halves + 1)


async def peak(sender: Engine, transport: FakeTransport, calls: int = 16) -> int:
    """Return how many of many calls the engine has in flight at the same time."""
    transport.peak = 0
    assert await asyncio.gather(*[sender.send(FakeCall(), options()) for _ in range(calls)]) == [None] * calls
    return transport.peak


@pytest.mark.parametrize("trouble", [LOCKED, MEMORY])
async def test_calmer(trouble: Script) -> None:
    """After a lock or a lack of memory half as many requests are in flight, never none; the limit grows back."""
    sender, transport = engine(in_turn(trouble, trouble, OK), 8)
    assert await sender.send(FakeCall(halves=9), options()) is None
    assert await peak(sender, transport, 12) == 2
    await peak(sender, transport, 6 * 20)
    assert await peak(sender, transport) == 8


async def test_growing_takes_twenty() -> None:
    """The engine allows one more request in flight after twenty clean responses, not before."""
    sender, transport = engine(in_turn(LOCKED, OK), 2)
    assert await sender.send(FakeCall(), options()) is None
    assert await peak(sender, transport, 18) == 1
    assert await peak(sender, transport, 1) == 1
    assert await peak(sender, transport, 2) == 2


async def test_never_below_one_nor_above_the_limit() -> None:
    """However often the service is overloaded, one request may be in flight; never more than the limit."""
    sender, transport = engine(in_turn(*[LOCKED] * 8, OK), 5)
    assert await sender.send(FakeCall(3_000), options(3_000)) is None
    assert await peak(sender, transport, 5) == 1
    for _ in range(by_default(4, 10)):
        assert await peak(sender, transport, 30) <= 5
    assert await peak(sender, transport) == 5


async def test_other_trouble_does_not_calm() -> None:
    """A failure that is unrelated to load changes nothing."""
    sender, transport = engine(in_turn(after(0, 502), OK), 4)
    assert await sender.send(FakeCall(), options()) is None
    assert await peak(sender, transport) == 4


async def test_pause_stops_the_clock() -> None:
    """While a response waits for its reader the time-out stands still; it continues afterwards."""
    sender, transport = engine(after(3, 200, b"x" * 10, 3.0, b"y"))
    call = FakeCall(10, room=10)
    task = asyncio.create_task(sender.send(call, options(10)))
    await asyncio.sleep(10_000)
    assert not task.done()
    call.take()
    assert await task is None
    assert call.received == b"x" * 10 + b"y"
    assert call.seconds_left == pytest.approx(4, abs=0.1)
    assert transport.responses[0].closed


async def test_pause_leaves_only_the_rest() -> None:
    """After a pause a response has the time that was left, and no more."""
    sender, _ = engine(after(3, 200, b"x" * 10, 8.0, b"y"))
    call = FakeCall(10, room=10)
    task = asyncio.create_task(sender.send(call, options(10)))
    await asyncio.sleep(1_000)
    started = now()
    call.take()
    assert isinstance(await task, RequestTimeoutError)
    assert now() - started == pytest.approx(7, abs=0.1)


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_pauses_give_way(limit: int) -> None:
    """When paused responses hold all slots and another call waits, they resume: it may be their own reader."""
    sender, _ = engine(after(1, 200, b"x" * 10, b"y"), limit)
    paused = [FakeCall(room=10) for _ in range(limit)]
    tasks = [asyncio.create_task(sender.send(call, options())) for call in paused]
    await asyncio.sleep(1_000)
    assert not any(task.done() for task in tasks)
    assert await sender.send(FakeCall(), options()) is None
    assert await asyncio.gather(*tasks) == [None] * limit


async def test_pauses_last_while_slots_are_free() -> None:
    """A paused response stays paused while other calls find slots."""
    sender, _ = engine(after(1, 200, b"x" * 10, b"y"), 2)
    call = FakeCall(room=10)
    task = asyncio.create_task(sender.send(call, options()))
    await asyncio.sleep(5)
    for _ in range(3):
        assert await sender.send(FakeCall(), options()) is None
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sender.counts.total.in_flight == 0


async def test_time_out_is_told_apart() -> None:
    """The client's time-out is an error of the library and a TimeoutError. The user's own time-out stays unchanged."""
    sender, transport = engine(after(50, 200))
    error = await sender.send(FakeCall(10), options(10))
    assert isinstance(error, RequestTimeoutError)
    assert isinstance(error, TimeoutError)
    with pytest.raises(TimeoutError) as raised:
        async with asyncio.timeout(5):
            await sender.send(FakeCall(10), options(10))
    assert not isinstance(raised.value, RequestTimeoutError)
    with pytest.raises(TimeoutError) as raised, anyio.fail_after(5):
        await sender.send(FakeCall(10), options(10))
    assert not isinstance(raised.value, RequestTimeoutError)
    assert (sender.counts.total.in_flight, transport.now) == (0, 0)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("step", range(30))
async def test_cancelled_at_every_step(step: int) -> None:
    """A call that is cancelled at any point releases its slot and its response."""
    pieces: list[Any] = [b"x", 0.0, b"y"]
    sender, transport = engine(in_turn(after(0, 502, b"{}"), after(0, 200, *pieces)))
    busy = asyncio.create_task(sender.send(FakeCall(), options(max_retries=9)))
    waiting = asyncio.create_task(sender.send(FakeCall(), options(max_retries=9)))
    for _ in range(step):
        await asyncio.sleep(0)
    busy.cancel()
    waiting.cancel()
    await asyncio.gather(busy, waiting, return_exceptions=True)
    assert sender.counts.total.in_flight == 0
    assert all(response.closed for response in transport.responses)
    assert await sender.send(FakeCall(), options(max_retries=9)) is None


async def test_refusal_of_business_is_final() -> None:
    """Profit's ordinary refusal is not sent again, whatever the number of retries."""
    sender, transport = engine(after(0, 500, b'{"externalMessage":"No","profitLogReference":"R"}'))
    error = await sender.send(FakeCall(), options(max_retries=9))
    assert isinstance(error, BusinessError)
    assert (error.message, error.log_reference, len(transport.sent)) == ("No", "R", 1)
