"""What the tests of writing share: requests sent byte for byte, and a look into the tables."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable
from io import BytesIO
from typing import Any

import aiohttp
from yarl import URL

from afas_async.simulator import Simulator
from tests.simulator.conftest import Client, Reply

ARTICLE = "connectors/FbItemArticle"
BOLT = b'{"FbItemArticle":{"Element":{"Fields":{"ItCd":"B1","Ds":"Bolt"}}}}'
COLUMNS = ("ItemCode", "Description", "Price", "Blocked", "Unit", "Stock")


async def send(
    simulator: Simulator,
    method: str,
    target: str,
    body: bytes | BytesIO | AsyncIterable[bytes] | None = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    """Send a request exactly as written, on a connection of its own, with no header that is not given."""
    url = URL(f"{simulator.base_url}/{target}", encoded=True)
    headers = Client.authorization(simulator) | (headers or {})
    async with aiohttp.ClientSession(skip_auto_headers=["Accept", "User-Agent", "Content-Type"]) as session:
        session._retry_connection = False  # or else aiohttp repeats a PUT or DELETE whose response is lost
        async with session.request(method, url, data=body, headers=headers) as response:
            return Reply(response.status, response.headers, await response.read())


def article(simulator: Simulator, code: str) -> dict[str, Any] | None:
    """An article as it is in the table."""
    rows = simulator.store.execute(f"SELECT {', '.join(COLUMNS)} FROM Profit_Article WHERE ItemCode = ?", (code,))  # noqa: S608
    return dict(zip(COLUMNS, rows[0], strict=True)) if rows else None


def table(simulator: Simulator, name: str = "Profit_Article") -> list[tuple[Any, ...]]:
    return simulator.store.execute(f"SELECT * FROM {name} ORDER BY 1, 2")  # noqa: S608


def elements(root: str, *fields: dict[str, Any]) -> bytes:
    return json.dumps({root: {"Element": [{"Fields": each} for each in fields]}}).encode()


def said(reply: Reply) -> str:
    assert reply.status == 500
    assert set(reply.json) == {"externalMessage", "errorNumber", "profitLogReference"}
    return reply.json["externalMessage"]
