"""Files within JSON: every byte of them, however they arrive, or an error."""

from __future__ import annotations

import base64
import json
import random
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afas_async.errors import AfasError, AnswerError, AnswerLostError, BusinessError
from afas_async.wire.file_answers import REST_LIMIT, About, FileDecoder
from tests.support.row_answers import bytewise
from tests.support.thoroughness import by_default, examples

NOISE = random.Random(1).randbytes(1_000)  # noqa: S311 - all 64 signs of base64
TEXT = base64.b64encode(NOISE).decode()
ABOUT = {"filename": 'a "b" {filedata}: \\ \N{EURO SIGN}.pdf', "mimetype": "application/pdf"}
MANY = by_default(70_000, 100_000)  # more bytes than `REST_LIMIT`
BODIES: dict[str, str] = {
    "in order": json.dumps({**ABOUT, "filedata": TEXT}),
    "file first": json.dumps({"filedata": TEXT, **ABOUT}),
    "one line each": json.dumps(
        {"mimetype": ABOUT["mimetype"], "filedata": TEXT, "filename": ABOUT["filename"]}, indent=1
    ),
    "blanks": f' \r\n\t{{ "filedata" \n:\r\t "{TEXT}" , "filename" :{json.dumps(ABOUT["filename"])}'
    ' ,"mimetype" :"application/pdf" }\n ',
    "escaped slashes": json.dumps({**ABOUT, "filedata": TEXT}).replace(TEXT, TEXT.replace("/", "\\/")),
    "escaped signs": json.dumps({**ABOUT, "filedata": TEXT}).replace(
        TEXT, TEXT.replace("+", "\\u002B").replace("/", "\\u002f").replace("=", "\\u003d")
    ),
    "lines of mail": json.dumps({**ABOUT, "filedata": base64.encodebytes(NOISE).decode()}),
    "unknown members": json.dumps({
        "new": [{"filedata": "eA=="}, "filedata", {"x": {"filedata": [1]}}], **ABOUT, "filedata": TEXT, "more": None
    }),
    "escaped name": json.dumps({**ABOUT, "filedata": TEXT}).replace('"filedata":', '"file\\u0064ata":'),
    "byte order mark": "\ufeff" + json.dumps({**ABOUT, "filedata": TEXT}),
}  # fmt: skip


def decode(pieces: list[bytes]) -> tuple[bytes, About]:
    """Return the file and its facts."""
    decoder = FileDecoder("C")
    data = b"".join(map(decoder.feed, pieces))
    return data, decoder.finish()


@pytest.mark.sampled(4)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 64, 1_000, 10**6])
def test_the_file_comes_out(body: str, size: int) -> None:
    """The order, the blanks, the escapes and the ends of the pieces make no difference."""
    data, about = decode(bytewise(body.encode(), size))
    assert data == NOISE
    assert about == About("", **ABOUT)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_every_split_in_two(body: str) -> None:
    """One cut at each byte makes no difference."""
    raw = body.encode()
    for place in range(0, len(raw) + 1, by_default(5, 1)):
        assert decode([raw[:place], raw[place:]])[0] == NOISE


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_every_prefix_is_an_error(body: str) -> None:
    """A response that ends early never counts as complete, and the bytes of the file until then are its beginning."""
    raw = body.rstrip().encode()
    for end in range(len(raw) - 1, -1, -by_default(5, 1)):
        decoder = FileDecoder("C")
        assert NOISE.startswith(decoder.feed(raw[:end]))
        with pytest.raises((AnswerLostError, AnswerError)):
            decoder.finish()


@examples(300, 60)
@given(st.binary(max_size=400), st.text(max_size=20), st.integers(1, 50), st.permutations(range(4)))
def test_it_agrees_with_json_and_base64(data: bytes, text: str, size: int, order: list[int]) -> None:
    """This holds for any file, any name, any other members in any order, and pieces of any size."""
    members: list[tuple[str, Any]] = [
        ("filedata", base64.b64encode(data).decode()),
        ("filename", text),
        ("mimetype", text[::-1]),
        (text + "?", [text]),
    ]
    body = json.dumps(dict(members[place] for place in order)).encode()
    assert decode(bytewise(body, size)) == (data, About("", filename=text, mimetype=text[::-1]))


@examples(500, 60)
@given(st.data(), st.sampled_from([body.encode() for body in BODIES.values()]))
def test_one_wrong_byte(data: st.DataObject, body: bytes) -> None:
    """A changed byte makes an error of the library, or a file that a strict decoder accepts, too."""
    place = data.draw(st.integers(0, len(body) - 1))
    spoilt = body[:place] + bytes([data.draw(st.integers(0, 255))]) + body[place + 1 :]
    try:
        found, _ = decode(bytewise(spoilt, data.draw(st.integers(1, 300))))
    except AfasError:
        return
    document = json.loads(spoilt.decode("utf-8-sig", errors="replace"), strict=False)
    assert found == base64.b64decode(document["filedata"])


def test_an_empty_file() -> None:
    """A file may have no bytes, and neither name nor type."""
    assert decode([b'{"filedata":""}']) == (b"", About(""))
    assert decode([b'{"filename":null,"filedata":"","mimetype":null}']) == (b"", About(""))


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"null",
        b"[]",
        b'"filedata"',
        b'["filedata",":","eA=="]',
        b"{}",
        b'{"filename":"x"}',
        b'{"filedata":null}',
        b'{"filedata":5}',
        b'{"filedata":["eA=="]}',
        b'[{"filedata":"eA=="}]',
        b'{"a":{"filedata":"eA=="}}',
        b'{"filedata":"eA==","filedata":"eQ=="}',
        b'{"filedata":"eA=="}}',
        b'{"filedata":"eA=="} x',
        b'{"filedata":"eA=="}{"filedata":"eA=="}',
        b'{"filedata":"eA==" "filename":"x"}',
        b'{"filedata" "eA=="}',
        b'{"filedata":"eA"}',
        b'{"filedata":"eA="}',
        b'{"filedata":"=eA="}',
        b'{"filedata":"eA==eA=="}',
        b'{"filedata":"eA==AAAA"}',
        b'{"filedata":"eA==\\r\\neA=="}',
        b'{"filedata":"e A=="}',
        b'{"filedata":"e_-="}',
        b'{"filedata":"e\\"=="}',
        b'{"filedata":"\\u20ac==="}',
        b'{"filedata":"\\ud800=="}',
        b'{"filedata":"\\x=="}',
        b'{"filedata":"eA==","filename":5}',
        b'{"filedata":"eA==","filename":"\xff"}',
        b"<html><body>Runtime Error</body></html>",
        b"%PDF-1.4",
        b"\x00" * 100,
    ],
)
@pytest.mark.parametrize("size", [1, 10**6])
def test_what_is_no_file(body: bytes, size: int) -> None:
    """The error is worth another attempt, as a proxy's page is."""
    with pytest.raises(AnswerError) as raised:
        decode(bytewise(body, size))
    assert raised.value.damaged


def test_a_refusal_in_a_success() -> None:
    """Profit's refusal raises its own error, whatever the status says."""
    with pytest.raises(BusinessError, match="Geen rechten"):
        decode([b'{"externalMessage":"Geen rechten","errorNumber":1,"profitLogReference":"A"}'])


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "body", [b'{"filename":"' + b"x" * MANY, b"[" * MANY, b"1," * MANY, b" " * MANY, b"{" + b'"a":1,' * (MANY // 2)]
)
@pytest.mark.parametrize("size", [1_000, 10**7])
def test_what_is_too_long_beside_the_file(body: bytes, size: int) -> None:
    """A response that is something else is abandoned early, and its reading time grows with its length only."""
    with pytest.raises(AnswerError):
        decode(bytewise(body, size))


def test_bounded_memory() -> None:
    """A file needs the memory of a piece, not of the file."""
    piece = base64.b64encode(bytes(48 << 10))
    decoder = FileDecoder("C")
    decoder.feed(b'{"filename":"x","filedata":"')
    tracemalloc.start()
    try:
        total = sum(len(decoder.feed(piece)) for _ in range(200))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == 200 * (48 << 10)
    assert peak < 10 * (64 << 10)
    assert REST_LIMIT == 64 << 10
