"""The switches: what each rule changes."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from afas_async.policy.retrying import OUT_OF_MEMORY, OUT_OF_TIME
from afas_async.simulator import Rules, Simulator, messages
from afas_async.wire.error_answers import LOCKED
from tests.simulator.conftest import Client, Reply

ARTICLE = "/connectors/Profit_Article"
NOTHING = "/connectors/Profit_Nothing"
KINDS = ("GetConnector", "UpdateConnector")


async def ask(client: Client, rules: Rules, path: str, headers: dict[str, str] | None = None, **query: Any) -> Reply:
    async with Simulator(rows=60, rules=rules) as simulator:
        return await client.get(simulator, path, client.authorization(simulator) | (headers or {}), **query)


async def test_body_of_profit_7(client: Client) -> None:
    """From Profit 7 a body is one line, and has the zero before the decimal point."""
    reply = await ask(client, Rules(), "/connectors/Profit_Employees", skip=-1)
    assert b"\n" not in reply.body
    assert b'"FTE":0.5' in reply.body
    assert b"\n" not in (await ask(client, Rules(), "/metainfo")).body


async def test_body_of_profit_6(client: Client) -> None:
    """Before Profit 7 the envelope takes several lines, and decimals below 1 have no zero: that is not JSON."""
    async with Simulator(rows=60, rules=Rules(profit=6)) as simulator:
        reply = await client.get(simulator, "/connectors/Profit_Empty")
        assert reply.body == b'{\n"skip":0,\n"take":100,\n"rows":[]\n}'
        assert "X-Trace-Identifier" not in reply.headers
        assert simulator.requests[0].trace_id == ""
        assert (await client.get(simulator, "/metainfo")).body.count(b"\n") > 10
        simulator.store.execute("DELETE FROM Profit_Article WHERE ItemCode > '000004'")
        for code, price in (("000001", -0.5), ("000002", 0.25), ("000003", 10.5), ("000004", 100.05)):
            simulator.store.execute("UPDATE Profit_Article SET Price = ? WHERE ItemCode = ?", (price, code))
        text = 'a "0.5" is 0.5, "x":0.7 \\'
        simulator.store.execute("UPDATE Profit_Article SET Description = ?", (text,))
        body = (await client.get(simulator, ARTICLE, orderbyfieldids="ItemCode")).body
        assert body.count(json.dumps(text).encode()) == 4
        assert re.findall(rb'"Price":([^,]*),', body) == [b"-.5", b".25", b"10.5", b"100.05"]
        with pytest.raises(ValueError, match="Expecting value"):
            json.loads(body)


@pytest.mark.parametrize("path", [NOTHING, "/metainfo/get/x", "/metainfo/update/KnNothing"])
@pytest.mark.parametrize("status", [500, 401, 404])
async def test_unknown_connector(client: Client, path: str, status: Any) -> None:
    """A connector that is not there is a 500 with a message, or an empty 401 or 404."""
    reply = await ask(client, Rules(unknown_connector=status), path)
    assert reply.status == status
    assert (reply.body == b"") == (status != 500)


async def test_take_zero(client: Client) -> None:
    """A request for no rows gives one, none or an error. A request for all rows gives all of them under each rule."""
    assert len((await ask(client, Rules(), ARTICLE, take=0)).rows) == 1
    assert (await ask(client, Rules(take_zero="no rows"), ARTICLE, take=0)).rows == []
    assert (await ask(client, Rules(take_zero="error"), ARTICLE, take=0)).status == 500
    assert len((await ask(client, Rules(take_zero="error"), ARTICLE, skip=-1, take=0)).rows) == 60


async def test_skip_alone(client: Client) -> None:
    """A skip of -1 means everything, by the stricter rule only together with a take of -1."""
    strict = Rules(skip_alone=False)
    assert len((await ask(client, Rules(), ARTICLE, skip=-1, take=10)).rows) == 60
    reply = await ask(client, strict, ARTICLE, skip=-1, take=10)
    assert (reply.json["skip"], len(reply.rows)) == (0, 10)
    assert len((await ask(client, strict, ARTICLE, skip=-1, take=-1)).rows) == 60
    assert (await ask(client, strict, ARTICLE, skip=2, take=-1)).status == 500


async def test_and_first(client: Client) -> None:
    """`A,B;C` is (A and B) or C; by the other rule it is A and (B or C)."""
    query = {
        "filterfieldids": "Stock,Unit;Unit",
        "filtervalues": "900,Box;Hour",
        "operatortypes": "4,1;1",
        "skip": -1,
    }
    rows = (await ask(client, Rules(), ARTICLE, skip=-1)).rows
    boxes, hours = [{row["ItemCode"] for row in rows if row["Unit"] == unit} for unit in ("Box", "Hour")]
    many = {row["ItemCode"] for row in rows if row["Stock"] > 900}
    groups_of_and = (many & boxes) | hours
    groups_of_or = many & (boxes | hours)
    assert groups_of_and != groups_of_or
    assert {row["ItemCode"] for row in (await ask(client, Rules(), ARTICLE, **query)).rows} == groups_of_and
    other = Rules(and_first=False)
    assert {row["ItemCode"] for row in (await ask(client, other, ARTICLE, **query)).rows} == groups_of_or


async def test_most_cells(client: Client) -> None:
    """A response of more columns times rows than the limit is out of memory. Only the rows that it has count."""
    rules = Rules(most_cells=8 * 20)
    assert len((await ask(client, rules, ARTICLE, take=20)).rows) == 20
    reply = await ask(client, rules, ARTICLE, take=21)
    assert (reply.status, reply.json["externalMessage"]) == (500, "Onvoldoende geheugen")
    english = await ask(client, rules, ARTICLE, {"Accept-Language": "en-us"}, skip=-1)
    assert english.json["externalMessage"] == "Out of memory"
    assert len((await ask(client, rules, ARTICLE, skip=50, take=100)).rows) == 10
    few = {"filterfieldids": "ItemCode", "filtervalues": "000010", "operatortypes": 3}
    assert len((await ask(client, rules, ARTICLE, skip=-1, **few)).rows) == 10
    assert len((await ask(client, Rules(), ARTICLE, skip=-1)).rows) == 60


async def test_error_type(client: Client) -> None:
    """An error with a body claims to be JSON or XML, and is JSON in both cases."""
    assert (await ask(client, Rules(), NOTHING)).headers["Content-Type"] == "application/json"
    reply = await ask(client, Rules(error_type="xml"), NOTHING)
    assert reply.headers["Content-Type"] == "application/xml; charset=utf-8"
    assert reply.json["errorNumber"] == -2147180996


async def test_profit_error(client: Client) -> None:
    """The obsolete header holds the message in base64, if it is sent at all."""
    assert "X-Profit-Error" not in (await ask(client, Rules(), NOTHING)).headers
    reply = await ask(client, Rules(profit_error=True), f"{ARTICLE}?orderbyfieldids=Pr%C3%ADce")
    assert base64.b64decode(reply.headers["X-Profit-Error"]).decode() == reply.json["externalMessage"]
    assert "Pr\N{LATIN SMALL LETTER I WITH ACUTE}ce" in reply.json["externalMessage"]


@pytest.mark.parametrize(
    ("accepted", "base", "text"),
    [
        ("en-us", "nl", "An unexpected"),
        ("en-en", "nl", "An unexpected"),
        ("EN", "nl", "An unexpected"),
        ("nl-nl", "en", "Er is"),
        ("nl-be", "en", "Er is"),
        ("*", "nl", "Er is"),
        ("*", "en", "An unexpected"),
        ("fr-fr", "nl", "Er is"),
        ("", "nl", "Er is"),
        (None, "nl", "Er is"),
        (None, "en", "An unexpected"),
        ("fr-FR, en;q=0.9, nl;q=0.8", "nl", "An unexpected"),
    ],
)
async def test_language(client: Client, accepted: str | None, base: Any, text: str) -> None:
    """Messages come in the language that the request names, else in the environment's own, which is Dutch."""
    headers = {} if accepted is None else {"Accept-Language": accepted}
    reply = await ask(client, Rules(language=base), f"{ARTICLE}?take=-1", headers)
    assert reply.json["externalMessage"].startswith(text)


def test_messages_decide_alike_in_both_languages() -> None:
    """A client that classifies errors by their texts comes to the same in Dutch and in English."""
    texts = [messages.UNEXPECTED, messages.field_not_found("X")]
    texts += [messages.not_supported(kind) for kind in KINDS]
    texts += [say("X") for say in (messages.element_not_found, messages.required, messages.not_valid)]
    texts += [messages.does_not_exist("X"), messages.already_exists("X"), messages.one_only("X")]
    meant = {messages.LOCKED: LOCKED, messages.OUT_OF_MEMORY: OUT_OF_MEMORY, messages.OUT_OF_TIME: OUT_OF_TIME}
    for message in (*texts, *meant):
        for phrases in (LOCKED, OUT_OF_MEMORY, OUT_OF_TIME):
            said = [any(phrase in message.text(tongue).casefold() for phrase in phrases) for tongue in ("nl", "en")]
            assert said[0] == said[1] == (meant.get(message) is phrases)
