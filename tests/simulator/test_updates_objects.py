"""Objects within the elements of a write: entries with their lines, and persons with their address."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from afas_async.simulator import Rules, Simulator
from tests.support.raw_writes import said, send

PERSON = "connectors/KnPerson"
ENTRY = "connectors/FiEntries"
ADDRESS = {"CoId": "NL", "Ad": "Kade", "HmNr": "7", "ZpCd": "1234 AB", "Rs": "Breda"}
STORED = ("Kade", 7, "1234 AB", "Breda", "NL")


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(rows=24) as running:
        yield running


def person(key: str | None = None, address: Any = None, **fields: Any) -> dict[str, Any]:
    """A body with one person, and an address in the form of an array."""
    element: dict[str, Any] = {"Fields": fields}
    if key:
        element["@BcCo"] = key
    if address is not None:
        element["Objects"] = [{"KnBasicAddressAdr": {"Element": address}}]
    return {"KnPerson": {"Element": element}}


def entry(*lines: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A body with one journal entry and its lines."""
    objects = [{"FiEntries": {"Element": list(lines)}}] if lines else []
    return {"FiEntryPar": {"Element": {"Fields": fields, "Objects": objects}}}


async def put(simulator: Simulator, target: str, body: Any) -> Any:
    reply = await send(simulator, "PUT", target, json.dumps(body).encode(), {"Accept-Language": "en"})
    return reply.json if reply.status == 201 else said(reply)


async def post(simulator: Simulator, target: str, body: Any) -> Any:
    reply = await send(simulator, "POST", target, json.dumps(body).encode(), {"Accept-Language": "en"})
    return reply.json if reply.status == 201 else said(reply)


def addresses(simulator: Simulator, key: int) -> list[tuple[Any, ...]]:
    sql = "SELECT Street, HouseNumber, PostCode, City, Country FROM Profit_Addresses WHERE PersonId = ?"
    return simulator.store.execute(sql, (key,))


def lines(simulator: Simulator, unit: int, number: int) -> list[tuple[Any, ...]]:
    sql = "SELECT LineNo, Account, Debit, Credit FROM Profit_JournalLines WHERE UnitId = ? AND EntryNo = ? ORDER BY 1"
    return simulator.store.execute(sql, (unit, number))


def counts(simulator: Simulator) -> list[int]:
    names = ("Persons", "Addresses", "JournalEntries", "JournalLines")
    return [simulator.store.count(f"Profit_{name}") for name in names]


@pytest.mark.parametrize(
    "objects",
    [
        [{"KnBasicAddressAdr": {"Element": {"Fields": ADDRESS}}}],
        {"KnBasicAddressAdr": {"Element": {"Fields": ADDRESS}}},
        {"KnBasicAddressAdr": {"Element": [{"Fields": ADDRESS}]}},
        {"KnBasicAddressAdr": {"Element": {"Fields": [ADDRESS]}}},
    ],
)
@pytest.mark.parametrize("listed", [False, True])
async def test_insert_with_an_object(simulator: Simulator, objects: Any, listed: bool) -> None:  # noqa: FBT001
    """An object is written with its element: in an array or plain, itself one or a list, as its element may be."""
    element = {"Fields": {"LaNm": "Bos"}, "Objects": objects}
    reply = await post(simulator, PERSON, {"KnPerson": {"Element": [element] if listed else element}})
    assert reply == {"results": {"KnPerson": {"BcCo": "100025"}}}
    assert addresses(simulator, 100025) == [STORED]
    row = (await send(simulator, "GET", "connectors/Profit_Addresses/PersonId/100025")).rows[0]
    assert row["City"] == "Breda"


async def test_numbers_that_are_given(simulator: Simulator) -> None:
    """A key that is given for a new record is kept; an absent key becomes the number after the highest."""
    assert await post(simulator, PERSON, person("500000", LaNm="Bos")) == {"results": {"KnPerson": {"BcCo": "500000"}}}
    assert "'Person' already exists" in await post(simulator, PERSON, person("500000", LaNm="Bos"))
    assert await post(simulator, PERSON, person(LaNm="Bos")) == {"results": {"KnPerson": {"BcCo": "500001"}}}


async def test_entry_with_lines(simulator: Simulator) -> None:
    """The service numbers an entry within its administration, and its lines within the entry."""
    body = entry({"Fields": {"AcNr": "01000", "AmDe": "10.50"}}, {"Fields": {"AcNr": "01001", "AmCr": 10.5}}, UnId="3")
    body["FiEntryPar"]["Element"]["Fields"]["JoCo"] = "70"
    assert await post(simulator, ENTRY, body) == {"results": {"FiEntryPar": {"UnId": "3", "EnNo": "2"}}}
    assert await post(simulator, ENTRY, body) == {"results": {"FiEntryPar": {"UnId": "3", "EnNo": "3"}}}
    assert lines(simulator, 3, 2) == lines(simulator, 3, 3) == [(1, "01000", 10.5, None), (2, "01001", None, 10.5)]
    body["FiEntryPar"]["Element"]["Fields"]["UnId"] = "4"
    assert await post(simulator, ENTRY, body) == {"results": {"FiEntryPar": {"UnId": "4", "EnNo": "1"}}}
    body["FiEntryPar"]["Element"]["Fields"]["EnNo"] = "54605"
    assert await post(simulator, ENTRY, body) == {"results": {"FiEntryPar": {"UnId": "4", "EnNo": "54605"}}}
    assert "already exists" in await post(simulator, ENTRY, body)


async def test_several_entries(simulator: Simulator) -> None:
    """Each element of a list may have objects, and the response has the order of the list."""
    one = entry({"Fields": {"AcNr": "01000"}}, UnId=9, JoCo="70")["FiEntryPar"]["Element"]
    body = {"FiEntryPar": {"Element": [one, one | {"Objects": None}, one]}}
    reply = await post(simulator, ENTRY, body)
    assert [key["EnNo"] for key in reply["results"]["FiEntryPar"]] == ["1", "2", "3"]
    assert [len(lines(simulator, 9, number)) for number in (1, 2, 3)] == [1, 0, 1]


async def test_update_with_lines(simulator: Simulator) -> None:
    """A line with its key is updated, one without is new, and those that are not named stay."""
    before = lines(simulator, 1, 1)
    assert len(before) == 4
    changed = {"@SeNo": "2", "Fields": {"AmDe": "1", "AmCr": ""}}
    body = entry(changed, {"Fields": {"AcNr": "01010", "AmCr": "2"}}, UnId="1", EnNo="1", Peri="3")
    assert await put(simulator, ENTRY, body) == {"results": {"FiEntryPar": {"UnId": "1", "EnNo": "1"}}}
    after = lines(simulator, 1, 1)
    assert after == [before[0], (2, before[1][1], 1.0, None), *before[2:], (5, "01010", None, 2.0)]
    assert simulator.store.execute("SELECT Period FROM Profit_JournalEntries WHERE UnitId = 1 AND EntryNo = 1") == [
        (3,)
    ]
    assert "'Line number' does not exist" in await put(
        simulator, ENTRY, entry({"@SeNo": 9, "Fields": {}}, UnId=1, EnNo=1)
    )


async def test_update_of_an_address(simulator: Simulator) -> None:
    """The one address of a person is updated, or inserted if absent. An insert takes the old one's place."""
    (old,) = addresses(simulator, 100003)
    assert await put(simulator, PERSON, person("100003", {"Fields": {"Rs": "Breda"}}, FiNm="An"))
    assert addresses(simulator, 100003) == [(*old[:3], "Breda", old[4])]
    simulator.store.execute("DELETE FROM Profit_Addresses WHERE PersonId = 100003")
    assert "'Country'" in await put(simulator, PERSON, person("100003", {"Fields": {"Rs": "Breda"}}))
    assert await put(simulator, PERSON, person("100003", {"Fields": ADDRESS}))
    assert addresses(simulator, 100003) == [STORED]
    assert await put(simulator, PERSON, person("100003", {"@Action": "insert", "Fields": {"CoId": "BE", "ZpCd": "1"}}))
    assert addresses(simulator, 100003) == [(None, None, "1", None, "BE")]


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("target", "body", "message"),
    [
        (PERSON, person(address=[{"Fields": ADDRESS}] * 2, LaNm="Bos"), "Only one element 'KnBasicAddressAdr'"),
        (PERSON, person(address={"Fields": ADDRESS | {"CoId": "XX"}}, LaNm="Bos"), "'Country' is not valid"),
        (PERSON, person(address={"Fields": {"CoId": "NL"}}, LaNm="Bos"), "Enter a value for 'Postal code'"),
        (PERSON, person(address={"Fields": ADDRESS | {"X": 1}}, LaNm="Bos"), "field 'X' not found"),
        (PERSON, person(address={"@BcCo": "1", "Fields": ADDRESS}, LaNm="Bos"), "field '@BcCo' not found"),
        (PERSON, person(address={}, LaNm="Bos"), "unexpected"),
        (PERSON, person(address=[], LaNm="Bos"), "unexpected"),
        (PERSON, person(address=7, LaNm="Bos"), "unexpected"),
        (PERSON, person(address={"Fields": ADDRESS}), "Enter a value for 'Last name'"),
        (PERSON, {"KnPerson": {"Element": {"Fields": {"LaNm": "x"}, "Objects": 7}}}, "unexpected"),
        (PERSON, {"KnPerson": {"Element": {"Fields": {"LaNm": "x"}, "Objects": [7]}}}, "unexpected"),
        (PERSON, {"KnPerson": {"Element": {"Fields": {"LaNm": "x"}, "Objects": {"KnX": {}}}}}, "'KnX' not found"),
        (ENTRY, entry({"Fields": {"AcNr": "99999"}}, UnId=1, JoCo="70"), "'Account' does not exist"),
        (ENTRY, entry({"Fields": {"AmDe": "1"}}, UnId=1, JoCo="70"), "Enter a value for 'Account'"),
        (ENTRY, entry({"Fields": {"AcNr": "01000", "AmDe": "1.005"}}, UnId=1, JoCo="70"), "'Debit' is not valid"),
        (ENTRY, entry({"Fields": {"AcNr": "01000"}}, JoCo="70"), "Enter a value for 'Administration'"),
        (ENTRY, {"FiEntries": {"Element": {"Fields": {"UnId": 1}}}}, "'FiEntries' not found"),
    ],
    ids=str,
)
@pytest.mark.parametrize("partial", [False, True])
async def test_refused_objects(target: str, body: Any, message: str, partial: bool) -> None:  # noqa: FBT001
    """If an object is refused, its element is refused too, whatever the rule for lists is."""
    async with Simulator(rows=24, rules=Rules(partial_lists=partial)) as simulator:
        before = counts(simulator)
        assert message in await post(simulator, target, body)
        assert counts(simulator) == before


async def test_partial_lists_with_objects() -> None:
    """Where elements before a refused one stay, each is there with all of its lines."""
    good = entry({"Fields": {"AcNr": "01000"}}, {"Fields": {"AcNr": "01001"}}, UnId=9, JoCo="70")
    bad = entry({"Fields": {"AcNr": "01000"}}, {"Fields": {"AcNr": "X"}}, UnId=9, JoCo="70")
    body = {"FiEntryPar": {"Element": [each["FiEntryPar"]["Element"] for each in (good, bad, good)]}}
    async with Simulator(rows=24, rules=Rules(partial_lists=True)) as simulator:
        assert "'Account' does not exist" in await post(simulator, ENTRY, body)
        assert [len(lines(simulator, 9, number)) for number in (1, 2, 3)] == [2, 0, 0]
        assert simulator.store.execute("SELECT count(*) FROM Profit_JournalEntries WHERE UnitId = 9") == [(1,)]


async def test_an_object_named_twice(simulator: Simulator) -> None:
    """Lines in two members of the array are all written. Two addresses are refused."""
    line = {"FiEntries": {"Element": {"Fields": {"AcNr": "01000"}}}}
    body = {"FiEntryPar": {"Element": {"Fields": {"UnId": 9, "JoCo": "70"}, "Objects": [line, line]}}}
    assert await post(simulator, ENTRY, body) == {"results": {"FiEntryPar": {"UnId": "9", "EnNo": "1"}}}
    assert len(lines(simulator, 9, 1)) == 2
    address = {"KnBasicAddressAdr": {"Element": {"Fields": ADDRESS}}}
    twice = {"KnPerson": {"Element": {"Fields": {"LaNm": "x"}, "Objects": [address, address]}}}
    assert "Only one" in await post(simulator, PERSON, twice)


async def test_deletes(simulator: Simulator) -> None:
    """A nested path deletes one line, and the path of an element deletes it with everything in it."""
    target = f"{ENTRY}/FiEntryPar/@UnId,@EnNo/1,1"
    assert (await send(simulator, "DELETE", f"{target}/FiEntries/@SeNo/2")).status == 200
    assert [line[0] for line in lines(simulator, 1, 1)] == [1, 3, 4]
    english = {"Accept-Language": "en"}
    assert "'Line number'" in said(await send(simulator, "DELETE", f"{target}/fientries/SeNo/2", None, english))
    assert "'SeX'" in said(await send(simulator, "DELETE", f"{target}/FiEntries/SeX/2", None, english))
    assert "'KnX'" in said(await send(simulator, "DELETE", f"{target}/KnX/SeNo/2", None, english))
    before = counts(simulator)
    assert (await send(simulator, "DELETE", target)).status == 200
    assert counts(simulator) == [before[0], before[1], before[2] - 1, before[3] - 3]
    assert (await send(simulator, "DELETE", f"{PERSON}/KnPerson/@BcCo/100001")).status == 200
    assert addresses(simulator, 100001) == []
    assert (await send(simulator, "DELETE", f"{target}/FiEntries/SeNo/1/X/Y/1")).status == 404


async def test_paths_with_an_object(simulator: Simulator) -> None:
    """A path with an object updates the element, and inserts (POST) or updates (PUT) the object in it."""
    line = {"Fields": {"AcNr": "01000", "AmDe": 5}}
    body = entry(line, UnId=1, EnNo=1, JoCo="99")
    assert await post(simulator, f"{ENTRY}/FiEntries", body) == {"results": {"FiEntryPar": {"UnId": "1", "EnNo": "1"}}}
    assert lines(simulator, 1, 1)[4:] == [(5, "01000", 5.0, None)]
    assert simulator.store.execute("SELECT Journal FROM Profit_JournalEntries WHERE (UnitId, EntryNo) = (1, 1)") == [
        ("99",)
    ]
    change = {"@SeNo": 5, "Fields": {"AmDe": 6}}
    assert await put(simulator, "connectors/fientries/FIENTRIES", entry(change, UnId=1, EnNo=1))
    assert lines(simulator, 1, 1)[4:] == [(5, "01000", 6.0, None)]
    assert "'Line number' already exists" in await post(
        simulator, f"{ENTRY}/FiEntries", entry(line | {"@SeNo": 5}, UnId=1, EnNo=1)
    )
    assert "value for 'Line number'" in await put(simulator, f"{ENTRY}/FiEntries", entry(line, UnId=1, EnNo=1))
    assert "'Administration, Entry number' does not" in await post(
        simulator, f"{ENTRY}/FiEntries", entry(line, UnId=1, EnNo=99)
    )
    assert "'FiX' not found" in await post(simulator, f"{ENTRY}/FiX", body)
    assert await post(simulator, f"{PERSON}/KnBasicAddressAdr", person("100002", {"Fields": ADDRESS}))
    assert addresses(simulator, 100002) == [STORED]
    reply = await send(simulator, "POST", f"{ENTRY}/FiEntries/FiX", json.dumps(body).encode())
    assert reply.status == 404  # two elements at most


async def test_metainfo(simulator: Simulator) -> None:
    """Metainfo describes objects as it does elements, with the fields of their own."""
    person = (await send(simulator, "GET", "metainfo/update/KnPerson")).json
    (address,) = person["objects"]
    assert list(address) == ["name", "fields", "objects"]
    assert (address["name"], address["objects"]) == ("KnBasicAddressAdr", None)
    country = next(field for field in address["fields"] if field["fieldId"] == "CoId")
    assert (country["mandatory"], country["primaryKey"], country["values"][0]["id"]) == (True, False, "NL")
    entries = (await send(simulator, "GET", "metainfo/update/FiEntries")).json
    assert (entries["id"], entries["name"]) == ("FiEntries", "FiEntryPar")
    keys = [field["fieldId"] for field in entries["objects"][0]["fields"] if field["primaryKey"]]
    assert keys == ["SeNo"]
