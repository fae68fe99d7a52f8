"""Single writes against the simulator: reads return the written values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from afas_async import BusinessError, Element, F, InvalidElementError, UpdateConnector, WriteResult
from tests.support.written_service import serving


class Subject(msgspec.Struct):
    type: int = msgspec.field(name="StId")
    text: str | msgspec.UnsetType = msgspec.field(name="Ds", default=msgspec.UNSET)
    status: str | msgspec.UnsetType = msgspec.field(name="St", default=msgspec.UNSET)


async def test_insert_update_delete() -> None:
    """A record is inserted, changed and deleted. An omitted field stays, and an empty text clears."""
    async with serving() as (simulator, afas):
        result = await afas.insert("KnSubject", Subject(1, "Café", "A"))
        told = b'{"results":{"KnSubject":{"SbId":"1"}}}'
        assert result == WriteResult(({"SbId": "1"},), told, trace_id=simulator.requests[-1].trace_id)
        await afas.update("KnSubject", Element({"Ds": ""}, key=result.keys[0]))
        (row,) = await afas.rows("Profit_Subjects", key="SubjectId").to_list()
        assert (row["TypeId"], row["Subject"], row["Status"]) == (1, None, "A")
        await afas.delete("KnSubject", key=result.keys[0])
        assert await afas.rows("Profit_Subjects", key="SubjectId").to_list() == []
        with pytest.raises(BusinessError):
            await afas.delete("KnSubject", key=result.keys[0])


async def test_a_decimal_keeps_its_digits() -> None:
    """A Decimal is sent as a number, and comes back unchanged."""
    async with serving() as (_, afas):
        await afas.insert("FbItemArticle", {"ItCd": "B1", "Ds": "Bolt", "SaPr": Decimal("12.30")})
        row = await afas.rows("Profit_Article", key="ItemCode").first()
        assert row is not None
        assert row["Price"] == Decimal("12.30")


async def test_objects_and_sub_elements() -> None:
    """A person with an address; then another address, by the object alone."""
    async with serving() as (_, afas):
        address = {"CoId": "NL", "ZpCd": "3811 HN", "Ad": "Dorpsstraat", "HmNr": 1, "Rs": "Leusden"}
        person = Element({"FiNm": "Jan", "LaNm": "Jansen"}, objects={"KnBasicAddressAdr": address})
        (key,) = (await afas.insert("KnPerson", person)).keys
        (before,) = await afas.rows("Profit_Addresses", key="PersonId").to_list()
        moved = Element({}, key=key, objects={"KnBasicAddressAdr": {**address, "ZpCd": "9999 XX"}})
        await afas.insert("KnPerson", moved, sub="KnBasicAddressAdr")
        (after,) = await afas.rows("Profit_Addresses", key="PersonId").to_list()
        assert {name for name in before if before[name] != after[name]} == {"PostCode"}


async def test_lines() -> None:
    """The root that AFAS documents, lines of an entry, and one line deleted by its own key."""
    async with serving(rows=100) as (_, afas):
        connector = UpdateConnector.described(await afas.update_metainfo("FiEntries"))
        assert connector.element_name == UpdateConnector("FiEntries").element_name == "FiEntryPar"
        lines = [{"AcNr": "01000", "AmDe": Decimal("10.50")}, {"AcNr": "01001", "AmCr": Decimal("10.50")}]
        (key,) = (await afas.insert(connector, Element({"UnId": 1, "JoCo": "73"}, objects={"FiEntries": lines}))).keys
        entry = (F.UnitId == int(key["UnId"])) & (F.EntryNo == int(key["EnNo"]))
        found = await afas.rows("Profit_JournalLines", key=("UnitId", "EntryNo", "LineNo"), where=entry).to_list()
        assert [line["Account"] for line in found] == ["01000", "01001"]
        await afas.delete("FiEntries", key=key, sub="FiEntries", sub_key={"SeNo": found[0]["LineNo"]})
        left = await afas.rows("Profit_JournalLines", key=("UnitId", "EntryNo", "LineNo"), where=entry).to_list()
        assert left == found[1:]
        await afas.delete("FiEntries", key=key)
        assert (await afas.page("Profit_JournalLines", where=entry)).rows == []


async def test_sub_and_its_key_go_together() -> None:
    """Half of the address of a line would delete the whole record."""
    async with serving() as (simulator, afas):
        with pytest.raises(InvalidElementError, match="give sub and sub_key together, or neither"):
            await afas.delete("FiEntries", key={"UnId": 1}, sub="FiEntries")
        assert not simulator.requests


async def test_validate() -> None:
    """Each fault names the record and field, the mistake, and the remedy; nothing is written."""
    async with serving() as (simulator, afas):
        elements: list[Any] = [
            {"StId": "1"},
            {"StId": 1, "Dss": "x"},
            {"StId": None, "@SbId": "x"},
            [],
            {"StId": 1, "Ds": "\ud800"},
        ]
        misspelt, number, empty, listed, large = await afas.validate("KnSubject", elements)
        assert (misspelt.index, misspelt.field, misspelt.message) == (1, "Dss", "unknown field")
        assert misspelt.suggestion == "did you mean Ds (Subject)?"
        assert (number.index, number.field, number.message) == (2, "StId", "None is ambiguous")
        assert (empty.index, empty.field) == (2, "@SbId")
        assert (listed.index, listed.field) == (3, "")
        assert (large.index, large.message) == (
            4,
            "the element cannot be written as JSON: a text has an unpaired surrogate",
        )
        assert simulator.counters.writes == 0
