"""Turns the bytes of a GetConnector's response into rows, as the bytes arrive.

The response is `{"skip": 0, "take": 100, "rows": [{...}, {...}]}` (AFAS, GET connector), its members in any order.
Everything but the rows, the envelope, is small. It is kept, and checked as a whole at the end of the response. The rows
are decoded as they come (`slices.py`), so the length of a page affects neither memory nor the event loop.
"""

from __future__ import annotations

from typing import Any, Generic

import msgspec

from afas_async.errors import AnswerError, AnswerLostError, PagingError
from afas_async.vocabulary.connectors import RowT
from afas_async.wire.error_answers import refusal_in
from afas_async.wire.json_documents import BOM, Unreadable, decode, not_as_documented
from afas_async.wire.json_structure import COLON, OPEN_ARRAY, QUOTE, Structure
from afas_async.wire.slices import Drift, RowSlices

ENVELOPE_LIMIT = 1 << 20

_MEMBER_DEPTH = 1  # inside the envelope's braces


class _Envelope(msgspec.Struct):
    skip: Any = msgspec.UNSET
    take: Any = msgspec.UNSET
    rows: Any = msgspec.UNSET


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_NAME = msgspec.json.Decoder(str)


class PageParser(Generic[RowT]):
    """Parses the response to one request for rows.

    Args:
        row_type: A Struct class, `dict` or `msgspec.Raw`.
        connector: The connector's name, for errors.
        page: The page's number, for errors.
        skip: The `skip` of the request.
        take: The `take` of the request; -1 for everything.
        columns: How many fields a row has, 0 to count them in the first.
        lenient: Whether to accept an odd response, because a retry did not help. Then null or missing `rows` count as
            empty, and the response may repeat another `take`, as one of AFAS's examples does.
    """

    def __init__(
        self,
        row_type: type[RowT],
        *,
        connector: str,
        page: int,
        skip: int,
        take: int,
        columns: int = 0,
        lenient: bool = True,
    ) -> None:
        self._connector = connector
        self._page = page
        self._skip = skip
        self._take = take
        self._lenient = lenient
        self._slices = RowSlices(row_type, connector=connector, page=page, take=take, columns=columns)
        self._in_rows = False
        self._envelope = bytearray()  # the response with an empty list of rows
        self._structure = Structure()
        self._last_string = slice(0, 0)
        self._names: list[str] = []

    @property
    def rows(self) -> int:
        """How many rows have been returned."""
        return self._slices.rows

    @property
    def columns(self) -> int:
        """How many fields a row has, 0 before the first."""
        return self._slices.columns

    @property
    def drift(self) -> Drift | None:
        """How the first rows differ from the row type; see `RowSlices`."""
        return self._slices.drift

    def feed(self, data: bytes) -> list[RowT]:
        """Take the next bytes, ideally 64 KiB at most, and return the rows that they complete, possibly none.

        Raises:
            RowError: If a row is malformed or does not fit the row type.
            PagingError: If there are more rows than requested.
            AnswerError: If the response differs from the documentation, or exceeds the limit for a row (16 MiB) or for
                the envelope (1 MiB).
        """
        if not self._in_rows:
            data = self._follow_envelope(data)
            if not self._in_rows:
                return []
        rows = self._slices.feed(data)
        if self._slices.rest is not None:
            self._leave_rows(self._slices.rest)
        return rows

    def finish(self) -> list[RowT]:
        """Declare the end of the response and return the rows not returned yet.

        Raises:
            AnswerLostError: If the response ends too early.
            BusinessError: If the response is Profit's refusal under a success status.
            PagingError: If the response is for another `skip`.
            RowError, AnswerError: As for `feed`.
        """
        rows: list[RowT] = []
        if self._in_rows:
            rows = self._slices.finish()
            if self._slices.rest is not None:
                self._leave_rows(self._slices.rest)
        self._check_envelope()
        return rows

    def _leave_rows(self, rest: bytes) -> None:
        self._in_rows = False
        self._follow_envelope(rest)

    def _follow_envelope(self, data: bytes) -> bytes:
        """Add the envelope's part of `data` to it, and return the rest after the rows' opening bracket."""
        structure, before = self._structure, len(self._envelope)
        self._envelope += data
        for first, start, end in structure.walk(self._envelope):
            if structure.depth == _MEMBER_DEPTH and first == QUOTE:
                self._last_string = slice(start, end)
            elif structure.depth == _MEMBER_DEPTH and first == COLON:
                self._names.append(self._name())
            elif structure.depth == _MEMBER_DEPTH + 1 and first == OPEN_ARRAY and self._names[-1:] == ["rows"]:
                if self._slices.rest is not None:
                    raise self._error("it has the member `rows` twice")
                del self._envelope[end:]
                self._in_rows = True
                self._check_skip_so_far()
                return data[end - before :]
        if len(self._envelope) > ENVELOPE_LIMIT:
            raise self._error("it has no list of rows")
        return b""

    def _name(self) -> str:
        try:
            return _NAME.decode(self._envelope[self._last_string])
        except (msgspec.DecodeError, ValueError):
            return ""  # then the whole envelope will not decode either

    def _check_envelope(self) -> None:
        text = bytes(self._envelope).removeprefix(BOM)
        if text.lstrip()[:1] not in {b"", b"{"}:
            raise self._error("it is not JSON", damaged=True)
        if self._structure.inside or not text.strip():
            raise AnswerLostError(
                f"{self._connector}: page {self._page}: the response ended early, after {self.rows} rows",
                connector=self._connector,
            )
        envelope = decode(text, _ENVELOPE)
        if isinstance(envelope, Unreadable) or not _is_utf8(text):
            raise self._error("it is not well-formed JSON", damaged=True)
        if envelope.rows is msgspec.UNSET:
            if (refusal := refusal_in(text, connector=self._connector)) is not None:
                raise refusal
            # An envelope without rows is an empty page only if it is a real envelope.
            if envelope.skip is msgspec.UNSET or envelope.take is msgspec.UNSET or not self._lenient:
                raise self._error("it has no member `rows`", damaged=True)
        elif envelope.rows is None and not self._lenient:
            raise self._error("its member `rows` is null", damaged=True)
        elif envelope.rows is not None and envelope.rows != []:
            raise self._error("its member `rows` is not a list")
        if any(self._names.count(name) > 1 for name in ("skip", "take", "rows")):
            raise self._error("it has a member twice")
        self._check_skip(envelope)

    def _check_skip_so_far(self) -> None:
        """Compare the repeated `skip`, which usually comes before the rows, before any row is returned."""
        envelope = decode(self._envelope + b"]}", _ENVELOPE)
        if not isinstance(envelope, Unreadable):  # otherwise it is checked at the end
            self._check_skip(envelope)

    def _check_skip(self, envelope: _Envelope) -> None:
        if isinstance(envelope.skip, int) and envelope.skip != self._skip:
            raise PagingError(
                f"{self._connector}: page {self._page}: the request had skip={self._skip}, but the response is for"
                f" skip={envelope.skip}: something on the way, such as a proxy, returned another response",
                connector=self._connector,
                page=self._page,
            )
        if isinstance(envelope.take, int) and envelope.take != self._take and not self._lenient:
            raise self._error(f"the request had take={self._take}, but it is for take={envelope.take}", damaged=True)

    def _error(self, what: str, *, damaged: bool = False) -> AnswerError:
        return not_as_documented(self._connector, what, page=self._page, damaged=damaged)


def _is_utf8(text: bytes) -> bool:
    """Whether a text is UTF-8, including the parts that msgspec skips."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
