"""Files whose responses are cut off, damaged or something else: complete, or an error, whatever the server does."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from afas_async import AfasError, AnswerError, AnswerLostError, ApiError, BusinessError, File
from tests.client.test_data_connectors import both_modes, names_in
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.read_table import End, Fault, chunked, client, end, framed, head
from tests.support.thoroughness import by_default

IDENTITY = "0" * 32
DATA = b"%PDF \x00\xff file"
JSON = json.dumps({
    "filename": "a.pdf", "filedata": base64.b64encode(DATA).decode(), "mimetype": "application/pdf"
}).encode()  # fmt: skip
every_end = pytest.mark.parametrize("how", ["fin", "rst"])


def as_binary(answer: bytes) -> bytes:
    """Return a response with the type of a PDF."""
    return answer.replace(b"application/json", b"application/pdf", 1)


def says(answer: bytes, how: End = "keep") -> Fault:
    async def script(connection: Connection, _: Received) -> None:
        await connection.send(answer)
        await end(connection, how)

    return script


async def got(script: Fault, *, binary: bool, to: Path | None = None, max_retries: int = 0) -> tuple[File, int]:
    """Return the file, and how many requests it took."""
    async with RawServer(script) as server, client(server, max_retries=max_retries) as afas:
        file = await afas.file(IDENTITY, "a.pdf", binary=binary, to=to)
        return file, len(server.requests)


async def fails(answer: bytes, how: End = "keep", *, binary: bool, to: Path | None = None) -> AfasError:
    try:
        file, _ = await got(says(answer, how), binary=binary, to=to)
    except AfasError as error:
        return error
    pytest.fail(f"{answer!r} was taken for a file of {file.size} bytes")


def body(*, binary: bool, packed: bool) -> bytes:
    content = DATA if binary else JSON
    return gzip.compress(content, mtime=0) if packed else content


def cuts(start: int, stop: int) -> list[int]:
    """Return where to cut: at each byte in a full run, and by default at some, including the last."""
    return [*range(stop - 1, start - 1, -by_default(5, 1))]


every_form = [
    pytest.param(binary, packed, id=f"{'binary' if binary else 'base64'}{' gzip' if packed else ''}")
    for binary in (False, True)
    for packed in (False, True)
]


@pytest.mark.sampled(4)
@pytest.mark.parametrize(("binary", "packed"), every_form)
@every_end
async def test_cut_at_every_byte_of_its_length(
    binary: bool,  # noqa: FBT001
    packed: bool,  # noqa: FBT001
    how: End,
    tmp_path: Path,
) -> None:
    """A body shorter than its Content-Length is lost, wherever it ends, and leaves no file."""
    content = body(binary=binary, packed=packed)
    lines = ["Content-Encoding: gzip"] if packed else []
    opening = as_binary(head(f"Content-Length: {len(content)}", *lines))
    for place in cuts(0, len(content)):
        error = await fails(opening + content[:place], how, binary=binary, to=tmp_path / "x")
        assert isinstance(error, (AnswerLostError, AnswerError))
        assert names_in(tmp_path) == []


@pytest.mark.parametrize(("binary", "packed"), every_form)
async def test_cut_at_every_byte_within_chunks(binary: bool, packed: bool) -> None:  # noqa: FBT001
    """A body whose last chunk is missing, in whole or in part, is lost too."""
    content = body(binary=binary, packed=packed)
    lines = ["Content-Encoding: gzip"] if packed else []
    answer = as_binary(chunked(content[:9], content[9:], lines=lines))
    for place in cuts(len(answer) - len(answer.partition(b"\r\n\r\n")[2]), len(answer) - 2):
        assert isinstance(await fails(answer[:place], "fin", binary=binary), (AnswerLostError, AnswerError))


@pytest.mark.parametrize(("binary", "packed"), [form for form in every_form if form.id != "binary"])
async def test_cut_at_every_byte_with_a_clean_end(binary: bool, packed: bool) -> None:  # noqa: FBT001
    """A proxy that lost its origin ends cleanly. The packing or the JSON still proves the cut."""
    content = body(binary=binary, packed=packed)
    lines = ["Content-Encoding: gzip"] if packed else []
    for place in cuts(0, len(content)):
        answer = as_binary(framed(content[:place], *lines))
        assert isinstance(await fails(answer, binary=binary), (AnswerLostError, AnswerError))


@pytest.mark.sampled(4)
@pytest.mark.parametrize(("binary", "packed"), every_form)
@every_end
async def test_cut_at_every_byte_without_framing(binary: bool, packed: bool, how: End) -> None:  # noqa: FBT001
    """Without framing, bare bytes are refused, and other bodies must be complete in themselves."""
    content = body(binary=binary, packed=packed)
    opening = as_binary(head(*(["Content-Encoding: gzip"] if packed else [])))
    for place in cuts(0, len(content) + (binary and not packed)):
        error = await fails(opening + content[:place], how, binary=binary)
        assert isinstance(error, (AnswerLostError, AnswerError))
    if not (binary and not packed) and how == "fin":
        file, _ = await got(says(opening + content, how), binary=binary)
        assert file.data == DATA


@pytest.mark.parametrize("line", ["Content-Encoding: identity", "Transfer-Encoding: identity"])
async def test_headers_that_frame_nothing(line: str) -> None:
    """Bare bytes need a mark of their end, not a header that looks like one."""
    assert isinstance(await fails(as_binary(head(line)) + DATA, "fin", binary=True), AnswerError)


@pytest.mark.parametrize(("binary", "packed"), every_form)
async def test_mended(binary: bool, packed: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """After a response that was cut off, the next attempt starts anew, and the file is that one's."""
    content = body(binary=binary, packed=packed)
    lines = ["Content-Encoding: gzip"] if packed else []
    whole = as_binary(framed(content, *lines))
    opening = as_binary(head(f"Content-Length: {len(content)}", *lines))
    attempts = [opening + content[: len(content) // 2], opening, whole]

    async def script(connection: Connection, _: Received) -> None:
        answer = attempts.pop(0)
        await connection.send(answer)
        if attempts:
            connection.fin()

    file, requests = await got(script, binary=binary, to=tmp_path / "x", max_retries=3)
    assert requests == 3
    assert file.size == len(DATA)
    assert (tmp_path / "x").read_bytes() == DATA
    assert names_in(tmp_path) == ["x"]


async def test_shorter_the_next_time(tmp_path: Path) -> None:
    """A file that became shorter between two attempts has no end of the longer one."""
    long = json.dumps({"filedata": base64.b64encode(bytes(100_000)).decode()}).encode()
    attempts = [head(f"Content-Length: {len(long)}") + long[:-10], framed(JSON)]

    async def script(connection: Connection, _: Received) -> None:
        await connection.send(attempts.pop(0))
        if attempts:
            await asyncio.sleep(1)  # until what has come is written
            connection.fin()

    file, requests = await got(script, binary=False, to=tmp_path / "x", max_retries=1)
    assert (requests, file.size) == (2, len(DATA))
    assert (tmp_path / "x").read_bytes() == DATA


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lambda packed: packed[:-8] + bytes(4) + packed[-4:], AnswerError),
        (lambda packed: packed[:-8], AnswerLostError),
        (lambda packed: packed + b"x", AnswerError),
        (lambda packed: packed + packed, AnswerError),
        (lambda _: b"not packed at all", AnswerError),
    ],
    ids=["checksum", "no trailer", "something behind it", "two of them", "no gzip"],
)
@both_modes
async def test_damaged_gzip(spoil: Callable[[bytes], bytes], kind: type[AfasError], *, binary: bool) -> None:
    """The checksum and the end of packed data are checked."""
    answer = as_binary(framed(spoil(body(binary=binary, packed=True)), "Content-Encoding: gzip"))
    assert type(await fails(answer, binary=binary)) is kind


@pytest.mark.parametrize("binary", [False, True])
async def test_other_encodings(binary: bool) -> None:  # noqa: FBT001
    """An encoding that was not offered is neither unpacked nor written to the file."""
    answer = as_binary(framed(body(binary=binary, packed=False), "Content-Encoding: br"))
    assert type(await fails(answer, binary=binary)) is AnswerError


@pytest.mark.parametrize(
    ("answer", "kind", "requests"),
    [
        (framed(b""), AnswerError, 3),
        (framed(b"{}"), AnswerError, 3),
        (framed(b"<html><h1>Runtime Error</h1></html>"), AnswerError, 3),
        (framed(b'{"filedata":"!!!!"}'), AnswerError, 3),
        (framed(b'{"externalMessage":"Geen rechten"}'), BusinessError, 1),
        (framed(JSON, status="202 Accepted"), AnswerError, 1),
        (head("Content-Length: 0", status="204 No Content"), AnswerError, 1),
        (framed(JSON, "Location: /elsewhere", status="302 Found"), ApiError, 1),
        (framed(JSON, "Location: https://evil.example/", status="307 Temporary Redirect"), ApiError, 1),
    ],
    ids=["empty", "no file", "html", "no base64", "refusal", "202", "204", "302", "307"],
)
async def test_what_is_no_answer_to_this(answer: bytes, kind: type[AfasError], requests: int, tmp_path: Path) -> None:
    """A wrong response is an error, retried if that can help; a redirect is never followed."""
    async with RawServer(says(answer)) as server, client(server) as afas:
        with pytest.raises(kind):
            await afas.file(IDENTITY, "a.pdf", to=tmp_path / "x")
        assert len(server.requests) == requests
        assert {request.target for request in server.requests} == {f"/rest/fileconnector/{IDENTITY}/a.pdf"}
    assert names_in(tmp_path) == []


async def test_json_in_place_of_bare_bytes(tmp_path: Path) -> None:
    """A service that does not know the header returns JSON, which is not written as the file."""
    error = await fails(framed(JSON), binary=True, to=tmp_path / "x")
    assert "retry without binary=True" in str(error)
    assert names_in(tmp_path) == []


@both_modes
async def test_more_than_its_length(*, binary: bool) -> None:
    """Bytes after the body are never part of the file. They are an error, as the place of the cut is unclear."""
    answer = as_binary(framed(body(binary=binary, packed=False))) + b"more"
    assert type(await fails(answer, "fin", binary=binary)) is AnswerError


def paths_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


async def test_names_from_the_server_lead_nowhere(tmp_path: Path) -> None:
    """Neither a header nor the body decides where a file is written."""
    lines = ["Content-Disposition: attachment; filename=../../evil.txt", "Location: file:///tmp/evil"]
    hostile = JSON.replace(b"a.pdf", b"../../../evil.txt")
    folder = tmp_path / "a" / "b" / "c"
    folder.mkdir(parents=True)
    for binary, answer in ((False, framed(hostile, *lines)), (True, as_binary(framed(DATA, *lines)))):
        await got(says(answer), binary=binary, to=folder / "good")
        assert paths_in(tmp_path) == ["a", "a/b", "a/b/c", "a/b/c/good"]
        assert (folder / "good").read_bytes() == DATA


async def test_a_long_answer_in_chunks_of_all_sizes() -> None:
    """Pieces may have any size, however the connection cuts them."""
    data = bytes(range(256)) * 3_000
    content = b'{"filedata":"' + base64.b64encode(data) + b'"}'
    pieces = [content[place : place + 777] for place in range(0, len(content), 777)]
    file, _ = await got(says(chunked(*pieces)), binary=False)
    assert file.data == data
