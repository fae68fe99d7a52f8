"""Extracts files from JSON as the bytes arrive: `{"filename": ..., "mimetype": ..., "filedata": "<base64>"}`.

The members come in any order, and the file may be large. So its text is cut out of the document, decoded and passed on
piece by piece, with an empty text in its place. The rest is a short document. A JSON decoder then checks that it
arrived completely and is JSON at all, and reads its facts.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

import msgspec

from afas_async.errors import AnswerError, AnswerLostError
from afas_async.wire.error_answers import refusal_in
from afas_async.wire.json_documents import Unreadable, decode

# The limit for everything but the file: a name and a type. Any other response is not read to its end.
REST_LIMIT: Final = 1 << 16
_TOKEN: Final = re.compile(rb'[ \t\r\n]+|"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],:]|[^ \t\r\n"{}\[\],:]+', re.DOTALL)
_FILE: Final = "filedata"
_OPEN_ESCAPE: Final = re.compile(rb"\\(u[0-9A-Fa-f]{0,3})?\Z")
_LINE_ENDS: Final = b"\r\n"  # as base64 has them in mail


class About(msgspec.Struct, frozen=True):
    """The facts of a response about its file.

    Args:
        filedata: Empty: the file was cut out.
        filename: Its name, if given.
        mimetype: Its type, if given.
    """

    filedata: str
    filename: str | None = None
    mimetype: str | None = None


_ABOUT: Final = msgspec.json.Decoder(About)


class FileDecoder:
    """Extracts the file from one response.

    Args:
        connector: The connector, for errors.
    """

    def __init__(self, connector: str) -> None:
        self._connector = connector
        self._open = b""  # received, but not understood until more has come
        self._rest = bytearray()
        self._depth = 0
        self._text = b""  # the last string in the outermost object
        self._name = ""  # of the member whose value comes next
        self._within = False
        self._files = 0
        self._base64 = _Base64()

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes of the body, and return the bytes of the file in them.

        Raises:
            AnswerError: If this cannot be a response with a file.
        """
        text, place, found = self._open + data, 0, bytearray()
        while place < len(text):
            if self._within:
                end = text.find(b'"', place)
                piece = text[place:end] if end >= 0 else _OPEN_ESCAPE.sub(b"", text[place:])
                found += self._unpacked(piece)
                place += len(piece)
                if end < 0:
                    break
                self._within = False
                place += 1
            elif self._name == _FILE and text[place] == ord('"'):
                self._begin_file()
                place += 1
            elif token := _TOKEN.match(text, place):
                self._keep(token[0])
                place = token.end()
            else:
                break  # a string that is still open
        self._open = text[place:]
        if len(self._rest) + len(self._open) > REST_LIMIT:
            raise self._damaged("it has no file")
        return bytes(found)

    def finish(self) -> About:
        """Declare the end of the body, and return its facts about the file.

        Raises:
            AnswerLostError: If the file is incomplete.
            BusinessError: If the service refused, in a response that claims to be a success.
            AnswerError: If it was not a response with a file.
        """
        if self._within:
            raise AnswerLostError(f"{self._connector}: the file is incomplete", connector=self._connector)
        if not self._base64.whole:
            raise self._damaged("its file is not base64")
        document = bytes(self._rest + self._open)
        about = decode(document, _ABOUT)
        if isinstance(about, Unreadable):
            refusal = refusal_in(document, connector=self._connector)
            raise refusal or self._damaged("it is not JSON with filename, mimetype and filedata")
        return about

    def _keep(self, token: bytes) -> None:
        """Keep a token outside the file, and remember the name of the member that it belongs to."""
        self._rest += token
        if token[0] in b" \t\r\n":
            return
        self._name = _decoded(self._text) if token == b":" else ""
        self._text = token if token[0] == ord('"') and self._depth == 1 else b""
        self._depth += (token in {b"{", b"["}) - (token in {b"}", b"]"})

    def _begin_file(self) -> None:
        self._files += 1
        if self._files > 1:
            raise self._damaged("it has two files")
        self._within = True
        self._name = ""
        self._rest += b'""'

    def _unpacked(self, piece: bytes) -> bytes:
        try:
            if b"\\" in piece:  # encoders of JSON may escape `/` and `+`
                piece = msgspec.json.decode(b'"' + piece + b'"', type=str).encode("ascii")
            return self._base64.feed(piece)
        except ValueError:  # from msgspec, the codec or binascii
            damaged = self._damaged("its file is not base64")
        raise damaged

    def _damaged(self, fault: str) -> AnswerError:
        text = f"{self._connector}: the response is damaged: {fault}"
        return AnswerError(text, connector=self._connector, damaged=True)


class _Base64:
    """Decodes base64 in pieces of any length."""

    def __init__(self) -> None:
        self._open = b""
        self._ended = False

    @property
    def whole(self) -> bool:
        """Whether the text so far is complete base64."""
        return not self._open

    def feed(self, text: bytes) -> bytes:
        """Return the bytes that are complete; raise ValueError if the text is not base64."""
        text = self._open + text.translate(None, _LINE_ENDS)
        whole = len(text) - len(text) % 4
        self._open = text[whole:]
        if self._ended and text:
            raise ValueError("more follows the padding")
        self._ended |= text[:whole].endswith(b"=")
        return binascii.a2b_base64(text[:whole], strict_mode=True)


def _decoded(text: bytes) -> str:
    try:
        return msgspec.json.decode(text, type=str)
    except (msgspec.DecodeError, ValueError):
        return ""
