"""Asking the service about its connectors."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from afas_async.connectors import GetConnector, row_fields
from afas_async.errors import AnswerError
from afas_async.http.engine import Options
from afas_async.http.fetch import Fetch
from afas_async.http.host import stop
from afas_async.http.session import Session
from afas_async.metainfo import GetMetainfo, UpdateMetainfo
from afas_async.wire.urls import Request, metainfo_request, update_metainfo_request

MetainfoT = TypeVar("MetainfoT", GetMetainfo, UpdateMetainfo)

DOCUMENT_LIMIT = 16 << 20


async def field_ids(session: Session, options: Options, connector: GetConnector[Any]) -> list[str]:
    """Return the field ids of a connector: those of its row type, or all that the service knows.

    Raises:
        AfasError: If the service has to be asked and does not tell.
    """
    if (declared := row_fields(connector.row_type)) is not None:
        return list(declared)
    return [field.id for field in (await get_metainfo(session, options, connector.name)).fields]


async def get_metainfo(session: Session, options: Options, connector: str) -> GetMetainfo:
    """Return what the service tells about a GetConnector.

    Raises:
        AfasError: If the service does not tell.
    """
    return await _described(session, options, metainfo_request(connector), GetMetainfo)


async def update_metainfo(session: Session, options: Options, connector: str) -> UpdateMetainfo:
    """Return what the service tells about an UpdateConnector.

    Raises:
        AfasError: If the service does not tell.
    """
    return await _described(session, options, update_metainfo_request(connector), UpdateMetainfo)


async def _described(session: Session, options: Options, request: Request, kind: type[MetainfoT]) -> MetainfoT:
    document = await DocumentFetch(session, options, request).read()
    try:
        return msgspec.json.decode(document, type=kind)
    except msgspec.DecodeError:
        text = f"{request.connector}: its metainfo is not as documented"
    raise AnswerError(text, connector=request.connector)


class DocumentFetch(Fetch):
    """An answer that is wanted as a whole, such as metainfo.

    Args:
        session: Sends it.
        options: Time-out, retries, language, events.
        request: The request.
    """

    def __init__(self, session: Session, options: Options, request: Request) -> None:
        super().__init__(session, options, request.connector)
        self._request = request
        self._document = bytearray()

    def _next_request(self) -> Request:
        return self._request

    def _forget(self) -> None:
        super()._forget()
        self._document.clear()

    async def read(self) -> bytes:
        """Send the request and return the whole body.

        Raises:
            AfasError: If it cannot be had.
            AnswerError: If it has more than 16 MiB.
        """
        self._session.check()
        self.start()
        try:
            while not self._failure:
                if piece := self._read():
                    self._document += piece
                    if len(self._document) > DOCUMENT_LIMIT:
                        text = f"{self.connector}: the answer is longer than {DOCUMENT_LIMIT} bytes"
                        raise AnswerError(text, connector=self.connector)
                elif self._job is not None:
                    await self._wait()
                else:
                    if self._body is not None:
                        self._body.finish()
                    return bytes(self._document)
            raise self._failure
        finally:
            await stop(*self.jobs)
