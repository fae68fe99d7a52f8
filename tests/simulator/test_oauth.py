"""Access tokens of the simulator: given for the client credentials, and valid until they expire or are revoked."""

from __future__ import annotations

import asyncio
import json
import logging
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest

from afas_async.simulator import Simulator
from tests.simulator.conftest import Client, Reply
from tests.simulator.test_command import start_up_text
from tests.support.virtual_time import VirtualTimeLoop


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "asyncio", {"loop_factory": VirtualTimeLoop}


def form(simulator: Simulator, **fields: str | None) -> dict[str, str]:
    """Return the right form, but for some fields; None leaves one out."""
    right = {
        "grant_type": "client_credentials",
        "client_id": simulator.oauth.client_id,
        "client_secret": simulator.oauth.client_secret,
    }
    return {name: value for name, value in (right | fields).items() if value is not None}


async def ask(simulator: Simulator, content: Mapping[str, str] | bytes, method: str = "POST") -> Reply:
    """Ask for a token."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{simulator.base_url}/OAuth/Token", data=content) as response,
    ):
        return Reply(response.status, response.headers, await response.read())


async def status(client: Client, simulator: Simulator, token: str) -> int:
    """Return the status of a request with a token."""
    return (await client.get(simulator, "/metainfo", {"Authorization": f"Bearer {token}"})).status


async def test_token(client: Client, simulator: Simulator) -> None:
    """The client credentials give a token, with which rows can be read; each request gives another one."""
    reply = await ask(simulator, form(simulator))
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("application/json")
    assert (reply.json["token_type"], reply.json["expires_in"]) == ("Bearer", 3600)
    again = await ask(simulator, form(simulator))
    assert again.json["access_token"] != reply.json["access_token"]
    assert simulator.oauth.issued == 2
    for answer in (reply, again):
        headers = {"Authorization": f"Bearer {answer.json['access_token']}"}
        assert len((await client.get(simulator, "/connectors/Profit_Article", headers, take=2)).rows) == 2
    assert (await client.get(simulator, "/metainfo")).status == 200  # the classic token stays valid


async def test_expiry(client: Client, simulator: Simulator) -> None:
    """A token is valid for as long as its response says, by the loop's clock."""
    simulator.oauth.expires_in = 100
    token = (await ask(simulator, form(simulator))).json["access_token"]
    await asyncio.sleep(99)
    assert await status(client, simulator, token) == 200
    await asyncio.sleep(1)
    assert await status(client, simulator, token) == 401


async def test_revocation(client: Client, simulator: Simulator) -> None:
    """Revoking makes all tokens invalid that were given, and none that come after it."""
    token = (await ask(simulator, form(simulator))).json["access_token"]
    simulator.oauth.revoke()
    reply = await client.get(simulator, "/metainfo", {"Authorization": f"Bearer {token}"})
    assert (reply.status, reply.body, reply.headers["WWW-Authenticate"]) == (401, b"", "Bearer")
    token = (await ask(simulator, form(simulator))).json["access_token"]
    assert await status(client, simulator, token) == 200


@pytest.mark.parametrize("token", ["", "x", "é"])
async def test_other_tokens(client: Client, simulator: Simulator, token: str) -> None:
    """A token that was never given is refused."""
    await ask(simulator, form(simulator))
    assert await status(client, simulator, token) == 401


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_secret": "é"}, "invalid_client"),
        ({"client_id": "wrong"}, "invalid_client"),
        ({"client_secret": None}, "invalid_request"),
        ({"client_secret": ""}, "invalid_request"),
        ({"client_id": None}, "invalid_request"),
        ({"grant_type": None}, "invalid_request"),
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
    ],
)
async def test_refusals(simulator: Simulator, fields: dict[str, str | None], error: str) -> None:
    """A form that is wrong is a 400 with the documented code."""
    reply = await ask(simulator, form(simulator, **fields))
    assert (reply.status, reply.json) == (400, {"error": error})
    assert simulator.oauth.issued == 0


async def test_no_form(simulator: Simulator) -> None:
    """A body that does not claim to be a form is refused, whatever it holds. A token is requested by POST."""
    reply = await ask(simulator, urllib.parse.urlencode(form(simulator)).encode())  # application/octet-stream
    assert (reply.status, reply.json) == (400, {"error": "invalid_request"})
    assert (await ask(simulator, form(simulator), "GET")).status == 401


async def test_never_shown(client: Client, simulator: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the log nor the simulator shows the secret or a token."""
    caplog.set_level(logging.DEBUG)
    token = (await ask(simulator, form(simulator))).json["access_token"]
    assert await status(client, simulator, token) == 200
    shown = f"{simulator!r} {simulator.oauth!r} {list(simulator.requests)} {simulator.counters} {caplog.text}"
    assert simulator.oauth.client_secret not in shown
    assert token not in shown


def test_command() -> None:
    """The command shows client credentials that give a token."""
    with start_up_text() as lines:
        base_url = next(line.split()[-1] for line in lines if line.startswith("Base URL"))
        fields = next(line.split()[1:] for line in lines if line.startswith("OAuth"))
        content = "&".join(["grant_type=client_credentials", *fields]).encode()
        with urllib.request.urlopen(f"{base_url}/oauth/token", content, timeout=10) as answer:  # noqa: S310 (http)
            assert json.load(answer)["token_type"] == "Bearer"
