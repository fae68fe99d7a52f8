"""The limits for a hostile or broken response: memory, work, and depth are bounded."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from afas_async.errors import AnswerError
from afas_async.wire.row_answers import ENVELOPE_LIMIT, PageParser
from afas_async.wire.slices import ROW_LIMIT, SLICE, RowSlices
from tests.support.row_answers import ROW_TYPES, bytewise, outcome, page_of, parser
from tests.support.thoroughness import by_default

MEGABYTES = by_default(4, 30)
LENGTH = by_default(700_000, 2_000_000)
DEPTH, DEEPER = by_default((20_000, 50_000), (100_000, 200_000))
HEAD = b'{"skip":0,"take":1000,"rows":['


class Counted:
    """A decoder that counts the bytes it is given."""

    def __init__(self, decoder: msgspec.json.Decoder[Any]) -> None:
        self.work = 0
        self._decoder = decoder

    def decode(self, text: bytes) -> Any:
        self.work += len(text)
        return self._decoder.decode(text)


def work(body: bytes, size: int, row_type: Any = dict) -> tuple[int, int]:
    """Return the rows of a response in pieces of a size, and how many bytes were decoded for them."""
    page = parser(row_type, take=-1)
    counted = Counted(page._slices._decoder)
    page._slices._decoder = counted  # type: ignore[assignment]
    rows = sum(len(page.feed(piece)) for piece in bytewise(body, size)) + len(page.finish())
    return rows, counted.work


# --- work ---


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("length", "size"), [(LENGTH, 1_024), (LENGTH, 1 << 16), (LENGTH // 10, 1)])
@pytest.mark.parametrize("tricky", ["},{", "} , {", "},{]", '\\"},{'])
def test_a_row_full_of_false_boundaries(length: int, size: int, tricky: str) -> None:
    """A long row full of text like a boundary is decoded no more than three times, however it is cut."""
    body = page_of(f'{{"a":"{tricky * (length // len(tricky))}"}}', '{"a":1}')
    rows, decoded = work(body, size)
    assert rows == 2
    assert decoded <= 3 * len(body)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("row", ['{"a":"},{","b":[{},{}]}', '{"a":-.5,"b":[{"c":.5},{}]}', '{ "a" : { } , "b" : 1 }'])
@pytest.mark.parametrize("size", [1, 100, 1 << 16])
def test_many_rows_with_false_boundaries(row: str, size: int) -> None:
    """Many rows that mislead the guess each cost as much as one: the work grows with the length, no faster."""
    short, long = page_of(*[row] * 1_000), page_of(*[row] * 2_000)
    few, once = work(short, size)
    many, twice = work(long, size)
    assert (few, many) == (1_000, 2_000)
    assert twice <= 2.2 * once
    assert twice <= 4 * len(long)


def test_plain_rows_are_decoded_once() -> None:
    """Rows without surprises are decoded once, up to what the brackets around each slice add."""
    body = page_of(*['{"a":1,"b":"text"}'] * 20_000)
    rows, decoded = work(body, SLICE)
    assert rows == 20_000
    assert decoded <= 1.01 * len(body)


# --- memory ---


def long_answer(megabytes: int) -> Iterator[bytes]:
    """Yield a response in pieces of 64 KiB."""
    piece = b",".join([b'{"a":12345678,"b":"some text, and more of it"}'] * 1_300)
    yield HEAD + piece
    for _ in range(megabytes * 16):
        yield b"," + piece
    yield b"]}"


def test_memory_of_a_long_page() -> None:
    """A long response passes through less than 1 MB, its rows apart."""
    page = parser(msgspec.Raw, take=-1)
    largest = count = 0
    tracemalloc.start()
    for piece in long_answer(MEGABYTES):
        count += len(page.feed(piece))
        largest = max(largest, len(page._slices._text) + len(page._envelope))
    count += len(page.finish())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 1_300 * (MEGABYTES * 16 + 1)
    assert largest < 200_000
    assert peak < 1_000_000


# --- length ---


class Endless:
    """Repeats the same piece up to 64 MiB, and counts the bytes taken."""

    def __init__(self, piece: bytes) -> None:
        self.length = 0
        self._piece = piece

    def __iter__(self) -> Iterator[bytes]:
        while self.length < 64 << 20:
            self.length += len(self._piece)
            yield self._piece


def feed_all(page: PageParser[Any], pieces: Endless) -> None:
    for piece in pieces:
        page.feed(piece)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("row_type", ROW_TYPES)
@pytest.mark.parametrize("text", [b'{"a":"' + b"x" * 65_530, b'{"a":[', b'{"a":"},{'])
def test_a_row_without_end(row_type: Any, text: bytes) -> None:
    """A row is refused as soon as it exceeds 16 MiB, so that it cannot fill the memory."""
    page = parser(row_type)
    page.feed(HEAD + b"{},{},")
    page.feed(text)
    pieces = Endless(b"x" * (1 << 16))
    with pytest.raises(AnswerError, match="row 2 is longer") as caught:
        feed_all(page, pieces)
    assert type(caught.value) is AnswerError
    assert pieces.length <= ROW_LIMIT + 2 * (1 << 16)


def test_a_row_of_permitted_length() -> None:
    """A row of just under 16 MiB is read."""
    body = page_of('{"a":"' + "x" * (ROW_LIMIT - 1_000) + '"}', "{}")
    rows, error = outcome(bytewise(body, 1 << 18))
    assert ([len(row) for row in rows], error) == ([1, 0], None)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("size", [100_000, 4_096])
@pytest.mark.parametrize(
    "head", [b'{"x":"', b'{"x":[', b'{"skip":0,"take":1000,"rows":[],"x":"', b'{"rows":[{}],"x":[', b""]
)
def test_an_envelope_without_end(head: bytes, size: int) -> None:
    """All but the rows is 1 MiB at most, before them and after them."""
    page = parser()
    page.feed(head)
    pieces = Endless(b"1," * (size // 2))
    with pytest.raises(AnswerError):
        feed_all(page, pieces)
    assert pieces.length <= ENVELOPE_LIMIT + 2 * size


def test_an_envelope_of_permitted_length() -> None:
    """Other members of less than 1 MiB do not matter."""
    body = b'{"x":"' + b"},{" * 100_000 + b'","skip":0,"take":1000,"rows":[{}],"y":"' + b"]}" * 100_000 + b'"}'
    assert outcome(bytewise(body, 1 << 16)) == ([{}], None)


# --- depth ---


def nested(depth: int) -> str:
    """Return a row that is nested, with itself, to a depth."""
    return '{"Id":1,"More":' + "[" * (depth - 1) + "]" * (depth - 1) + "}"


@pytest.mark.sampled(3)
@pytest.mark.parametrize("row_type", ROW_TYPES)
@pytest.mark.parametrize(("depth", "size"), [(DEPTH, 7), (DEPTH, 1 << 20), (DEEPER, 1_000), (DEEPER, 1 << 20)])
def test_deep_nesting(depth: int, size: int, row_type: Any) -> None:
    """Absurd nesting is refused without using the stack, wherever it stands."""
    for body in (page_of("{}", nested(depth)), b'{"x":' + nested(depth).encode() + b',"skip":0,"take":1,"rows":[]}'):
        rows, error = outcome(bytewise(body, size), row_type)
        assert len(rows) <= 1
        assert isinstance(error, AnswerError)


@pytest.mark.parametrize("row_type", ROW_TYPES)
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_permitted_nesting(row_type: Any, size: int) -> None:
    """Rows and other members may be nested more deeply than any of Profit's."""
    body = page_of(nested(100), "{}")
    rows, error = outcome(bytewise(body, size), row_type)
    assert (len(rows), error) == (2, None)


def test_nesting_does_not_depend_on_the_pieces() -> None:
    """Whether a row is too deep does not depend on how its bytes arrived."""
    body = page_of('{"a":' + "[" * 100 + "]" * 100 + ',"b":[{},{}]}', "{}", "{}")
    accepted = [outcome(pieces)[1] is None for pieces in ([body], bytewise(body))]
    assert accepted in ([True, True], [False, False])


def test_buffers_hold_one_row() -> None:
    """After each piece, only the bytes after the last boundary are kept."""
    slices = RowSlices(dict, connector="C", page=0, take=-1)
    assert slices.feed(b'{"a":1},{"a":2},{"a"') == [{"a": 1}, {"a": 2}]
    assert bytes(slices._text) == b'[{"a"'
