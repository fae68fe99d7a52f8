"""How AFAS finds a call: the identifier of a response is in the error, result and event that it caused."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from afas_async import (
    AfasClient,
    AfasError,
    ApiError,
    AuthenticationError,
    BusinessError,
    NotFoundError,
    OutcomeUnknownError,
    UnavailableError,
)
from afas_async.http.engine import Engine
from afas_async.http.events import Event
from afas_async.http.limiter import Limiter
from afas_async.simulator import Fault, Simulator
from tests.support import canary
from tests.support.fake_transport import FakeCall, FakeTransport, after, in_turn, options
from tests.support.granting import ARTICLES, client, mark
from tests.support.heard import attempts
from tests.support.read_table import framed
from tests.support.write_table import Case, meets, says

SUBJECT = {"StId": 1, "Ds": "x", "St": "A"}
REFUSAL = '{"externalMessage":"No rights","profitLogReference":"REF"}'


async def failing(simulator: Simulator, *, write: bool = False) -> Any:
    """Return the error of a read or a write that must fail."""
    async with AfasClient(base_url=simulator.base_url, auth=simulator.token, max_retries=1) as afas:
        with pytest.raises(AfasError) as raised:
            await (afas.insert("KnSubject", SUBJECT) if write else afas.page(ARTICLES, take=1))
    return raised.value


def sent(simulator: Simulator) -> list[str]:
    """Return the identifiers of all responses that the simulator has sent."""
    return [request.trace_id for request in simulator.requests]


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("status", [400, 401, 404, 501])
async def test_refusals(simulator: Simulator, status: int, *, write: bool) -> None:
    """An error has the identifier of its response, shows it, and keeps it in a pickle."""
    simulator.faults.add(Fault(status=status))
    error = await failing(simulator, write=write)
    assert isinstance(error, ApiError)
    assert [error.trace_id] == sent(simulator)
    assert len(error.trace_id) == 32
    assert f"trace identifier {error.trace_id}" in str(error)
    assert pickle.loads(pickle.dumps(error)).trace_id == error.trace_id  # noqa: S301 - our own


async def test_beside_the_log_reference(simulator: Simulator) -> None:
    """A refusal by Profit itself names both."""
    async with AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas:
        with pytest.raises(BusinessError) as raised:
            await afas.delete("KnSubject", key={"SbId": "999999"})
    error = raised.value
    assert f"(Profit log reference {error.log_reference}, trace identifier {sent(simulator)[-1]})" in str(error)


async def test_the_last_attempt(simulator: Simulator) -> None:
    """After several responses the error has the identifier of the last."""
    simulator.faults.add(Fault(status=503, times=2))
    error = await failing(simulator)
    assert isinstance(error, UnavailableError)
    assert (error.attempts, error.trace_id) == (2, sent(simulator)[1])
    assert len(set(sent(simulator))) == 2


async def test_refusal_in_a_success(simulator: Simulator) -> None:
    """A refusal that is found only inside a success response has it too: for rows, a document and a file."""
    simulator.faults.add(Fault(status=200, body=REFUSAL, times=None))
    async with AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas:
        for call in (
            lambda: afas.page(ARTICLES, take=1),
            lambda: afas.rows(ARTICLES).to_list(),
            afas.version,
            lambda: afas.file("A" * 32, "x"),
        ):
            with pytest.raises(BusinessError) as raised:
                await call()
            assert raised.value.trace_id == sent(simulator)[-1]


async def test_answers_that_are_not_as_documented(simulator: Simulator) -> None:
    """An error about the response itself has it too. Without a response the identifier is empty."""
    simulator.faults.add(Fault(status=200, body="<html>", times=2))
    async with AfasClient(base_url=simulator.base_url, auth=simulator.token, max_retries=0) as afas:
        with pytest.raises(AfasError) as raised:
            await afas.page(ARTICLES, take=1)
        assert raised.value.trace_id == sent(simulator)[-1] != ""
    async with AfasClient(base_url="http://127.0.0.1:9", auth=simulator.token, max_retries=0) as afas:
        with pytest.raises(AfasError) as raised:
            await afas.page(ARTICLES, take=1)
        assert raised.value.trace_id == ""


async def test_absent_file(simulator: Simulator) -> None:
    """An error that is reworded keeps it."""
    async with AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas:
        with pytest.raises(NotFoundError) as raised:
            await afas.file("A" * 32, "nothing")
    assert [raised.value.trace_id] == sent(simulator)


async def test_writes(simulator: Simulator) -> None:
    """A result has it, and so has an unknown outcome if a response arrived."""
    async with AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas:
        assert [(await afas.insert("KnSubject", SUBJECT)).trace_id] == sent(simulator)
    simulator.faults.add(Fault(status=504))
    unknown = await failing(simulator, write=True)
    assert isinstance(unknown, OutcomeUnknownError)
    assert unknown.trace_id == sent(simulator)[-1] != ""
    assert pickle.loads(pickle.dumps(unknown)).trace_id == unknown.trace_id  # noqa: S301 - our own


async def test_an_answer_that_never_came(simulator: Simulator) -> None:
    """A write whose second attempt is lost has no identifier, as the first one belongs to another call."""
    simulator.faults.add(Fault(method="POST", status=503, retry_after=1), Fault(method="POST", cut="reset"))
    unknown = await failing(simulator, write=True)
    assert isinstance(unknown, OutcomeUnknownError)
    assert (unknown.stage, unknown.trace_id) == ("sent", "")
    assert sent(simulator)[0]


async def test_a_success_that_breaks_off() -> None:
    """A lost result has it: this is the write to ask AFAS about."""
    found = await meets(Case("", says(lambda body: framed(body, "X-Trace-Identifier: T1")[:-9], "fin"), "lost"))
    assert found.result is not None
    assert found.result.trace_id == "T1"


async def test_events() -> None:
    """An event has the identifier of its response, and none if no response came."""
    events: list[Event] = []
    script = in_turn(
        after(0, 503, x_trace_identifier="first"),
        after(0, 503),
        after(0, 200, b"{}", x_trace_identifier="third"),
    )
    engine = Engine(FakeTransport(script), limiter=Limiter(1))
    assert await engine.send(FakeCall(), options(on_event=events.append)) is None
    assert [(event.kind, event.trace_id) for event in attempts(events)] == [
        ("failed", "first"),
        ("retrying", "first"),
        ("failed", ""),
        ("retrying", ""),
        ("answered", "third"),
    ]


async def test_refused_credentials(simulator: Simulator, watch: canary.Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that is refused or cannot be fetched is an error with the identifier of that response."""
    mark(simulator, monkeypatch)
    for status in (400, 502):
        simulator.faults.add(Fault(path="oauth/token", status=status, times=None))
        async with client(simulator, watch, max_retries=0) as afas:
            with pytest.raises(ApiError) as raised:
                await afas.page(ARTICLES, take=1)
        assert isinstance(raised.value, AuthenticationError) == (status == 400)
        assert raised.value.trace_id == sent(simulator)[-1] != ""
        simulator.faults.clear()
