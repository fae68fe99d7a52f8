"""Requests for files, images and reports: they check the ids, and encode names as these connectors want."""

from __future__ import annotations

import re
from typing import Final, Literal
from urllib.parse import quote

from afas_async.errors import InvalidNameError
from afas_async.vocabulary.arguments import check_type
from afas_async.vocabulary.filters import Group
from afas_async.wire.filter_parameters import filter_pairs
from afas_async.wire.requests import Request, query_string
from afas_async.wire.row_requests import EVERY_ROW

ImageFormat = Literal["original", "thumbnail", "medium"]

_FORMATS: Final[dict[str, str]] = {"original": "0", "thumbnail": "1", "medium": "2"}
_FILE_ID: Final = re.compile(r"[0-9A-Fa-f]{32}", re.ASCII)
_GUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-9A-Fa-f]{32}", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_IMAGE_ID: Final = re.compile(f"{_GUID.pattern}|{_NUMBER.pattern}", re.ASCII)
# Not a file name on any system, or one that a web server may misread.
_NO_FILE_NAME: Final = re.compile(r"[/\\\x00-\x1f\x7f-\x9f\ud800-\udfff]|\A[. ]*\Z")
_LONGEST_NAME: Final = 255
# AFAS, FileConnector (the page of 2025): these become `_XX`, and all others are escaped as in URLs.
_CODED: Final = {char: f"_{ord(char):02X}" for char in "/#&:?*<>%+~-@!$'"} | {"_": "_5f"}
# Without this header the service returns JSON with the file in base64 (AFAS, FileConnector: base64 or binary).
_BINARY: Final = (("SendFileAsBinary", "1"),)

VERSION_REQUEST: Final = Request("GET", "profitversion", "", "profitversion")


def file_requests(file_id: str, filename: str, *, binary: bool = False) -> list[Request]:
    """Return the requests for a file, one for each way to encode its name (AFAS, FileConnector).

    Today's page encodes 17 characters as `_XX` and all others as URLs do. The page of some years ago, and a client that
    followed it, encode as `_XX` all characters that URLs escape. No source says which holds where. They differ only for
    names with other characters than letters, digits, `_`, a point and blanks.

    Raises:
        InvalidNameError: If the id is not 32 hex digits, or the name is not a file name.

    Example:
        >>> [request.path.partition("0/")[2] for request in file_requests("0" * 32, "a_b (1).pdf")]
        ['a_5fb%20%281%29.pdf', 'a_5fb%20_281_29.pdf']
    """
    check_type("file_id", file_id, str, "32 hex digits as text")
    path = f"fileconnector/{_checked(_FILE_ID, file_id, 'file', '32 hex digits')}"
    return [_request(f"{path}/{name}", binary=binary) for name in dict.fromkeys(_coded(filename))]


def subject_request(subject_id: int | str, file_id: str, *, binary: bool = False) -> Request:
    """Return the request for an attachment of a dossier item (AFAS, SubjectConnector).

    Raises:
        InvalidNameError: If the item's id is not a number, or the attachment's id is not 32 hex digits.
    """
    check_type("file_id", file_id, str, "32 hex digits as text")
    item = _checked(_NUMBER, str(subject_id), "dossier item", "digits")
    return _request(
        f"subjectconnector/{item}/{_checked(_FILE_ID, file_id, 'attachment', '32 hex digits')}", binary=binary
    )


def image_request(image_id: int | str, size: ImageFormat = "original", *, binary: bool = False) -> Request:
    """Return the request for an image (AFAS, ImageConnector).

    Raises:
        InvalidNameError: If the id is neither a GUID nor a number, or the format is unknown.
    """
    check_type("format", size, str, f"one of {', '.join(_FORMATS)}")
    if size not in _FORMATS:
        raise InvalidNameError(f"unknown image format {size!r}: use {', '.join(_FORMATS)}")
    form = "a whole number, a GUID or 32 hex digits"
    check_type("image_id", image_id, int | str, form)
    path = f"imageconnector/{_checked(_IMAGE_ID, str(image_id), 'image', form)}"
    return _request(path, f"format={_FORMATS[size]}", binary=binary)


def report_request(guid: str, *, where: tuple[Group, ...] = EVERY_ROW, binary: bool = False) -> Request:
    """Return the request for a report (AFAS, ReportConnector).

    Args:
        guid: The report's id, with or without braces.
        where: The groups of tests of which a line must meet one, as `Condition.groups()` returns them.
        binary: Whether to ask for plain bytes instead of base64.

    Raises:
        InvalidNameError: If the id is not a GUID.
        InvalidFilterError: If no line can meet the condition.
        QueryTooLongError: If the query string exceeds 2,048 characters. A report cannot be split.
    """
    check_type("guid", guid, str, "a GUID as text")
    bare = guid[1:-1] if guid.startswith("{") and guid.endswith("}") else guid
    path = f"reportconnector/{_checked(_GUID, bare, 'report', 'a GUID')}"
    return _request(path, query_string("reportconnector", filter_pairs(where)), binary=binary)


def _request(path: str, query: str = "", *, binary: bool) -> Request:
    return Request("GET", path, query, path.partition("/")[0], headers=_BINARY if binary else ())


def _checked(pattern: re.Pattern[str], text: str, kind: str, form: str) -> str:
    if not pattern.fullmatch(text):
        raise InvalidNameError(f"{text!r} is not the id of a {kind}: it must be {form}")
    return text


def _coded(name: str) -> tuple[str, str]:
    """Return a file's name as the FileConnector reads it, by today's page and by an older one."""
    check_type("filename", name, str, "the name of the file as text")
    if _NO_FILE_NAME.search(name) or len(name) > _LONGEST_NAME:
        raise InvalidNameError(
            f"{name!r} is not a file name: give the name as Profit has it, without a path, 255 characters at most"
        )
    new = "".join(_CODED.get(char) or quote(char, safe="") for char in name)
    older = quote(name, safe=" ").replace("_", "_5f").replace("%", "_").replace(" ", "%20")
    return new, older
