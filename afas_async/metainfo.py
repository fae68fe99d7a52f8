"""What the service tells about its connectors (AFAS, metainfo)."""

from __future__ import annotations

import msgspec


class MetainfoField(msgspec.Struct, frozen=True):
    """A field of a GetConnector, without its `fieldId`, which names nothing in rows or requests.

    Attributes:
        id: What rows, sorting and filters call it.
        data_type: "string", "int", "decimal", "boolean", "date" or "blob"; empty if it is not told.
        label: What a person reads, in the language of the request.
        length: The longest text, or the number of digits.
        decimals: The digits behind the decimal point.
    """

    id: str
    data_type: str = msgspec.field(name="dataType", default="")
    label: str = ""
    length: int = 0
    decimals: int = 0


class GetMetainfo(msgspec.Struct, frozen=True, kw_only=True):
    """A GetConnector as the service describes it.

    Attributes:
        name: Its name, as the service writes it; empty if it is not told.
        description: What it is, in the language of the request.
        fields: Its fields, in the order in which the service lists them.
    """

    name: str = ""
    description: str = ""
    fields: list[MetainfoField]
