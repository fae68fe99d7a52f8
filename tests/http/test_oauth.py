"""Client credentials over HTTP: one token for all, renewed in time, once more after a 401, and refused once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from afas_async import (
    AfasClient,
    AuthenticationError,
    ClientClosedError,
    ClientCredentials,
    GetConnector,
    OutcomeUnknownError,
    RequestTimeoutError,
)
from afas_async.http.events import Event
from afas_async.simulator import Fault, Latency, Simulator
from tests.http.conftest import SIMULATED
from tests.support import canary
from tests.support.granting import ARTICLES, client, grants, mark, others, refusal
from tests.support.heard import attempts
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.thoroughness import by_default

DEBTORS = GetConnector("Profit_Debtor", key="DebtorId")
SUBJECTS = GetConnector("Profit_Subjects", key="SubjectId")


@pytest.fixture
def service(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    return mark(simulator, monkeypatch)


async def now() -> float:
    return asyncio.get_running_loop().time()


async def test_the_request_for_a_token(service: Simulator, watch: canary.Watch) -> None:
    """A token is asked for with the first request, as a form, without an Authorization header, and then used."""
    async with client(service, watch, integration_id="12345_678900") as afas:
        assert grants(service) == []
        await afas.page(ARTICLES, take=1)
        statistics = afas.statistics()
    (asked,) = grants(service)
    assert (asked.method, asked.status, asked.query) == ("POST", 200, {})
    assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert asked.headers["IntegrationId"] == "12345_678900"
    assert others(service) == [200]
    assert (statistics.requests, statistics.retries, statistics.peak_in_flight, statistics.in_flight) == (2, 0, 1, 0)
    assert statistics.bytes == sum(request.bytes for request in service.requests)
    assert [text for text in watch.texts if "connector='oauth/token', method='POST'" in text]


async def test_no_header_where_there_is_no_token(service: Simulator, watch: canary.Watch) -> None:
    """The request for a token has no Authorization header."""
    seen: list[bool] = []
    answer = service.oauth.answer
    service.oauth.answer = lambda content_type, body, url: seen.append(body != b"") or answer(content_type, body, url)  # type: ignore[method-assign, func-returns-value]
    async with client(service, watch) as afas:
        await afas.page(ARTICLES, take=1)
    assert seen == [True]


@pytest.mark.parametrize("how", ["expires", "is revoked"])
async def test_token_that_ends_in_the_middle_of_a_read(service: Simulator, watch: canary.Watch, how: str) -> None:
    """A read of 200 pages whose token ends on the way loses no row, and asks for one other token."""
    service.latency = Latency(base=0.1)
    service.oauth.expires_in = by_default(1, 2) if how == "expires" else 3600
    async with client(service, watch) as afas:
        before = await afas.rows(ARTICLES, take=100).to_list()
        assert len(grants(service)) == 1
        service.oauth.expires_in = 3600
        found = []
        async for row in afas.rows(ARTICLES, take=by_default(20, 15)):
            found.append(row)
            if len(found) == SIMULATED // 2 and how == "is revoked":
                service.oauth.revoke()
    assert found == before
    assert len(others(service)) >= by_default(60, 230)
    assert len(grants(service)) == 2
    refused = others(service).count(401)
    assert refused == 0 if how == "expires" else 1 <= refused <= 5


@pytest.mark.sampled(2)
@pytest.mark.parametrize("limit", [1, 2, 5, 8])
@pytest.mark.parametrize("revoked", [False, True])
async def test_requests_at_once(service: Simulator, watch: canary.Watch, limit: int, *, revoked: bool) -> None:
    """Requests that need a token at the same time ask for one. No more are in flight than allowed."""
    service.latency = Latency(base=0.2)
    async with client(service, watch, max_concurrency=limit) as afas:
        if revoked:
            await afas.page(ARTICLES, take=1)
            service.oauth.revoke()
        pages = await asyncio.gather(*[afas.page(ARTICLES, skip=skip, take=1) for skip in range(10)])
        assert [len(page.rows) for page in pages] == [1] * 10
        assert afas.statistics().peak_in_flight <= limit
    assert len(grants(service)) == 1 + revoked
    assert service.counters.peak_in_flight <= limit


async def test_renewed_in_time(service: Simulator, watch: canary.Watch) -> None:
    """A token is renewed a tenth of its life before its end, at most a minute; not sooner, and not while it is idle."""
    long = by_default(700, 3600)
    for life, fresh, stale in ((100, 89, 91), (long, long - 61, long - 59)):
        service.oauth.expires_in = life
        async with client(service, watch) as afas:
            await afas.page(ARTICLES, take=1)
            count = len(grants(service))
            await asyncio.sleep(fresh)
            await afas.page(ARTICLES, take=1)
            assert len(grants(service)) == count
            await asyncio.sleep(stale - fresh)
            assert len(grants(service)) == count
            await afas.page(ARTICLES, take=1)
            assert len(grants(service)) == count + 1
    assert set(others(service)) == {200}


async def test_revoked(service: Simulator, watch: canary.Watch) -> None:
    """After a revocation a request is refused once, fetches another token, and is sent once more."""
    events: list[Event] = []
    async with client(service, watch) as afas:
        await afas.page(ARTICLES, take=1)
        service.oauth.revoke()
        await afas.with_options(on_event=events.append, max_retries=0).page(ARTICLES, take=1)
        statistics = afas.statistics()
    assert others(service) == [200, 401, 200]
    assert len(grants(service)) == 2
    assert (statistics.requests, statistics.retries) == (5, 1)
    assert [(event.kind, event.attempt) for event in attempts(events)] == [
        ("failed", 1),
        ("retrying", 1),
        ("answered", 2),
    ]


async def test_refused_although_renewed(service: Simulator, watch: canary.Watch) -> None:
    """When a connector refuses a fresh token too, that is final for a minute, and for this connector only."""
    service.faults.add(Fault(connector="Profit_Article", status=401, times=None))
    async with client(service, watch) as afas:
        await afas.page(DEBTORS, take=1)
        error = await refusal(afas)
        assert isinstance(error, AuthenticationError)
        assert (error.connector, error.status, error.attempts) == ("Profit_Article", 401, 2)
        assert others(service) == [200, 401, 401]
        assert len(grants(service)) == 2
        for _ in range(50):
            again = await refusal(afas)
            assert isinstance(again, AuthenticationError)
            assert "less than 60 s ago; nothing was sent" in str(again)
        await afas.page(DEBTORS, take=1)
        assert others(service) == [200, 401, 401, 200]
        assert len(grants(service)) == 2
        await asyncio.sleep(61)
        service.faults.clear()
        await afas.page(ARTICLES, take=1)
    assert others(service) == [200, 401, 401, 200, 200]


async def test_write_that_was_refused(service: Simulator, watch: canary.Watch) -> None:
    """A write that met a revoked token was not carried out, is sent once more, and is applied once."""
    async with client(service, watch) as afas:
        count = len(await afas.rows(SUBJECTS).to_list())
        service.oauth.revoke()
        result = await afas.insert("KnSubject", {"StId": 1, "Ds": "once", "St": "A"})
        assert result.keys
        assert others(service)[-2:] == [401, 201]
        assert len(await afas.rows(SUBJECTS).to_list()) == count + 1


async def test_load_through_tokens_that_end(service: Simulator, watch: canary.Watch, tmp_path: Path) -> None:
    """A load through tokens that expire and are revoked applies each element once; the journal holds no secret."""
    service.latency = Latency(base=0.2, per_element=0.01)
    service.oauth.expires_in = by_default(1, 3)
    count = by_default(300, 600)
    journal = tmp_path / "load.journal"
    async with client(service, watch) as afas:
        before = len(await afas.rows(SUBJECTS).to_list())
        async with afas.load("KnSubject", journal=journal, max_elements=20) as load:
            for number in range(count):
                await load.add({"StId": 1, "Ds": f"Reference {number}", "St": "A"})
                if number in {count // 3, count // 3 * 2}:
                    service.oauth.revoke()
            files = b"".join(path.read_bytes() for path in tmp_path.iterdir())  # noqa: ASYNC240 - no real file
        assert load.report.counts["applied"] == count
        names = [row["Subject"] for row in await afas.rows(SUBJECTS).to_list()]
    assert len(names) == before + count
    assert len({name for name in names if name.startswith("Reference ")}) == count
    assert len(grants(service)) >= 3
    assert 401 in others(service)
    assert not canary.leaks(files.decode("latin-1"))


@pytest.mark.parametrize("at_once", [True, False])
async def test_wrong_secret(service: Simulator, watch: canary.Watch, *, at_once: bool) -> None:
    """A wrong secret gives one clear error. The next 50 requests ask for no token; one a minute later does."""
    async with client(service, watch, secret=f"{canary.SECRET}!") as afas:
        if at_once:
            errors = await asyncio.gather(*[refusal(afas) for _ in range(50)])
        else:
            errors = [await refusal(afas) for _ in range(50)]
        for error in errors:
            assert isinstance(error, AuthenticationError)
            assert (error.status, error.connector) == (400, "oauth/token")
            assert "client secret is wrong" in str(error)
            assert "invalid_client" in str(error)
        assert len({id(error) for error in errors}) == 50
        with pytest.raises(AuthenticationError):
            await afas.insert("KnSubject", {"StId": 1, "Ds": "x", "St": "A"})
        assert len(grants(service)) == 1
        assert others(service) == []
        service.oauth.client_secret = f"{canary.SECRET}!"
        await asyncio.sleep(59)
        await refusal(afas)
        assert len(grants(service)) == 1
        await asyncio.sleep(2)
        await afas.page(ARTICLES, take=1)
        assert len(grants(service)) == 2


async def test_wrong_secret_of_a_load(service: Simulator, watch: canary.Watch) -> None:
    """A load with a wrong secret sends nothing, and reports so for each element."""
    async with client(service, watch, secret="wrong") as afas:
        async with afas.load("KnSubject", max_elements=5, validate=False) as load:
            for number in range(100):
                await load.add({"StId": 1, "Ds": f"{number}", "St": "A"})
        assert load.report.counts["not_sent"] == 100
    assert isinstance(load.report.not_sent[0].error, AuthenticationError)
    assert (len(grants(service)), others(service)) == (1, [])


async def test_time_outs(service: Simulator, watch: canary.Watch) -> None:
    """A request waits for a token until its time-out. When it ends, others still get the token."""
    service.faults.add(Fault(path="oauth/token", delay=20))
    async with client(service, watch) as afas:
        started = await now()
        patient = asyncio.create_task(afas.page(ARTICLES, take=1))
        hasty = await refusal(afas.with_options(timeout=5))
        assert isinstance(hasty, RequestTimeoutError)
        assert (hasty.sent, hasty.seconds, hasty.connector) == ("no", 5, "Profit_Article")
        assert "auth took longer than 5 s" in str(hasty)
        assert await now() - started == pytest.approx(5, abs=0.2)
        with pytest.raises(RequestTimeoutError):
            await afas.with_options(timeout=5).insert("KnSubject", {"StId": 1})
        assert len((await patient).rows) == 1
        assert await now() - started == pytest.approx(20, abs=0.3)
    assert len(grants(service)) == 1
    assert others(service) == [200]


async def test_no_answer(service: Simulator, watch: canary.Watch) -> None:
    """A token request without a response ends after half a minute, and the next request asks anew."""
    service.faults.add(Fault(path="oauth/token", cut="stall"))
    async with client(service, watch) as afas:
        started = await now()
        error = await refusal(afas)
        assert isinstance(error, RequestTimeoutError)
        assert (error.connector, error.seconds) == ("oauth/token", 30)
        assert await now() - started == pytest.approx(30, abs=0.5)
        await afas.page(ARTICLES, take=1)
    assert (len(grants(service)), others(service)) == (2, [200])


@pytest.mark.parametrize("write", [False, True])
async def test_cancelled_at_every_step(service: Simulator, watch: canary.Watch, *, write: bool) -> None:
    """A request cancelled while a token is fetched leaves the token to another request, and no slot taken."""
    done = False
    for step in range(0, 200, by_default(4, 1)):
        count = len(grants(service))
        async with client(service, watch, max_concurrency=2) as afas:
            call = afas.insert("KnSubject", {"StId": 1, "Ds": "x", "St": "A"}) if write else afas.page(ARTICLES, take=1)
            first = asyncio.ensure_future(call)
            second = asyncio.create_task(afas.page(DEBTORS, take=1))
            for _ in range(step):
                await asyncio.sleep(0)
            done = first.done()
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            assert len((await second).rows) == 1, step
            assert len((await afas.page(ARTICLES, take=1)).rows) == 1
            assert afas.statistics().in_flight == 0
            assert afas._session.engine._limiter.in_flight == 0
        assert len(grants(service)) == count + 1, step
        if done:
            break
    assert done


async def test_all_cancelled(service: Simulator, watch: canary.Watch) -> None:
    """A token is still fetched when nobody waits for it any more, and serves the next request."""
    service.latency = Latency(base=1)
    async with client(service, watch) as afas:
        tasks = [asyncio.create_task(afas.page(ARTICLES, take=1)) for _ in range(3)]
        await asyncio.sleep(0.5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(1)
        assert service.oauth.issued == 1
        await afas.page(ARTICLES, take=1)
    assert (len(grants(service)), others(service)) == (1, [200])


@pytest.mark.sampled(2)
@pytest.mark.parametrize("revoked", [False, True])
async def test_closed_at_every_step(service: Simulator, watch: canary.Watch, *, revoked: bool) -> None:
    """Closing a client while it fetches a token raises ClientClosedError in every call that waits for it."""
    done = False
    for step in range(0, 200, by_default(4, 1)):
        afas = client(service, watch)
        await afas.open()
        if revoked:
            await afas.page(ARTICLES, take=1)
            service.oauth.revoke()
        tasks = [asyncio.ensure_future(afas.page(ARTICLES, take=1)) for _ in range(3)]
        tasks.append(asyncio.ensure_future(afas.insert("KnSubject", {"StId": 1, "Ds": "x", "St": "A"})))  # type: ignore[arg-type]
        for _ in range(step):
            await asyncio.sleep(0)
        done = all(task.done() for task in tasks)
        started = await now()
        await afas.aclose()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert await now() - started < 1
        for result in results:
            if isinstance(result, BaseException):
                assert isinstance(result, (ClientClosedError, OutcomeUnknownError)), (step, result)
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert not {name for name in names if name.startswith("afas_async")}, step
        if done:
            break
    assert done


async def test_from_the_environment(service: Simulator) -> None:
    """AFAS_CLIENT_ID and AFAS_CLIENT_SECRET make a client with credentials."""
    variables = {
        "AFAS_BASE_URL": service.base_url,
        "AFAS_CLIENT_ID": service.oauth.client_id,
        "AFAS_CLIENT_SECRET": service.oauth.client_secret,
    }
    async with AfasClient.from_env(variables) as afas:
        assert len((await afas.page(ARTICLES, take=2)).rows) == 2


@pytest.mark.parametrize("told", ['"3600"', "null", "3600.0", "0", '"soon"', None])
async def test_how_long_a_token_is_valid_in_odd_ways(told: str | None) -> None:
    """The lifetime may be text, null or absent, as other identity servers and gateways send it. The token is used."""

    async def answer(connection: Connection, received: Received) -> None:
        if received.target.endswith("oauth/token"):
            seconds = "" if told is None else f',"expires_in":{told}'
            await connection.answer(f'{{"access_token":"abc","token_type":"bearer"{seconds}}}'.encode())
        else:
            assert received.headers["authorization"] == "Bearer abc"
            await connection.answer(b'{"skip":0,"take":1,"rows":[]}')

    credentials = ClientCredentials("id", canary.SECRET)
    async with RawServer(answer) as server, AfasClient(base_url=server.base_url, auth=credentials) as afas:
        for _ in range(3):
            assert (await afas.page("X", take=1)).rows == []
        assert [received.target for received in server.requests].count("/rest/oauth/token") == 1
