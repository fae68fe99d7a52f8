"""What a typed model of a connector consists of, out of its metainfo: legal and unique names, types, codes, texts."""

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
# A datetime is a date too. A blob is a file, whose bytes are sent in base64, or a text of any length.
_FIELD_TYPES: Final[dict[str, Any]] = _ROW_TYPES | {"date": date, "blob": str | bytes}
_REMARK: Final = 23  # the control type of texts of any length
# What the lines of a generated class refer to: an attribute of that name would hide it from the lines below.
_HIDING: Final = frozenset({"bool", "bytes", "date", "datetime", "field", "int", "list", "str"})
_CUSTOM: Final = re.compile(r"U[0-9A-Fa-f]{32}")
_UNDECODABLE: Final = re.compile(r'[\x00-\x1f"\\]')  # msgspec takes no member of such a name
_WORDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+")
_WHOLE: Final = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class CodesShape:
    """An enum of codes.

    Attributes:
        name: Its name.
        doc: What a person reads.
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
        name: Its name.
        id: What JSON calls it.
        kind: Its type, or the CodesShape or StructShape of it.
        default: None or UNSET, which it may then be as well, or NODEFAULT.
        doc: What a person reads.
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
        name: Its name.
        doc: What a person reads.
        attributes: Its attributes, in the order of the metainfo.
    """

    name: str
    doc: str
    attributes: tuple[Attribute, ...]

    def parts(self) -> Iterator[CodesShape | StructShape]:
        """Go through the shapes that it is made of, each behind those that it refers to, and itself last."""
        for attribute in self.attributes:
            if isinstance(attribute.kind, StructShape):
                yield from attribute.kind.parts()
            elif isinstance(attribute.kind, CodesShape):
                yield attribute.kind
        yield self


class Names:
    """Names of which each is given once.

    Args:
        taken: Those that are not given at all.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def new(self, wanted: str) -> str:
        """Return the name, with a number behind it if it is taken."""
        name, number = wanted, 2
        while name in self._taken:
            name, number = f"{wanted}_{number}", number + 1
        self._taken.add(name)
        return name


def row_shape(meta: GetMetainfo, names: Names, key: tuple[str, ...]) -> StructShape:
    """Return the shape of the rows of a GetConnector.

    Args:
        meta: What the service tells about it.
        names: Gives the names of classes.
        key: The fields of its key, which are never None and no codes: a read is sorted by them.
    """
    name, doc = names.new(class_name(meta.name)), f"{meta.description or meta.name}: a row of {meta.name}."

    def attribute(field: MetainfoField, own: str) -> Attribute:
        keyed = field.id in key
        kind = _kind(field, _ROW_TYPES, None if keyed else names, f"{name}{_pascal(own)}")
        return Attribute(own, field.id, kind, NODEFAULT if keyed else None, _told(field, "key" * keyed))

    return _shape(name, doc, [(field.id, field, attribute) for field in meta.fields])


def element_shape(meta: UpdateMetainfo | UpdateObject, names: Names, around: str = "") -> StructShape:
    """Return the shape of the elements of an UpdateConnector, or of an object in them.

    Args:
        meta: What the service tells about it.
        names: Gives the names of classes.
        around: The name of the class of the element around it.
    """
    told, doc = meta.name, f"The object {meta.name} in an element."
    if isinstance(meta, UpdateMetainfo):
        told = meta.id or meta.name
        doc = f"{meta.description or told}: an element of {told}."
    name = names.new(around + class_name(told))

    def attribute(field: UpdateField, own: str) -> Attribute:
        remark = field.data_type == "blob" and field.control_type == _REMARK
        kind = str if remark else _kind(field, _FIELD_TYPES, names, f"{name}{_pascal(own)}")
        facts = _told(field, "key" * field.primary_key, "mandatory" * field.mandatory)
        return Attribute(own, f"@{field.id}" if field.primary_key else field.id, kind, UNSET, facts)

    def inner(part: UpdateObject, own: str) -> Attribute:
        return Attribute(own, part.name, element_shape(part, names, name), UNSET, f"{part.name}: one, or a list.")

    members: list[Any] = [(field.id, field, attribute) for field in meta.fields]
    return _shape(name, doc, members + [(part.name, part, inner) for part in meta.objects or ()])


def _shape(name: str, doc: str, members: Iterable[tuple[str, Any, Callable[[Any, str], Attribute]]]) -> StructShape:
    """Make a shape out of its members: their ids, what metainfo tells, and how an attribute is made of that."""
    own, attributes, left_out = Names(), dict[str, Attribute](), list[str]()
    for id_, told, make in members:
        if _UNDECODABLE.search(id_):
            left_out.append(id_)
        elif id_ not in attributes:
            attributes[id_] = make(told, own.new(_attribute_name(id_, getattr(told, "label", ""))))
    if left_out:
        doc += f" Left out, as no decoder takes their names: {', '.join(left_out)}."
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
    doc = _line(f"{field.label or field.id}: its codes.")
    return CodesShape(names.new(name), doc, {member: value for value, member in members.items()})


def _told(field: MetainfoField | UpdateField, *facts: str) -> str:
    """Put in words what metainfo tells about a field."""
    told = [field.data_type or "of an unknown type"]
    told += [f"length {field.length}"] * bool(field.length) + [f"decimals {field.decimals}"] * bool(field.decimals)
    return _line(f"{field.label or field.id} ({', '.join([*told, *filter(None, facts)])}).")


# --- names and texts ---


def snake(text: str) -> str:
    """Return a text as a name in snake case, possibly an empty one.

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
    """Return a name that is legal: one without a letter in front gets another one there."""
    return name if name[:1].isalpha() else f"{otherwise}{name}".rstrip("_")


def _pascal(name: str) -> str:
    return "".join(map(str.capitalize, name.split("_")))


def _line(text: str) -> str:
    """Return a text in one line, without characters that show nothing or steer what shows them."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
