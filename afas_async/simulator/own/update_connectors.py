"""Your own UpdateConnectors, such as `FbSales` with its lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from afas_async.simulator.own.documents import (
    DescribedObject,
    MetainfoSource,
    check_columns,
    convert_document,
    read_document,
)
from afas_async.simulator.samples.connectors import Connector, Field
from afas_async.simulator.samples.update_connectors import (
    Numbering,
    UpdateConnector,
    UpdateField,
    UpdateObject,
    record_number,
)
from afas_async.simulator.storage.tables import Table, check_table_name

_TYPE: Final = re.compile(
    r"(?P<type>string|int|decimal|boolean|date|blob)(?:\((?P<length>[0-9]+)(?:, ?(?P<decimals>[0-9]+))?\))?"
)
_CONTROL_TYPES: Final = {
    "string": 1,
    "int": 5,
    "decimal": 5,
    "boolean": 1,
    "date": 1,
    "blob": 0,
}  # a blob may be a file


class OwnObject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An object within the element of your own UpdateConnector, such as the lines of an order.

        OwnObject(fields={"ItCd": "string(30)", "QuUn": "decimal(9,2)"}, mandatory="ItCd")

    Attributes:
        fields: The type of each field by id: "string", "int", "decimal", "boolean", "date" or "blob". You can add a
            length, as in `string(20)`, and decimals: `decimal(9,2)` has 9 digits before the decimal point.
        key: The fields of its key. If the last one is an int or a string and not mandatory, a new record gets a number
            for it when your element has none. Without a key you can only insert the object, and it is deleted with its
            element.
        mandatory: The fields that a new record must have.
        objects: The objects within it, by name.
        single: Whether an element has one such object at most, such as an address. A new one replaces the old one. It
            has no key.
    """

    fields: Mapping[str, str] = {}
    key: str | Sequence[str] = ()
    mandatory: str | Sequence[str] = ()
    objects: Mapping[str, OwnObject] = {}
    single: bool = False


class _Options(OwnObject, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The options of an UpdateConnector that a JSON file may have beside its metainfo."""

    element: str = ""
    returns_key: bool = True
    read_as: str | Mapping[str, str] = {}


class OwnUpdateConnector(_Options, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Your own UpdateConnector, from metainfo or from a few lines of Python.

        OwnUpdateConnector(
            fields={"OrNu": "string(12)", "DbId": "string(16)", "OrDa": "date"},
            key="OrNu",
            mandatory=["DbId"],
            objects={"FbSalesLines": OwnObject(fields={"ItCd": "string(30)", "QuUn": "decimal(9,2)"})},
            read_as={"FbSales": "My_Sales", "FbSalesLines": "My_Sales_Lines"},
        )

    If no GetConnector reads them, you find its records in a table with its name, and those of an object in
    `FbSales_FbSalesLines`: `simulator.store.execute("SELECT * FROM FbSales")`. The simulator checks only what your
    metainfo says; it does not check, for example, that a customer exists.

    Attributes:
        metainfo: The JSON of `GET metainfo/update/X`, as a dict, as bytes or as the path of a file. It replaces
            the fields, the keys and the name of the element.
        element: The name of the element in requests and responses; by default that of the connector.
        returns_key: Whether responses have the key. Otherwise they have no body, as those of many connectors.
        read_as: The name of a GetConnector with which you read the records, or such names by element and object.
    """

    metainfo: MetainfoSource | None = None


UpdateSource = OwnUpdateConnector | MetainfoSource


@dataclass(frozen=True, slots=True)
class OwnUpdate:
    """An UpdateConnector with the tables that it writes.

    Attributes:
        connector: The connector.
        tables: Its tables without a GetConnector.
        shown: Its tables with a GetConnector.
    """

    connector: UpdateConnector
    tables: Sequence[Table]
    shown: Sequence[Table]


def read_update(name: str, source: UpdateSource) -> OwnUpdate:
    """Create a user's own UpdateConnector.

    Args:
        name: The id of the connector.
        source: Its metainfo, or its description in Python.

    Raises:
        ValueError: The name or the source is wrong; the message says where.
        OSError: The file of its metainfo cannot be read.
    """
    check_table_name(name)
    own = resolved(name, source)
    document = read_document(name, own.metainfo) if own.metainfo is not None else _document(name, own)
    document = {**document, "id": name, "name": document.get("name") or name}
    described = convert_document(name, document, DescribedObject)
    read_as = {described.name: own.read_as} if isinstance(own.read_as, str) else dict(own.read_as)
    tables = _Tables(name, read_as)
    root = tables.element(described, own, ())
    for shown in tables.shown:
        check_table_name(shown.connector.name)
    if read_as:
        raise ValueError(f"{name}: `read_as` names {', '.join(read_as)}, but has no such element")
    numbered = not any(field.primary_key for field in described.fields or ())
    return OwnUpdate(
        UpdateConnector(name, described.description or name, root, own.returns_key and not numbered, document),
        tables.hidden,
        tables.shown,
    )


def resolved(name: str, source: UpdateSource) -> OwnUpdateConnector:
    """Return an UpdateConnector with its metainfo as a dict.

    Raises:
        ValueError: The document is not metainfo.
        OSError: A file cannot be read.
    """
    if isinstance(source, OwnUpdateConnector):
        if source.metainfo is None:
            return source
        return msgspec.structs.replace(source, metainfo=read_document(name, source.metainfo))
    document = read_document(name, source)
    if "metainfo" not in document and not isinstance(document.get("fields"), Mapping):
        return OwnUpdateConnector(metainfo=document)
    metainfo: Mapping[str, Any] | None = document.pop("metainfo", None)
    try:  # the document is an OwnUpdateConnector in JSON
        options = msgspec.convert(document, _Options)
    except msgspec.ValidationError as error:
        raise ValueError(f"{name}: {error}") from None
    return OwnUpdateConnector(metainfo=metainfo, **{each: getattr(options, each) for each in options.__struct_fields__})


class _Tables:
    """Collects the tables of a connector while they are created."""

    def __init__(self, connector: str, read_as: dict[str, str]) -> None:
        self.hidden: list[Table] = []
        self.shown: list[Table] = []
        self._connector = connector
        self._read_as = read_as

    def element(
        self, described: DescribedObject, own: OwnObject, above: Sequence[Field], place: str = ""
    ) -> UpdateObject:
        """Create an element and the objects within it.

        Args:
            described: Its metainfo.
            own: Its options.
            above: The columns with the key of the element around it.
            place: The names of the elements around it.
        """
        name = f"{place}_{described.name}" if place else self._connector
        if not described.name:
            raise ValueError(f"{self._connector}: an object in {place} has no name")
        fields = {field.id: field for field in _fields(described, above, single=own.single)}
        outer = {column.id for column in above}
        key = [
            fields[field.field_id]
            for field in described.fields or ()
            if field.primary_key and fields[field.field_id].column.id not in outer
        ]
        if own.single and (key or not above):
            raise ValueError(f"{name}: only an object without a key can be `single`")
        numbered: Numbering = "never"
        columns = [*above, *(field.column for field in fields.values() if field.column.id not in outer)]
        if not key and not own.single:
            key, numbered = [record_number({column.id for column in columns})], "always"
            columns.append(key[0].column)
        elif key and not key[-1].mandatory and key[-1].column.type in {"int", "string"}:
            numbered = "absent"
        check_columns(name, [column.id for column in columns])
        shown = self._read_as.pop(described.name, None)
        table = shown or name
        key_columns = (*above, *(field.column for field in key))
        connector = Connector(table, table, tuple(column.id for column in key_columns), tuple(columns))
        (self.hidden if shown is None else self.shown).append(Table(connector, []))
        objects = {
            inner.name: self.element(inner, own.objects.get(inner.name, OwnObject()), key_columns, name)
            for inner in described.objects or ()
        }
        return UpdateObject(
            described.name, table, tuple(key), fields, objects, numbered, single=own.single, stamped=False
        )


def _fields(described: DescribedObject, above: Sequence[Field], *, single: bool) -> Iterator[UpdateField]:
    """The fields of an element.

    A field of its key may be a field of the key around it: they share a column. Any other field with such a name has a
    column of its own. If all fields of the key are in the key around it, the last one also has its own column, such as
    `SeNo` in lines within lines. Otherwise such lines would all have the same key.
    """
    outer = {column.id.lower(): column for column in above}
    key = [field.field_id.lower() for field in described.fields or () if field.primary_key]
    own = key[-1] if key and outer.keys() >= set(key) and not single else ""
    for field in described.fields or ():
        name, around = field.field_id, outer.get(field.field_id.lower())
        if around is not None and field.primary_key and name.lower() != own:
            column, demanded = around, False
        else:
            column = field.column(name, "" if around is None else f"{described.name}_{name}", exact=True)
            demanded = bool(field.mandatory)
        codes = {code.id: code.description or "" for code in field.values or ()}
        yield UpdateField(name, column, demanded, codes, None, not_zero=bool(field.not_zero))


def _document(name: str, own: OwnUpdateConnector) -> dict[str, Any]:
    """Return the metainfo of a connector that is described in Python."""
    return {"id": name, "name": own.element or name, "description": name, **_described(name, own)}


def _described(name: str, own: OwnObject) -> dict[str, Any]:
    key, mandatory = _names(own.key), _names(own.mandatory)
    for unknown in {*key, *mandatory}.difference(own.fields):
        raise ValueError(f"{name}: `key` or `mandatory` has {unknown!r}, which is not in `fields`")
    return {
        "fields": [
            _field(name, field, kind, primary=field in key, mandatory=field in mandatory)
            for field, kind in own.fields.items()
        ],
        "objects": [{"name": inner, **_described(inner, each)} for inner, each in own.objects.items()] or None,
    }


def _field(name: str, field: str, kind: str, *, primary: bool, mandatory: bool) -> dict[str, Any]:
    found = _TYPE.fullmatch(kind)
    if found is None:
        raise ValueError(f"{name}: unknown type {kind!r} of {field}: use one such as string(20), int or decimal(9,2)")
    return {
        "fieldId": field,
        "primaryKey": primary,
        "dataType": found["type"],
        "label": field,
        "mandatory": mandatory,
        "length": int(found["length"] or 0),
        "decimals": int(found["decimals"] or 0),
        "decimalFieldId": "",
        "notzero": False,
        "controlType": _CONTROL_TYPES[found["type"]],
        "values": None,
    }


def _names(given: str | Sequence[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)
