"""Turns the text of a list of rows into rows, slice by slice, as it arrives.

Each cut is first a guess: `},{` is nearly always a boundary between rows. Decoding proves it: the slice, closed with
`]`, decodes only if the cut lies between two rows of the list. Inside a string the string would stay open. Deeper down
an object would stay open. After the end of the list, input would be left over. A guess that fails is replaced by the
exact boundary, found by following the structure. If that fails to decode, the text is really wrong.

Each byte is searched once, followed once and decoded at most twice (three times with bare decimals). So the cost is
linear however the text was cut on its way.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import Any, Generic, cast

import msgspec
from msgspec import inspect

from afas_async.errors import AnswerError, AnswerLostError, PagingError, RowError
from afas_async.vocabulary.connectors import RowT, row_fields
from afas_async.wire.error_answers import clean
from afas_async.wire.json_documents import not_as_documented
from afas_async.wire.json_structure import CLOSE_ARRAY, COMMA, OPEN_OBJECT, Structure
from afas_async.wire.moments import date_fields, shorten_dates, zone_remover

# A slice of this size stays in the processor's cache while it is decoded.
SLICE = 1 << 16
ROW_LIMIT = 16 << 20

_SPACED_BOUNDARY = re.compile(rb"\}[ \t\r\n]*,[ \t\r\n]*\{")
_BOUNDARY_WINDOW = 8_192

# Profit 6 wrote `.5` and `-.5`, which is not JSON (AFAS, News Profit 7). An incomplete string is matched to its end, or
# each quote in it would start another search.
_BARE_DECIMAL = re.compile(rb'"(?:[^"\\]|\\.)*+"?|(?<=[:,\[\s])-?\.(?=[0-9])', re.DOTALL)

# An unpaired surrogate, as a database leaves it that cuts a text: UTF-8 cannot express it.
_HALF = re.compile(rb"(?<!\\)\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])")

# The errors of a decoder about text that is not a list of rows; the arithmetic ones come from Decimal.
_NOT_ROWS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError)

_MEMBERS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_WHERE = re.compile(r" - at `\$(.*)`$", re.DOTALL)


@lru_cache(maxsize=256)
def _decoder(row_type: Any) -> msgspec.json.Decoder[Any]:
    """Return the decoder of a list of rows; it is costly to make and free to share."""
    if row_type is dict:
        # A float would lose cents above 2 ** 53; a Struct declares the type it wants.
        return msgspec.json.Decoder(list[dict[str, Any]], float_hook=Decimal)
    return msgspec.json.Decoder(list[row_type])  # pyright: ignore[reportInvalidTypeForm] - known at run time only


@lru_cache(maxsize=256)
def _keeps_text(row_type: Any) -> bool:
    """Whether a row refers to the text it was decoded from: a `msgspec.Raw` does, alone or anywhere within a row."""
    seen, ahead = set[Any](), list[Any]([inspect.type_info(row_type)])
    while ahead:
        described = ahead.pop()
        if isinstance(described, inspect.RawType):
            return True
        if isinstance(described, msgspec.Struct):  # a type or a field
            if (kind := getattr(described, "cls", None)) in seen:
                continue
            seen |= {kind} - {None}
            ahead += [getattr(described, name) for name in described.__struct_fields__]
        elif isinstance(described, tuple):
            ahead += described
    return False


@lru_cache(maxsize=256)
def _declared(row_type: Any) -> frozenset[str]:
    """Return the fields that a row type declares, by the service's names; empty if it is not a Struct."""
    return frozenset(row_fields(row_type) or ())


class Drift(msgspec.Struct, frozen=True):
    """How rows differ from their type.

    Attributes:
        absent: The fields that the row type declares and no row has.
        other: The fields that rows have and the row type does not declare.
    """

    absent: list[str]
    other: list[str]


class RowSlices(Generic[RowT]):
    """The rows of one response, from the text after the opening bracket of the list.

    Args:
        row_type: A Struct class, `dict` or `msgspec.Raw`.
        connector: The connector's name, for errors.
        page: The page's number, for errors.
        take: How many rows were requested; -1 for everything.
        columns: How many fields a row has, 0 to count them in the first.

    Attributes:
        rows: How many rows have been returned.
        columns: How many fields a row has, 0 before the first.
        rest: The text from the closing bracket on, None while the list is open.
        drift: How the first rows differ from the row type, None if all its fields are there or `columns` was given.
    """

    def __init__(self, row_type: type[RowT], *, connector: str, page: int, take: int, columns: int = 0) -> None:
        self.rows: int = 0
        self.columns: int = columns
        self.rest: bytes | None = None
        self.drift: Drift | None = None
        self._decoder: msgspec.json.Decoder[list[RowT]] = _decoder(cast("Any", row_type))
        self._raw = row_type is msgspec.Raw
        self._keeps_text = _keeps_text(cast("Any", row_type))
        self._remove_zones = zone_remover(cast("Any", row_type))
        self._dates = date_fields(cast("Any", row_type))
        self._declared = _declared(cast("Any", row_type))
        self._connector = connector
        self._page = page
        self._take = take
        self._text = bytearray(b"[")  # the bracket is always followed by a row
        self._searched = 0
        self._exact: Structure | None = None  # None while guessing
        self._cuts: list[int] = []
        self._bare_decimals = False

    def feed(self, data: bytes) -> list[RowT]:
        """Take the next bytes and return the rows that they complete, possibly none."""
        self._text += data
        if self._exact is None:
            cut = self._guess()
            if cut < 0 and len(self._text) < SLICE:
                return []
            if cut >= 0 and (rows := self._decode(cut)) is not None:
                return self._accept(rows, cut + 1)
            # The next guess is made only after a true boundary, so that many wrong ones cost no more than one.
            self._exact = Structure()
        return self._follow(self._exact)

    def finish(self) -> list[RowT]:
        """Declare the end of the text, which must include the end of the list, and return the remaining rows."""
        if self._exact is None:
            end = self._text.rfind(b"]")
            if end >= 0 and (rows := self._decode(end)) is not None:
                return self._close(rows, end)
            self._exact = Structure()
        rows = self._follow(self._exact)
        if self.rest is None:
            raise AnswerLostError(
                f"{self._connector}: page {self._page}: the response ended early, after {self.rows} rows",
                connector=self._connector,
            )
        return rows

    # --- where to cut ---

    def _guess(self) -> int:
        """Return the probable position of the last comma between two rows in the new text, or -1."""
        text, since = self._text, self._searched
        self._searched = max(0, len(text) - 2)
        found = text.rfind(b"},{", since)
        if found >= 0:
            return found + 1
        for match in _SPACED_BOUNDARY.finditer(text, max(since - 64, len(text) - _BOUNDARY_WINDOW, 0)):
            found = match.start() + match[0].index(b",")
        return found

    def _follow(self, structure: Structure) -> list[RowT]:
        """Return the rows up to the last true boundary of the text, or up to the end of the list if it is there."""
        cuts, end = self._cuts, -1
        for first, start, _ in structure.walk(self._text):
            if structure.depth == 1 and first == COMMA:
                cuts.append(start)
            elif structure.depth == 0:
                end = start
                cuts.append(end)
                break
        if not cuts:
            if len(self._text) > ROW_LIMIT:
                raise self._error(f"row {self.rows} is longer than {ROW_LIMIT} bytes")
            return []
        rows = self._decode(cuts[-1])
        if rows is None:
            rows = self._decode_with_care(cuts)
        return self._close(rows, end) if end >= 0 else self._accept(rows, cuts[-1] + 1)

    # --- decoding ---

    def _decode(self, cut: int) -> list[RowT] | None:
        """Return the rows up to `cut`, or None if that text is not a list of rows."""
        text = self._text
        # The list is closed in place, and copied only for rows that keep it: a copy costs a few per cent.
        if self._dates:
            shorten_dates(text, cut, self._dates)
        before, text[cut] = text[cut], CLOSE_ARRAY
        try:
            if self._keeps_text:
                return self._rows_of(bytes(memoryview(text)[: cut + 1]))
            with memoryview(text) as whole, whole[: cut + 1] as part:
                return self._rows_of(part)
        except _NOT_ROWS:
            return None
        finally:
            text[cut] = before

    def _rows_of(self, text: bytes | memoryview) -> list[RowT]:
        if self._bare_decimals:
            text = _complete_decimals(bytes(text))
        rows = self._decoder.decode(text)
        if self._raw:
            _check_raw(rows, bytes(text))
        elif self._remove_zones is not None:
            self._remove_zones(rows)
        if rows and not self.columns:
            self._look_at(text)
        return rows

    def _look_at(self, text: bytes | memoryview) -> None:
        """Count the fields of the first row, and find the declared fields that no row has."""
        try:
            rows = _MEMBERS.decode(text)
        except _NOT_ROWS:  # a name that is not UTF-8, in a field that the row type skips
            self.columns = 1
            return
        self.columns = len(rows[0])
        if self._declared and not self._declared <= rows[0].keys():
            found = set[str]().union(*rows)
            if absent := self._declared - found:
                self.drift = Drift(sorted(absent), sorted(found - self._declared))

    def _decode_with_care(self, cuts: list[int]) -> list[RowT]:
        """Decode text with certain boundaries that did not decode: it has bare decimals, or is wrong."""
        if not self._bare_decimals:
            self._bare_decimals = True
            if (rows := self._decode(cuts[-1])) is not None:
                return rows
        start, number = 1, 0
        for number, cut in enumerate(cuts):
            try:
                rows = self._rows_of(b"[%b]" % bytes(self._text[start:cut]))
            except _NOT_ROWS as error:
                half = _HALF.search(self._text, start, cut)
                reason = "a text has an unpaired surrogate" if half else str(error)
                raise self._row_error(self.rows + number, reason) from None
            if len(rows) != 1:
                break
            start = cut + 1
        raise self._error(f"a row is missing between two commas after row {self.rows + number}")

    def _accept(self, rows: list[RowT], consumed: int) -> list[RowT]:
        if not rows:
            raise self._error(f"a row is missing between two commas after row {self.rows}")
        self._count(rows)
        del self._text[1:consumed]
        self._searched = max(0, len(self._text) - 2)
        self._exact = None
        self._cuts.clear()
        return rows

    def _close(self, rows: list[RowT], end: int) -> list[RowT]:
        if not rows and self.rows:
            raise self._error(f"a row is missing between a comma and the end of the list after row {self.rows}")
        self._count(rows)
        self.rest = bytes(memoryview(self._text)[end:])
        self._text.clear()
        return rows

    def _count(self, rows: list[RowT]) -> None:
        self.rows += len(rows)
        if 0 <= self._take < self.rows:
            raise PagingError(
                f"{self._connector}: page {self._page} has more rows than the {self._take} that were requested",
                connector=self._connector,
                page=self._page,
            )

    # --- errors ---

    def _error(self, what: str) -> AnswerError:
        return not_as_documented(self._connector, what, page=self._page)

    def _row_error(self, index: int, reason: str) -> RowError:
        found = _WHERE.search(reason)
        inner = found[1].removeprefix("[0]") if found else ""
        path = f"$.rows[{index}]{inner}"
        return RowError(
            f"{self._connector}: page {self._page}, row {index}: {clean(_WHERE.sub('', reason))} at {path}:"
            f" {_advice(reason)}",
            connector=self._connector,
            page=self._page,
            index=index,
            path=path,
        )


def _advice(reason: str) -> str:
    if "unpaired surrogate" in reason:
        return "correct it in Profit, or leave the row out by a condition"
    if "missing required field" in reason:
        return (
            "compare the row type with the connector's fields, which are named by"
            ' rename="pascal" or msgspec.field(name="ItemCode")'
        )
    if "got `null`" in reason:
        return "the field can be empty: declare it with `| None`"
    return "compare the row type with the connector's fields"


def _complete_decimals(text: bytes) -> bytes:
    return _BARE_DECIMAL.sub(lambda match: match[0] if match[0][:1] == b'"' else match[0].replace(b".", b"0."), text)


def _check_raw(rows: list[Any], text: bytes) -> None:
    """Refuse what a typed decoder refuses: rows that are not objects, and text that is not UTF-8."""
    if not text.isascii():
        text.decode("utf-8")
    if any(memoryview(row)[0] != OPEN_OBJECT for row in rows):
        raise msgspec.ValidationError("Expected `object`")
