"""One-time passwords: a code for everybody, a token for whoever has it."""

from __future__ import annotations

import logging
from typing import Any

import aiohttp
import pytest

from afas_async.simulator import Simulator
from tests.simulator.conftest import Client, Reply

KEYS = {"apiKey": "A" * 32, "apiToken": "E" * 32, "userId": "12345.user"}


async def post(simulator: Simulator, path: str, content: Any) -> Reply:
    """Post without an `Authorization` header."""
    async with aiohttp.ClientSession() as session:
        keywords = {"data": content} if isinstance(content, bytes) else {"json": content}
        async with session.post(f"{simulator.base_url}/{path}", **keywords) as response:
            return Reply(response.status, response.headers, await response.read())


@pytest.mark.parametrize("name", ["otp", "Otp", "OTP"])
@pytest.mark.parametrize("user", ["userId", "userid", "UserId"])
async def test_token_for_a_code(client: Client, simulator: Simulator, name: str, user: str) -> None:
    """Whoever sends the code gets the token, followed by a line end, however the properties are written."""
    assert simulator.otp_code is None
    reply = await post(simulator, "otprequest", KEYS)
    assert (reply.status, reply.body) == (201, b"")
    code = simulator.otp_code
    assert code is not None
    assert len(code) == 8
    keys = {"APIKEY": KEYS["apiKey"], "apitoken": KEYS["apiToken"], user: KEYS["userId"]}
    reply = await post(simulator, "OtpValidation", keys | {name: code})
    assert (reply.status, reply.json) == (200, {"token": simulator.token + "\r\n"})
    assert (await client.get(simulator, "/metainfo")).status == 200


async def test_code_as_a_number(simulator: Simulator) -> None:
    """The code may come as a number."""
    await post(simulator, "otprequest", KEYS)
    assert (await post(simulator, "otpvalidation", KEYS | {"otp": int(simulator.otp_code or 0)})).status == 200


@pytest.mark.parametrize("content", [{}, {"apiKey": "wrong", "apiToken": None, "userId": 5}, KEYS])
async def test_every_request_succeeds(simulator: Simulator, content: dict[str, Any]) -> None:
    """A request for a code reveals nothing."""
    reply = await post(simulator, "otprequest", content)
    assert (reply.status, reply.body, reply.headers["Content-Length"]) == (201, b"", "0")


@pytest.mark.parametrize("wrong", ["code", "no code", "key", "user", "used", "replaced", "not asked for"])
async def test_no_token(simulator: Simulator, wrong: str) -> None:
    """A code that is wrong, used, replaced by a later one or somebody else's gets a 204 without a body."""
    if wrong != "not asked for":
        await post(simulator, "otprequest", KEYS)
    content = KEYS | {"otp": simulator.otp_code}
    if wrong == "used":
        await post(simulator, "otpvalidation", content)
    elif wrong == "replaced":
        while simulator.otp_code == content["otp"]:
            await post(simulator, "otprequest", KEYS)
    else:
        content |= {"code": {"otp": "00000000"}, "key": {"apiKey": "x"}, "user": {"userid": "x"}}.get(wrong, {})
        if wrong == "no code":
            del content["otp"]
    reply = await post(simulator, "otpvalidation", content)
    assert (reply.status, reply.body) == (204, b"")


@pytest.mark.parametrize("path", ["otprequest", "otpvalidation"])
@pytest.mark.parametrize("body", [b"", b"{", b"\xff"])
async def test_invalid_json(simulator: Simulator, path: str, body: bytes) -> None:
    """A body that is not JSON is a 400."""
    reply = await post(simulator, path, body)
    assert (reply.status, reply.json) == (400, {"message": "Invalid json"})
    assert simulator.otp_code is None


async def test_code_is_never_shown(simulator: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the log nor the simulator shows the code, the keys or the token."""
    caplog.set_level(logging.DEBUG)
    await post(simulator, "otprequest", KEYS)
    code = simulator.otp_code
    assert code is not None
    assert (await post(simulator, "otpvalidation", KEYS | {"otp": code})).status == 200
    shown = f"{simulator!r} {list(simulator.requests)} {simulator.counters} {caplog.text}"
    for secret in (code, KEYS["apiKey"], simulator.token):
        assert secret not in shown
