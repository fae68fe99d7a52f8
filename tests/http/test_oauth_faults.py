"""Faults of the token endpoint: each documented error, and responses that are not documented."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from afas_async import (
    AfasError,
    AnswerError,
    AnswerLostError,
    AuthenticationError,
    OutcomeUnknownError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
    UnavailableError,
)
from afas_async.simulator import Fault, Simulator
from tests.support import canary
from tests.support.granting import ARTICLES, client, grants, mark, others, refusal

HTML = "<html><body><h1>Bad gateway</h1></body></html>"
TOKEN: dict[str, Any] = {"access_token": f"{canary.ACCESS}.x", "token_type": "Bearer", "expires_in": 3600}


@pytest.fixture
def service(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    return mark(simulator, monkeypatch)


def fault(status: int | None = None, body: object = None, **options: Any) -> Fault:
    """Return the fault for every token request."""
    text = body if isinstance(body, str) or body is None else json.dumps(body)
    return Fault(path="/oauth/token", status=status, body=text, **({"times": None} | options))


ECHO = {
    "error": "invalid_client",
    "error_description": f"{canary.SECRET} is wrong",
    "externalMessage": canary.SECRET,
    "message": canary.SECRET,
    "profitLogReference": canary.SECRET,
}
REFUSED = {
    "invalid_client": fault(400, {"error": "invalid_client"}),
    "invalid_client with a description": fault(400, ECHO),
    "invalid_client 401": fault(401, {"error": "invalid_client"}, headers={"WWW-Authenticate": "Basic"}),
    "401 without a word": fault(401),
    "invalid_request": fault(400, {"error": "invalid_request"}),
    "unauthorized_client": fault(400, {"error": "unauthorized_client"}),
    "use_dpop_nonce": fault(400, {"error": "use_dpop_nonce"}, headers={"DPoP-Nonce": "x"}),
    "an error of its own": fault(400, {"error": canary.SECRET}),
    "an object": fault(400, {"error": {"message": canary.SECRET}}),
    "400 HTML": fault(400, HTML),
    "403": fault(403),
    "404": fault(404),
    "405": fault(405),
    "a redirect": fault(302, headers={"Location": "http://127.0.0.1:1/"}),
    "a redirect that repeats it": fault(307, headers={"Location": "/profitrestservices/metainfo"}),
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("write", [False, True])
async def test_refused(service: Simulator, watch: canary.Watch, name: str, *, write: bool) -> None:
    """A refusal is an AuthenticationError that names the credentials. It is not repeated, and nothing else is sent."""
    service.faults.add(REFUSED[name])
    async with client(service, watch) as afas:
        for _ in range(2):
            if write:
                with pytest.raises(AuthenticationError) as raised:
                    await afas.insert("KnSubject", {"StId": 1, "Ds": "x", "St": "A"})
                error: AfasError = raised.value
            else:
                error = await refusal(afas)
            assert isinstance(error, AuthenticationError)
            assert (error.status, error.connector) == (REFUSED[name].status, "oauth/token")
            assert "no token for the client credentials" in error.message
            assert ("invalid_client" in error.message) == name.startswith("invalid_client")
    assert (len(grants(service)), others(service)) == (1, [])


TRANSIENT = {
    "503 with a wait": (fault(503, retry_after=2), UnavailableError),
    "503": (fault(503), UnavailableError),
    "429": (fault(429, retry_after=1), RateLimitError),
    "500 in Profit's shape": (fault(500, ECHO), ServerError),
    "500 HTML": (fault(500, HTML), ServerError),
    "502": (fault(502, HTML), ServerError),
    "reset": (fault(cut="reset"), AnswerLostError),
    "closed": (fault(cut="close"), AnswerLostError),
    "cut within": (fault(cut="close", at=20), AnswerLostError),
    "HTML": (fault(200, HTML), AnswerError),
    "cut well": (fault(cut="end", at=20), AnswerError),
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", TRANSIENT)
@pytest.mark.parametrize("write", [False, True])
async def test_transient(service: Simulator, watch: canary.Watch, name: str, *, write: bool) -> None:
    """Transient faults are retried by the rules for reads. If they last, that error is raised, and nothing was sent."""
    trouble, kind = TRANSIENT[name]
    service.faults.add(trouble)
    async with client(service, watch) as afas:
        if write:
            with pytest.raises(AfasError) as raised:
                await afas.insert("KnSubject", {"StId": 1, "Ds": "x", "St": "A"})
            error = raised.value
            assert not isinstance(error, OutcomeUnknownError)
        else:
            error = await refusal(afas)
        assert type(error) is kind, repr(error)
        assert str(error).startswith("oauth/token: ")
        assert len(grants(service)) == (3 if kind is AnswerError else 4)
        assert others(service) == []
        service.faults.clear()
        service.faults.add(msgspec.structs.replace(trouble, times=2))
        await afas.page(ARTICLES, take=1)
    assert others(service) == [200]


def at_work(service: Simulator) -> int:
    """Return the number of token requests. All other requests must have succeeded."""
    assert set(others(service)) == {200}
    return len(grants(service))


@pytest.mark.parametrize("name", TRANSIENT)
async def test_renewal_fails_for_a_moment(service: Simulator, watch: canary.Watch, name: str) -> None:
    """While a token is valid its renewal may fail: requests are still sent, and few of them try to renew it."""
    trouble, kind = TRANSIENT[name]
    service.oauth.expires_in = 1_000  # and to be renewed after 940
    loop = asyncio.get_running_loop()
    async with client(service, watch) as afas:
        await afas.page(ARTICLES, take=1)
        await asyncio.sleep(941)
        service.faults.add(trouble)
        started = loop.time()
        await asyncio.gather(*[afas.page(ARTICLES, skip=skip, take=1) for skip in range(5)])
        assert loop.time() - started < 4
        await asyncio.sleep(4)
        attempts = at_work(service)
        assert attempts > 1
        while loop.time() - started < 50:
            await afas.page(ARTICLES, take=1)
            await asyncio.sleep(0.5)
        # Each attempt has up to three retries; without a pause between them there would be hundreds.
        assert attempts + 2 < at_work(service) < 50
        service.faults.clear()
        await asyncio.sleep(5)
        await afas.page(ARTICLES, take=1)
        attempts = at_work(service)
        await asyncio.sleep(900)
        await afas.page(ARTICLES, take=1)
        assert at_work(service) == attempts
        await asyncio.sleep(101)
        service.faults.add(trouble)
        assert type(await refusal(afas)) is kind, "it has expired"
    assert set(others(service)) == {200}


async def test_renewal_that_is_not_answered(service: Simulator, watch: canary.Watch) -> None:
    """A request with a valid token waits two seconds at most, and later ones do not wait at all."""
    service.oauth.expires_in = 1_000
    loop = asyncio.get_running_loop()
    async with client(service, watch) as afas:
        await afas.page(ARTICLES, take=1)
        await asyncio.sleep(941)
        service.faults.add(fault(cut="stall"))
        waits = []
        for _ in range(7):
            started = loop.time()
            await afas.page(ARTICLES, take=1)
            waits.append(round(loop.time() - started))
            await asyncio.sleep(1)
        assert waits == [2, 0, 0, 0, 0, 0, 0]
        assert at_work(service) == 2
        await asyncio.sleep(31)
        await afas.page(ARTICLES, take=1)
        assert at_work(service) == 3
        await asyncio.sleep(20)  # it has expired: now the request waits for that attempt to end
        error = await refusal(afas)
        assert isinstance(error, RequestTimeoutError)
        assert error.connector == "oauth/token"
        assert at_work(service) == 3


async def test_token_that_expires_while_it_is_renewed(service: Simulator, watch: canary.Watch) -> None:
    """A request that waits for the renewal is not sent with a token that has expired meanwhile."""
    service.oauth.expires_in = 10
    async with client(service, watch) as afas:
        await afas.page(ARTICLES, take=1)
        await asyncio.sleep(9.5)
        service.faults.add(fault(delay=5))
        await afas.page(ARTICLES, take=1)
        assert at_work(service) == service.oauth.issued == 2


@pytest.mark.parametrize("name", ["invalid_client", "invalid_client 401", "403"])
async def test_renewal_is_refused(service: Simulator, watch: canary.Watch, name: str) -> None:
    """Credentials that the service refuses fail a request at once, although its token is valid for a while."""
    service.oauth.expires_in = 1_000
    async with client(service, watch) as afas:
        await afas.page(ARTICLES, take=1)
        await asyncio.sleep(941)
        service.faults.add(REFUSED[name])
        for _ in range(3):
            error = await refusal(afas)
            assert isinstance(error, AuthenticationError)
            assert error.connector == "oauth/token"
        assert at_work(service) == 2


async def test_ping_sends_refused_credentials_again(service: Simulator, watch: canary.Watch) -> None:
    """`ping` works at once after the secret is fixed at the service, and so do the requests after it."""
    mended = service.oauth.client_secret
    service.oauth.client_secret = "another"
    async with client(service, watch) as afas:
        for _ in range(3):
            assert isinstance(await refusal(afas), AuthenticationError)
        with pytest.raises(AuthenticationError):
            await afas.ping()
        assert len(grants(service)) == 2
        service.oauth.client_secret = mended
        assert isinstance(await refusal(afas), AuthenticationError)
        await afas.ping()
        await afas.page(ARTICLES, take=1)
    assert len(grants(service)) == 3


async def test_other_connectors_keep_their_token(service: Simulator, watch: canary.Watch) -> None:
    """A renewal refused because of one connector leaves the others their token until it needs renewal."""
    async with client(service, watch) as afas:
        await afas.page("Profit_Debtor", take=1)
        service.faults.add(REFUSED["invalid_client"], Fault(connector="Profit_Article", status=401, times=None))
        await refusal(afas)
        await asyncio.sleep(10)
        await afas.page("Profit_Debtor", take=1)
    assert others(service) == [200, 401, 200]
    assert len(grants(service)) == 2


SHAPES: dict[str, object] = {
    "nothing": "",
    "a list": [TOKEN],
    "no members": {},
    "null": "null",
    "no token": {"token_type": "Bearer", "expires_in": 3600},
    "an error": {"error": "invalid_client"},
    "a number": TOKEN | {"access_token": 5},
    "an empty token": TOKEN | {"access_token": ""},
    "another header": TOKEN | {"access_token": f"{canary.ACCESS}\r\nX: y"},
    "a space": TOKEN | {"access_token": f"{canary.ACCESS} y"},
    "letters": TOKEN | {"access_token": f"{canary.ACCESS}é"},
    "a token that is too long": TOKEN | {"access_token": canary.ACCESS * 2_000},
    "an answer that is too long": TOKEN | {"more": canary.ACCESS * 20_000},
    "no type": {"access_token": canary.ACCESS, "expires_in": 3600},
    "another type": TOKEN | {"token_type": "mac"},
    "for ever": f'{{"access_token":"{canary.ACCESS}","token_type":"Bearer","expires_in":1e999}}',
    "no UTF-8": f'{{"access_token":"{canary.ACCESS}","token_type":"\ud800"}}',
}


@pytest.mark.parametrize("name", SHAPES)
async def test_wrong_shape(service: Simulator, watch: canary.Watch, name: str) -> None:
    """A response that is not a documented token is an AnswerError, and its content is shown nowhere."""
    body = SHAPES[name]
    text = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else json.dumps(body).encode()
    service.faults.add(fault(200, text.decode("latin-1"), content_type="application/json"))
    async with client(service, watch, max_retries=0) as afas:
        error = await refusal(afas)
        assert type(error) is AnswerError
        assert error.connector == "oauth/token"
    assert others(service) == []


async def test_no_seconds_stated(service: Simulator, watch: canary.Watch) -> None:
    """A token without a stated lifetime is used until it is refused."""
    service.faults.add(fault(200, {"access_token": f"{canary.ACCESS}.x", "token_type": "bearer"}, times=1))
    async with client(service, watch) as afas:
        await afas.page(ARTICLES, take=1)  # the simulator has not given it, so it is refused
    assert others(service) == [401, 200]
    assert len(grants(service)) == 2


async def test_renewal_fails_after_a_refusal(service: Simulator, watch: canary.Watch) -> None:
    """A refused write for which no other token is available was not applied, and its error says why."""
    async with client(service, watch) as afas:
        await afas.page(ARTICLES, take=1)
        service.oauth.revoke()
        service.faults.add(fault(502))
        with pytest.raises(ServerError) as raised:
            await afas.insert("KnSubject", {"StId": 1, "Ds": "x", "St": "A"})
        assert raised.value.connector == "oauth/token"
        async with afas.load("KnSubject", validate=False) as load:
            await load.add({"StId": 1, "Ds": "x", "St": "A"})
    assert load.report.counts["not_sent"] == 1
    assert set(others(service)) == {200, 401}
