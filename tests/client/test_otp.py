"""One-time passwords: a token for the holder of the code, and no secret anywhere else."""

from __future__ import annotations

import asyncio
import base64
import json
import pickle
import traceback
from functools import partial
from typing import Any

import pytest

from afas_async import (
    AfasClient,
    AfasError,
    AnswerError,
    AppToken,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConnectError,
    OutcomeUnknownError,
    ServerError,
    UsageError,
    __version__,
    otp,
)
from afas_async.simulator import Fault, Simulator
from tests.support import canary
from tests.support.census import tasks
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.read_table import end, framed, head

API_KEY = "5EC2E7A0" * 4
API_TOKEN = "5EC2E7B1" * 4
USER = "12345.geheim"
CODE = "31415926"
SECRETS = (API_KEY, API_TOKEN, CODE)
KEYS: dict[str, Any] = {"api_key": API_KEY, "api_token": API_TOKEN, "user_id": USER}
TOLD = framed(json.dumps({"token": canary.TOKEN + "\r\n"}).encode())


def says(answer: bytes, how: Any = "keep") -> Any:
    async def script(connection: Connection, _: Received) -> None:
        await connection.send(answer)
        await end(connection, how)

    return script


def shown(error: BaseException) -> str:
    """Return all that crash reporters would keep of an error, except the frames of the tests."""
    texts = [str(error), repr(error), repr(error.__dict__), pickle.dumps(error).decode("latin-1")]
    for each in canary.chain_of(error):
        texts += map(canary.spelled, canary.local_values(each))
        texts += traceback.format_exception_only(each)
    return "\n".join(texts)


async def test_from_a_code_to_a_client(simulator: Simulator) -> None:
    """The user gets a code, and a client works with the token that the code returns."""
    await otp.request(base_url=simulator.base_url, **KEYS)
    assert simulator.otp_code is not None
    token = await otp.validate(base_url=simulator.base_url, **KEYS, otp=f" {simulator.otp_code}\n")
    assert isinstance(token, AppToken)
    async with AfasClient(base_url=simulator.base_url, auth=token) as afas:
        assert await afas.version() == "22.22.5"
    stored = token.header().removeprefix("AfasToken ")
    assert AppToken(stored).header() == token.header()


async def test_what_is_sent() -> None:
    """The documented paths and bodies, without an `Authorization` header, and with those of every request."""
    async with RawServer(says(TOLD)) as server:
        await otp.request(base_url=server.base_url, **KEYS, integration_id="12345_678900", language="en-us")
        await otp.validate(base_url=server.base_url, **KEYS, otp=CODE)
        host = server.base_url.split("/")[2]
    first, second = server.requests
    assert [(each.method, each.target) for each in server.requests] == [
        ("POST", "/rest/otprequest"),
        ("POST", "/rest/otpvalidation"),
    ]
    expected = {"apiKey": API_KEY, "apiToken": API_TOKEN, "userId": USER}
    assert json.loads(first.body) == expected
    assert json.loads(second.body) == {**expected, "otp": CODE}
    assert first.headers == {
        "host": host,
        "accept": "application/json",
        "accept-encoding": "gzip",
        "accept-language": "en-us",
        "user-agent": f"afas_async/{__version__}",
        "integrationid": "12345_678900",
        "content-type": "application/json;charset=utf-8",
        "content-length": str(len(first.body)),
    }
    assert "authorization" not in second.headers
    assert second.headers["accept-language"] == "nl-nl"


async def test_wrong_codes(simulator: Simulator) -> None:
    """A code that is wrong, used, or somebody else's returns no token, and one request shows that."""
    await otp.request(base_url=simulator.base_url, **KEYS)
    code = simulator.otp_code or ""
    for wrong in (
        {**KEYS, "otp": "00000000"},
        {**KEYS, "otp": code, "user_id": "another.user"},
        {**KEYS, "otp": code, "api_key": "A" * 32},
    ):
        requests = len(simulator.requests)
        with pytest.raises(AuthenticationError, match="one-time password") as raised:
            await otp.validate(base_url=simulator.base_url, **wrong)
        assert (raised.value.status, raised.value.trace_id) == (204, simulator.requests[-1].trace_id)
        assert len(simulator.requests) == requests + 1
    await otp.validate(base_url=simulator.base_url, **KEYS, otp=code)
    with pytest.raises(AuthenticationError):
        await otp.validate(base_url=simulator.base_url, **KEYS, otp=code)


async def test_the_service_says_nothing_of_wrong_keys(simulator: Simulator) -> None:
    """A request succeeds whoever asks."""
    await otp.request(base_url=simulator.base_url, api_key="A" * 32, api_token="B" * 32, user_id="nobody@example.com")
    assert len(simulator.requests) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"api_key": ""},
        {"api_key": API_KEY[:-1]},
        {"api_key": API_KEY + "x"},
        {"api_key": API_KEY[:-1] + "-"},
        {"api_key": API_KEY.encode()},
        {"api_key": None},
        {"api_token": API_TOKEN * 2},
        {"user_id": ""},
        {"user_id": "a b"},
        {"user_id": "a\0b"},
        {"user_id": "\ud800"},
        {"otp": ""},
        {"otp": "12 34"},
        {"otp": 31415926},
        {"environment": "12345.evil.example"},
        {"base_url": "http://evil.example/x"},
        {"base_url": None},
        {"environment": "12345"},
        {"proxy": "no url"},
        {"proxy": f"http://user:{canary.PASSWORD}@x:y"},
        {"integration_id": "a b"},
        {"language": "dutch"},
        {"timeout": 0},
    ],
    ids=str,
)
async def test_malformed_arguments(wrong: dict[str, Any]) -> None:
    """Malformed arguments are refused before anything is sent, and not repeated in the error."""
    async with RawServer(says(TOLD)) as server:
        arguments = {"base_url": server.base_url, **KEYS, "otp": CODE, "proxy": canary.PROXY, **wrong}
        with pytest.raises(ConfigurationError) as raised:
            await otp.validate(**arguments)
        assert server.connections == 0
    assert not any(secret in shown(raised.value) for secret in (*SECRETS, canary.PASSWORD))
    for name in ("api_key", "api_token"):
        assert not wrong.get(name) or str(wrong[name]) not in shown(raised.value)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (framed(b"{}"), AnswerError),
        (framed(b'{"token":5}'), AnswerError),
        (framed(b'{"token":"no token"}'), AnswerError),
        (framed(b"[]"), AnswerError),
        (framed(b""), AnswerError),
        (framed(b"<html>").replace(b"application/json", b"text/html"), OutcomeUnknownError),
        (TOLD[:-20], AnswerError),
        (framed(b'{"message":"Invalid json"}', status="400 Bad"), BadRequestError),
        (framed(b"", status="500 Error"), OutcomeUnknownError),
        (framed(b"", status="501 No"), ServerError),
        (framed(b"", "Location: https://evil.example/", status="307 Temporary Redirect"), OutcomeUnknownError),
        (b"", OutcomeUnknownError),
    ],
    ids=["none", "number", "malformed", "list", "empty", "html", "cut", "400", "500", "501", "redirect", "lost"],
)
async def test_no_token_in_the_answer(answer: bytes, kind: type[AfasError]) -> None:
    """A response without a token is an error that shows no secret; the request was sent once."""
    async with RawServer(says(answer, "fin")) as server:
        with pytest.raises(kind) as raised:
            await otp.validate(base_url=server.base_url, **KEYS, otp=CODE)
        assert len(server.requests) == 1
    text = shown(raised.value)
    assert not any(secret in text for secret in SECRETS)
    assert not canary.leaks(text)


async def test_no_connection() -> None:
    """Without a connection nothing was sent, and the error shows no secret."""
    async with RawServer(says(b"")) as server:
        base_url = server.base_url
    with pytest.raises(ConnectError) as raised:
        await otp.request(base_url=base_url, **KEYS)
    assert not any(secret in shown(raised.value) for secret in SECRETS)


@pytest.mark.parametrize("proxy", [canary.PROXY, canary.PROXY.encode()])
async def test_the_password_of_a_proxy(proxy: Any) -> None:
    """No variable of an error shows the password, whether the error is about the proxy or the keys."""
    for call in (otp.request, partial(otp.validate, otp=CODE)):
        with pytest.raises((ConnectError, UsageError)) as raised:
            await call(base_url="http://127.0.0.1:9/x", proxy=proxy, **KEYS)
        assert not any(secret in shown(raised.value) for secret in (*SECRETS, canary.PASSWORD))
        with pytest.raises(UsageError) as refused:
            await call(base_url="http://127.0.0.1:9/x", proxy=proxy, **{**KEYS, "api_key": ""})
        assert not any(secret in shown(refused.value) for secret in (*SECRETS, canary.PASSWORD))


async def test_it_is_sent_again_where_it_had_no_effect(simulator: Simulator) -> None:
    """A service that reports no effect is asked again; the code is used once."""
    simulator.faults.add(Fault(path="otp", status=503, retry_after=1))
    await otp.request(base_url=simulator.base_url, **KEYS)
    assert [request.status for request in simulator.requests] == [503, 201]


async def test_no_secret_is_logged(simulator: Simulator, watch: canary.Watch) -> None:
    """Neither the log nor the warnings show a key, the code or the token (the fixture checks that)."""
    simulator.faults.add(Fault(path="otp", status=503, retry_after=1))
    await otp.request(base_url=simulator.base_url, **KEYS)
    code = simulator.otp_code or ""
    await otp.validate(base_url=simulator.base_url, **KEYS, otp=code)
    assert watch.texts
    assert not any(secret in text for text in watch.texts for secret in (API_KEY, API_TOKEN, f'"{code}"'))


async def test_nothing_is_left_behind(simulator: Simulator) -> None:
    """No task stays, also when the call is cancelled at any step."""
    before = tasks()
    finished = steps = 0
    while not finished:
        call = asyncio.create_task(otp.request(base_url=simulator.base_url, **KEYS))
        for _ in range(steps):
            await asyncio.sleep(0)
        call.cancel()
        try:
            await call
        except asyncio.CancelledError:
            pass
        else:
            finished = True
        assert tasks() == before
        steps += 1
    assert steps > 5


async def test_another_environment() -> None:
    """By its number, an app calls the service that AFAS documents: here through a proxy that is missing."""
    with pytest.raises(ConnectError):
        await otp.request("12345", proxy="http://127.0.0.1:9", **KEYS)


async def test_a_token_that_is_complete_in_a_broken_answer() -> None:
    """The code is used up, so the token counts even if the rest of the response is missing."""
    answer = head("Content-Length: 500") + TOLD.partition(b"\r\n\r\n")[2]
    async with RawServer(says(answer, "fin")) as server:
        token = await otp.validate(base_url=server.base_url, **KEYS, otp=CODE)
    assert token.header() == AppToken(canary.TOKEN).header()


def test_the_token_is_the_documented_one() -> None:
    """The header of the token is the base64 of its XML."""
    assert base64.b64decode(AppToken(canary.TOKEN).header().split(" ")[1]).decode() == canary.TOKEN
