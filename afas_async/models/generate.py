"""Typed models out of metainfo: a `msgspec.Struct` for each connector, as Python source or at run time.

A code that the service adds later must not break a read: it becomes one more member of its enum, equal to its value
(`Codes`, `NumericCodes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum, IntEnum, StrEnum
from types import UnionType
from typing import Any, Final, Self, TypeAlias, TypeVar, Union, cast

import msgspec
from msgspec import UNSET, UnsetType

from afas_async.errors import UsageError
from afas_async.models.shapes import Attribute, CodesShape, Names, StructShape, constant_name, element_shape, row_shape
from afas_async.vocabulary.connectors import GetConnector, UpdateConnector
from afas_async.vocabulary.metainfo import GetMetainfo, UpdateMetainfo
from afas_async.vocabulary.names import connector_name

KeyFields: TypeAlias = str | tuple[str, ...]
EnumT = TypeVar("EnumT", bound=Enum)

# What a module of models may import: groups of modules with their names, in the order of its lines.
_IMPORTS: Final = (
    {"datetime": ("date", "datetime"), "decimal": ("Decimal",), "typing": ("Any",)},
    {"msgspec": ("UNSET", "Struct", "UnsetType", "field")},
    {
        "afas_async": ("GetConnector", "UpdateConnector"),
        "afas_async.models": ("Codes", "NumericCodes"),
    },
)
_TAKEN: Final = frozenset(
    {name for group in _IMPORTS for names in group.values() for name in names} | {"False", "None", "True"}
)
# What an attribute may be besides its type: that type, and how it and its value are written.
_ABSENT: Final[Mapping[Any, tuple[Any, str, str]]] = {
    None: (None, "None", "None"),
    UNSET: (UnsetType, "UnsetType", "UNSET"),
}
_HEADER: Final = """\
\"""Connectors of AFAS Profit, as their metainfo describes them.

Made by `python -m afas_async models`: make it again rather than change it. Moments are wall time in Amsterdam, without
a time zone. A code that the service has added since is a member of its enum that has no name here.
\"""

# fmt: off
# ruff: noqa: E501
"""


class Codes(StrEnum):
    """Base of an enum of codes that are texts; a code without a member is made one when it is met."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return _member(str.__new__(cls, value), value) if isinstance(value, str) else None


class NumericCodes(IntEnum):
    """Base of an enum of codes that are whole numbers; a code without a member is made one when it is met."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return _member(int.__new__(cls, value), value) if isinstance(value, int) else None


def _member(member: EnumT, value: str | int) -> EnumT:
    """Return a value as a member of its enum that has no name of its own."""
    member._name_, member._value_ = str(value), value
    return member


def source(metas: Iterable[GetMetainfo | UpdateMetainfo], *, keys: Mapping[str, KeyFields] | None = None) -> str:
    """Return a Python module with a struct for each connector, and the connector itself as a constant.

    The same metainfo gives the same text, whatever the order in which it comes. Attributes are the ids in snake case,
    custom fields (`U` and 32 digits, which differ from environment to environment) their labels. The structs of
    GetConnectors have their fields in the order of the rows, which decodes fastest; all may be None but those of a
    declared key. Those of UpdateConnectors are records to give to `insert` or `load`: what stays `UNSET` is not sent.
    To clear a field that is no text, give a dict or an `Element` with an empty str.

    Args:
        metas: What the service tells about the connectors; `afas.all_metainfo` fetches it.
        keys: By connector the field or fields of its key, which metainfo does not tell. Without one a connector cannot
            be streamed: `python -m afas_async inspect` proposes some.

    Raises:
        InvalidNameError: If a connector has no name that may enter a URL.
        UnknownFieldError: If a key field is no field of its connector.
        UsageError: If a key is that of no connector in `metas`, or a field in it is neither text nor a whole number.

    Source:
        AFAS, REST API for developers: metainfo; GET connector: types of values.

    Example:
        >>> async def main():
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         metas = await afas.all_metainfo(["Profit_Article", "KnSubject"])
        ...         return models.source(metas, keys={"Profit_Article": "ItemCode"})
        >>> [line for line in asyncio.run(main()).splitlines() if " = GetConnector(" in line]
        ['ARTICLE = GetConnector("Profit_Article", Article, key="ItemCode")']
    """
    by_name = {(isinstance(meta, UpdateMetainfo), _name(meta)): meta for meta in metas}
    declared = {name: (key,) if isinstance(key, str) else key for name, key in (keys or {}).items()}
    if unknown := declared.keys() - {name for updates, name in by_name if not updates}:
        raise UsageError(f"there is a key, but no metainfo of {' and '.join(sorted(unknown))}")
    names = Names(_TAKEN)
    blocks, used = list[str](), set[str]()
    for (_, name), meta in sorted(by_name.items()):
        key = declared.get(name, ())
        shape = _shape(meta, names, key)
        for part in shape.parts():
            blocks.append(_codes_source(part) if isinstance(part, CodesShape) else _struct_source(part))
            used |= _used(part)
        used.add("UpdateConnector" if isinstance(meta, UpdateMetainfo) else "GetConnector")
        blocks.append(f"{names.new(constant_name(name))} = {_connector_source(meta, shape.name, key)}\n")
    return "\n\n".join([_HEADER + _imports_source(used), *blocks])


def define(meta: GetMetainfo | UpdateMetainfo, *, key: KeyFields = ()) -> type[msgspec.Struct]:
    """Return the struct for a connector, equal to the one in `source`, without writing a module.

    What a module can and this cannot: rows that are pickled, and an editor that knows their attributes.

    Args:
        meta: What the service tells about the connector.
        key: The fields of its key, which are never None.

    Raises:
        UsageError: As for `source`.

    Example:
        >>> async def main():
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         article = models.define(await afas.get_metainfo("Profit_Article"), key="ItemCode")
        ...         return await afas.rows(GetConnector("Profit_Article", article, key="ItemCode")).first()
        >>> asyncio.run(main()).created_on
        datetime.datetime(2017, 11, 29, 16, 42, 51)
    """
    return _struct(_shape(meta, Names(_TAKEN), (key,) if isinstance(key, str) else key))


def _name(meta: GetMetainfo | UpdateMetainfo) -> str:
    return connector_name(meta.id or meta.name if isinstance(meta, UpdateMetainfo) else meta.name)


def _shape(meta: GetMetainfo | UpdateMetainfo, names: Names, key: tuple[str, ...]) -> StructShape:
    if isinstance(meta, UpdateMetainfo):
        return element_shape(meta, names)
    shape = row_shape(meta, names, key)
    GetConnector(meta.name, _struct(shape), key=key)  # which tells what is wrong with the key
    return shape


# --- at run time ---


def _struct(shape: StructShape) -> type[msgspec.Struct]:
    namespace = {"__doc__": shape.doc}
    members = [
        (attribute.name, _type(attribute), msgspec.field(name=attribute.id, default=attribute.default))
        for attribute in shape.attributes
    ]
    return msgspec.defstruct(shape.name, members, namespace=namespace, module=__name__, frozen=True, kw_only=True)


def _type(attribute: Attribute) -> Any:
    kind = attribute.kind
    if isinstance(kind, StructShape):
        struct: Any = _struct(kind)
        kind = struct | list[struct]
    elif isinstance(kind, CodesShape):
        kind = _codes(kind)
    absent = _ABSENT.get(attribute.default)
    return Union[kind, absent[0]] if absent else kind  # noqa: UP007 - it is made, not written


def _codes(shape: CodesShape) -> type[Enum]:
    base: Any = NumericCodes if shape.numeric else Codes
    made = base(shape.name, dict(shape.members))
    made.__doc__ = shape.doc
    return cast("type[Enum]", made)


# --- as source ---


def _struct_source(shape: StructShape) -> str:
    lines = [f"class {shape.name}(Struct, frozen=True, kw_only=True):", f"    {_docstring(shape.doc)}", ""]
    for attribute in shape.attributes:
        absent = _ABSENT.get(attribute.default)
        value = f"field(name={_quoted(attribute.id)}{f', default={absent[2]}' if absent else ''})"
        lines += [f"    {attribute.name}: {_type_source(attribute)} = {value}", f"    {_docstring(attribute.doc)}"]
    return "\n".join(lines).rstrip() + "\n"


def _type_source(attribute: Attribute) -> str:
    kind, absent = attribute.kind, _ABSENT.get(attribute.default)
    text = kind.__name__ if isinstance(kind, type) else str(kind) if isinstance(kind, UnionType) else kind.name
    if isinstance(kind, StructShape):
        text += f" | list[{text}]"
    return f"{text} | {absent[1]}" if absent else text


def _codes_source(shape: CodesShape) -> str:
    head = f"class {shape.name}({'NumericCodes' if shape.numeric else 'Codes'}):\n    {_docstring(shape.doc)}\n\n"
    return head + "".join(f"    {name} = {_value_source(code)}\n" for name, code in shape.members.items())


def _value_source(code: str | int) -> str:
    return _quoted(code) if isinstance(code, str) else str(code)


def _connector_source(meta: GetMetainfo | UpdateMetainfo, struct: str, key: tuple[str, ...]) -> str:
    if isinstance(meta, UpdateMetainfo):
        name = _name(meta)
        root = f", root={_quoted(meta.name)}" if meta.name not in {"", UpdateConnector(name).element_name} else ""
        return f"UpdateConnector({_quoted(name)}{root})"
    if not key:
        return f"GetConnector({_quoted(meta.name)}, {struct})  # python -m afas_async inspect proposes a key"
    fields = ", ".join(map(_quoted, key))
    return f"GetConnector({_quoted(meta.name)}, {struct}, key={fields if len(key) == 1 else f'({fields})'})"


def _used(part: CodesShape | StructShape) -> set[str]:
    """The names that the source of a class refers to."""
    if isinstance(part, CodesShape):
        return {"NumericCodes" if part.numeric else "Codes"}
    used = {"Struct"}
    for attribute in part.attributes:
        used.add("field")
        if isinstance(attribute.kind, type):
            used.add(attribute.kind.__name__)
        if attribute.default is UNSET:
            used |= {"UNSET", "UnsetType"}
    return used


def _imports_source(used: set[str]) -> str:
    text = ""
    for group in _IMPORTS:
        lines = [
            f"from {module} import {', '.join(found)}\n"
            for module, names in group.items()
            if (found := [name for name in names if name in used])
        ]
        text += "".join(["\n", *lines]) if lines else ""
    return text


def _docstring(text: str) -> str:
    return f'"""{text.replace(chr(92), chr(92) * 2).replace(chr(34), chr(92) + chr(34))}"""'


def _quoted(text: str) -> str:
    """Return a text as a string literal of ASCII characters, of which none can end it or turn what follows around."""
    return '"' + text.encode("unicode_escape").decode().replace('"', '\\"') + '"'
