"""Whether a row type fits the metainfo of its connector."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

from msgspec import inspect

from afas_async.vocabulary.connectors import kinds_of
from afas_async.vocabulary.metainfo import GetMetainfo, MetainfoField

# Which types msgspec decodes from the JSON of each data type; a code may be an enum or a literal. For an unknown data
# type, every type fits.
_FITTING: Final[Mapping[str, tuple[type[inspect.Type], ...]]] = {
    "string": (inspect.StrType,),
    "int": (inspect.IntType, inspect.FloatType, inspect.DecimalType),
    "decimal": (inspect.DecimalType, inspect.FloatType),
    "boolean": (inspect.BoolType,),
    "date": (inspect.DateTimeType, inspect.DateType, inspect.StrType),
    "blob": (inspect.StrType, inspect.BytesType),
}
_ANY: Final = (inspect.AnyType, inspect.RawType, inspect.EnumType, inspect.LiteralType, inspect.CustomType)
_ADVICE: Final = {
    "string": "str",
    "int": "int",
    "decimal": "Decimal",
    "boolean": "bool",
    "date": "datetime or date",
    "blob": "str or bytes",
}


def misfits(members: Mapping[str, inspect.Type], key: tuple[str, ...], described: GetMetainfo) -> list[str]:
    """Return how the fields of a row type and of a key differ from those of a connector, one sentence each.

    Args:
        members: The fields of the row type, by the service's names; empty if it is not a Struct.
        key: The fields of the key.
        described: The metainfo of the connector.
    """
    known = {field.id: field for field in described.fields}
    wanted = dict.fromkeys([*members, *key])
    found = [_absence(name, known) for name in wanted if name not in known]
    found += [fault for name, kind in members.items() if name in known and (fault := _misfit(known[name], kind))]
    return found


def _absence(name: str, known: Mapping[str, MetainfoField]) -> str:
    near = get_close_matches(name, known)
    return f"it has no field {name!r}" + (f": did you mean {' or '.join(map(repr, near))}?" if near else "")


def _misfit(field: MetainfoField, described: inspect.Type) -> str | None:
    fitting = _FITTING.get(field.data_type)
    if fitting is None or any(isinstance(kind, (*fitting, *_ANY)) for kind in kinds_of(described)):
        return None
    return f"{field.id!r} is of type {field.data_type}: declare it as {_ADVICE[field.data_type]}"
