"""The metainfo of your own connectors, and the fields in it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from afas_async.simulator.samples.connectors import Field, FieldType

# The JSON of `GET metainfo/get/X` or `GET metainfo/update/X`: decoded, as bytes, or the path of a file.
MetainfoSource = Mapping[str, Any] | bytes | str | os.PathLike[str]
Document = TypeVar("Document")

_TYPES: Final[dict[str, FieldType]] = {
    "string": "string",
    "int": "int",
    "decimal": "decimal",
    "boolean": "boolean",
    "date": "date",
    "blob": "blob",
}
_LONGEST_TEXT: Final = 1 << 30
_MOST_DIGITS: Final = 18  # all whole numbers of this length fit in SQLite
_MOST_DECIMALS: Final = 10  # if metainfo does not say how many
_RESERVED: Final = frozenset({"json", "rowid"})  # the store has columns with these names


class DescribedCode(msgspec.Struct, frozen=True):
    """One value of a code list.

    Attributes:
        id: The value.
        description: Its meaning.
    """

    id: str
    description: str | None = None


class Described(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The metainfo of a field of any connector; a null counts as absent.

    Attributes:
        data_type: "string", "int", "decimal", "boolean", "date" or "blob". Any other type holds text.
        label: Its name for users.
        length: The longest text, or the digits before the decimal point; 0 for no limit.
        decimals: The digits after the decimal point; 0 for any number of digits.
        values: The values that the field may have, or null for all.
    """

    data_type: str | None = None
    label: str | None = None
    length: int | None = None
    decimals: int | None = None
    values: list[DescribedCode] | None = None

    @property
    def has_fixed_decimals(self) -> bool:
        """Whether `decimals` holds for all records."""
        return True

    def column(self, name: str, column: str = "", *, exact: bool = False) -> Field:
        """Return the column that holds the values of the field.

        Args:
            name: The id of the field.
            column: The name of the column, if it is not the id.
            exact: Whether decimals keep all digits that they were given with.
        """
        kind = _TYPES.get(self.data_type or "", "string")
        length = max(self.length or 0, 0)
        label = self.label or name
        match kind:
            case "string":
                return Field(column or name, kind, length or _LONGEST_TEXT, 0, label)
            case "int":
                return Field(column or name, kind, min(length or _MOST_DIGITS, _MOST_DIGITS), 0, label)
            case "decimal":
                # AFAS does not say whether the length includes the decimals. Here it does not.
                decimals = max(self.decimals or 0, 0) if self.has_fixed_decimals else 0
                decimals = decimals or _MOST_DECIMALS
                return Field(column or name, kind, (length or _MOST_DIGITS) + decimals, decimals, label, exact=exact)
            case "boolean":
                return Field(column or name, kind, 1, 0, label)
            case "date":
                return Field(column or name, kind, 19, 0, label)
            case "blob":
                return Field(column or name, kind, _LONGEST_TEXT, 0, label)


class DescribedGetField(Described, frozen=True, rename="camel", kw_only=True):
    """A field of a GetConnector.

    Attributes:
        id: Its name in rows.
    """

    id: str


class DescribedUpdateField(Described, frozen=True, rename="camel", kw_only=True):
    """A field of an UpdateConnector.

    Attributes:
        field_id: Its name in requests.
        primary_key: Whether it is part of the key.
        mandatory: Whether a new record must have it.
        not_zero: Whether it may not be 0.
        decimals_field: The field with the number of its decimals, if that differs from record to record.
    """

    field_id: str
    primary_key: bool | None = None
    mandatory: bool | None = None
    not_zero: bool | None = msgspec.field(name="notzero", default=None)
    decimals_field: str | None = msgspec.field(name="decimalFieldId", default=None)

    @property
    def has_fixed_decimals(self) -> bool:
        """Whether `decimals` holds for all records."""
        return not self.decimals_field


class DescribedObject(msgspec.Struct, frozen=True):
    """The element of an UpdateConnector, or an object within it.

    Attributes:
        name: Its name in bodies.
        description: Its name for users.
        fields: Its fields.
        objects: The objects within it.
    """

    name: str = ""
    description: str | None = None
    fields: list[DescribedUpdateField] | None = None
    objects: list[DescribedObject] | None = None


class DescribedConnector(msgspec.Struct, frozen=True):
    """A GetConnector.

    Attributes:
        fields: Its fields.
        description: Its name for users.
    """

    fields: list[DescribedGetField]
    description: str | None = None


def read_document(name: str, source: MetainfoSource) -> dict[str, Any]:
    """Read the JSON of a metainfo document.

    Args:
        name: The connector, for messages.
        source: The document, its bytes, or the path of a file with it.

    Raises:
        ValueError: The document is not a JSON object.
        OSError: The file cannot be read.
    """
    if isinstance(source, Mapping):
        return dict(source)
    text = source if isinstance(source, bytes) else Path(source).read_bytes()
    try:
        return msgspec.json.decode(text.removeprefix(b"\xef\xbb\xbf"), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"the metainfo of {name} is not a JSON object: {error}") from None


def convert_document(name: str, document: Mapping[str, Any], kind: type[Document]) -> Document:
    """Convert a metainfo document.

    Raises:
        ValueError: The document does not have the form of metainfo; the message says where.
    """
    try:
        return msgspec.convert(document, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(f"the metainfo of {name}: {error}") from None


def check_columns(name: str, columns: Sequence[str]) -> None:
    """Check that fields can be the columns of a table.

    Args:
        name: The connector or element with the fields, for messages.
        columns: The ids of the fields.

    Raises:
        ValueError: Two fields have the same name, or a name cannot be a column.
    """
    seen = set[str]()
    for column in columns:
        folded = column.lower()
        if not column or any(sign in "\"'\0" for sign in column) or folded in _RESERVED:
            raise ValueError(f"{name}: the simulator cannot have a field named {column!r}")
        if folded in seen:
            raise ValueError(f"{name}: two fields have the name {column!r} (letter case does not count)")
        seen.add(folded)
