"""Metainfo: how the service describes its connectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from afas_async.simulator.samples.connectors import Connector
from afas_async.simulator.samples.update_connectors import UPDATES, UpdateConnector, UpdateField, UpdateObject


def _codes(kind: UpdateObject) -> Iterator[tuple[tuple[str, str], Mapping[str, str]]]:
    yield from (((kind.table, field.column.id), field.codes) for field in kind.fields.values() if field.codes)
    for inner in kind.objects.values():
        yield from _codes(inner)


# A field with a code list has its values in the metainfo of the GetConnector too (docs.afas.help, "GetConnector").
_CODES: Final = {place: codes for update in UPDATES for place, codes in _codes(update.root)}


def describe(connector: Connector) -> dict[str, Any]:
    """Return the metainfo of a GetConnector."""
    if connector.document is not None:
        return {**connector.document, "name": connector.name}
    return {
        "name": connector.name,
        "description": connector.description,
        "fields": [
            {
                "id": field.id,
                "fieldId": f"U{number:03}",
                "dataType": field.type,
                "label": field.label,
                "length": field.length,
                "controlType": field.control_type,
                "decimals": field.decimals,
                "decimalsFieldId": "",
            }
            | _values(_CODES.get((connector.name, field.id), {}))
            for number, field in enumerate(connector.fields, 1)
        ],
    }


def describe_update(connector: UpdateConnector) -> dict[str, Any]:
    """Return the metainfo of an UpdateConnector, with its objects."""
    if connector.document is not None:
        return dict(connector.document)
    head = {"id": connector.name, "name": connector.root.name, "description": connector.description}
    return head | _describe_element(connector.root)


def _describe_element(kind: UpdateObject) -> dict[str, Any]:
    return {
        "fields": [_describe_field(field, primary=field in kind.key) for field in kind.fields.values()],
        "objects": [{"name": inner.name} | _describe_element(inner) for inner in kind.objects.values()] or None,
    }


def _describe_field(field: UpdateField, *, primary: bool) -> dict[str, Any]:
    return {
        "fieldId": field.id,
        "primaryKey": primary,
        "dataType": field.column.type,
        "label": field.column.label,
        "mandatory": field.mandatory,
        "length": field.column.length,
        "decimals": field.column.decimals,
        "decimalFieldId": "",
        "notzero": False,
        "controlType": field.column.control_type,
        "values": None,
    } | _values(field.codes)


def _values(codes: Mapping[str, str]) -> dict[str, Any]:
    return {"values": [{"id": code, "description": text} for code, text in codes.items()]} if codes else {}
