"""Writes as clients of the service were seen to send them, byte for byte, and the table after each write."""

from __future__ import annotations

import json
from typing import Any

import pytest

from afas_async.simulator import Simulator
from tests.support.raw_writes import ARTICLE, BOLT, article, elements, said, send, table

JSON = {"Content-Type": "application/json;charset=utf-8"}
CAFE = "Caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{EURO SIGN} 5"
INSERTED = {"ItemCode": "B1", "Description": "Bolt", "Price": None, "Blocked": None, "Unit": None, "Stock": None}
INSERTS: list[tuple[str, dict[str, str], bytes, dict[str, Any]]] = [
    ("the documented type", JSON, BOLT, {}),
    ("no content type", {}, BOLT, {}),
    ("plain text", {"Content-Type": "text/plain;charset=UTF-8"}, BOLT, {}),
    ("a charset in quotes", {"Content-Type": 'application/json; charset="utf-8"'}, BOLT, {}),
    ("a form", {"Content-Type": "application/x-www-form-urlencoded"}, BOLT, {}),
    (
        "UTF-8, whatever is claimed",
        {"Content-Type": "application/json; charset=iso-8859-1"},
        BOLT.replace(b"Bolt", CAFE.encode()),
        {"Description": CAFE},
    ),
    ("UTF-8 without a type", {}, BOLT.replace(b"Bolt", CAFE.encode()), {"Description": CAFE}),
    ("escaped", {}, BOLT.replace(b"Bolt", json.dumps(CAFE)[1:-1].encode()), {"Description": CAFE}),
    ("not UTF-8: question marks", JSON, BOLT.replace(b"Bolt", b"Caf\xe9 \xfc"), {"Description": "Caf? ?"}),
    ("another language", {"Accept-Language": "*", "IntegrationId": "12345_678900"}, BOLT, {}),
    ("the key beside the fields", {}, b'{"FbItemArticle":{"Element":{"@ItCd":"B1","Fields":{"Ds":"Bolt"}}}}', {}),
    (
        "the key twice, and no objects",
        {},
        b'{"FbItemArticle":{"Element":{"@ItCd":"B1","Fields":{"ItCd":"B1","Ds":"Bolt"},"Objects":[]}}}',
        {},
    ),
    ("a list of one", {}, b'{"FbItemArticle":{"Element":[{"Fields":{"ItCd":"B1","Ds":"Bolt"}}]}}', {}),
    (
        "on several lines",
        {},
        b'{\r\n  "FbItemArticle": {\r\n\t"Element": { "Fields": { "ItCd": "B1", "Ds": "Bolt" } }\r\n}}\r\n',
        {},
    ),
    (
        "all values as text",
        {},
        BOLT.replace(b'"Bolt"', b'"Bolt","SaPr":"12.50","Bl":"true","BiUn":"Box","QuSt":"7"'),
        {"Price": 12.5, "Blocked": 1, "Unit": "Box", "Stock": 7},
    ),
    (
        "all values in their types",
        {},
        BOLT.replace(b'"Bolt"', b'"Bolt","SaPr":12.5,"Bl":true,"BiUn":"Box","QuSt":-7'),
        {"Price": 12.5, "Blocked": 1, "Unit": "Box", "Stock": -7},
    ),
    ("a number for a text", {}, BOLT.replace(b'"Bolt"', b"12.50"), {"Description": "12.50"}),
    ("a boolean as 1", {}, BOLT.replace(b'"Bolt"', b'"Bolt","Bl":"1"'), {"Blocked": 1}),
    ("a boolean as 0", {}, BOLT.replace(b'"Bolt"', b'"Bolt","Bl":"0"'), {"Blocked": 0}),
    ("a boolean as False", {}, BOLT.replace(b'"Bolt"', b'"Bolt","Bl":"False"'), {"Blocked": 0}),
    ("an exponent", {}, BOLT.replace(b'"Bolt"', b'"Bolt","SaPr":1e3'), {"Price": 1000.0}),
    ("null and no text", {}, BOLT.replace(b'"Bolt"', b'"Bolt","Bl":null,"QuSt":""'), {}),
]


@pytest.mark.parametrize(("headers", "body", "differs"), [x[1:] for x in INSERTS], ids=[x[0] for x in INSERTS])
async def test_insert(simulator: Simulator, headers: dict[str, str], body: bytes, differs: dict[str, Any]) -> None:
    """An insert puts a row into the table that a read then sees, and returns a 201 that claims XML and has no body."""
    before = table(simulator)
    reply = await send(simulator, "POST", ARTICLE, body, headers)
    assert (reply.status, reply.body) == (201, b"")
    assert (reply.headers["Content-Type"], reply.headers["Content-Length"]) == ("application/xml; charset=utf-8", "0")
    assert article(simulator, "B1") == INSERTED | differs
    assert len(table(simulator)) == len(before) + 1
    read = await send(simulator, "GET", "connectors/Profit_Article/ItemCode/B1")
    assert read.rows[0]["Description"] == (INSERTED | differs)["Description"]


@pytest.mark.parametrize(
    "element",
    [
        '{"@ItCd":"000007","Fields":{FIELDS}}',
        '{"Fields":{"ItCd":"000007",FIELDS}}',
        '{"@ItCd":"000007","Fields":{"ItCd":"000007",FIELDS}}',
        '[{"@ItCd":"000007","Fields":{FIELDS}}]',
    ],
)
@pytest.mark.parametrize("cleared", ["null", '""'])
async def test_update(simulator: Simulator, element: str, cleared: str) -> None:
    """An update changes the given fields of one row, null and no text clear, and the other fields stay."""
    before, old = table(simulator), article(simulator, "000007")
    body = f'{{"FbItemArticle":{{"Element":{element}}}}}'.replace("FIELDS", f'"Ds":"Nut","BiUn":{cleared}')
    reply = await send(simulator, "PUT", ARTICLE, body.encode())
    assert (reply.status, reply.body) == (201, b"")
    assert old is not None
    assert article(simulator, "000007") == old | {"Description": "Nut", "Unit": None}
    assert [row for row in table(simulator) if row[0] != "000007"] == [row for row in before if row[0] != "000007"]


async def test_update_without_changes(simulator: Simulator) -> None:
    """An element with only its key is still an update, and needs its row."""
    before = [row[:7] for row in table(simulator)]
    for fields in (b"", b',"Fields":{}', b',"Fields":null', b',"Fields":{"ItCd":"000007"}'):
        body = b'{"FbItemArticle":{"Element":{"@ItCd":"000007"%s}}}' % fields
        assert (await send(simulator, "PUT", ARTICLE, body)).status == 201
        if b"ItCd" not in fields:
            assert (await send(simulator, "PUT", ARTICLE, body.replace(b"000007", b"X"))).status == 500
    assert [row[:7] for row in table(simulator)] == before  # but for the moment of the write


@pytest.mark.parametrize(
    ("method", "value", "kept"),
    [
        ("POST", '"1990-02-28"', "1990-02-28T00:00:00Z"),
        ("POST", '"1990-02-28T00:00:00"', "1990-02-28T00:00:00Z"),
        ("PUT", '"1990-02-28T13:14:15"', "1990-02-28T00:00:00Z"),
        ("PUT", '"1990-02-28T00:00:00Z"', "1990-02-28T00:00:00Z"),
        ("PUT", '""', None),
    ],
)
async def test_dates_and_another_root(simulator: Simulator, method: str, value: str, kept: str | None) -> None:
    """A date comes with or without a time; the element has the name that metainfo gives, and so does the response."""
    if method == "PUT":
        simulator.store.execute("INSERT INTO Profit_Employees (EmployeeId, BirthDate) VALUES ('X1', 'x')")
    body = f'{{"AfasEmployee":{{"Element":{{"@EmId":"X1","Fields":{{"LaNm":"Bos","DaBi":{value}}}}}}}}}'.encode()
    reply = await send(simulator, method, "connectors/KnEmployee", body)
    assert (reply.status, reply.json) == (201, {"results": {"AfasEmployee": {"EmId": "X1"}}})
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
    rows = simulator.store.execute("SELECT BirthDate FROM Profit_Employees WHERE EmployeeId = 'X1'")
    assert rows == [(kept,)]
    wrong = body.replace(b"AfasEmployee", b"KnEmployee")
    assert "'KnEmployee'" in said(await send(simulator, method, "connectors/KnEmployee", wrong))


@pytest.mark.parametrize("value", ["2024-03-31", "2024-03-31T02:30", "2024-03-31 02:30:00", "2024-03-31T02:30:00Z"])
async def test_moments(simulator: Simulator, value: str) -> None:
    """A field with a time keeps it as Amsterdam's wall clock shows it, or is midnight."""
    body = elements("KnSubject", {"SbId": "7", "DtFr": value})
    assert (await send(simulator, "PUT", "connectors/KnSubject", body)).status == 201
    row = (await send(simulator, "GET", "connectors/Profit_Subjects/SubjectId/7")).rows[0]
    assert row["StartsOn"] == ("2024-03-31T00:00:00Z" if len(value) == 10 else "2024-03-31T02:30:00Z")


async def test_numbers_of_new_records(simulator: Simulator) -> None:
    """The service numbers new records, whatever the request says, returns the number as text, and gives none twice."""
    one = await send(simulator, "POST", "connectors/KnSubject", elements("KnSubject", {"StId": 1, "SbId": 7}))
    assert (one.status, one.json) == (201, {"results": {"KnSubject": {"SbId": "201"}}})
    assert (await send(simulator, "DELETE", "connectors/KnSubject/KnSubject/SbId/201")).status == 200
    body = elements("KnSubject", {"StId": 1, "Ds": "a"}, {"StId": 2, "Ds": "b"}, {"StId": "3", "Ds": "c"})
    several = await send(simulator, "POST", "connectors/KnSubject", body)
    assert several.json == {"results": {"KnSubject": [{"SbId": "202"}, {"SbId": "203"}, {"SbId": "204"}]}}
    rows = simulator.store.execute("SELECT SubjectId, TypeId, Subject FROM Profit_Subjects WHERE SubjectId > 200")
    assert rows == [(202, 1, "a"), (203, 2, "b"), (204, 3, "c")]
    update = (
        b'{"KnSubject":{"Element":[{"@SbId":"202","Fields":{"SbId":202,"Ds":"x"}},{"Fields":{"SbId":3,"Ds":"y"}}]}}'
    )
    reply = await send(simulator, "PUT", "connectors/KnSubject", update)
    assert (reply.status, reply.json["results"]["KnSubject"]) == (201, [{"SbId": "202"}, {"SbId": "3"}])
    rows = simulator.store.execute("SELECT Subject FROM Profit_Subjects WHERE SubjectId IN (3, 202) ORDER BY 1")
    assert rows == [("x",), ("y",)]


@pytest.mark.parametrize(
    "path",
    [
        "KnDimCode/KnDimCode/@AxId,@VbCo/1,D001",
        "KnDimCode/KnDimCode/@AxId,VbCo/1,D001",
        "KnDimCode/KnDimCode/AxId,VbCo/1,D001",
        "KnDimCode/KnDimCode/@VbCo,@AxId/D001,1",
        "KnDimCode/KnDimCode/%40AxId%2C%40VbCo/1%2CD001",
        "KnDimCode/KnDimCode/%40AxId%2c%40VbCo/1%2c%44001",
        "kndimcode/KNDIMCODE/@AxId,@VbCo/1,D001?x=1",
    ],
)
@pytest.mark.parametrize("body", [None, b"{}"])
async def test_delete(simulator: Simulator, path: str, body: bytes | None) -> None:
    """A delete removes the one row whose key is in the path, with or without `@`, encoded or not."""
    before = table(simulator, "Profit_DimensionCodes")
    reply = await send(simulator, "DELETE", f"connectors/{path}", body)
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["Content-Type"] == "application/xml; charset=utf-8"
    after = table(simulator, "Profit_DimensionCodes")
    assert set(before) - set(after) == {row for row in before if row[:2] == (1, "D001")}
    assert len(after) == len(before) - 1
    assert "bestaat niet" in said(await send(simulator, "DELETE", f"connectors/{path}", body))


async def test_delete_of_awkward_keys(simulator: Simulator) -> None:
    """A slash, a space and an accent may be in a key; a comma separates also where it is encoded."""
    for code, path in (("a/b c", "a%2Fb%20c"), ("caf\N{LATIN SMALL LETTER E WITH ACUTE}+", "caf%C3%A9+")):
        assert (
            await send(simulator, "POST", ARTICLE, elements("FbItemArticle", {"ItCd": code, "Ds": "x"}))
        ).status == 201
        assert article(simulator, code) is not None
        assert (await send(simulator, "DELETE", f"{ARTICLE}/FbItemArticle/@ItCd/{path}")).status == 200
        assert article(simulator, code) is None
    simulator.store.execute("UPDATE Profit_Article SET ItemCode = 'a,b' WHERE ItemCode = '000001'")
    assert (await send(simulator, "DELETE", f"{ARTICLE}/FbItemArticle/@ItCd/a%2Cb")).status == 500
    assert article(simulator, "a,b") is not None


async def test_metainfo(simulator: Simulator) -> None:
    """Metainfo lists the UpdateConnectors and describes their fields; the name is that of the element."""
    listed = (await send(simulator, "GET", "metainfo")).json["updateConnectors"]
    names = ["FbItemArticle", "KnSubject", "KnEmployee", "KnDimCode", "KnPerson", "FiEntries"]
    assert [entry["id"] for entry in listed] == names
    assert all(set(entry) == {"id", "description"} for entry in listed)
    employee = (await send(simulator, "GET", "MetaInfo/Update/knemployee")).json
    assert (employee["id"], employee["name"], employee["objects"]) == ("KnEmployee", "AfasEmployee", None)
    subject = (await send(simulator, "GET", "metainfo/update/KnSubject")).json
    assert list(subject) == ["id", "name", "description", "fields", "objects"]
    fields = {field["fieldId"]: field for field in subject["fields"]}
    assert fields["SbId"] == {
        "fieldId": "SbId",
        "primaryKey": True,
        "dataType": "int",
        "label": "Dossier item",
        "mandatory": False,
        "length": 9,
        "decimals": 0,
        "decimalFieldId": "",
        "notzero": False,
        "controlType": 5,
        "values": None,
    }
    assert fields["St"]["values"] == [{"id": "A", "description": "Active"}, {"id": "C", "description": "Closed"}]
    assert (fields["StId"]["mandatory"], fields["StId"]["primaryKey"]) == (True, False)


async def test_connectors_of_ones_own() -> None:
    """Rows of your own in place of a sample leave nothing for its UpdateConnector to write or refer to."""
    own = {"profit_article": [{"A": 1}], "Profit_Addresses": [{"A": 1}], "Profit_Accounts": [{"A": 1}]}
    async with Simulator(rows=5, connectors=own) as simulator:
        listed = (await send(simulator, "GET", "metainfo")).json["updateConnectors"]
        assert [entry["id"] for entry in listed] == ["KnSubject", "KnEmployee", "KnDimCode"]
        assert "UpdateConnector" in said(await send(simulator, "POST", ARTICLE, BOLT))


async def test_bodies_are_not_logged(simulator: Simulator) -> None:
    """The request log keeps no body, as Profit's own does not."""
    await send(simulator, "POST", ARTICLE, BOLT)
    assert simulator.requests[0].status == 201
    assert "Bolt" not in repr(simulator.requests[0])
