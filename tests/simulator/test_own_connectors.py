"""GetConnectors of your own with the fields of metainfo, and CSV as a Dutch Excel saves it."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from afas_async.simulator import OwnGetConnector, Simulator
from tests.simulator.conftest import Client
from tests.support.own_metainfo import ORDERS

EXCEL = """\
Order-nummer;Bedrag;Aantal;Datum;Klaar;A_Toev_Huisnr.\r
007;1.234,50;3;31-1-2024;WAAR;caf\u00e9 \u20ac\r
008;-0,5;;1-12-2023 9:30;ONWAAR;\r
"""
MOMENT = datetime.fromisoformat("2024-01-31T09:30")
SERVED = [
    {
        "Order-nummer": "007",
        "Bedrag": Decimal("1234.50"),
        "Aantal": 3,
        "Datum": "2024-01-31T00:00:00Z",
        "Klaar": True,
        "A_Toev_Huisnr.": "caf\u00e9 \u20ac",
    },
    {
        "Order-nummer": "008",
        "Bedrag": Decimal("-0.5"),
        "Aantal": None,
        "Datum": "2023-12-01T09:30:00Z",
        "Klaar": False,
        "A_Toev_Huisnr.": None,
    },
]


async def served(client: Client, source: Any, **query: Any) -> Any:
    async with Simulator(rows=5, connectors={"My_Orders": source}) as simulator:
        reply = await client.get(simulator, "/connectors/My_Orders", **query)
        return json.loads(reply.body, parse_float=Decimal)["rows"]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-8-sig"])
async def test_csv_of_a_dutch_excel(client: Client, tmp_path: Path, encoding: str) -> None:
    """Metainfo gives the types of a Dutch Excel's texts: numbers with commas, days first, and WAAR."""
    path = tmp_path / "orders.csv"
    path.write_bytes(EXCEL.encode(encoding))
    assert await served(client, OwnGetConnector(ORDERS, path), orderbyfieldids="Order-nummer") == SERVED


async def test_csv_of_a_dutch_excel_without_metainfo(client: Client, tmp_path: Path) -> None:
    """Without metainfo a number with a comma and a day that comes first are texts."""
    path = tmp_path / "orders.csv"
    path.write_bytes(EXCEL.replace("_Huisnr.", "").encode("cp1252"))
    row = (await served(client, path, orderbyfieldids="Order-nummer"))[0]
    assert (row["Bedrag"], row["Datum"], row["A_Toev"]) == ("1.234,50", "31-1-2024", "caf\u00e9 \u20ac")


async def test_fields_are_those_of_metainfo(client: Client) -> None:
    """Types, lengths, labels and ids are the customer's, also if the rows look different or there are no rows."""
    rows = [{"Order-nummer": 7, "Bedrag": 12, "Datum": date(2024, 1, 31), "Klaar": 1}]
    connectors = {"My_Orders": OwnGetConnector(json.dumps(ORDERS).encode(), rows), "My_Empty": OwnGetConnector(ORDERS)}
    async with Simulator(rows=5, connectors=connectors) as simulator:
        for name in connectors:
            metainfo = (await client.get(simulator, f"/metainfo/get/{name}")).json
            assert metainfo == ORDERS | {"name": name}
        (row,) = (await client.get(simulator, "/connectors/My_Orders")).rows
        assert row == {
            "Order-nummer": "7",
            "Bedrag": 12,
            "Aantal": None,
            "Datum": "2024-01-31T00:00:00Z",
            "Klaar": True,
            "A_Toev_Huisnr.": None,
        }
        assert (await client.get(simulator, "/connectors/My_Empty")).rows == []
        for name, count in (("My_Orders", 1), ("My_Empty", 0)):
            filters = {"filterfieldids": "Bedrag", "filtervalues": "11.5", "operatortypes": "2"}
            assert len((await client.get(simulator, f"/connectors/{name}", **filters)).rows) == count


@pytest.mark.parametrize(
    "query",
    [
        {"orderbyfieldids": "-A_Toev_Huisnr."},
        {"filterfieldids": "A_Toev_Huisnr.", "filtervalues": "bis", "operatortypes": "1"},
    ],
)
async def test_ids_with_a_dot(client: Client, query: dict[str, str]) -> None:
    """As in Profit, rows have a field with a dot in its id, but it neither filters nor sorts."""
    own = OwnGetConnector(ORDERS, [{"A_Toev_Huisnr.": "bis"}])
    async with Simulator(rows=5, connectors={"My_Orders": own}) as simulator:
        assert (await client.get(simulator, "/connectors/My_Orders")).rows[0]["A_Toev_Huisnr."] == "bis"
        reply = await client.get(simulator, "/connectors/My_Orders", **query)
        assert (reply.status, reply.json["externalMessage"]) == (500, "Connectorveld 'A_Toev_Huisnr.' niet gevonden")


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("Order-nummer", True, "true"),
        ("Order-nummer", Decimal("1.50"), "1.50"),
        ("Order-nummer", MOMENT, "2024-01-31T09:30:00Z"),
        ("Bedrag", "1e2", Decimal(100)),
        ("Bedrag", 0.1, Decimal("0.1")),
        ("Bedrag", "12345678901234567890.12", Decimal("12345678901234567890.12")),
        ("Aantal", " 12 ", 12),
        ("Datum", "2024-01-31 09:30", "2024-01-31T09:30:00Z"),
        ("Datum", MOMENT, "2024-01-31T09:30:00Z"),
        ("Klaar", "false", False),
    ],
)
async def test_values(client: Client, field: str, value: Any, shown: Any) -> None:
    """A text is served as the value that it spells."""
    assert (await served(client, OwnGetConnector(ORDERS, [{field: value}])))[0][field] == shown


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"Bedrag": "12,5,0"}, "the rows of X, row 1: Bedrag is '12,5,0', which is not a value of its type"),
        ({"Bedrag": True}, "Bedrag is True"),
        ({"Bedrag": float("nan")}, "Bedrag is nan"),
        ({"Aantal": "1.5"}, "Aantal is '1.5'"),
        ({"Aantal": 2**63}, "Aantal is 9223372036854775808"),
        ({"Datum": "31-2-2024"}, "Datum is '31-2-2024'"),
        ({"Datum": 5}, "Datum is 5"),
        ({"Datum": datetime.fromisoformat("2024-01-31T00:00+01:00")}, "Datum is datetime"),
        ({"Klaar": "ja"}, "Klaar is 'ja'"),
        ({"Order-nummer": [1]}, r"Order-nummer is \[1\]"),
        ({"Order-nummer": "\ud800"}, "Order-nummer is "),
        ({"Ordernummer": "1"}, "row 1: the metainfo of X has no field 'Ordernummer'"),
    ],
)
def test_rows_that_do_not_fit(row: dict[str, Any], message: str) -> None:
    """The error for a value that does not fit its field names the row."""
    with pytest.raises(ValueError, match=message):
        Simulator(connectors={"X": OwnGetConnector(ORDERS, [row])})


@pytest.mark.parametrize(
    ("metainfo", "message"),
    [
        ({"name": "X"}, "the metainfo of X: .*fields"),
        ({"fields": []}, "the metainfo of X has no fields"),
        ({"fields": [{"id": "a"}, {"id": "A"}]}, "two fields have the name 'A'"),
    ],
)
def test_metainfo_without_fields(metainfo: dict[str, Any], message: str) -> None:
    """Faults of metainfo are reported when the simulator is made."""
    with pytest.raises(ValueError, match=message):
        Simulator(connectors={"X": OwnGetConnector(metainfo)})


def test_header_that_does_not_fit(tmp_path: Path) -> None:
    """The error for a column that metainfo does not have names the line."""
    path = tmp_path / "x.csv"
    path.write_text("Bedrag;Nog iets\n1;2\n")
    with pytest.raises(ValueError, match=r"x.csv, line 1: the metainfo of X has no field 'Nog iets'"):
        Simulator(connectors={"X": OwnGetConnector(ORDERS, path)})
