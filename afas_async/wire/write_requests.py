"""Requests that insert, update or delete elements."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final, Literal
from urllib.parse import quote

from afas_async.errors import InvalidElementError
from afas_async.vocabulary.arguments import check_type, type_name
from afas_async.vocabulary.names import connector_name, field_id
from afas_async.wire.requests import Request

_UNSAFE_KEY: Final = re.compile(r"[/\\%?#&:*<>+,\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def write_request(
    method: Literal["POST", "PUT"], connector: str, body: bytes = b"", *, sub: str | None = None
) -> Request:
    """Return the request that inserts (POST) or updates (PUT) the elements in a body (AFAS, UpdateConnector).

    Args:
        method: The HTTP method.
        connector: The connector's name.
        body: The elements.
        sub: The object to insert or update within an existing element. AFAS knows one such level.

    Raises:
        InvalidNameError: If a name may not enter a URL.
    """
    names = (connector,) if sub is None else (connector, sub)
    path = "/".join(quote(connector_name(name), safe="") for name in names)
    return Request(method, f"connectors/{path}", "", connector, body)


def delete_request(connector: str, *elements: tuple[str, Mapping[str, Any]]) -> Request:
    """Return the request that deletes an element, or the line of an object in it.

    Args:
        connector: The connector's name.
        elements: The element's name and key, and for a line also the object's; values are text, numbers or days.

    Raises:
        InvalidNameError: If a name may not enter a URL.
        InvalidElementError: If a key is missing, or a value may not enter a URL. AFAS has no escape for `,`, and web
            servers refuse or reinterpret other characters.
    """
    parts = [quote(connector_name(connector), safe="")]
    for name, key in elements:
        check_type("key", key, Mapping, "a dict of field ids and values", connector=connector)
        if not key:
            raise InvalidElementError(f"{connector}: a delete needs the key of {name}: nothing was sent")
        fields = ",".join("@" + quote(field_id(field), safe="") for field in key)
        values = ",".join(_key_text(value, f"{connector}: {field}") for field, value in key.items())
        parts += [quote(connector_name(name), safe=""), fields, values]
    return Request("DELETE", "connectors/" + "/".join(parts), "", connector)


def _key_text(value: object, place: str) -> str:
    if isinstance(value, Enum):
        value = value.value
    text = value.isoformat() if type(value) is date else str(value)
    if not isinstance(value, (str, int, Decimal, date)) or isinstance(value, (bool, datetime)):
        raise InvalidElementError(f"{place}: expected str, int, Decimal or date, got {type_name(value)}")
    if not text or text in {".", ".."} or _UNSAFE_KEY.search(text):
        raise InvalidElementError(
            f"{place}: {text!r} cannot be part of a URL, where `/ \\ % ? # & : * < > + ,` and control characters have"
            ' another meaning: delete it by an update with Element(..., action="delete")'
        )
    return quote(text, safe="")
