"""Fetch everything but rows: the version, files, images and reports, and any other path of the API."""

from __future__ import annotations

__docformat__ = "google"

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

_CODING: Final = ("fileconnector", "the way in which names are coded")  # a key of `session.known`


class DownloadOptions(TypedDict, total=False):
    """The options of `file`, `subject`, `image` and `report`, in full.

    Attributes:
        to: Path to write the file to, instead of returning its `data`. Its folder must exist, and an existing file is
            replaced. The bytes are written piece by piece, in bounded memory, to a new file in the same folder
            (`.<hex>.part`). That file takes the place of `to` once it is complete. Otherwise it is removed, also when
            you cancel the call.
        binary: Request the bare bytes (`SendFileAsBinary`), which saves a quarter of the traffic. The default is JSON
            with the file in base64. Every release answers that way, and it brings the file's own name. It cannot be
            confused with a proxy's page, and it proves by itself that it is complete. Bare bytes prove that only by
            their framing, and without that they raise AnswerError. So does a file that is JSON itself, because a
            service that does not know the header would answer like that. The name in the result is then the one you
            asked for.
        on_progress: Called after each piece with the bytes of the file so far, in the event loop: it must not block.
            The number falls back to 0 when an attempt fails and another one begins. The service does not send the total
            size. If your function raises, the download ends with that exception.
    """

    to: str | os.PathLike[str] | None
    binary: bool
    on_progress: Callable[[int], None] | None


class _Version(msgspec.Struct, frozen=True):
    version: str


class DataConnectors(Caller):
    """The methods of a client that fetch files, or call any other path."""

    @operation
    async def version(self) -> str:
        """Return the version of Profit, such as "22.22.5".

        For some weeks after a release two versions are in use, each by a part of the environments. The app connector
        must include `AppConnectorVersion`.

        Returns:
            The version as text, as the service sends it.

        Raises:
            AuthenticationError: If the app connector does not include `AppConnectorVersion`.
            AnswerError: If the response has no version.
            AfasError: If the request fails.

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
        answered: _Version = answer.json(_Version)
        return clean(answered.version)

    @operation
    async def file(self, file_id: str, filename: str, **options: Unpack[DownloadOptions]) -> File:
        """Download a file that is attached to a dossier item.

        You get the complete file or an error. A response that was cut off or damaged is requested again, as for every
        read. Nothing from the response becomes part of a path on your disk.

        Args:
            file_id: 32 hex digits, from a GetConnector on the files of dossier items.
            filename: The file's own name, from the same row; with another name nothing is found. It is coded as AFAS
                documents now and, if that finds nothing, as it documented before.
            options: `to` is a path to write to, instead of returning the bytes. `binary=True` requests bare bytes in
                place of base64. `on_progress` is called with the bytes so far. See
                `afas_async.client.data_connectors.DownloadOptions`.

        Returns:
            A `File`: its name and type as the service sends them, its bytes and its size.

        Raises:
            InvalidNameError: If the id or the name is not valid. Nothing was sent.
            NotFoundError: If the file is absent or not permitted. The service does not say which.
            AnswerError: If the response holds no file, or one above 256 MiB without `to`.
            OSError: If `to` cannot be written. A missing folder raises before anything is sent.
            AuthenticationError: If the app connector does not include `AppConnectorSubject`.
            AfasError: If the download fails.

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
        # Start with the way that found a file before, so that the other one costs a 404 only once.
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
        """Download an attachment of a dossier item, by the number of that item.

        Args:
            subject_id: The number of the dossier item.
            file_id: The id of the attachment: 32 hex digits.
            options: See `file`.

        Returns:
            A `File`, as from `file`. With `binary=True` its name is empty.

        Raises:
            InvalidNameError: If an id is not valid. Nothing was sent.
            NotFoundError: If the attachment is absent or not permitted. The service does not say which.
            AfasError: If the download fails; see `file`.

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
        """Download an image, in one of three sizes.

        Args:
            image_id: The id of the image: a whole number, a GUID or 32 hex digits.
            format: "original", "thumbnail" (at most 64 x 64 pixels) or "medium" (at most 1,000 x 1,000).
            options: See `file`.

        Returns:
            A `File`, as from `file`. An image has no name.

        Raises:
            InvalidNameError: If the id is not valid, or the format is unknown. Nothing was sent.
            NotFoundError: If the image is absent or not permitted. The service does not say which.
            AfasError: If the download fails; see `file`.

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
        """Have the service make a report, and download it.

        The service makes it while you wait, for 15 minutes at most. For a large report, use a client with a longer
        time-out: `afas.with_options(timeout=900)`.

        Args:
            guid: The report's id, a GUID.
            where: The condition that the lines of the report must meet, made with `F` of the report's field codes. It
                must fit into one request.
            options: See `file`.

        Returns:
            A `File`, as from `file`. A report has no name.

        Raises:
            InvalidNameError: If the id is not a GUID. Nothing was sent.
            InvalidFilterError: If no line can meet the condition. Nothing was sent.
            QueryTooLongError: If the condition is too long. Nothing was sent.
            NotFoundError: If the report is absent or not permitted. The service does not say which.
            AfasError: If the download fails; see `file`.

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
        """Call any path below the base URL, with the client's credential, limits and retries.

        Use it for everything without a method. A GET is repeated like every read. Everything else is repeated
        like a write: only where it provably had no effect. Redirects are never followed.

        Args:
            method: "GET", "POST", "PUT", "PATCH" or "DELETE".
            path: The path as plain text, such as "connectors/Profit_Article". It is escaped for you, and cannot lead
                anywhere outside the base URL.
            params: The parameters of the query, as plain text.
            json: What to send as JSON: dicts, lists, texts, numbers or Structs. By default the request has none.
            headers: Further headers. You cannot set those that the client sends, or that belong to the connection.

        Returns:
            Status, headers and body of the successful response.

        Raises:
            UsageError: If the path, a parameter, a header or the body cannot be sent. Nothing was sent.
            QueryTooLongError: If the query string exceeds 2,048 characters. Nothing was sent.
            OutcomeUnknownError: If it is not a GET, and nobody knows whether it was applied.
            ApiError: If the service responds with an error.
            AfasError: If no response comes back. Unless it was a GET, nothing was applied.

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
