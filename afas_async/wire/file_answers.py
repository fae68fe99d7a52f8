"""Files within JSON, taken out as the bytes arrive: `{"filename": ..., "mimetype": ..., "filedata": "<base64>"}`.

The members come in any order, and the file may be large. So its text is cut out of the document, unpacked and handed on
piece by piece, and an empty text put in its place. What is left is a short document, and a JSON decoder has the last
word about it: whether all of it arrived, what it says, and that it is JSON at all.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

import msgspec

from afas_async.errors import AnswerError, AnswerLostError
from afas_async.wire.error_answers import refusal_in
from afas_async.wire.json_documents import Unreadable, decode

# Everything but the file: a name and a type. An answer that is something else altogether is not read to its end.
REST_LIMIT: Final = 1 << 16
_TOKEN: Final = re.compile(rb'[ \t\r\n]+|"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],:]|[^ \t\r\n"{}\[\],:]+', re.DOTALL)
_FILE: Final = "filedata"
_OPEN_ESCAPE: Final = re.compile(rb"\\(u[0-9A-Fa-f]{0,3})?\Z")
_LINE_ENDS: Final = b"\r\n"  # as base64 has them in mail


class About(msgspec.Struct, frozen=True):
    """What an answer tells about its file.

    Args:
        filedata: Nothing: the file was taken out.
        filename: Its name, if told.
        mimetype: Its type, if told.
    """

    filedata: str
    filename: str | None = None
    mimetype: str | None = None


_ABOUT: Final = msgspec.json.Decoder(About)


class FileDecoder:
    """Takes the file out of one answer.

    Args:
        connector: The connector, for errors.
    """

    def __init__(self, connector: str) -> None:
        self._connector = connector
        self._open = b""  # received, and not understood before more has come
        self._rest = bytearray()
        self._depth = 0
        self._text = b""  # the last string in the outermost object
        self._name = ""  # of the member whose value comes next
        self._within = False
        self._files = 0
        self._base64 = _Base64()

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes of the body, and return what they hold of the file.

        Raises:
            AnswerError: If this cannot be such an answer.
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
                self._pass(token[0])
                place = token.end()
            else:
                break  # a string that is not closed yet
        self._open = text[place:]
        if len(self._rest) + len(self._open) > REST_LIMIT:
            raise self._damaged("it is no file")
        return bytes(found)

    def finish(self) -> About:
        """Declare the end of the body, and return what it tells about the file.

        Raises:
            AnswerLostError: If the file was cut off.
            BusinessError: If the service refused, in an answer that claims to be a success.
            AnswerError: If it was no such answer.
        """
        if self._within:
            raise AnswerLostError(f"{self._connector}: the file was cut off", connector=self._connector)
        if not self._base64.whole:
            raise self._damaged("its file is no base64")
        document = bytes(self._rest + self._open)
        about = decode(document, _ABOUT)
        if isinstance(about, Unreadable):
            refusal = refusal_in(document, connector=self._connector)
            raise refusal or self._damaged("it is not the documented JSON with filename, mimetype and filedata")
        return about

    def _pass(self, token: bytes) -> None:
        """Keep a token that is not of the file, and remember the name of the member that it is a part of."""
        self._rest += token
        if token[0] in b" \t\r\n":
            return
        self._name = _decoded(self._text) if token == b":" else ""
        self._text = token if token[0] == ord('"') and self._depth == 1 else b""
        self._depth += (token in {b"{", b"["}) - (token in {b"}", b"]"})

    def _begin_file(self) -> None:
        self._files += 1
        if self._files > 1:
            raise self._damaged("it has two files in it")
        self._within = True
        self._name = ""
        self._rest += b'""'

    def _unpacked(self, piece: bytes) -> bytes:
        try:
            if b"\\" in piece:  # encoders of JSON may escape `/` and `+`
                piece = msgspec.json.decode(b'"' + piece + b'"', type=str).encode("ascii")
            return self._base64.feed(piece)
        except ValueError:  # of msgspec, of the codec and of binascii
            damaged = self._damaged("its file is no base64")
        raise damaged

    def _damaged(self, what: str) -> AnswerError:
        text = f"{self._connector}: the answer is damaged: {what}"
        return AnswerError(text, connector=self._connector, damaged=True)


class _Base64:
    """Base64 in pieces of any length."""

    def __init__(self) -> None:
        self._open = b""
        self._ended = False

    @property
    def whole(self) -> bool:
        """Whether what has come is complete base64."""
        return not self._open

    def feed(self, text: bytes) -> bytes:
        """Return the bytes that are complete; raise ValueError if it is no base64."""
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
