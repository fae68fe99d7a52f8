"""What the service tells about its connectors (AFAS, metainfo)."""

from __future__ import annotations

import msgspec


class ListedConnector(msgspec.Struct, frozen=True):
    """A connector that a token may use.

    Attributes:
        id: Its name, as it stands in URLs.
        description: What it is, in the language of the request.
    """

    id: str
    description: str = ""


class TokenInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a token belongs to. What is not told is empty.

    Attributes:
        envid: The full id of the environment, such as "O12345AA", which is not the one in host names.
        app_name: The app connector.
        group: Its group of users.
        token_expiry: When the token expires, as the service writes it; "0" for never.
    """

    envid: str = ""
    app_name: str = msgspec.field(name="appName", default="")
    group: str = ""
    token_expiry: str = msgspec.field(name="tokenExpiry", default="")


class Metainfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a token may use.

    Attributes:
        get_connectors: The GetConnectors.
        update_connectors: The UpdateConnectors.
        custom_connectors: Others, such as AppConnectorSubject, which is what allows `file` and `subject`.
        info: What the token belongs to.
    """

    get_connectors: list[ListedConnector] = msgspec.field(name="getConnectors")
    update_connectors: list[ListedConnector] = msgspec.field(name="updateConnectors")
    custom_connectors: list[ListedConnector] = msgspec.field(
        name="customConnectors", default_factory=list[ListedConnector]
    )
    info: TokenInfo = TokenInfo()


class Code(msgspec.Struct, frozen=True):
    """One of the values that a field may have.

    Attributes:
        id: The value.
        description: What it means, in the language of the request.
    """

    id: str
    description: str = ""


class MetainfoField(msgspec.Struct, frozen=True):
    """A field of a GetConnector, without its `fieldId`, which names nothing in rows or requests.

    Attributes:
        id: What rows, sorting and filters call it.
        data_type: "string", "int", "decimal", "boolean", "date" or "blob"; empty if it is not told.
        label: What a person reads, in the language of the request.
        length: The longest text, or the number of digits.
        decimals: The digits behind the decimal point.
        decimals_field: The field that tells their number where it differs from row to row; mostly empty.
        values: The values that it may have, or None where that is open.
    """

    id: str
    data_type: str = msgspec.field(name="dataType", default="")
    label: str = ""
    length: int = 0
    decimals: int = 0
    decimals_field: str = msgspec.field(name="decimalsFieldId", default="")
    values: list[Code] | None = None


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


class UpdateField(msgspec.Struct, frozen=True, kw_only=True):
    """A field of an UpdateConnector.

    Attributes:
        id: What bodies call it.
        primary_key: Whether it is part of the key.
        data_type: "string", "int", "decimal", "boolean", "date" or "blob"; empty if it is not told.
        label: What a person reads, in the language of the request.
        mandatory: Whether a new record must have it.
        length: The longest text, or the number of digits; 0 if it is not told.
        decimals: The digits behind the decimal point.
        decimals_field: The field that tells their number where it differs from record to record; mostly empty.
        not_zero: Whether it may not be 0.
        control_type: How Profit shows it: 23 for a remark of any length; 0 if it is not told.
        values: The values that it may have, or None where that is open.
    """

    id: str = msgspec.field(name="fieldId")
    primary_key: bool = msgspec.field(name="primaryKey", default=False)
    data_type: str = msgspec.field(name="dataType", default="")
    label: str = ""
    mandatory: bool = False
    length: int = 0
    decimals: int = 0
    decimals_field: str = msgspec.field(name="decimalFieldId", default="")
    not_zero: bool = msgspec.field(name="notzero", default=False)
    control_type: int = msgspec.field(name="controlType", default=0)
    values: list[Code] | None = None


class UpdateObject(msgspec.Struct, frozen=True, kw_only=True):
    """An object in an element, with its own fields and perhaps objects.

    Attributes:
        name: What bodies call it.
        fields: Its fields, in the order in which the service lists them.
        objects: The objects in it, or None.
    """

    name: str
    fields: list[UpdateField] = []
    objects: list[UpdateObject] | None = None


class UpdateMetainfo(msgspec.Struct, frozen=True, kw_only=True):
    """An UpdateConnector as the service describes it.

    Attributes:
        id: The connector's name, as it stands in URLs; empty if it is not told.
        name: The name of its element in bodies, which may differ; empty if it is not told.
        description: What it is, in the language of the request.
        fields: Its fields, in the order in which the service lists them.
        objects: The objects in an element, or None.
    """

    id: str = ""
    name: str = ""
    description: str = ""
    fields: list[UpdateField]
    objects: list[UpdateObject] | None = None
