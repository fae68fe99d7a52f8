"""The Arrow schema of a connector, from metainfo or from a Struct row type."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyarrow's stubs do not type the values of arrays.

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

import pyarrow as pa
from msgspec import inspect

from afas_async.errors import UnknownFieldError, UsageError
from afas_async.vocabulary.arguments import check_type, type_name
from afas_async.vocabulary.connectors import kinds_of
from afas_async.vocabulary.metainfo import GetMetainfo, MetainfoField

# Wall time in Amsterdam: the `Z` is false (AFAS, GET connector: date and time). The service shows whole seconds.
MOMENT: Final = pa.timestamp("s")

_LEAST_DIGITS: Final = 18  # DuckDB and most databases store so many in eight bytes
_MOST_DIGITS: Final = 38
_OPEN_SCALE: Final = 10  # if the number of decimals differs from row to row


def columns_of(meta: GetMetainfo) -> list[pa.Field[Any]]:
    """Return a column for each field in metainfo.

    | Field | Column |
    |---|---|
    | string, blob, unknown | `string` |
    | int | `int64` |
    | boolean | `bool` |
    | date, with or without a time | `timestamp("s")` without a zone |
    | decimal | `decimal128` with its decimals, or with ten if another field holds their number |

    The metadata of a column has the field's label, type and length.
    """
    return [pa.field(field.id, _type_of(field), metadata=_metadata(field)) for field in meta.fields]


def _type_of(field: MetainfoField) -> pa.DataType:
    match field.data_type:
        case "int":
            return pa.int64()
        case "boolean":
            return pa.bool_()
        case "date":
            return MOMENT
        case "decimal":
            scale = _OPEN_SCALE if field.decimals_field else field.decimals
            return pa.decimal128(min(max(_LEAST_DIGITS, field.length + scale), _MOST_DIGITS), scale)
        case _:  # string, blob, and types that are unknown today
            return pa.string()


def _metadata(field: MetainfoField) -> dict[str, str]:
    return {"afas.label": field.label, "afas.type": field.data_type, "afas.length": str(field.length)}


def columns_of_struct(members: Mapping[str, inspect.Type]) -> list[pa.Field[Any]]:
    """Return a column for each member of a Struct row type, for a token that may not see metainfo.

    A `Decimal` gets ten decimals, because a Struct does not define their number. Any other type is read as text.
    """
    return [pa.field(name, _type_of_member(described)) for name, described in members.items()]


def _type_of_member(described: inspect.Type) -> pa.DataType:
    for kind in kinds_of(described):
        match kind:
            case inspect.BoolType():
                return pa.bool_()
            case inspect.IntType():
                return pa.int64()
            case inspect.FloatType():
                return pa.float64()
            case inspect.DecimalType():
                return pa.decimal128(_MOST_DIGITS, _OPEN_SCALE)
            case inspect.DateTimeType():
                return MOMENT
            case inspect.DateType():
                return pa.date32()
            case _:
                pass
    return pa.string()


def read_schema(
    columns: Sequence[pa.Field[Any]],
    *,
    connector: str,
    key: tuple[str, ...],
    types: Mapping[str, pa.DataType] | None,
    select: Iterable[str] | None,
) -> pa.Schema:
    """Return the schema of a read: the selected columns in their order, with the user's types.

    Args:
        columns: All columns of the connector.
        connector: Its name. The schema's metadata has it as `afas.connector`, and the key as `afas.key`.
        key: The fields of its key. Their columns are not nullable.
        types: Types that replace those of the columns, by field id.
        select: The field ids to keep; None for all.

    Raises:
        UnknownFieldError: If an argument names a field that the connector does not have.
        UsageError: If a type is not supported, or an argument has the wrong type.
    """
    known = {column.name: column for column in columns}
    wanted = dict.fromkeys(known if select is None else _selected(select, connector))
    check_type("types", types, Mapping | None, 'a mapping such as {"EntryDate": pa.date32()}', connector=connector)
    replaced = dict(types or {})
    for argument, names in (("key", key), ("select", wanted), ("types", replaced)):
        for name in names:
            if name not in known:
                raise _unknown(connector, argument, name, known)
    for name, kind in replaced.items():
        _check_wanted(connector, name, kind)
    fields = [typed(known[name], replaced).with_nullable(name not in key) for name in wanted]
    return pa.schema(fields, metadata={"afas.connector": connector, "afas.key": ",".join(key)})


def typed(column: pa.Field[Any], types: Mapping[str, pa.DataType]) -> pa.Field[Any]:
    """Return a column with the user's type, if there is one."""
    return column.with_type(types[column.name]) if column.name in types else column


def _selected(select: object, connector: str) -> list[str]:
    if isinstance(select, str) or not isinstance(select, Iterable):
        raise UsageError(f'{connector}: select: expected field ids such as ["Id", "Name"], got {type_name(select)}')
    names: list[Any] = list(select)
    if not names:
        raise UsageError(
            f"{connector}: select: expected at least one field id, got an empty list: omit select= for all columns"
        )
    for name in names:
        check_type("select", name, str, "field ids", connector=connector)
    return names


def _unknown(connector: str, argument: str, name: str, known: Mapping[str, object]) -> UnknownFieldError:
    folded = {other.casefold(): other for other in known}
    near = [folded[found] for found in get_close_matches(name.casefold(), folded)]
    hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(known)}"
    return UnknownFieldError(f"{connector}: {argument}: there is no field {name!r}: {hint}")


def _check_wanted(connector: str, name: str, kind: object) -> None:
    tests = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_boolean,
        pa.types.is_integer,
        pa.types.is_float32,
        pa.types.is_float64,
        pa.types.is_decimal128,
        pa.types.is_timestamp,
        pa.types.is_date32,
    )
    if not isinstance(kind, pa.DataType) or not any(test(kind) for test in tests):
        raise UsageError(
            f"{connector}: types: {name}: expected the Arrow type of a text, number, decimal128, bool, timestamp or"
            f" date32, got {kind if isinstance(kind, pa.DataType) else type_name(kind)}"
        )
    if isinstance(kind, pa.TimestampType) and kind.tz is not None:
        raise UsageError(
            f"{connector}: types: {name}: moments are wall time in Amsterdam, without a zone: use pa.timestamp('s')."
            " Then add the zone with pyarrow.compute.assume_timezone, which lets you decide about the hour that October"
            " repeats"
        )
