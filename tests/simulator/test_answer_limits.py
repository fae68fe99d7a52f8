"""The limits of a response: a silent cap on its rows, and the time that it may take."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from afas_async import AfasClient, BusinessError
from afas_async.simulator import Fault, Latency, Rules, Simulator, spawn
from tests.simulator.conftest import Client
from tests.support.virtual_time import VirtualTimeLoop

ARTICLE = "/connectors/Profit_Article"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Latency lasts long, and takes no time."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ({"take": 50}, 20),
        ({"take": 20}, 20),
        ({"take": 19}, 19),
        ({}, 20),
        ({"skip": -1, "take": -1}, 20),
        ({"skip": 55, "take": 50}, 5),
        ({"skip": 60, "take": 50}, 0),
        ({"skip": 45, "take": 50}, 15),
        ({"take": 50, "filterfieldids": "ItemCode", "filtervalues": "000040", "operatortypes": 4}, 20),
    ],
    ids=str,
)
async def test_page_cap(client: Client, query: dict[str, Any], rows: int) -> None:
    """A response has the requested rows up to the cap, and repeats the skip and take of the request."""
    async with Simulator(rows=60, rules=Rules(page_cap=20)) as simulator:
        reply = await client.get(simulator, ARTICLE, orderbyfieldids="ItemCode", **query)
    first = 40 if "filtervalues" in query else max(query.get("skip", 0), 0)
    assert [row["ItemCode"] for row in reply.rows] == [f"{first + n + 1:06}" for n in range(rows)]
    assert (reply.json["skip"], reply.json["take"]) == (query.get("skip", 0), query.get("take", 100))


async def test_capped_rows_are_those_that_count(client: Client) -> None:
    """Time and memory depend on the rows that the response has."""
    rules = Rules(page_cap=20, most_cells=8 * 20, time_limit=20)
    async with Simulator(rows=60, rules=rules, latency=Latency(per_row=1)) as simulator:
        assert len((await client.get(simulator, ARTICLE, take=60)).rows) == 20
        (record,) = simulator.requests
        assert record.ended is not None
        assert 20 <= record.ended - record.started < 21


async def test_this_library_reads_on_behind_a_cap() -> None:
    """The library does not take a short page for the last one."""
    async with (
        Simulator(rows=500, rules=Rules(page_cap=70)) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ):
        rows = await afas.rows("Profit_Article", key="ItemCode").to_list()
    assert [row["ItemCode"] for row in rows] == [f"{number:06}" for number in range(1, 501)]


@pytest.mark.parametrize(
    ("latency", "in_time", "too_late"),
    [
        (Latency(base=2, per_row=0.1), {"take": 80}, {"take": 81}),
        (Latency(per_skip=0.05), {"skip": 200, "take": 1}, {"skip": 201, "take": 1}),
        (Latency(base=1, per_row=0.1, per_skip=0.1), {"skip": 80, "take": 10}, {"skip": 81, "take": 10}),
        (Latency(per_row=0.03), {"skip": -1, "filterfieldids": "Stock", "filtervalues": "99999"}, {"skip": -1}),
    ],
    ids=str,
)
async def test_time_limit(client: Client, latency: Latency, in_time: dict[str, Any], too_late: dict[str, Any]) -> None:
    """A request that would take longer than the limit is refused when the limit has passed, and others are not."""
    async with Simulator(rows=1_000, latency=latency, rules=Rules(time_limit=10)) as simulator:
        assert (await client.get(simulator, ARTICLE, orderbyfieldids="ItemCode", **in_time)).status == 200
        reply = await client.get(simulator, ARTICLE, orderbyfieldids="ItemCode", **too_late)
        assert reply.status == 500
        assert reply.json["externalMessage"].startswith("De maximale tijdsduur")
        record = simulator.requests[-1]
        assert record.ended is not None
        assert 10 <= record.ended - record.started < 11
        headers = client.authorization(simulator) | {"Accept-Language": "en-us"}
        reply = await client.get(simulator, ARTICLE, headers, orderbyfieldids="ItemCode", **too_late)
        assert reply.json["externalMessage"].startswith("The maximum duration")


async def test_no_time_limit_is_the_default(client: Client) -> None:
    """Without the rule a response may take any time."""
    async with Simulator(rows=100, latency=Latency(per_row=2)) as simulator:
        assert len((await client.get(simulator, ARTICLE)).rows) == 100


async def test_faults_come_on_top(client: Client) -> None:
    """A fault on a request that is too late delays or spoils its refusal."""
    async with Simulator(rows=100, latency=Latency(base=20), rules=Rules(time_limit=10)) as simulator:
        simulator.faults.add(Fault(delay=30, content_type="text/plain"))
        reply = await client.get(simulator, ARTICLE)
        record = simulator.requests[-1]
        assert (reply.status, reply.headers["Content-Type"]) == (500, "text/plain")
        assert record.ended is not None
        assert record.ended - record.started >= 40


async def test_this_library_knows_the_text() -> None:
    """A request that is too late is a BusinessError for a reader that requests all rows at once."""
    async with (
        Simulator(rows=500, latency=Latency(per_row=1), rules=Rules(time_limit=5)) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ):
        with pytest.raises(BusinessError, match="maximale tijdsduur"):
            await afas.page("Profit_Article", order_by="ItemCode", take=100)


@pytest.mark.parametrize(
    "nonsense", [{"page_cap": 0}, {"page_cap": -1}, {"time_limit": 0.0}, {"time_limit": float("inf")}], ids=str
)
def test_limits_that_are_none(nonsense: dict[str, Any]) -> None:
    """A limit that would let nothing through, or everything, is refused."""
    with pytest.raises(ValueError, match="or None for no"):
        Rules(**nonsense)


def test_rules_of_a_process() -> None:
    """A simulator in another process keeps to the rules that it was started with."""

    async def use() -> list[int]:
        rules = Rules(page_cap=3, profit=6, take_zero="no rows")
        async with spawn(rows=9, rules=rules) as there, AfasClient(base_url=there.base_url, auth=there.token) as afas:
            return [len((await afas.page("Profit_Article", take=take, order_by="ItemCode")).rows) for take in (2, 9)]

    assert asyncio.run(use()) == [2, 3]
