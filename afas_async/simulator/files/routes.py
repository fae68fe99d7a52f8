"""The data connectors: requests for files, images and reports, and the responses to them."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote, unquote_to_bytes

import msgspec

from afas_async.simulator.answer import Answer, RefusalError, unexpected_error
from afas_async.simulator.files.drawing import pdf
from afas_async.simulator.files.files import Files
from afas_async.simulator.storage.store import Page

BINARY_HEADER: Final = "SendFileAsBinary"
_PIECE: Final = 3 << 15  # bytes; a multiple of 3, so that only the last piece has base64 padding
_SHOWN_ROWS: Final = 50
_FORMATS: Final = {"0": 0, "1": 1, "2": 2}

_Found = tuple[bytes, str, dict[str, str]]  # the file, its type, and further members of the JSON

# Returns the number of rows that meet the condition of a request for a report, and the texts of the first rows.
Lines = Callable[[str, Mapping[str, str], int], tuple[int, list[str]]]


class FileRoutes:
    """Responds to requests for files.

    Args:
        files: The files.
        lines: Finds the rows of a report.
    """

    def __init__(self, files: Files, lines: Lines) -> None:
        self._files = files
        self._lines = lines

    def answer(self, path: list[str], query: Mapping[str, str], *, binary: bool) -> Answer:
        """Respond to a GET.

        Args:
            path: The name of the connector, and the decoded segments after it.
            query: The parameters by lower-case name.
            binary: Whether to send the bytes themselves, and not JSON.

        Raises:
            RefusalError: The file does not exist, or the user may not see it: the service does not say which.
        """
        found = self._found(path, query)
        if found is None:
            raise RefusalError(HTTPStatus.NOT_FOUND)
        data, mimetype, about = found
        if binary:
            return Answer(_pieces(data[:-1]), data[-1:], mimetype=mimetype)
        # The file comes between other members: AFAS does not document their order.
        opening = msgspec.json.encode(about)[:-1] + (b"," if about else b"") + b'"filedata":"'
        return Answer(_encoded(opening, data), b'",' + msgspec.json.encode({"mimetype": mimetype})[1:])

    def _found(self, path: list[str], query: Mapping[str, str]) -> _Found | None:
        match path:
            case ["fileconnector", file_id, coded]:
                return self._attachment(file_id, name=_decoded(coded))
            case ["fileconnector"]:
                # One client sends the name as another parameter, and escapes it once more.
                name = query.get("filename") or unquote(query.get("filenameuri", ""))
                return self._attachment(query.get("fileid", ""), name=name)
            case ["subjectconnector", subject_id, file_id]:
                return self._attachment(file_id, subject_id=subject_id)
            case ["subjectconnector"]:
                return self._attachment(query.get("fileid", ""), subject_id=query.get("subjectid", ""))
            case ["imageconnector", image_id]:
                return self._image(image_id, query.get("format", "0"))
            case ["reportconnector", guid]:
                return self._report(guid, query)
            case ["reportconnector", guid, fields, values]:
                return self._report(guid, {**query, "filterfieldids": fields, "filtervalues": values})
            case _:
                return None

    def _attachment(self, file_id: str, *, name: str | None = None, subject_id: str | None = None) -> _Found | None:
        found = self._files.attachment(file_id, name=name, subject_id=subject_id)
        return None if found is None else (found.data, found.mimetype, {"filename": found.name})

    def _image(self, image_id: str, size: str) -> _Found | None:
        found = self._files.image(image_id)
        if found is None:
            return None
        if size not in _FORMATS:
            raise unexpected_error()
        return found.sizes[_FORMATS[size]], "image/png", {}

    def _report(self, guid: str, query: Mapping[str, str]) -> _Found | None:
        found = self._files.report(guid)
        if found is None:
            return None
        count, texts = self._lines(found.connector, query, _SHOWN_ROWS)
        head = f"{found.connector}: {count} row{'' if count == 1 else 's'}"
        return pdf([head, *texts]), "application/pdf", {}


def _pieces(data: bytes) -> Iterator[Page]:
    for place in range(0, len(data), _PIECE):
        yield Page(0, data[place : place + _PIECE])


def _encoded(opening: bytes, data: bytes) -> Iterator[Page]:
    yield Page(0, opening)
    for piece in _pieces(data):
        yield Page(0, base64.b64encode(piece.json))


def _decoded(coded: str) -> str:
    """Decode a name in the FileConnector's encoding: `_28` for `%28`, `_5f` for `_` (help.afas.nl, FileConnector)."""
    return unquote_to_bytes(re.sub("_(?=[0-9A-Fa-f]{2})", "%", coded)).decode(errors="replace")
