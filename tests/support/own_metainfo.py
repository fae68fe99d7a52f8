"""Metainfo of an environment's own, with what customers have in it: nulls, free fields, code lists, lines in lines."""

from __future__ import annotations

from typing import Any

FREE = "U0123456789ABCDEF0123456789ABCDEF"


def field(name: str, kind: str, length: int | None = 0, **others: Any) -> dict[str, Any]:
    """Describe a field of an UpdateConnector as the service does."""
    return {
        "fieldId": name,
        "primaryKey": False,
        "dataType": kind,
        "label": f"Label of {name}",
        "mandatory": False,
        "length": length,
        "decimals": 0,
        "decimalFieldId": "",
        "notzero": False,
        "controlType": 1,
        "values": None,
    } | others


SERIALS = {
    "name": "FbSerial",
    "fields": [
        field("OrNu", "string", 12, primaryKey=True, mandatory=True),
        field("GuLi", "int", 9, primaryKey=True, mandatory=True),
        field("SeNo", "string", 20, primaryKey=True, mandatory=True),
    ],
    "objects": None,
}
LINES = {
    "name": "FbSalesLines",
    "fields": [
        field("GuLi", "int", 9, primaryKey=True),
        field("ItCd", "string", 30, mandatory=True),
        field("QuUn", "decimal", 9, decimals=3),
        field("Upri", "decimal", 9, decimals=0, decimalFieldId="QuDe"),
        field("DbId", "string", 4),
        field(FREE, "boolean", None),
    ],
    "objects": [SERIALS],
}
NOTES = {"name": "FbNotes", "fields": [field("Tx", "blob", None), field("OrNu", "string", 4)], "objects": None}
SALES = {
    "id": "FbSales",
    "name": "FbSales",
    "description": "Verkooporder",
    "fields": [
        field("OrNu", "string", 12, primaryKey=True),
        field("DbId", "string", 16, mandatory=True),
        field("OrDa", "date", 10),
        field("DlCo", "int", 2, values=[{"id": "1", "description": "Post"}, {"id": "2", "description": None}]),
        field("Re", "blob", 0, controlType=23),
        field("Ti", "time", None),
    ],
    "objects": [LINES, NOTES],
}

ORDERS = {
    "name": "Verkooporders",
    "description": "Verkooporders",
    "fields": [
        {"id": "Order-nummer", "fieldId": "U001", "dataType": "string", "label": "Ordernummer", "length": 12},
        {"id": "Bedrag", "fieldId": "U002", "dataType": "decimal", "label": "Bedrag", "length": 12, "decimals": 2},
        {"id": "Aantal", "fieldId": "U003", "dataType": "int", "label": "Aantal", "length": None, "controlType": 5},
        {"id": "Datum", "fieldId": "U004", "dataType": "date", "label": "Orderdatum", "length": 10},
        {"id": "Klaar", "fieldId": "U005", "dataType": "boolean", "label": None, "length": 1},
        {"id": "A_Toev_Huisnr.", "fieldId": "U006", "dataType": "string", "label": "Toevoeging", "length": 10},
    ],
}
