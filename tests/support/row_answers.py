"""Responses to a request for rows: how the tests write them, and how they parse them as a whole, to compare."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import strategies as st

from afas_async.errors import AfasError
from afas_async.wire.row_answers import PageParser

SKIP, TAKE = 0, 1000


class Record(msgspec.Struct):
    """The typed rows of these tests; other members of a row are skipped."""

    id: int = msgspec.field(name="Id", default=0)
    text: str | None = msgspec.field(name="Text", default=None)
    more: Any = msgspec.field(name="More", default=None)


ROW_TYPES: tuple[Any, ...] = (Record, dict, msgspec.Raw)

# Texts that look like the structure around them, or that are awkward to cut.
TRICKY = (
    "},{",
    '"rows":[',
    "]}",
    '"},{"',
    '","rows":[{',
    "\\",
    '\\"',
    '"},{\\',
    "\\\\",
    "[{",
    "-.5",
    ": .5, -.5",
    "\x00\x1f\x7f",
    "é€",
    "😀},{😀",
    "\u2028\ufeff",
    "",
)


def parser(
    row_type: Any = dict, *, skip: int = SKIP, take: int = TAKE, page: int = 0, lenient: bool = True
) -> PageParser[Any]:
    return PageParser(row_type, connector="Profit_Article", page=page, skip=skip, take=take, lenient=lenient)


def feed(pieces: Iterable[bytes], row_type: Any = dict, *, take: int = TAKE, lenient: bool = True) -> list[Any]:
    """Return the rows of a response that arrives in pieces."""
    page = parser(row_type, take=take, lenient=lenient)
    rows = [row for piece in pieces for row in page.feed(piece)]
    rows += page.finish()
    assert page.rows == len(rows)
    return plain(rows)


def outcome(pieces: Iterable[bytes], row_type: Any = dict) -> tuple[list[Any], AfasError | None]:
    """Return the rows that were parsed, and the error that ended them, if any."""
    page, rows = parser(row_type), list[Any]()
    try:
        for piece in pieces:
            rows += page.feed(piece)
        rows += page.finish()
    except AfasError as error:
        return plain(rows), error
    return plain(rows), None


def plain(rows: Sequence[Any]) -> list[Any]:
    """Return rows in a form that can be compared: undecoded ones as bytes."""
    return [bytes(row) if isinstance(row, msgspec.Raw) else row for row in rows]


def split(body: bytes, *cuts: int) -> list[bytes]:
    """Return the pieces of a body that was cut at some positions."""
    bounds = [0, *cuts, len(body)]
    return [body[start:end] for start, end in pairwise(bounds)]


def bytewise(body: bytes, size: int = 1) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


def page_of(*rows: str, skip: int = SKIP, take: int = TAKE) -> bytes:
    """Return a response as Profit 7 writes it, on one line."""
    return f'{{"skip":{skip},"take":{take},"rows":[{",".join(rows)}]}}'.encode()


def whole(body: bytes, row_type: Any) -> list[Any]:
    """Return the rows of a response by decoding all of it at once."""
    hook = Decimal if row_type is dict else None
    envelope = msgspec.defstruct("Envelope", [("rows", list[row_type])])
    return plain(msgspec.json.Decoder(envelope, float_hook=hook).decode(body).rows)


# --- responses of all sorts ---

_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.sampled_from([Decimal("0.5"), Decimal("-0.5"), Decimal("12.50"), Decimal("-7.25"), Decimal("1E+3")]),
    st.sampled_from(TRICKY),
    st.text(max_size=6),
)
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from([*TRICKY, "a"]), inner, max_size=3)
    ),
    max_leaves=5,
)
_texts = st.one_of(st.none(), st.sampled_from(TRICKY), st.text(max_size=6))
_rows = st.fixed_dictionaries(
    {}, optional={"Id": st.integers(-5, 2**60), "Text": _texts, "More": _values, "Note": _texts, "},{": _values}
)
_spaces = st.sampled_from(["", "", " ", "\r\n", "\t \n"])


class Written(msgspec.Struct):
    """A response as text, and the same response with decimals as a server before Profit 7 writes them."""

    body: bytes
    profit_6: bytes


@st.composite
def answers(draw: st.DrawFn, *, max_rows: int = 5) -> Written:
    """Return responses with rows of any content, any white space, and the envelope's members in any order."""
    others = draw(st.dictionaries(st.sampled_from(["next", "},{", "count", "Rows"]), _values, max_size=2))
    members = {"skip": SKIP, "take": TAKE, "rows": draw(st.lists(_rows, max_size=max_rows)), **others}
    order = draw(st.permutations(list(members)))
    space, ascii_only = draw(_spaces), draw(st.booleans())
    body = draw(_spaces) + write({name: members[name] for name in order}, space, ascii_only=ascii_only) + draw(_spaces)
    old = {name: members[name] for name in order if name not in others}
    return Written(body.encode(), write(old, space, ascii_only=ascii_only, bare=True).encode())


def write(value: Any, space: str = "", *, ascii_only: bool = False, bare: bool = False) -> str:
    """Return a value as JSON with some white space between its tokens, and with Profit 6's decimals if asked."""

    def text(inner: Any) -> str:
        return write(inner, space, ascii_only=ascii_only, bare=bare)

    if isinstance(value, dict):
        pairs = (f"{space}{text(name)}{space}:{space}{text(inner)}{space}" for name, inner in value.items())
        return "{" + (",".join(pairs) or space) + "}"
    if isinstance(value, list):
        return "[" + (",".join(f"{space}{text(inner)}{space}" for inner in value) or space) + "]"
    if isinstance(value, Decimal):
        return str(value).replace("0.", ".", 1) if bare and abs(value) < 1 else str(value)
    return json.dumps(value, ensure_ascii=ascii_only)
