"""What a client can ask of the data connectors: the version, files, images and reports; and of any other path."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Final, TypedDict, Unpack

import msgspec

from afas_async.calls.file import File, download
from afas_async.calls.raw import RawAnswer, call
from afas_async.errors import NotFoundError, ServerError
from afas_async.http.channel import Caller, operation
from afas_async.vocabulary.arguments import check_callback, check_type
from afas_async.vocabulary.filters import Condition
from afas_async.wire.error_answers import clean
from afas_async.wire.file_requests import (
    VERSION_REQUEST,
    ImageFormat,
    file_requests,
    image_request,
    report_request,
    subject_request,
)
from afas_async.wire.raw_requests import Method, Parameter, raw_request
from afas_async.wire.requests import Request
from afas_async.wire.row_requests import EVERY_ROW

_CODING: Final = ("fileconnector", "the way in which names are coded")  # among what a session knows


class DownloadOptions(TypedDict, total=False):
    """The options of `file`, which describes them, and of the others that return a `File`."""

    to: str | os.PathLike[str] | None
    binary: bool
    on_progress: Callable[[int], None] | None


class _Version(msgspec.Struct, frozen=True):
    version: str


class DataConnectors(Caller):
    """The part of a client that gets files, and whatever else has a path."""

    @operation
    async def version(self) -> str:
        """Return the version of Profit, such as "22.22.5".

        For some weeks after a release two versions are in use, each for a part of the environments.

        Raises:
            AnswerError: If the answer tells no version.
            AfasError: If it cannot be had, such as AuthenticationError if the app connector does not include
                `AppConnectorVersion`.

        Source:
            AFAS, ProfitVersionConnector.

        Example:
            >>> async def main():
            ...     async with Simulator() as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         return await afas.version()
            >>> asyncio.run(main())
            '22.22.5'
        """
        answer = await call(self._channel, VERSION_REQUEST)
        told: _Version = answer.json(_Version)
        return clean(told.version)

    @operation
    async def file(self, file_id: str, filename: str, **options: Unpack[DownloadOptions]) -> File:
        """Return a file that is attached to a dossier item, or write it to a disk.

        The file is complete, or there is an error: an answer that was cut off or damaged is asked for again, as for
        every read. With `to` it is written piece by piece, in bounded memory, to a new file in the same folder
        (`.<hex>.part`), which takes the place of `to` once it is complete and is removed if it is not, also when the
        call is cancelled. Nothing that the service answers becomes part of a path.

        Args:
            file_id: 32 hex digits, from a GetConnector on the files of dossier items.
            filename: The file's own name, from the same row; another name finds nothing. It is coded as AFAS documents,
                and where nothing is found in the way that it documented before.
            options: to: Where to write it, in place of `data`; what is there is replaced. Its folder must exist.

                binary: Ask for the bare bytes (`SendFileAsBinary`), a quarter less to send, in place of JSON with the
                file in base64. By default it is JSON: every release answers so, it tells the file's own name, it can be
                told from a proxy's page, and it proves by itself that it is complete. Bare bytes prove that only by
                their framing, without which they are an AnswerError, as is a file that is JSON, which cannot be told
                from an answer of a service that does not know the header; the name is the one that was asked for.

                on_progress: Called after each piece with the bytes of the file so far, in the event loop: it must not
                block. The number falls to 0 when an attempt has failed and another begins; what is to come, the service
                does not tell. What it raises ends the download.

        Returns:
            Name and type as the service tells them, the bytes, and the size.

        Raises:
            InvalidNameError: If the id or the name cannot be one. Nothing was sent.
            NotFoundError: If it is absent or not permitted: the service does not tell which.
            AnswerError: If the answer holds no file, or without `to` one of more than 256 MiB.
            OSError: If it cannot be written to `to`; a folder that does not exist is noticed before anything is sent.
            AfasError: If it cannot be had, such as AuthenticationError if the app connector does not include
                `AppConnectorSubject`. A cancelled call leaves nothing behind.

        Source:
            AFAS, FileConnector (REST/JSON).

        Example:
            >>> async def main():
            ...     async with Simulator() as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         attached = sim.files.attached[0]
            ...         return await afas.file(attached.id, attached.name)
            >>> asyncio.run(main())
            File(name='a_b (1).pdf', mimetype='application/pdf', size=559)
        """
        ways = file_requests(file_id, filename, binary=options.get("binary", False))
        known = self._session.known
        # The way that found a file before comes first, so that the other one costs a 404 once.
        *others, last = sorted(range(len(ways)), key=lambda way: way == known.get(_CODING, 0))[::-1]
        for way in others:
            try:
                found = await self._download(ways[way], filename, options)
            except NotFoundError:
                continue
            known[_CODING] = way
            return found
        try:
            found = await self._download(ways[last], filename, options)
        except ServerError as error:
            error.hint = "AFAS answers a wrong name like this too: compare filename with the row of the file"
            raise
        known[_CODING] = last
        return found

    @operation
    async def subject(self, subject_id: int | str, file_id: str, **options: Unpack[DownloadOptions]) -> File:
        """Return an attachment of a dossier item, or write it to a disk; see `file`.

        Args:
            subject_id: The number of the dossier item.
            file_id: 32 hex digits.
            options: See `file`.

        Returns:
            See `file`; of bare bytes the name is empty.

        Raises:
            InvalidNameError: If an id cannot be one. Nothing was sent.
            NotFoundError: If it is absent or not permitted: the service does not tell which.
            AfasError: See `file`.

        Source:
            AFAS, SubjectConnector; How to: attachments of dossier items.

        Example:
            >>> async def main():
            ...     async with Simulator() as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         attached = sim.files.attached[0]
            ...         return await afas.subject(attached.subject_id, attached.id)
            >>> asyncio.run(main())
            File(name='a_b (1).pdf', mimetype='application/pdf', size=559)
        """
        request = subject_request(subject_id, file_id, binary=options.get("binary", False))
        return await self._download(request, "", options)

    @operation
    async def image(
        self,
        image_id: int | str,
        format: ImageFormat = "original",  # noqa: A002 - the service's own word
        **options: Unpack[DownloadOptions],
    ) -> File:
        """Return an image, or write it to a disk; see `file`.

        Args:
            image_id: Its id: a whole number, a GUID or 32 hex digits.
            format: "original", "thumbnail" (at most 64 x 64) or "medium" (at most 1,000 x 1,000).
            options: See `file`.

        Returns:
            See `file`; an image has no name.

        Raises:
            InvalidNameError: If the id cannot be one, or there is no such format. Nothing was sent.
            NotFoundError: If it is absent or not permitted: the service does not tell which.
            AfasError: See `file`.

        Source:
            AFAS, ImageConnector.

        Example:
            >>> async def main():
            ...     async with Simulator() as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         return (await afas.image(sim.files.images[0].id, "thumbnail")).mimetype
            >>> asyncio.run(main())
            'image/png'
        """
        request = image_request(image_id, format, binary=options.get("binary", False))
        return await self._download(request, "", options)

    @operation
    async def report(self, guid: str, *, where: Condition | None = None, **options: Unpack[DownloadOptions]) -> File:
        """Return a report, or write it to a disk; see `file`.

        The service makes it while the call waits, for 15 minutes at most: give a client with a longer time-out for a
        large one, `afas.with_options(timeout=900)`.

        Args:
            guid: The report's id.
            where: The condition that its lines must meet, made with `F` of field codes of the report. It must fit into
                one request.
            options: See `file`.

        Returns:
            See `file`; a report has no name.

        Raises:
            InvalidNameError: If the id is no GUID. Nothing was sent.
            InvalidFilterError: If no line can meet the condition. Nothing was sent.
            QueryTooLongError: If the condition is too long. Nothing was sent.
            NotFoundError: If it is absent or not permitted: the service does not tell which.
            AfasError: See `file`.

        Source:
            AFAS, ReportConnector (REST/JSON).

        Example:
            >>> async def main():
            ...     async with Simulator() as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         report = await afas.report(sim.files.reports[0].id, where=F.ItemCode == "000001")
            ...         return report.mimetype, b"1 row" in report.data
            >>> asyncio.run(main())
            ('application/pdf', True)
        """
        check_type(
            "where", where, Condition | None, "a condition such as F.Blocked.is_(False)", connector="reportconnector"
        )
        groups = EVERY_ROW if where is None else where.groups()
        request = report_request(guid, where=groups, binary=options.get("binary", False))
        return await self._download(request, "", options)

    @operation
    async def request(
        self,
        method: Method,
        path: str,
        *,
        params: Mapping[str, Parameter] | None = None,
        json: object = msgspec.UNSET,
        headers: Mapping[str, str] | None = None,
    ) -> RawAnswer:
        """Call any path below the base URL, by the same rules as everything else.

        It is authorised, counted, limited and timed as all requests of the client; a redirect is never followed. A GET
        is repeated as every read, and everything else as a write: only where it provably had no effect.

        Args:
            method: "GET", "POST", "PUT", "PATCH" or "DELETE".
            path: The path as plain text, such as "connectors/Profit_Article": it is escaped here. It cannot lead
                elsewhere than below the base URL.
            params: The parameters of the query, as plain text.
            json: What to send as JSON: dicts, lists, texts, numbers, structs. By default no body is sent.
            headers: Further headers; not those that the client sends itself, or that belong to the connection.

        Returns:
            Status, headers and body of the success.

        Raises:
            UsageError: If the path, a parameter, a header or the body cannot be sent. Nothing was sent.
            QueryTooLongError: If the query string exceeds 2,048 characters. Nothing was sent.
            OutcomeUnknownError: If it is no GET, and may have been applied or not.
            ApiError: If the service answered with an error.
            AfasError: If there is no answer. Of anything but a GET, nothing was applied then.

        Source:
            AFAS, REST API for developers.

        Example:
            >>> async def main():
            ...     async with Simulator() as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         answer = await afas.request("GET", "connectors/Profit_Article", params={"take": 1})
            ...         return answer.status, len(answer.json()["rows"])
            >>> asyncio.run(main())
            (200, 1)
        """
        request = raw_request(method, path, params=params, json=json, headers=headers)
        return await call(self._channel, request)

    async def _download(self, request: Request, name: str, options: DownloadOptions) -> File:
        check_type("to", options.get("to"), str | os.PathLike | None, "a path", connector=request.connector)
        check_type("binary", options.get("binary", False), bool, "True or False", connector=request.connector)
        check_callback("on_progress", options.get("on_progress"))
        return await download(self._channel, request, name=name, **options)
