"""Which credential a request carries: a token, or the result of an async function, called once for each need."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from afas_async import (
    AfasClient,
    AfasError,
    AppToken,
    AuthenticationError,
    BearerToken,
    ClientClosedError,
    ConfigurationError,
    ConnectError,
    GetConnector,
    RequestTimeoutError,
)
from afas_async.http.engine import Engine
from afas_async.http.limiter import Limiter
from afas_async.http.transport import AiohttpTransport
from afas_async.simulator import Fault, Latency, Simulator
from tests.http.test_transport import SIGNED
from tests.support import canary
from tests.support.fake_transport import FakeCall, options
from tests.support.granting import ARTICLES, mark, others, refusal
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.thoroughness import by_default

DEBTORS = GetConnector("Profit_Debtor", key="DebtorId")
WRONG = canary.TOKEN.replace("CA9A27", "000000")


class Vault:
    """Returns the values it holds, or raises them.

    Attributes:
        holds: The next results; the last one repeats.
        asked: How often it was asked.
        seconds: How long each result takes.
    """

    def __init__(self, *holds: object, seconds: float = 0.0) -> None:
        self.holds = list(holds)
        self.asked = 0
        self.seconds = seconds

    async def __call__(self) -> str:
        self.asked += 1
        await asyncio.sleep(self.seconds)
        found = self.holds.pop(0) if len(self.holds) > 1 else self.holds[0]
        if isinstance(found, Exception):
            raise found
        return found  # type: ignore[return-value]


def client(simulator: Simulator, watch: canary.Watch, auth: object, **keywords: object) -> AfasClient:
    return AfasClient(
        base_url=simulator.base_url,
        auth=auth,  # type: ignore[arg-type]
        on_event=lambda event: watch.texts.append(repr(event)),
        **keywords,  # type: ignore[arg-type]
    )


GIVEN: dict[str, Callable[[Simulator], object]] = {
    "text": lambda simulator: simulator.token,
    "AppToken": lambda simulator: AppToken(simulator.token),
    "BearerToken": lambda simulator: BearerToken(given(simulator)),
}


def given(simulator: Simulator) -> str:
    """Have a simulator give an access token for all time."""
    simulator.oauth._valid_until[f"{canary.ACCESS}.given"] = float("inf")
    return f"{canary.ACCESS}.given"


@pytest.mark.parametrize("kind", GIVEN)
@pytest.mark.parametrize("direct", [False, True])
async def test_kinds(simulator: Simulator, watch: canary.Watch, kind: str, *, direct: bool) -> None:
    """`auth` accepts a token, or an async function that returns one. Every kind works, and is asked once."""
    credential = GIVEN[kind](simulator)
    vault = Vault(credential)
    async with client(simulator, watch, credential if direct else vault) as afas:
        assert vault.asked == 0
        await asyncio.gather(*[afas.page(ARTICLES, skip=skip, take=1) for skip in range(by_default(4, 10))])
        await afas.insert("KnSubject", {"StId": 1, "Ds": "x", "St": "A"})
    assert vault.asked == (0 if direct else 1)
    assert set(others(simulator)) == {200, 201}


async def test_no_credential() -> None:
    """An engine without a signer sends no Authorization header, as requests for one-time passwords need."""

    async def answer(connection: Connection, _: Received) -> None:
        await connection.answer(b"{}")

    async with RawServer(answer) as server, AiohttpTransport(server.base_url) as transport:
        assert await Engine(transport, limiter=Limiter(1)).send(FakeCall(), options()) is None
    assert "authorization" not in server.requests[0].headers


async def test_the_header_of_a_token() -> None:
    """A token that a function returns makes the same header as one that is given directly."""

    async def answer(connection: Connection, _: Received) -> None:
        await connection.answer(b'{"skip":0,"take":1,"rows":[]}')

    async with RawServer(answer) as server:
        for auth in (canary.TOKEN, Vault(canary.TOKEN)):
            async with AfasClient(base_url=server.base_url, auth=auth) as afas:
                await afas.page("X", take=1)
    assert [received.headers["authorization"] for received in server.requests] == [SIGNED, SIGNED]


async def test_refused_token(simulator: Simulator, watch: canary.Watch) -> None:
    """A refused token is not sent to the same connector again for a minute: no request storm."""
    async with client(simulator, watch, WRONG) as afas:
        error = await refusal(afas)
        assert isinstance(error, AuthenticationError)
        assert (error.connector, error.status, error.attempts) == ("Profit_Article", 401, 1)
        assert "nothing was sent" not in str(error)
        for _ in range(50):
            again = await refusal(afas)
            assert isinstance(again, AuthenticationError)
            assert (again.connector, again.status, again.attempts) == ("Profit_Article", 401, 0)
            assert "less than 60 s ago; nothing was sent" in str(again)
        with pytest.raises(AuthenticationError):
            await afas.rows(ARTICLES).to_list()
        assert others(simulator) == [401]
        assert afas.statistics().retries == 0
        await refusal(afas, DEBTORS)  # a connector outside the token's list says nothing about the others
        assert others(simulator) == [401, 401]
        await asyncio.sleep(61)
        await refusal(afas)
        assert others(simulator) == [401, 401, 401]


async def test_refused_writes(simulator: Simulator, watch: canary.Watch) -> None:
    """A load with a refused token ends after one request, and the next load sends nothing."""
    async with client(simulator, watch, WRONG) as afas:
        for status in ("rejected", "not_sent"):
            async with afas.load("KnSubject", max_elements=5, in_flight=1, validate=False) as load:
                for number in range(100):
                    await load.add({"StId": 1, "Ds": f"{number}", "St": "A"})
            assert load.report.counts[status] > 0
            assert load.report.counts["applied"] == load.report.counts["unknown"] == 0
    assert others(simulator) == [401]


async def test_rotation(simulator: Simulator, watch: canary.Watch) -> None:
    """After a refused token the function is asked again, and the request is sent once more with the new token."""
    vault = Vault(WRONG, simulator.token)
    async with client(simulator, watch, vault, max_retries=0) as afas:
        await afas.page(ARTICLES, take=1)
        await afas.page(ARTICLES, take=1)
        assert (vault.asked, others(simulator)) == (2, [401, 200, 200])
        assert afas.statistics().retries == 1


async def test_a_mended_refusal_is_no_attempt(simulator: Simulator, watch: canary.Watch) -> None:
    """A refusal that another token solves uses up no retry of a read or a write."""
    for path, wait in (("Profit_Article", None), ("KnSubject", 1)):
        vault = Vault(WRONG, simulator.token)
        simulator.faults.add(Fault(path=path, status=503, after=1, retry_after=wait))
        async with client(simulator, watch, vault, max_retries=1) as afas:
            if path == "KnSubject":
                await afas.insert("KnSubject", {"StId": 1, "Ds": "x", "St": "A"})
            else:
                await afas.page(ARTICLES, take=1)
    assert others(simulator) == [401, 503, 200, 401, 503, 201]


async def test_the_same_again(simulator: Simulator, watch: canary.Watch) -> None:
    """A function that returns the refused token again is not called for a minute, for other connectors either."""
    vault = Vault(WRONG)
    async with client(simulator, watch, vault) as afas:
        error = await refusal(afas)
        assert isinstance(error, AuthenticationError)
        assert error.attempts == 1
        assert "nothing was sent" not in str(error)
        vault.holds = [simulator.token]
        for _ in range(20):
            again = await refusal(afas)
            assert isinstance(again, AuthenticationError)
            assert again.attempts == 0
            assert "less than 60 s ago; nothing was sent" in str(again)
        assert (vault.asked, others(simulator)) == (2, [401])
        assert (await refusal(afas, DEBTORS)).attempts == 1  # type: ignore[attr-defined]
        assert (vault.asked, others(simulator)) == (2, [401, 401])
        await asyncio.sleep(61)
        await afas.page(ARTICLES, take=1)
        assert vault.asked == 3


async def test_another_that_is_refused_too(simulator: Simulator, watch: canary.Watch) -> None:
    """When the next token is refused too, the function is asked again after a minute, not sooner."""
    vault = Vault(WRONG, WRONG.replace("0", "1"))
    async with client(simulator, watch, vault) as afas:
        error = await refusal(afas)
        assert isinstance(error, AuthenticationError)
        assert error.attempts == 2
        vault.holds = [simulator.token]
        await refusal(afas)
        assert (vault.asked, others(simulator)) == (2, [401, 401])
        await asyncio.sleep(61)
        await afas.page(ARTICLES, take=1)
        assert (vault.asked, others(simulator)[-1]) == (3, 200)


async def test_several_that_are_refused_at_once(simulator: Simulator, watch: canary.Watch) -> None:
    """Requests that are refused together ask the function once, and each reports that it was sent once."""
    simulator.latency = Latency(base=1)
    vault = Vault(WRONG, seconds=1)
    async with client(simulator, watch, vault) as afas:
        errors = await asyncio.gather(*[refusal(afas) for _ in range(5)])
    assert [error.attempts for error in errors] == [1] * 5  # type: ignore[attr-defined]
    assert (vault.asked, others(simulator)) == (2, [401] * 5)


@pytest.mark.parametrize("kind", ["token", "function"])
async def test_ping_ignores_the_memory_of_a_refusal(simulator: Simulator, watch: canary.Watch, kind: str) -> None:
    """Once the fault is fixed, `ping` is sent at once, and so are the requests after it."""
    simulator.faults.add(Fault(status=401, times=2))
    vault = Vault(simulator.token)
    async with client(simulator, watch, simulator.token if kind == "token" else vault) as afas:
        await refusal(afas)
        with pytest.raises(AuthenticationError):
            await afas.ping()
        with pytest.raises(AuthenticationError):
            await afas.metainfo(refresh=True)  # is not sent
        assert others(simulator) == [401, 401]
        assert (await afas.ping()).info.envid == "T12345AA"
        await afas.page(ARTICLES, take=1)
        assert others(simulator) == [401, 401, 200, 200]


async def test_ping_takes_the_token_that_the_vault_has_now(simulator: Simulator, watch: canary.Watch) -> None:
    """After a rotation, `ping` sends nothing with the refused token."""
    vault = Vault(WRONG)
    async with client(simulator, watch, vault) as afas:
        await refusal(afas)
        vault.holds = [simulator.token]
        await afas.ping()
        assert (vault.asked, others(simulator)) == (3, [401, 200])


async def test_ping_of_a_client_that_is_not_open(simulator: Simulator, watch: canary.Watch) -> None:
    """`ping` needs an open client, and the error says so."""
    with pytest.raises(ClientClosedError):
        await client(simulator, watch, simulator.token).ping()


async def test_rotation_in_a_load(simulator: Simulator, watch: canary.Watch) -> None:
    """A load whose token is replaced halfway applies each element once."""
    vault = Vault(simulator.token, BearerToken(given(simulator)))
    subjects = GetConnector("Profit_Subjects", key="SubjectId")
    async with client(simulator, watch, vault) as afas:
        before = len(await afas.rows(subjects).to_list())
        simulator.faults.add(Fault(method="POST", status=401, after=3))
        async with afas.load("KnSubject", max_elements=10) as load:
            for number in range(200):
                await load.add({"StId": 1, "Ds": f"{number}", "St": "A"})
        assert load.report.counts["applied"] == 200
        assert len(await afas.rows(subjects).to_list()) == before + 200
    assert vault.asked == 2


class VaultError(Exception):
    """Raised by the client of a vault."""


@pytest.mark.parametrize("error", [VaultError("sealed"), OSError(5, "no vault"), TimeoutError(), RuntimeError()])
async def test_function_raises(simulator: Simulator, watch: canary.Watch, error: Exception) -> None:
    """The function's exception is the cause of a ConfigurationError. Nothing is sent; the next request asks again."""
    vault = Vault(error)
    async with client(simulator, watch, vault) as afas:
        found = await asyncio.gather(*[refusal(afas) for _ in range(5)])
        assert vault.asked == 1
        for failure in found:
            assert type(failure) is ConfigurationError
            assert str(failure) == f"auth: your function raised {type(error).__name__}; nothing was sent"
            assert failure.__cause__ is error
        with pytest.raises(ConfigurationError):
            await afas.insert("KnSubject", {"StId": 1})
        assert vault.asked == 2
        assert others(simulator) == []
        vault.holds = [simulator.token]
        await afas.page(ARTICLES, take=1)


async def test_function_raises_an_error_of_this_library(simulator: Simulator, watch: canary.Watch) -> None:
    """An error of this library is raised unchanged, such as one of a client that the function uses itself."""
    async with client(simulator, watch, Vault(ConnectError("vault: no connection", connector="vault"))) as afas:
        error = await refusal(afas)
    assert isinstance(error, ConnectError)
    assert error.connector == "vault"


@pytest.mark.parametrize("value", [f"{canary.DATA}?", f"Bearer {canary.TOKEN}", "", None, 5, canary.TOKEN.encode()])
async def test_function_returns_no_token(simulator: Simulator, watch: canary.Watch, value: object) -> None:
    """A result that is not a token raises a ConfigurationError. Neither message nor traceback shows the value."""
    async with client(simulator, watch, Vault(value)) as afas:
        error = await refusal(afas)
    assert isinstance(error, ConfigurationError)
    assert "malformed" in str(error)
    assert others(simulator) == []


async def test_function_takes_its_time(simulator: Simulator, watch: canary.Watch) -> None:
    """A request waits for the function until its time-out. The function has a minute, and is then called anew."""
    vault = Vault(simulator.token, seconds=30)
    loop = asyncio.get_running_loop()
    async with client(simulator, watch, vault) as afas:
        started = loop.time()
        patient = asyncio.create_task(afas.page(ARTICLES, take=1))
        error = await refusal(afas.with_options(timeout=10))
        assert isinstance(error, RequestTimeoutError)
        assert (error.sent, error.seconds) == ("no", 10)
        await patient
        assert loop.time() - started == pytest.approx(30, abs=0.3)
        assert vault.asked == 1
    vault = Vault(simulator.token, seconds=1e6)
    async with client(simulator, watch, vault) as afas:
        started = loop.time()
        error = await refusal(afas)
        assert isinstance(error, RequestTimeoutError)
        assert (error.sent, error.connector) == ("no", "auth")
        assert loop.time() - started == pytest.approx(60, abs=0.3)
        vault.seconds = 0
        await afas.page(ARTICLES, take=1)


async def test_time_of_the_function_counts(simulator: Simulator, watch: canary.Watch) -> None:
    """The wait for a credential counts towards the time-out of a request."""
    simulator.latency = Latency(base=8)
    async with client(simulator, watch, Vault(simulator.token, seconds=8), timeout=10) as afas:
        error = await refusal(afas)
    assert isinstance(error, RequestTimeoutError)
    assert others(simulator)  # it was sent


async def test_cancelled_while_the_function_works(simulator: Simulator, watch: canary.Watch) -> None:
    """A request that is cancelled does not cancel the function that others wait for."""
    vault = Vault(simulator.token, seconds=5)
    async with client(simulator, watch, vault) as afas:
        tasks = [asyncio.create_task(afas.page(ARTICLES, take=1)) for _ in range(4)]
        await asyncio.sleep(1)
        for task in tasks[:3]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [True, True, True, False]
    assert vault.asked == 1


async def test_function_that_cannot_be_cancelled(simulator: Simulator, watch: canary.Watch) -> None:
    """Closing cancels the function. One that continues regardless delays closing by only a few seconds."""

    async def stubborn() -> str:
        for _ in range(20):
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                continue
        return simulator.token

    loop = asyncio.get_running_loop()
    afas = client(simulator, watch, stubborn)
    await afas.open()
    task = asyncio.create_task(refusal(afas))
    await asyncio.sleep(1)
    started = loop.time()
    await afas.aclose()
    assert loop.time() - started < 11
    assert isinstance(await task, AfasError)
    await asyncio.sleep(30)


async def test_credentials_show_nowhere(
    simulator: Simulator, watch: canary.Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client shows neither the credentials it was given nor the token it got for them."""
    mark(simulator, monkeypatch)
    async with client(simulator, watch, Vault(BearerToken(given(simulator)))) as afas:
        await afas.page(ARTICLES, take=1)
        session = afas._session
        shown = [vars(afas), vars(session), vars(session.engine), vars(session.engine._signer)]
        assert not any(canary.leaks(repr(each)) for each in shown)
