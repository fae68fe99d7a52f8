"""`@Action` decides what happens to an element, whatever the method of the request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from afas_async.simulator import Rules, Simulator
from tests.simulator.test_updates_objects import ENTRY, addresses, entry, lines
from tests.support.raw_writes import ARTICLE, article, said, send, table


async def refused(simulator: Simulator, method: str, target: str, body: Any) -> str:
    return said(await send(simulator, method, target, json.dumps(body).encode(), {"Accept-Language": "en"}))


async def done(simulator: Simulator, method: str, target: str, body: Any) -> None:
    assert (await send(simulator, method, target, json.dumps(body).encode())).status == 201


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("tag", ["@Action", "@action", "@ACTION"])
@pytest.mark.parametrize("inside", [False, True])
async def test_mixed_actions(simulator: Simulator, method: str, tag: str, inside: bool) -> None:  # noqa: FBT001
    """Each element of a list says what to do with it, in its fields or beside them, in any case of letters."""

    def element(action: str, **fields: Any) -> dict[str, Any]:
        return {"Fields": {tag: action} | fields} if inside else {tag: action, "Fields": fields}

    before = len(table(simulator))
    listed = [
        element("insert", ItCd="N1", Ds="new"),
        element("Update", ItCd="000007", Ds="changed"),
        element("delete", ItCd="000008"),
    ]
    await done(simulator, method, ARTICLE, {"FbItemArticle": {"Element": listed}})
    found = [article(simulator, code) for code in ("N1", "000007", "000008")]
    assert [row and row["Description"] for row in found] == ["new", "changed", None]
    assert len(table(simulator)) == before


async def test_without_an_action_the_method_counts(simulator: Simulator) -> None:
    """An element without an action is inserted by POST and updated by PUT, also beside one that has one."""
    action = {"Fields": {"@Action": "delete", "ItCd": "000008"}}
    new, old = ({"Fields": {"ItCd": code, "Ds": "x"}} for code in ("N1", "000007"))
    await done(simulator, "POST", ARTICLE, {"FbItemArticle": {"Element": [action, new]}})
    assert article(simulator, "N1") is not None
    action["Fields"]["ItCd"] = "000009"
    await done(simulator, "PUT", ARTICLE, {"FbItemArticle": {"Element": [action, old]}})
    assert article(simulator, "000009") is None


@pytest.mark.parametrize("partial", [False, True])
async def test_one_transaction(partial: bool) -> None:  # noqa: FBT001
    """A body with an action is carried out as a whole or not at all, also where lists may stay in part."""
    good, bad = {"Fields": {"ItCd": "N1", "Ds": "x"}}, {"Fields": {"@Action": "delete", "ItCd": "NO"}}
    async with Simulator(rows=5, rules=Rules(partial_lists=partial)) as simulator:
        before = table(simulator)
        body = {"FbItemArticle": {"Element": [good, bad]}}
        assert "'Item code' does not exist" in await refused(simulator, "POST", ARTICLE, body)
        assert table(simulator) == before
        nested = entry({"Fields": {"@action": "update", "SeNo": 99}}, UnId=1, EnNo=1)["FiEntryPar"]["Element"]
        first = {"Fields": {"UnId": 1, "EnNo": 1, "JoCo": "99"}}
        body = {"FiEntryPar": {"Element": [first, nested]}}
        assert "'Line number' does not exist" in await refused(simulator, "PUT", ENTRY, body)
        assert simulator.store.execute("SELECT 1 FROM Profit_JournalEntries WHERE Journal = '99'") == []


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_actions_of_lines(simulator: Simulator, method: str) -> None:
    """One request inserts, changes and deletes lines of one entry, and leaves the others."""
    old = lines(simulator, 1, 1)
    body = entry(
        {"Fields": {"@Action": "delete", "SeNo": 1}},
        {"@action": "update", "@SeNo": "2", "Fields": {"AcNr": "01500"}},
        {"Fields": {"@Action": "insert", "AcNr": "01600"}},
        {"Fields": {"@Action": "insert", "SeNo": 12, "AcNr": "01700"}},
        **{"@Action": "update"},
        UnId=1,
        EnNo=1,
    )
    await done(simulator, method, ENTRY, body)
    assert [line[:2] for line in lines(simulator, 1, 1)] == [
        (2, "01500"),
        old[2][:2],
        old[3][:2],
        (5, "01600"),
        (12, "01700"),
    ]


async def test_lines_of_an_inserted_entry(simulator: Simulator) -> None:
    """Within a new element everything is new; within a deleted one everything is gone."""
    body = entry({"@SeNo": 7, "Fields": {"AcNr": "01000"}}, **{"@Action": "insert"}, UnId=9, EnNo=4, JoCo="70")
    await done(simulator, "PUT", ENTRY, body)
    assert lines(simulator, 9, 4) == [(7, "01000", None, None)]
    await done(simulator, "PUT", ENTRY, entry(**{"@Action": "delete"}, UnId=9, EnNo=4))
    assert lines(simulator, 9, 4) == []
    assert simulator.store.execute("SELECT 1 FROM Profit_JournalEntries WHERE UnitId = 9") == []


async def test_delete_of_an_address(simulator: Simulator) -> None:
    """An object without a key of its own is deleted by an action, and only if it exists."""
    inner = {"KnBasicAddressAdr": {"Element": {"@Action": "delete"}}}
    body = {"KnPerson": {"Element": {"@BcCo": "100001", "Objects": inner}}}
    assert len(addresses(simulator, 100001)) == 1
    await done(simulator, "PUT", "connectors/KnPerson", body)
    assert addresses(simulator, 100001) == []
    assert "'KnBasicAddressAdr' does not exist" in await refused(simulator, "PUT", "connectors/KnPerson", body)


@pytest.mark.parametrize(
    ("element", "message"),
    [
        ({"@Action": "upsert", "Fields": {"ItCd": "000007"}}, "'@Action' is not valid"),
        ({"Fields": {"ItCd": "000007", "@action": None}}, "'@Action' is not valid"),
        ({"@Action": "update", "Fields": {"ItCd": "000007", "@Action": "delete"}}, "unexpected"),
        ({"Fields": {"ItCd": "000007", "Action": "delete"}}, "field 'Action' not found"),
        ({"@Action": "delete"}, "Enter a value for 'Item code'"),
    ],
    ids=str,
)
async def test_actions_that_are_none(simulator: Simulator, element: Any, message: str) -> None:
    """An unknown action, two actions, or an action without a key are refused."""
    before = table(simulator)
    body = {"FbItemArticle": {"Element": element}}
    assert message in await refused(simulator, "PUT", ARTICLE, body)
    assert table(simulator) == before


async def test_the_same_action_twice(simulator: Simulator) -> None:
    """An action may stand in both places if it is the same one."""
    element = {"@Action": "delete", "Fields": {"ItCd": "000007", "@action": "Delete"}}
    await done(simulator, "PUT", ARTICLE, {"FbItemArticle": {"Element": element}})
    assert article(simulator, "000007") is None
