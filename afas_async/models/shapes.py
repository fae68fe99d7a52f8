"""The parts of a typed model, from the metainfo of its connector: valid and unique names, types, codes, docstrings."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from keyword import iskeyword
from typing import Any, Final

from msgspec import NODEFAULT, UNSET

from afas_async.vocabulary.metainfo import Code, GetMetainfo, MetainfoField, UpdateField, UpdateMetainfo, UpdateObject

_ROW_TYPES: Final = {"string": str, "int": int, "decimal": Decimal, "boolean": bool, "date": datetime, "blob": str}
# A datetime is also a date. A blob is a file, whose bytes are sent in base64, or a text of any length.
_FIELD_TYPES: Final[dict[str, Any]] = _ROW_TYPES | {"date": date, "blob": str | bytes}
_REMARK: Final = 23  # the control type of texts of any length
# Names that the source of a generated class uses. An attribute of that name would hide it from the lines after it.
_HIDING: Final = frozenset({"bool", "bytes", "date", "datetime", "field", "int", "list", "str"})
_CUSTOM: Final = re.compile(r"U[0-9A-Fa-f]{32}")
_UNDECODABLE: Final = re.compile(r'[\x00-\x1f"\\]')  # msgspec refuses members with such a name
_WORDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+")
_WHOLE: Final = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class CodesShape:
    """An enum of codes.

    Attributes:
        name: The name of the class.
        doc: The docstring.
        members: The codes by the names of their members: all str, or all int.
    """

    name: str
    doc: str
    members: Mapping[str, str | int]

    @property
    def numeric(self) -> bool:
        """Whether the codes are whole numbers."""
        return not any(isinstance(code, str) for code in self.members.values())


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of a struct.

    Attributes:
        name: The name in Python.
        id: The name in JSON.
        kind: The type, or the CodesShape or StructShape of the type.
        default: None or UNSET, which the attribute can then also be, or NODEFAULT.
        doc: The docstring.
    """

    name: str
    id: str
    kind: Any
    default: Any
    doc: str


@dataclass(frozen=True, slots=True)
class StructShape:
    """A struct.

    Attributes:
        name: The name of the class.
        doc: The docstring.
        attributes: The attributes, in the order of the metainfo.
    """

    name: str
    doc: str
    attributes: tuple[Attribute, ...]

    def parts(self) -> Iterator[CodesShape | StructShape]:
        """Yield the shapes that this one refers to, each after those that it needs itself, and this one last."""
        for attribute in self.attributes:
            if isinstance(attribute.kind, StructShape):
                yield from attribute.kind.parts()
            elif isinstance(attribute.kind, CodesShape):
                yield attribute.kind
        yield self


class Names:
    """Makes names unique.

    Args:
        taken: Names that are already in use.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def new(self, wanted: str) -> str:
        """Return the name, with a number added if it is taken, and mark the result as taken."""
        name, number = wanted, 2
        while name in self._taken:
            name, number = f"{wanted}_{number}", number + 1
        self._taken.add(name)
        return name


def row_shape(meta: GetMetainfo, names: Names, key: tuple[str, ...]) -> StructShape:
    """Return the shape of the rows of a GetConnector.

    Args:
        meta: The metainfo of the connector.
        names: Makes the names of classes unique.
        key: The key fields. They are never None and never enums, because a read is sorted by them.
    """
    name, doc = names.new(class_name(meta.name)), f"{meta.description or meta.name}: a row of {meta.name}."

    def attribute(field: MetainfoField, own: str) -> Attribute:
        keyed = field.id in key
        kind = _kind(field, _ROW_TYPES, None if keyed else names, f"{name}{_pascal(own)}")
        return Attribute(own, field.id, kind, NODEFAULT if keyed else None, _field_doc(field, "key" * keyed))

    return _shape(name, doc, [(field.id, field, attribute) for field in meta.fields])


def element_shape(meta: UpdateMetainfo | UpdateObject, names: Names, around: str = "") -> StructShape:
    """Return the shape of the elements of an UpdateConnector, or of an object in them.

    Args:
        meta: The metainfo of the connector or object.
        names: Makes the names of classes unique.
        around: The name of the class of the element that contains the object.
    """
    connector, doc = meta.name, f"The object {meta.name} in an element."
    if isinstance(meta, UpdateMetainfo):
        connector = meta.id or meta.name
        doc = f"{meta.description or connector}: an element of {connector}."
    name = names.new(around + class_name(connector))

    def attribute(field: UpdateField, own: str) -> Attribute:
        remark = field.data_type == "blob" and field.control_type == _REMARK
        kind = str if remark else _kind(field, _FIELD_TYPES, names, f"{name}{_pascal(own)}")
        doc = _field_doc(field, "key" * field.primary_key, "mandatory" * field.mandatory)
        return Attribute(own, f"@{field.id}" if field.primary_key else field.id, kind, UNSET, doc)

    def inner(part: UpdateObject, own: str) -> Attribute:
        return Attribute(own, part.name, element_shape(part, names, name), UNSET, f"{part.name}: one or a list.")

    members: list[Any] = [(field.id, field, attribute) for field in meta.fields]
    return _shape(name, doc, members + [(part.name, part, inner) for part in meta.objects or ()])


def _shape(name: str, doc: str, members: Iterable[tuple[str, Any, Callable[[Any, str], Attribute]]]) -> StructShape:
    """Build a shape from its members: for each the id, the metainfo, and the function that makes the attribute."""
    own, attributes, left_out = Names(), dict[str, Attribute](), list[str]()
    for id_, meta, make in members:
        if _UNDECODABLE.search(id_):
            left_out.append(id_)
        elif id_ not in attributes:
            attributes[id_] = make(meta, own.new(_attribute_name(id_, getattr(meta, "label", ""))))
    if left_out:
        doc += f" Left out, because msgspec cannot decode their names: {', '.join(left_out)}."
    return StructShape(name, _line(doc), tuple(attributes.values()))


def _kind(field: MetainfoField | UpdateField, types: Mapping[str, Any], names: Names | None, name: str) -> Any:
    kind = types.get(field.data_type, Any)
    numeric = kind is int and all(_WHOLE.fullmatch(code.id) for code in field.values or ())
    if names is None or not field.values or not (kind is str or numeric):
        return kind
    own, members = Names(), dict[str | int, str]()
    for code in field.values:
        value = int(code.id) if numeric else code.id
        if value not in members:
            members[value] = own.new(_member_name(code))
    doc = _line(f"The codes of {field.label or field.id}.")
    return CodesShape(names.new(name), doc, {member: value for value, member in members.items()})


def _field_doc(field: MetainfoField | UpdateField, *facts: str) -> str:
    """Describe a field by its metainfo and further facts."""
    known = [field.data_type or "of an unknown type"]
    known += [f"length {field.length}"] * bool(field.length) + [f"decimals {field.decimals}"] * bool(field.decimals)
    return _line(f"{field.label or field.id} ({', '.join([*known, *filter(None, facts)])}).")


# --- names and texts ---


def snake(text: str) -> str:
    """Return a text as a name in snake case; it may be empty.

    Example:
        >>> snake("ItemCode"), snake("XMLData-2"), snake("Prijs \N{EURO SIGN} (excl.)"), snake("1st")
        ('item_code', 'xml_data_2', 'prijs_excl', '1st')
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "_".join(filter(None, _WORDS.split(plain))).lower()


def class_name(connector: str) -> str:
    """Return the name of the class for a connector.

    Example:
        >>> class_name("Profit_JournalLines"), class_name("my-own.list"), class_name("1st")
        ('JournalLines', 'MyOwnList', 'Connector1st')
    """
    words = re.split(r"[^A-Za-z0-9]+", connector.removeprefix("Profit_"))
    return _named("".join(word[:1].upper() + word[1:] for word in words), "Connector")


def constant_name(connector: str) -> str:
    """Return the name of the constant for a connector.

    Example:
        >>> constant_name("Profit_JournalLines"), constant_name("1st")
        ('JOURNAL_LINES', 'CONNECTOR_1ST')
    """
    return _named(snake(connector.removeprefix("Profit_")), "connector_").upper()


def _attribute_name(id_: str, label: str) -> str:
    # The ids of custom fields say nothing, and differ between a test environment and its production.
    name = _named(snake(label) or id_.lower() if _CUSTOM.fullmatch(id_) else snake(id_), "field_")
    return f"{name}_" if iskeyword(name) or name in _HIDING else name


def _member_name(code: Code) -> str:
    return _named(snake(code.description) or snake(code.id), "code_").upper()


def _named(name: str, otherwise: str) -> str:
    """Return a valid name: `otherwise` is put before a name that does not start with a letter."""
    return name if name[:1].isalpha() else f"{otherwise}{name}".rstrip("_")


def _pascal(name: str) -> str:
    return "".join(map(str.capitalize, name.split("_")))


def _line(text: str) -> str:
    """Return a text on one line, without invisible and control characters."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
