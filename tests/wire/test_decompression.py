"""Bodies from the connection: they are unpacked in bounded steps, and never count as complete without proof."""

from __future__ import annotations

import gzip
import random
import tracemalloc
import zlib

import pytest

from afas_async.errors import AfasError, AnswerError, AnswerLostError
from afas_async.wire.decompression import BodyReader, body_reader, is_framed
from tests.support.row_answers import bytewise
from tests.support.thoroughness import by_default

TEXT = b'{"skip":0,"take":100,"rows":[{"Id":1},{"Id":2}]}'
PACKED = gzip.compress(TEXT, mtime=0)
NOISE = random.Random(1).randbytes(300_000)  # noqa: S311 - does not pack
MEGABYTES = by_default(15, 50)
LONG = (TEXT * 20_000)[:900_000]


def unpack(pieces: list[bytes], *, encoding: str = "gzip", limit: int = 1 << 16) -> bytes:
    """Return a body that arrives in pieces. After each piece, read as far as possible."""
    reader, body = body_reader(encoding, connector="C", page=4), b""
    for piece in pieces:
        reader.feed(piece)
        body += b"".join(read_all(reader, limit))
    reader.finish()
    return body


def read_all(reader: BodyReader, limit: int) -> list[bytes]:
    steps = []
    while step := reader.read(limit):
        steps.append(step)
    return steps


# --- complete bodies ---


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", " gzip ", "x-gzip"])
@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_gzip(encoding: str, size: int) -> None:
    """A complete gzip body is unpacked, however it arrives."""
    assert unpack(bytewise(PACKED, size), encoding=encoding) == TEXT


@pytest.mark.parametrize("encoding", ["", "identity", "Identity", " "])
@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_plain(encoding: str, size: int) -> None:
    """A plain body comes as it is."""
    assert unpack(bytewise(TEXT, size), encoding=encoding) == TEXT


@pytest.mark.parametrize("limit", [1, 10, 1_000, 65_536, 10_000_000])
@pytest.mark.parametrize("text", [TEXT, NOISE[:5_000], b"\0" * 60_000, b""])
def test_steps(text: bytes, limit: int) -> None:
    """No step is longer than requested, and together the steps are the body."""
    for encoding, body in (("gzip", gzip.compress(text)), ("", text)):
        reader = body_reader(encoding, connector="C")
        reader.feed(body)
        steps = read_all(reader, limit)
        reader.finish()
        assert b"".join(steps) == text
        assert max((len(step) for step in steps), default=0) <= limit


@pytest.mark.parametrize("size", [1_000, 65_536, 1 << 20])
def test_long_bodies(size: int) -> None:
    """Long bodies come out whole, whether they compress well or not."""
    for text in (LONG, NOISE):
        assert unpack(bytewise(gzip.compress(text), size)) == text


def test_gzip_with_a_file_name() -> None:
    """The optional parts of a gzip header do not belong to the body."""
    packed = PACKED[:3] + b"\x08" + PACKED[4:10] + b"page.json\0" + PACKED[10:]
    assert unpack([packed]) == TEXT


def test_nothing_yet() -> None:
    """Without bytes there is nothing to read, and you may read again."""
    for encoding in ("gzip", ""):
        reader = body_reader(encoding, connector="C")
        assert [reader.read(10), reader.read(10), reader.pending] == [b"", b"", 0]


@pytest.mark.parametrize("encoding", ["gzip", ""])
def test_empty_chunks(encoding: str) -> None:
    """An empty read means that no bytes are there, so an empty chunk before others does not count."""
    reader = body_reader(encoding, connector="C")
    for chunk in (b"", PACKED if encoding else TEXT):
        reader.feed(chunk)
    assert reader.read(1_000) == TEXT


# --- pending ---


def test_pending_of_a_plain_body() -> None:
    """Bytes that arrived and were not read are counted exactly."""
    reader = body_reader("", connector="C")
    counts = [reader.pending]
    reader.feed(b"12345")
    reader.feed(b"678")
    counts.append(reader.pending)
    for _ in range(4):
        reader.read(3)
        counts.append(reader.pending)
    assert counts == [0, 8, 5, 3, 0, 0]


def test_pending_of_a_gzip_body() -> None:
    """The packed bytes count, fall with each step, and are gone at the end."""
    packed = gzip.compress(LONG)
    reader = body_reader("gzip", connector="C")
    reader.feed(packed)
    counts = [reader.pending]
    while reader.read(1 << 16):
        counts.append(reader.pending)
    assert counts[0] == len(packed)
    assert counts[1] > 0.9 * len(packed)
    assert counts == sorted(counts, reverse=True)
    assert reader.pending == 0


# --- broken bodies ---


def fails(pieces: list[bytes], *, encoding: str = "gzip") -> AfasError:
    with pytest.raises(AfasError) as caught:
        unpack(pieces, encoding=encoding)
    return caught.value


@pytest.mark.parametrize("size", [1, 1_000])
def test_cut_at_every_byte(size: int) -> None:
    """A gzip body that was cut anywhere, even in its checksum, is lost and never complete."""
    for end in range(len(PACKED)):
        assert type(fails(bytewise(PACKED[:end], size))) is AnswerLostError


@pytest.mark.parametrize("place", range(-8, 0))
def test_wrong_checksum_or_length(place: int) -> None:
    """The checksum and the length at the end must be right, each byte of them."""
    packed = bytearray(PACKED)
    packed[place] ^= 1
    assert type(fails([bytes(packed)])) is AnswerError
    assert type(fails(bytewise(bytes(packed)))) is AnswerError


def test_any_byte_damaged() -> None:
    """A body with a damaged byte is refused, unless the byte does not matter: wrong text never counts as complete."""
    for place in range(len(PACKED)):
        packed = bytearray(PACKED)
        packed[place] ^= 0x10
        try:
            assert unpack([bytes(packed)]) == TEXT
        except AfasError:
            continue


def test_missing_checksum() -> None:
    """A stream without its trailer is not complete, though all text came."""
    reader = body_reader("gzip", connector="C")
    reader.feed(PACKED[:-8])
    assert reader.read(1_000) == TEXT
    with pytest.raises(AnswerLostError):
        reader.finish()


@pytest.mark.parametrize("size", [1, 7, 1_000])
@pytest.mark.parametrize("rest", [b"\0", b"\n", b"garbage", PACKED, PACKED[:3]])
def test_bytes_behind_the_end(rest: bytes, size: int) -> None:
    """Nothing may follow the stream: no padding, no text, no second member."""
    error = fails(bytewise(PACKED + rest, size))
    assert isinstance(error, AnswerError)
    assert error.damaged
    assert "bytes follow the end of its gzip stream" in str(error)


@pytest.mark.parametrize("size", [1, 1_000])
@pytest.mark.parametrize("body", [TEXT, b"<html>", zlib.compress(TEXT), b"PK\x03\x04"])
def test_no_gzip_under_gzip(body: bytes, size: int) -> None:
    """Other data under the header gzip is refused."""
    error = fails(bytewise(body, size))
    assert isinstance(error, AnswerError)
    assert (error.connector, error.page, error.damaged) == ("C", 4, True)


@pytest.mark.parametrize(
    "encoding", ["deflate", "br", "zstd", "compress", "gzip, gzip", "gzip,identity", "identity, gzip", "*", "x" * 500]
)
def test_other_encodings(encoding: str) -> None:
    """The client offers only gzip, so every other encoding is refused, as is more than one."""
    with pytest.raises(AnswerError) as caught:
        body_reader(encoding, connector="C", page=1)
    assert (caught.value.connector, caught.value.page) == ("C", 1)
    assert len(str(caught.value)) < 200


def count_steps(pieces: list[bytes], steps: list[int]) -> None:
    """Unpack, and note the length of each step instead of keeping it."""
    reader = body_reader("gzip", connector="C")
    for piece in pieces:
        reader.feed(piece)
        while step := reader.read(1 << 16):
            steps.append(len(step))


@pytest.mark.parametrize("size", [1_000, 1 << 16, 1 << 24])
def test_bomb(size: int) -> None:
    """A small body that unpacks to a huge one comes in small steps: the reader can stop, in little memory."""
    packer = zlib.compressobj(9, wbits=31)
    packed = b"".join(packer.compress(b"\0" * (1 << 20)) for _ in range(MEGABYTES)) + packer.flush()
    steps: list[int] = []
    tracemalloc.start()
    try:
        count_steps(bytewise(packed, size), steps)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert max(steps) <= 1 << 16
    assert sum(steps) == MEGABYTES << 20
    assert peak < 1_000_000 + 2 * len(packed)


@pytest.mark.parametrize(
    ("headers", "framed"),
    [
        ({"Content-Length": "0"}, True),
        ({"Transfer-Encoding": "chunked"}, True),
        ({"Transfer-Encoding": "gzip, Chunked"}, True),
        ({"Transfer-Encoding": "identity"}, False),
        ({"Content-Encoding": "identity"}, False),
        ({}, False),
    ],
)
def test_framing(headers: dict[str, str], *, framed: bool) -> None:
    """Only a length or chunks mark the end of a body."""
    assert is_framed(headers) == framed
