"""What the service tells about its connectors."""

from __future__ import annotations

from typing import Any

import msgspec

from afas_async.connectors import GetConnector, row_fields
from afas_async.errors import AnswerError
from afas_async.http.engine import Options
from afas_async.http.fetch import DocumentFetch
from afas_async.http.session import Session
from afas_async.wire.urls import metainfo_request


class _Field(msgspec.Struct):
    id: str


class _GetMetainfo(msgspec.Struct):
    fields: list[_Field]


async def field_ids(session: Session, options: Options, connector: GetConnector[Any]) -> list[str]:
    """Return the field ids of a connector: those of its row type, or all that the service knows.

    Raises:
        AfasError: If the service has to be asked and does not tell.
    """
    if (declared := row_fields(connector.row_type)) is not None:
        return list(declared)
    document = await DocumentFetch(session, options, metainfo_request(connector.name)).read()
    try:
        return [field.id for field in msgspec.json.decode(document, type=_GetMetainfo).fields]
    except msgspec.DecodeError:
        raise AnswerError(f"{connector.name}: its metainfo is not as documented", connector=connector.name) from None
