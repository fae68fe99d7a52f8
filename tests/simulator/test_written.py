"""The written elements, for the assertions of a test."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest

from afas_async import AfasClient, BusinessError, Element, OutcomeUnknownError
from afas_async.simulator import Fault, OwnUpdateConnector, Rules, Simulator
from tests.support.own_metainfo import SALES
from tests.support.raw_writes import send

FIRST = {"DbId": "1", "FbSalesLines": [{"ItCd": "A", "QuUn": Decimal("2.50")}, {"ItCd": "B"}]}


async def test_what_was_written() -> None:
    """Writes are dicts as `insert` takes them, in order and with their action, and can be inserted again."""
    async with (
        Simulator(rows=5, updates={"FbSales": SALES}) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ):
        assert simulator.written("FbSales") == []
        await afas.insert("FbSales", FIRST)
        line = Element({"@Action": "delete"}, key={"GuLi": 2})
        await afas.update("FbSales", {"@OrNu": "1", "OrDa": "2024-01-31", "FbSalesLines": line})
        await afas.insert("KnSubject", {"StId": 1, "Ds": "x"})
        await afas.delete("FbSales", key={"OrNu": "1"}, sub="FbSalesLines", sub_key={"GuLi": 1})
        await afas.delete("FbSales", key={"OrNu": "1"})
        assert simulator.written("fbsales") == [
            {"@Action": "insert", **FIRST},
            {
                "@Action": "update",
                "@OrNu": "1",
                "OrDa": "2024-01-31",
                "FbSalesLines": {"@Action": "delete", "@GuLi": 2},
            },
            {"@Action": "update", "@OrNu": "1", "FbSalesLines": {"@Action": "delete", "@GuLi": "1"}},
            {"@Action": "delete", "@OrNu": "1"},
        ]
        assert simulator.written("KnSubject") == [{"@Action": "insert", "StId": 1, "Ds": "x"}]
        await afas.insert("FbSales", simulator.written("FbSales")[0])
        assert simulator.written("FbSales")[-1] == {"@Action": "insert", **FIRST}


async def test_only_what_was_carried_out() -> None:
    """Refused elements are not listed, and a write whose response was lost is listed once."""
    async with (
        Simulator(rows=5, updates={"FbSales": SALES}) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ):
        with pytest.raises(BusinessError):
            await afas.insert("FbSales", {"DbID": "1"})
        simulator.faults.add(
            Fault(connector="FbSales", cut="reset"),
            Fault(connector="FbSales", cut="reset", works_after=0.05),
        )
        for number in "23":
            with pytest.raises(OutcomeUnknownError):
                await afas.insert("FbSales", {"DbId": number})
        assert [order["DbId"] for order in simulator.written("FbSales")] == ["2"]
        await asyncio.sleep(0.1)
        assert [order["DbId"] for order in simulator.written("FbSales")] == ["2", "3"]


@pytest.mark.parametrize("partial", [False, True])
async def test_lists_in_which_an_element_is_refused(partial: bool) -> None:  # noqa: FBT001
    """Only the elements of a list that stay written are listed."""
    async with Simulator(rows=5, updates={"FbSales": SALES}, rules=Rules(partial_lists=partial)) as simulator:
        elements = [{"Fields": {"DbId": "1"}}, {"Fields": {}}, {"Fields": {"DbId": "3"}}]
        body = json.dumps({"FbSales": {"Element": elements}}).encode()
        assert (await send(simulator, "POST", "connectors/FbSales", body)).status == 500
        assert simulator.written("FbSales") == ([{"@Action": "insert", "DbId": "1"}] if partial else [])


async def test_objects_of_one_name() -> None:
    """Objects that stand in several places are one list, and a call for an object says what it does with it."""
    async with Simulator(rows=5, updates={"FbSales": SALES}) as simulator:
        lines = [{"FbSalesLines": {"Element": {"Fields": {"ItCd": code}}}} for code in "ABC"]
        body = {"FbSales": {"Element": {"@OrNu": "7", "Fields": {"DbId": "1"}, "Objects": lines}}}
        await send(simulator, "POST", "connectors/FbSales", json.dumps(body).encode())
        body = {"FbSales": {"Element": {"@OrNu": "7", "Objects": {"FbNotes": {"Element": {"Fields": {"Tx": "x"}}}}}}}
        await send(simulator, "POST", "connectors/FbSales/FbNotes", json.dumps(body).encode())
        first, second = simulator.written("FbSales")
        assert first["FbSalesLines"] == [{"ItCd": "A"}, {"ItCd": "B"}, {"ItCd": "C"}]
        assert second == {"@Action": "update", "@OrNu": "7", "FbNotes": {"@Action": "insert", "Tx": "x"}}


async def test_unknown_connectors() -> None:
    """A name that is misspelled is an error, and not an empty list."""
    async with Simulator(rows=5, updates={"X": OwnUpdateConnector(fields={"A": "int"})}) as simulator:
        assert simulator.written("x") == []
        with pytest.raises(ValueError, match="there is no UpdateConnector 'FbSale'"):
            simulator.written("FbSale")


async def test_only_the_last() -> None:
    """Of a large load the last 10,000 elements are kept."""
    elements: list[dict[str, Any]] = [{"Fields": {"StId": 1, "Ds": str(number)}} for number in range(10_001)]
    async with Simulator(rows=5) as simulator:
        await send(simulator, "POST", "connectors/KnSubject", json.dumps({"KnSubject": {"Element": elements}}).encode())
        written = simulator.written("KnSubject")
        assert (len(written), written[0]["Ds"], written[-1]["Ds"]) == (10_000, "1", "10000")
