"""Whole JSON documents: one way to decode them, and one error for a response with another shape."""

from __future__ import annotations

from typing import Final, TypeVar, cast

import msgspec

from afas_async.errors import AnswerError

BOM: Final = b"\xef\xbb\xbf"  # some servers put a byte order mark before their JSON

T = TypeVar("T")


class Unreadable(msgspec.Struct, frozen=True):
    """The result of `decode` for bytes that are not the expected JSON.

    Args:
        well_formed: Whether they are JSON of another shape.
    """

    well_formed: bool


def decode(document: bytes | bytearray, decoder: msgspec.json.Decoder[T]) -> T | Unreadable:
    """Return the value of a JSON document, or `Unreadable`: it raises nothing, whatever a server sends.

    Example:
        >>> decode(b'{"a": 1}', msgspec.json.Decoder(dict[str, int])), decode(b"<html>", msgspec.json.Decoder(int))
        ({'a': 1}, Unreadable(well_formed=False))
    """
    try:
        return decoder.decode(document.removeprefix(BOM))
    except msgspec.ValidationError:
        return Unreadable(well_formed=True)
    except (msgspec.DecodeError, ValueError, RecursionError):  # ValueError: bytes that are not UTF-8
        return Unreadable(well_formed=False)


def not_as_documented(connector: str, what: str, *, page: int | None = None, damaged: bool = False) -> AnswerError:
    """Return the error for a response, or a page of one, that differs from AFAS's documentation.

    Args:
        connector: The connector or path.
        what: The difference, such as "it has no member `rows`".
        page: The page, in a read of pages.
        damaged: Whether the next response may be better.
    """
    where = "the response" if page is None else f"page {page}"
    text = f"{connector}: {where} is not as documented: {what}"
    return AnswerError(text, connector=connector, page=page, damaged=damaged)


def without_nulls(document: object) -> object:
    """Return a document without the members that are null: the service writes null for facts that it leaves open.

    Example:
        >>> without_nulls({"id": "Ds", "length": None, "values": [{"id": "A", "description": None}]})
        {'id': 'Ds', 'values': [{'id': 'A'}]}
    """
    if isinstance(document, dict):
        members = cast("dict[str, object]", document)
        return {name: without_nulls(value) for name, value in members.items() if value is not None}
    if isinstance(document, list):
        return [without_nulls(value) for value in cast("list[object]", document)]
    return document
