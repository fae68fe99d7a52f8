"""The SQL of a connector's table: its columns, and the JSON text of each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from afas_async.simulator.samples.connectors import Field, FieldType

_COLUMN_TYPES: Final[dict[FieldType, str]] = {
    "string": "TEXT COLLATE NOCASE",
    "int": "INTEGER",
    "decimal": "REAL",
    "boolean": "INTEGER",
    "date": "TEXT",
    "blob": "TEXT COLLATE NOCASE",
}
_MOST_MEMBERS: Final = 50  # in one json_object: a function of SQLite takes 127 arguments at most


def create_table(name: str, fields: Sequence[Field], hidden: Sequence[Field] = ()) -> str:
    """Return the SQL that creates a connector's table.

    An exact decimal has two columns: a number, to sort and compare by, and after all fields a text with its digits as
    given.
    """
    columns = [f'"{field.id}" {_COLUMN_TYPES[field.type]}' for field in fields]
    columns += [f'"{digits_column(field.id)}" TEXT' for field in fields if field.exact]
    columns += [f'"{field.id}" {_COLUMN_TYPES[field.type]}' for field in hidden]
    members = [f"'{field.id}', {_value_json(field)}" for field in fields]
    columns += [f"json TEXT GENERATED ALWAYS AS ({_object_json(members)}) STORED"]
    return f'CREATE TABLE "{name}" ({", ".join(columns)})'


def digits_column(column: str) -> str:
    """Return the name of the column with the digits of an exact decimal."""
    return f"{column}.digits"


def digits(column: str) -> str:
    """Return the SQL for the text of an exact decimal: its digits as given, unless an `execute` changed the number."""
    given = f'"{digits_column(column)}"'
    return f'CASE "{column}" WHEN CAST({given} AS REAL) THEN {given} ELSE CAST("{column}" AS TEXT) END'


def key_order(names: Sequence[str]) -> str:
    """Return the SQL terms that sort rows by their key, or in the order of their arrival if they have no key."""
    return ", ".join(f'"{name}"' for name in names) or "rowid"


def _value_json(field: Field) -> str:
    column = f'"{field.id}"'
    if field.exact:
        return f"json({digits(field.id)})"
    if field.type == "boolean":
        return f"json(CASE {column} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE 'null' END)"
    return column


def _object_json(members: list[str]) -> str:
    parts = [
        f"json_object({', '.join(members[start : start + _MOST_MEMBERS])})"
        for start in range(0, len(members), _MOST_MEMBERS)
    ]
    if len(parts) == 1:
        return parts[0]
    return "'{' || " + " || ',' || ".join(f"substr({part}, 2, length({part}) - 2)" for part in parts) + " || '}'"
