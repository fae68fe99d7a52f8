"""The service's descriptions of its connectors (AFAS, metainfo)."""

from __future__ import annotations

import msgspec


class ListedConnector(msgspec.Struct, frozen=True):
    """A connector that your token may use, as listed in `Metainfo`.

    `AfasClient.metainfo` lists the GetConnectors, UpdateConnectors and custom connectors of the app connector. The
    list has no fields: `get_metainfo` and `update_metainfo` describe one connector.

    Attributes:
        id: The name of the connector, as you pass it to `rows`, `insert` and all other methods.
        description: A description for people, in the language of the client; empty if the service gives none.

    Example:
        >>> async def main():
        ...     async with Simulator() as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         return (await afas.metainfo()).get_connectors[0]
        >>> asyncio.run(main())
        ListedConnector(id='Profit_Article', description='Articles (Profit)')
    """

    id: str
    description: str = ""


class TokenInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The environment and the app connector that your token belongs to.

    Log it when a program starts: it shows which environment you are about to write to. A fact that the service does
    not report is an empty text.

    Attributes:
        envid: The full id of the environment, such as "O12345AA". Host names hold only its number.
        app_name: The name of the app connector.
        group: The user group of the app connector.
        token_expiry: When the token expires, as the service writes it; "0" for never.

    Example:
        >>> async def main():
        ...     async with Simulator() as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         return (await afas.metainfo()).info
        >>> asyncio.run(main()).token_expiry
        '0'
    """

    envid: str = ""
    app_name: str = msgspec.field(name="appName", default="")
    group: str = ""
    token_expiry: str = msgspec.field(name="tokenExpiry", default="")


class Metainfo(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that your token may use, and the environment that it belongs to.

    `AfasClient.metainfo` returns it. Use it at the start of a program to check that the token has all the connectors
    that you need.

    Attributes:
        get_connectors: The GetConnectors, which you read from.
        update_connectors: The UpdateConnectors, which you write to.
        custom_connectors: All others. AppConnectorSubject, for example, permits `file` and `subject`.
        info: The environment and app connector of the token.

    Example:
        >>> async def main():
        ...     async with Simulator() as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         return await afas.metainfo()
        >>> "Profit_Article" in {connector.id for connector in asyncio.run(main()).get_connectors}
        True
    """

    get_connectors: list[ListedConnector] = msgspec.field(name="getConnectors")
    update_connectors: list[ListedConnector] = msgspec.field(name="updateConnectors")
    custom_connectors: list[ListedConnector] = msgspec.field(
        name="customConnectors", default_factory=list[ListedConnector]
    )
    info: TokenInfo = TokenInfo()


class Code(msgspec.Struct, frozen=True):
    """One of the codes that a field may have as its value.

    Rows and records hold the code itself. Show the description to people: `models` uses it to name the members of
    enums.

    Attributes:
        id: The code, as text also where the field holds numbers.
        description: The meaning of the code, in the language of the client; empty if the service gives none.

    Example:
        >>> meanings = {code.id: code.description for code in [Code("A", "Active"), Code("B", "Blocked")]}
        >>> meanings["A"]
        'Active'
    """

    id: str
    description: str = ""


class MetainfoField(msgspec.Struct, frozen=True):
    """A field of a GetConnector.

    The service's `fieldId` is left out, because rows and requests do not use it.

    Attributes:
        id: The name of the field in rows, sort orders and filters.
        data_type: "string", "int", "decimal", "boolean", "date" or "blob"; empty if the service does not report it.
        label: The label for people, in the language of the client.
        length: The maximum length of a text in characters, or of a number in digits.
        decimals: The number of digits after the decimal point.
        decimals_field: The field that holds the number of decimals, where it differs from row to row; usually empty.
        values: The codes that the field may have, or None if any value is possible.

    Example:
        >>> MetainfoField("ItemCode", "string", "Item code", length=30).length
        30
    """

    id: str
    data_type: str = msgspec.field(name="dataType", default="")
    label: str = ""
    length: int = 0
    decimals: int = 0
    decimals_field: str = msgspec.field(name="decimalsFieldId", default="")
    values: list[Code] | None = None


class GetMetainfo(msgspec.Struct, frozen=True, kw_only=True):
    """The service's description of a GetConnector.

    `AfasClient.get_metainfo` returns it. It does not say which fields form the unique key of a row: you declare the key
    in a `GetConnector`, and `python -m afas_async inspect` proposes one.

    Attributes:
        name: The name as the service writes it; empty if the service does not report it.
        description: A description for people, in the language of the client.
        fields: The fields, in the service's order.

    Example:
        >>> async def main():
        ...     async with Simulator() as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         return await afas.get_metainfo("Profit_Article")
        >>> asyncio.run(main()).fields[0].id
        'ItemCode'
    """

    name: str = ""
    description: str = ""
    fields: list[MetainfoField]


class UpdateField(msgspec.Struct, frozen=True, kw_only=True):
    """A field of an UpdateConnector.

    A load checks its elements against these facts before it sends them, unless you set `validate=False`.

    Attributes:
        id: The name of the field in an element. A key field has an `@` before it there.
        primary_key: Whether the field is part of the key.
        data_type: "string", "int", "decimal", "boolean", "date" or "blob"; empty if the service does not report it.
        label: The label for people, in the language of the client.
        mandatory: Whether a new record must have the field.
        length: The maximum length of a text in characters, or of a number in digits; 0 if the service does not report
            it.
        decimals: The number of digits after the decimal point.
        decimals_field: The field that holds the number of decimals, where it differs from record to record; usually
            empty.
        not_zero: Whether 0 is refused.
        control_type: How Profit shows the field: 23 for a remark of any length; 0 if the service does not report it.
        values: The codes that the field may have, or None if any value is possible.

    Example:
        >>> UpdateField(id="Ds", data_type="string", label="Subject", mandatory=True).mandatory
        True
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
    """An object that an element of an UpdateConnector can contain, such as the lines of an order.

    In an `Element` you pass it in `objects`, as one element or as a list of them. Objects can contain further objects.

    Attributes:
        name: The name of the object in an element.
        fields: The fields of the object, in the service's order.
        objects: The objects inside this one, or None if it has none.

    Example:
        >>> lines = UpdateObject(name="FbSalesLines", fields=[UpdateField(id="ItCd"), UpdateField(id="QuUn")])
        >>> [field.id for field in lines.fields]
        ['ItCd', 'QuUn']
    """

    name: str
    fields: list[UpdateField] = []
    objects: list[UpdateObject] | None = None


class UpdateMetainfo(msgspec.Struct, frozen=True, kw_only=True):
    """The service's description of an UpdateConnector.

    `AfasClient.update_metainfo` returns it. A load uses it to check elements before it sends them.

    Attributes:
        id: The name of the connector in URLs; empty if the service does not report it.
        name: The name of the element in request bodies, which may differ; empty if the service does not report it.
        description: A description for people, in the language of the client.
        fields: The fields of an element, in the service's order.
        objects: The objects that an element can contain, or None if it has none.

    Example:
        >>> async def main():
        ...     async with Simulator() as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         return await afas.update_metainfo("KnSubject")
        >>> asyncio.run(main()).id
        'KnSubject'
    """

    id: str = ""
    name: str = ""
    description: str = ""
    fields: list[UpdateField]
    objects: list[UpdateObject] | None = None
