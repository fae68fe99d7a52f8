"""UpdateConnectors of your own behave as those of the simulator do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from afas_async import AfasClient
from afas_async.simulator import Fault, OwnObject, OwnUpdateConnector, Rules, Simulator
from tests.support.own_metainfo import FREE, LINES, SALES, field
from tests.support.raw_writes import said, send

READ_AS = {"FbSales": "My_Sales", "FbSalesLines": "My_Lines", "FbNotes": "My_Notes", "FbSerial": "My_Serials"}
ORDER = {"DbId": "1", "OrDa": "2024-01-31"}


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    updates = {"FbSales": OwnUpdateConnector(metainfo=SALES, read_as=READ_AS)}
    async with Simulator(rows=5, updates=updates) as running:
        yield running


async def write(
    simulator: Simulator, method: str, fields: dict[str, Any], target: str = "FbSales", root: str = "", **objects: Any
) -> Any:
    """Send one element, with its objects; return the content of the response, or the text of a refusal."""
    inner = [{name: {"Element": content}} for name, content in objects.items()]
    element = {"Fields": fields} | ({"Objects": inner} if inner else {})
    body = json.dumps({root or target.partition("/")[0]: {"Element": element}}).encode()
    reply = await send(simulator, method, f"connectors/{target}", body, {"Accept-Language": "en"})
    if reply.status != 201:
        return said(reply)
    return reply.json["results"] if reply.body else None


def line(**fields: Any) -> dict[str, Any]:
    return {"Fields": fields}


def rows(simulator: Simulator, name: str, *columns: str) -> list[tuple[Any, ...]]:
    names = ", ".join(f'"{column}"' for column in columns)
    return simulator.store.execute(f'SELECT {names} FROM "{name}" ORDER BY rowid')  # noqa: S608


async def test_insert_update_and_delete(simulator: Simulator) -> None:
    """Records get the numbers that they lack, and are inserted, updated and deleted with their lines."""
    lines = [line(ItCd="A1", QuUn="2.5"), line(ItCd="B2", QuUn=1)]
    assert await write(simulator, "POST", ORDER, FbSalesLines=lines) == {"FbSales": {"OrNu": "1"}}
    assert await write(simulator, "POST", {**ORDER, "OrNu": "X9"}) == {"FbSales": {"OrNu": "X9"}}
    assert await write(simulator, "POST", {**ORDER, "OrNu": "2"}) == {"FbSales": {"OrNu": "2"}}
    assert await write(simulator, "POST", ORDER) == {"FbSales": {"OrNu": "3"}}
    assert rows(simulator, "My_Lines", "OrNu", "GuLi", "ItCd", "QuUn") == [("1", 1, "A1", 2.5), ("1", 2, "B2", 1.0)]
    mixed = [
        line(GuLi=1, QuUn=7),
        line(**{"@Action": "delete"}, GuLi=2),
        line(ItCd="C3", **{FREE: True}),
    ]
    assert await write(simulator, "PUT", {"OrNu": "1", "DlCo": 2}, FbSalesLines=mixed) == {"FbSales": {"OrNu": "1"}}
    assert rows(simulator, "My_Lines", "GuLi", "ItCd", "QuUn", FREE) == [(1, "A1", 7.0, None), (3, "C3", None, 1)]
    assert rows(simulator, "My_Sales", "OrNu", "DlCo")[0] == ("1", 2)
    path = "connectors/FbSales/FbSales/@OrNu/1"
    assert (await send(simulator, "DELETE", f"{path}/FbSalesLines/@GuLi/1")).status == 200
    assert rows(simulator, "My_Lines", "GuLi") == [(3,)]
    assert (await send(simulator, "DELETE", path)).status == 200
    assert (rows(simulator, "My_Lines", "GuLi"), len(rows(simulator, "My_Sales", "OrNu"))) == ([], 3)
    assert said(await send(simulator, "DELETE", path, headers={"Accept-Language": "en"})) == (
        "The entered value for 'Label of OrNu' does not exist."
    )


async def test_lines_within_lines(simulator: Simulator) -> None:
    """A part of a line's key that names the record around it is that record's, and all goes with the record."""
    serials = {"FbSerial": {"Element": [line(SeNo="S1"), line(SeNo="S2", GuLi=4, OrNu="N1")]}}
    lines = [{"Fields": {"GuLi": 4, "ItCd": "A1"}, "Objects": serials}]
    await write(simulator, "POST", {**ORDER, "OrNu": "N1"}, FbSalesLines=lines)
    assert rows(simulator, "My_Serials", "OrNu", "GuLi", "SeNo") == [("N1", 4, "S1"), ("N1", 4, "S2")]
    elsewhere = [{"Fields": {"ItCd": "A1"}, "Objects": {"FbSerial": {"Element": line(SeNo="S3", OrNu="N2")}}}]
    assert await write(simulator, "PUT", {"OrNu": "N1"}, FbSalesLines=elsewhere) == "An unexpected error has occurred."
    await send(simulator, "DELETE", "connectors/FbSales/FbSales/OrNu/N1")
    assert rows(simulator, "My_Serials", "SeNo") == []


async def test_lines_whose_key_is_named_as_that_around_them() -> None:
    """A key named in full as the key around it is the line's own. Such lines are kept apart, updated and deleted."""
    number = {"fields": {"SeNo": "int", "Ds": "string(9)"}, "key": "SeNo"}
    inner = OwnObject(**number)
    own = OwnUpdateConnector(
        **number, objects={"Part": OwnObject(**number, objects={"Step": inner})}, read_as={"Step": "My_Steps"}
    )
    async with Simulator(rows=5, updates={"MyThing": own}) as simulator:
        steps = [line(Ds="a"), line(SeNo=7, Ds="b"), line(Ds="c")]
        part = {"Fields": {"Ds": "p"}, "Objects": {"Step": {"Element": steps}}}
        assert await write(simulator, "POST", {"Ds": "x"}, "MyThing", Part=part) == {"MyThing": {"SeNo": "1"}}
        changed = {"Fields": {"SeNo": 1}, "Objects": {"Step": {"Element": [line(SeNo=7, Ds="B")]}}}
        assert await write(simulator, "PUT", {"SeNo": 1}, "MyThing", Part=changed) == {"MyThing": {"SeNo": "1"}}
        assert rows(simulator, "My_Steps", "SeNo", "Part_SeNo", "Step_SeNo", "Ds") == [
            (1, 1, 1, "a"),
            (1, 1, 7, "B"),
            (1, 1, 8, "c"),
        ]
        gone = {"Fields": {"SeNo": 1}, "Objects": {"Step": {"Element": line(**{"@Action": "delete"}, SeNo=1)}}}
        await write(simulator, "PUT", {"SeNo": 1}, "MyThing", Part=gone)
        assert [step for (step,) in rows(simulator, "My_Steps", "Step_SeNo")] == [7, 8]


HOURS: dict[str, Any] = {
    "name": "PtRealization",
    "fields": [
        field("Id", "string", 32, primaryKey=True),
        field("VaIt", "string", 3, values=[{"id": "1", "description": "Werksoort"}, {"id": "2"}]),
        field("Qu", "decimal", 9, decimals=2, decimalFieldId="QuDe", notzero=True),
        field("Pr", "decimal", 18, decimals=2),
        field("Bi", "string", 1),
        field("StTi", "date", 19),
        field("Lang", "string", 5),
        field("No", "int", 3, values=[{"id": "7"}, {"id": "010"}]),
    ],
}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"VaIt": "Art"}, "Art"),  # AFAS, endpoint notes: an external item type
        ({"VaIt": 2}, "2"),
        ({"Pr": "12,50"}, Decimal("12.50")),  # AFAS's own examples
        ({"Pr": Decimal("1234567890123456.78")}, Decimal("1234567890123456.78")),
        ({"Pr": "-.5"}, Decimal("-0.5")),
        ({"Pr": ""}, None),
        ({"Qu": "1.23456"}, Decimal("1.23456")),  # another field says how many decimals there are
        ({"Bi": True}, "1"),
        ({"Bi": False}, "0"),
        ({"Lang": True}, "true"),
        ({"No": "10"}, 10),
        ({"StTi": "09:30"}, "1900-01-01T09:30:00Z"),
        ({"StTi": "14:47:00"}, "1900-01-01T14:47:00Z"),
    ],
)
async def test_what_real_bodies_have(given: dict[str, Any], shown: Any) -> None:
    """Everything in AFAS's own examples and notes is accepted, and no digit of it is lost."""
    own = OwnUpdateConnector(metainfo=HOURS, read_as="My_Hours")
    async with (
        Simulator(rows=5, updates={"PtRealization": own}) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ):
        await afas.insert("PtRealization", given)
        (row,) = (await afas.page("My_Hours")).rows
        assert row[next(iter(given))] == shown
        await afas.update("PtRealization", {"@Id": "1", "Pr": 3})
        (row,) = (await afas.page("My_Hours")).rows
        assert row["Pr"] == 3


async def test_parts_of_bodies_that_are_empty(simulator: Simulator) -> None:
    """AFAS's own examples have a key that stands twice and is empty once, and an object that is an empty text."""
    fields = {"OrNu": "N1", "DbId": "1"}
    body = {"FbSales": {"Element": {"@OrNu": "", "Fields": fields, "Objects": {"FbNotes": {"Element": ""}}}}}
    assert (await send(simulator, "POST", "connectors/FbSales", json.dumps(body).encode())).status == 201
    assert rows(simulator, "My_Sales", "OrNu", "DbId") == [("N1", "1")]
    assert rows(simulator, "My_Notes", "OrNu") == []
    body["FbSales"]["Element"] |= {"@OrNu": "N1", "Fields": {"OrNu": "", "DbId": "2"}}
    assert (await send(simulator, "PUT", "connectors/FbSales", json.dumps(body).encode())).status == 201
    assert rows(simulator, "My_Sales", "OrNu", "DbId") == [("N1", "2")]


@pytest.mark.parametrize(
    "given", [{"Qu": 0}, {"Qu": "0.00"}, {"VaIt": "3"}, {"No": 8}, {"Pr": "1.234,50"}, {"StTi": "9:30"}]
)
async def test_what_real_environments_refuse(given: dict[str, Any]) -> None:
    """A zero that metainfo excludes and a number that is not one of the codes are refused, also in an update."""
    async with Simulator(rows=5, updates={"PtRealization": HOURS}) as simulator:
        text = f"The entered value for 'Label of {next(iter(given))}' is not valid."
        assert await write(simulator, "POST", given, "PtRealization") == text
        await write(simulator, "POST", {}, "PtRealization")
        assert await write(simulator, "PUT", {"Id": "2", **given}, "PtRealization") == text


async def test_objects_without_a_key(simulator: Simulator) -> None:
    """An object without a key is added each time and never updated; a field named as the key around it is its own."""
    await write(simulator, "POST", {**ORDER, "OrNu": "N1"}, FbNotes=[line(Tx="a" * 5_000), line(Tx="b")])
    await write(simulator, "PUT", {"OrNu": "N1"}, FbNotes=line(Tx="c"))
    assert [(no, text[:1]) for no, text in rows(simulator, "My_Notes", "RecordNo", "Tx")] == [
        (1, "a"),
        (2, "b"),
        (3, "c"),
    ]
    await write(simulator, "PUT", {"OrNu": "N1"}, FbNotes=line(Tx="d", OrNu="mine"))
    assert rows(simulator, "My_Notes", "OrNu", "FbNotes_OrNu")[2:] == [("N1", None), ("N1", "mine")]
    refused = await write(simulator, "PUT", {"OrNu": "N1"}, FbNotes=line(Tx="d", **{"@Action": "update"}))
    assert refused == "Enter a value for 'RecordNo'."
    assert "RecordNo" not in (await send(simulator, "GET", "metainfo/update/FbSales")).body.decode()


@pytest.mark.parametrize(
    ("fields", "lines", "text"),
    [
        ({"DbID": "1"}, {}, "Connector field 'DbID' not found"),
        ({}, {}, "Enter a value for 'Label of DbId'."),
        ({"DbId": "1" * 17}, {}, "The entered value for 'Label of DbId' is not valid."),
        ({"DbId": "1", "OrDa": "31-01-2024"}, {}, "The entered value for 'Label of OrDa' is not valid."),
        ({"DbId": "1", "DlCo": 3}, {}, "The entered value for 'Label of DlCo' is not valid."),
        ({"DbId": "1"}, {"QuUn": 1}, "Enter a value for 'Label of ItCd'."),
        ({"DbId": "1"}, {"ItCd": "A", "QuUn": "1.2345"}, "The entered value for 'Label of QuUn' is not valid."),
        ({"DbId": "1"}, {"ItCd": "A", "QuUn": "1234567890"}, "The entered value for 'Label of QuUn' is not valid."),
        ({"DbId": "1"}, {"ItCd": "A", FREE: "yes"}, f"The entered value for 'Label of {FREE}' is not valid."),
        ({"DbId": "1"}, {"ItCd": "A", "DbId": "12345"}, "The entered value for 'Label of DbId' is not valid."),
    ],
)
async def test_what_is_refused(simulator: Simulator, fields: Any, lines: Any, text: str) -> None:
    """Unknown and missing fields, and values that do not fit, are refused, and nothing of the call is written."""
    assert await write(simulator, "POST", fields, **({"FbSalesLines": line(**lines)} if lines else {})) == text
    assert rows(simulator, "My_Sales", "OrNu") == []


async def test_what_metainfo_does_not_limit(simulator: Simulator) -> None:
    """A field for which metainfo gives no length, decimals or known type takes any value."""
    fields = {"DbId": 5, "Re": "x" * 100_000, "Ti": "12:30"}
    lines = line(ItCd="A", QuUn="123456789.125", Upri="0.0012345", DbId="abcd")
    await write(simulator, "POST", fields, FbSalesLines=lines)
    assert rows(simulator, "My_Sales", "DbId", "Ti") == [("5", "12:30")]
    assert rows(simulator, "My_Lines", "QuUn", "Upri", "DbId") == [(123456789.125, 0.0012345, "abcd")]
    target = "connectors/My_Sales?filterfieldids=Re&filtervalues=xx&operatortypes=6"
    (row,) = (await send(simulator, "GET", target)).rows
    assert len(row["Re"]) == 100_000


@pytest.mark.parametrize("form", ["dict", "bytes", "path", "text", "short"])
async def test_forms_of_metainfo(tmp_path: Path, form: str) -> None:
    """Metainfo comes as a dict, as bytes or out of a file, and is served as it is."""
    path = tmp_path / "sales.json"
    content = {"metainfo": SALES, "read_as": "My_Sales"} if form == "short" else SALES
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(content).encode())
    source: Any = {"dict": SALES, "bytes": json.dumps(SALES).encode(), "path": path}.get(form, str(path))
    async with Simulator(rows=5, updates={"FbSales": source}) as simulator:
        assert (await send(simulator, "GET", "metainfo/update/fbsales")).json == SALES
        assert await write(simulator, "POST", ORDER) == {"FbSales": {"OrNu": "1"}}
        listed = (await send(simulator, "GET", "metainfo")).json
        assert listed["updateConnectors"][0] == {"id": "FbSales", "description": "Verkooporder"}
        names = {connector["id"] for connector in listed["getConnectors"]}
        assert names.isdisjoint({"FbSales", "FbSales_FbSalesLines"})
        assert ("My_Sales" in names) == (form == "short")
        assert rows(simulator, "My_Sales" if form == "short" else "FbSales", "DbId") == [("1",)]


async def test_in_python() -> None:
    """Fields, key and objects in a few lines are described in the service's own form."""
    own = OwnUpdateConnector(
        fields={"Id": "int(6)", "Nm": "string(10)", "Am": "decimal(5,2)", "On": "date", "Ok": "boolean", "Tx": "blob"},
        key=["Id"],
        mandatory="Nm",
        element="Root",
        read_as="My_Things",
        objects={"Address": OwnObject(fields={"Ct": "string"}, single=True)},
    )
    async with Simulator(rows=5, updates={"MyThing": own}) as simulator:
        metainfo = (await send(simulator, "GET", "metainfo/update/MyThing")).json
        assert (metainfo["id"], metainfo["name"]) == ("MyThing", "Root")
        assert metainfo["fields"][2] == field(
            "Am", "decimal", 5, label="Am", decimals=2, controlType=5, mandatory=False
        )
        assert [each["fieldId"] for each in metainfo["fields"] if each["primaryKey"]] == ["Id"]
        assert [each["fieldId"] for each in metainfo["fields"] if each["mandatory"]] == ["Nm"]
        assert [each["name"] for each in metainfo["objects"]] == ["Address"]
        assert await write(simulator, "POST", {"Nm": "a", "Ok": True}, "MyThing", "Root", Address=line(Ct="x")) == {
            "Root": {"Id": "1"}
        }
        await write(simulator, "PUT", {"Id": 1}, "MyThing", "Root", Address=line(Ct="y"))
        await write(simulator, "POST", {"Id": 1}, "MyThing/Address", "Root", Address=line(Ct="z"))
        assert rows(simulator, "MyThing_Address", "Id", "Ct") == [(1, "z")]
        assert (await send(simulator, "GET", "connectors/My_Things")).rows == [
            {"Id": 1, "Nm": "a", "Am": None, "On": None, "Ok": True, "Tx": None}
        ]


@pytest.mark.parametrize("key", ["", "Id"])
async def test_without_keys_in_answers(key: str) -> None:
    """A response has no body if there is no key, or if you say so."""
    own = OwnUpdateConnector(fields={"Id": "int", "Nm": "string"}, key=[key] if key else [], returns_key=False)
    async with Simulator(rows=5, updates={"X": own, "Y": OwnUpdateConnector(fields={"Nm": "string"})}) as simulator:
        assert await write(simulator, "POST", {"Nm": "a"}, "X") is None
        assert await write(simulator, "POST", {"Nm": "a"}, "Y") is None
        assert await write(simulator, "PUT", {"Nm": "a"}, "Y") == "Enter a value for 'RecordNo'."


async def test_faults_and_transactions() -> None:
    """Own tables are written in the transactions of the others, and scripted faults meet their writes."""
    async with Simulator(rows=5, updates={"FbSales": SALES}, rules=Rules(one_each=("FbSales",))) as simulator:
        simulator.faults.add(Fault(connector="FbSales", refusal="locked"))
        assert await write(simulator, "POST", ORDER) == "The record is locked by another user."
        bad = [line(ItCd="A"), line(QuUn=1)]
        assert await write(simulator, "POST", ORDER, FbSalesLines=bad) == "Enter a value for 'Label of ItCd'."
        assert simulator.store.execute("SELECT 1 FROM FbSales_FbSalesLines") == []
        assert await write(simulator, "POST", ORDER, FbSalesLines=bad[0]) == {"FbSales": {"OrNu": "2"}}
        two = json.dumps({"FbSales": {"Element": [{"Fields": ORDER}] * 2}}).encode()
        reply = await send(simulator, "POST", "connectors/FbSales", two, {"Accept-Language": "en"})
        assert said(reply) == "Multiple records are not allowed."


async def test_in_place_of_a_sample() -> None:
    """A connector with the name of a sample takes its place, and so does a GetConnector that it is read as."""
    own = OwnUpdateConnector(fields={"Id": "int"}, key="Id", read_as="Profit_Article")
    async with Simulator(rows=5, updates={"knsubject": own}) as simulator:
        assert "KnSubject" not in simulator.store.updates
        assert "FbItemArticle" not in simulator.store.updates
        await write(simulator, "POST", {"Id": 7}, "knsubject")
        assert (await send(simulator, "GET", "connectors/Profit_Article")).rows == [{"Id": 7}]


async def test_a_field_named_as_the_number_of_records() -> None:
    """Records without a key are numbered also where a field of theirs has the name of that number."""
    own = OwnUpdateConnector(fields={"recordno": "string"}, read_as="My_Things")
    async with Simulator(rows=5, updates={"X": own}) as simulator:
        await write(simulator, "POST", {"recordno": "mine"}, "X")
        assert (await send(simulator, "GET", "connectors/My_Things")).rows == [{"recordno": "mine", "RecordNo_": 1}]


@pytest.mark.parametrize("number", ["1e99999999999999999999", "1e400", "1e19", "-1e19"])
async def test_numbers_beyond_all_numbers(simulator: Simulator, number: str) -> None:
    """A number that no column holds is refused, however it is written."""
    body = f'{{"FbSales":{{"Element":{{"Fields":{{"DbId":"1","DlCo":{number}}}}}}}}}'.encode()
    assert (await send(simulator, "POST", "connectors/FbSales", body)).status == 500
    assert simulator.written("FbSales") == []


async def test_a_number_in_a_text(simulator: Simulator) -> None:
    """A number with a point that is given for a text is kept with its digits."""
    body = b'{"FbSales":{"Element":{"Fields":{"DbId":1.50,"Ti":0.0000001}}}}'
    await send(simulator, "POST", "connectors/FbSales", body)
    assert rows(simulator, "My_Sales", "DbId", "Ti") == [("1.50", "0.0000001")]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (b"[]", "the metainfo of X is not a JSON object"),
        (b"\xff", "the metainfo of X is not a JSON object"),
        ({"fields": [{"label": "a"}]}, r"the metainfo of X: .*fieldId.*fields\[0\]"),
        ({"fields": {"A": 5}}, r"X: Expected `str`, got `int`"),
        ({"fields": [], "objects": [{"fields": []}]}, "an object in X has no name"),
        ({"fields": [field("A", "int"), field("a", "int")]}, "two fields have the name 'a'"),
        ({"fields": [field('A"', "int")]}, "cannot have a field named"),
        ({"fields": [field("RowID", "int")]}, "cannot have a field named 'RowID'"),
        (OwnUpdateConnector(fields={"A": "number"}), "X: unknown type 'number' of A: use one such as"),
        (OwnUpdateConnector(fields={"A": "int"}, key="B"), "X: `key` or `mandatory` has 'B', which is not in `fields`"),
        (OwnUpdateConnector(fields={"A": "int"}, read_as={"Y": "Z"}), "X: `read_as` names Y, but has no such element"),
        (OwnUpdateConnector(fields={"A": "int"}, single=True), "only an object without a key can be `single`"),
        (OwnUpdateConnector(fields={"A": "int"}, read_as="My_Rows"), "two connectors have the same name"),
    ],
)
def test_what_cannot_be_a_connector(source: Any, message: str) -> None:
    """Faults of a connector of your own are reported when the simulator is made."""
    with pytest.raises(ValueError, match=message):
        Simulator(updates={"X": source}, connectors={"My_Rows": [{"A": 1}]})


def test_names_of_own_connectors() -> None:
    """Their names are those of connectors, and no two are the same."""
    with pytest.raises(ValueError, match="cannot be the name of a connector"):
        Simulator(updates={"a/b": LINES})
    with pytest.raises(ValueError, match="two UpdateConnectors have the same name"):
        Simulator(updates={"A": OwnUpdateConnector(fields={"A": "int"}, read_as="T"), "a": LINES})
