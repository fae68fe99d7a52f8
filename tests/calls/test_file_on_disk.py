"""Files on a disk: complete or absent, in bounded memory, and no leftovers."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import stat
import tracemalloc
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from afas_async import AfasClient, ClientClosedError, File, RequestTimeoutError
from afas_async.calls import file as files
from afas_async.http.memory import MEMORY
from afas_async.simulator import Simulator
from tests.client.test_data_connectors import both_modes, names_in
from tests.support.census import census
from tests.support.raw_server import Connection, RawServer, Received, Script
from tests.support.read_table import chunk, client, framed, head
from tests.support.thoroughness import by_default

IDENTITY = "0" * 32
BLOCK = bytes(range(256)) * 192  # 48 KiB, 64 KiB of base64
BLOCKS = by_default(300, 1_067)  # 15 or 50 MB
SOME = by_default(45, 100)
WAITING = by_default(1 << 20, MEMORY)  # what may wait for the disk: 16 MiB, by default less
MOST = WAITING + by_default(8_000_000, 13_000_000)  # and what the server's end holds


def content_of(path: Path) -> bytes:
    return path.read_bytes()


def large(blocks: int) -> Script:
    """Respond with so many blocks, in chunks."""

    async def script(connection: Connection, received: Received) -> None:
        binary = received.headers.get("sendfileasbinary") == "1"
        opening = head("Transfer-Encoding: chunked")
        piece = chunk(BLOCK if binary else base64.b64encode(BLOCK))
        await connection.send(opening.replace(b"json", b"pdf") if binary else opening + chunk(b'{"filedata":"'))
        for _ in range(blocks):
            await connection.send(piece)
        await connection.send(b"0\r\n\r\n" if binary else chunk(b'"}') + b"0\r\n\r\n")

    return script


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.mark.sampled(2)
@both_modes
async def test_fifty_megabytes(tmp_path: Path, *, binary: bool) -> None:
    """A large file goes to the disk piece by piece. Memory does not grow with its size, and every byte is right."""
    expected = hashlib.sha256()
    for _ in range(BLOCKS):
        expected.update(BLOCK)
    to, told = tmp_path / "large", list[int]()
    async with RawServer(large(BLOCKS)) as server, client(server, memory=WAITING) as afas:
        tracemalloc.start()
        try:
            file = await afas.file(IDENTITY, "large", to=to, binary=binary, on_progress=told.append)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert file.size == told[-1] == BLOCKS * len(BLOCK) > MOST
    assert max(after - before for before, after in pairwise(told)) <= 1 << 16
    assert await asyncio.to_thread(digest, to) == expected.hexdigest()
    assert peak < MOST
    assert names_in(tmp_path) == ["large"]


async def stalls(connection: Connection, _: Received) -> None:
    """Send a part of the file, and then nothing."""
    await connection.send(head("Content-Length: 400000") + b'{"filedata":"' + base64.b64encode(BLOCK) * 3)
    await asyncio.Event().wait()


async def test_cancelled_anywhere(tmp_path: Path) -> None:
    """A download that is cancelled at any step of the event loop leaves neither a file nor a task nor a request."""
    to = tmp_path / "cancelled"
    to.write_bytes(b"before")
    async with (
        Simulator(rows=5) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ):
        attached = simulator.files.attached[-1]
        finished = steps = 0
        while finished < 3:
            async with census(afas, simulator):
                download = asyncio.create_task(afas.file(attached.id, attached.name, to=to))
                for _ in range(steps):
                    await asyncio.sleep(0)
                download.cancel()
                try:
                    await download
                except asyncio.CancelledError:
                    assert content_of(to) in {b"before", attached.data}
                else:
                    finished += 1
                    assert content_of(to) == attached.data
            assert names_in(tmp_path) == ["cancelled"]
            # After the first ones, most steps only wait for a thread of the disk.
            steps += by_default(4 if steps < 200 else steps // 8, 1)
        assert steps > 20


async def test_cancelled_while_it_stalls(tmp_path: Path) -> None:
    """A stalled download that is cancelled, times out or loses its client leaves nothing either."""

    async def cancel(download: asyncio.Task[File], afas: AfasClient) -> None:
        download.cancel()
        with pytest.raises(asyncio.CancelledError):
            await download
        assert afas.statistics().in_flight == 0

    async def close(download: asyncio.Task[File], afas: AfasClient) -> None:
        await afas.aclose()
        with pytest.raises(ClientClosedError):
            await download

    async def wait(download: asyncio.Task[File], _: AfasClient) -> None:
        with pytest.raises(RequestTimeoutError):
            await download

    ends: list[Callable[[asyncio.Task[File], AfasClient], Awaitable[None]]] = [cancel, close, wait]
    for how in ends:
        async with RawServer(stalls) as server, client(server, timeout=20) as afas:
            download = asyncio.create_task(afas.file(IDENTITY, "x", to=tmp_path / "x"))
            await asyncio.sleep(5)
            assert [name.endswith(".part") for name in names_in(tmp_path)] == [True]
            await how(download, afas)
            assert names_in(tmp_path) == []


async def answers(connection: Connection, _: Received) -> None:
    await connection.send(framed(b'{"filedata":"eA=="}'))


@pytest.fixture
async def small() -> Any:
    async with RawServer(answers) as server, client(server) as afas:
        yield afas, server


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_mode_as_usual(small: tuple[AfasClient, RawServer], tmp_path: Path) -> None:
    """The user's umask decides who may read the file, as for any other new file."""
    usual = tmp_path / "usual"
    before = os.umask(0o027)
    try:
        usual.touch()
        await small[0].file(IDENTITY, "x", to=tmp_path / "x")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "x") == mode_of(usual) == 0o640


async def test_places_that_are_none(small: tuple[AfasClient, RawServer], tmp_path: Path) -> None:
    """A folder, or a path in a missing folder, is refused before anything is sent."""
    afas, server = small
    with pytest.raises(IsADirectoryError):
        await afas.file(IDENTITY, "x", to=tmp_path)
    with pytest.raises(FileNotFoundError):
        await afas.file(IDENTITY, "x", to=tmp_path / "none" / "x")
    assert server.requests == []
    assert names_in(tmp_path) == []


async def test_a_link(small: tuple[AfasClient, RawServer], tmp_path: Path) -> None:
    """The download replaces a link, and leaves its target unchanged."""
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"before")
    link.symlink_to(target)
    await small[0].file(IDENTITY, "x", to=str(link))
    assert (content_of(target), content_of(link)) == (b"before", b"x")


async def test_a_full_disk(
    small: tuple[AfasClient, RawServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the disk reaches the caller, and leaves no file."""

    async def full(_: object, __: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files._Disk, "write", full)
    with pytest.raises(OSError, match="No space"):
        await small[0].file(IDENTITY, "x", to=tmp_path / "x")
    assert names_in(tmp_path) == []


async def test_several_to_one_place(small: tuple[AfasClient, RawServer], tmp_path: Path) -> None:
    """Downloads to the same path do not mix: the last one stays."""
    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(small[0].file(IDENTITY, "x", to=tmp_path / "x"))
    assert names_in(tmp_path) == ["x"]
    assert content_of(tmp_path / "x") == b"x"


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes a second for each piece, beside a small memory."""
    write = files._Disk.write

    async def slowly(self: files._Disk, data: bytes) -> None:
        await asyncio.sleep(1)
        await write(self, data)

    monkeypatch.setattr(files._Disk, "write", slowly)


@pytest.mark.usefixtures("slow_disk")
async def test_a_slow_disk(tmp_path: Path) -> None:
    """A disk slower than the line costs no attempt: the time-out stands still while the response pauses."""
    async with RawServer(large(SOME)) as server, client(server, timeout=30, memory=1 << 20) as afas:
        file = await afas.file(IDENTITY, "x", to=tmp_path / "x")
        assert len(server.requests) == 1
    assert file.size == SOME * len(BLOCK)


@pytest.mark.usefixtures("slow_disk")
async def test_bounded_while_others_wait(tmp_path: Path) -> None:
    """On a slow disk, a download keeps to its memory also when all slots are taken and another call waits for one."""
    async with RawServer(large(2 * SOME)) as server, client(server, max_concurrency=1, memory=1 << 20) as afas:
        tracemalloc.start()
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(2):
                    group.create_task(afas.file(IDENTITY, "x", to=tmp_path / str(number)))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(server.requests) == 2
    assert peak < 5_000_000


async def test_too_large_for_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file too large for memory is refused, and the error names the alternative."""
    monkeypatch.setattr(files, "MEMORY_LIMIT", 1_000_000)
    async with RawServer(large(50)) as server, client(server) as afas:
        with pytest.raises(files.AnswerError, match="`to`"):
            await afas.file(IDENTITY, "x")
        assert len(server.requests) == 1


async def test_one_slot(tmp_path: Path) -> None:
    """Several downloads run one after the other if only one request may be in flight."""
    async with RawServer(answers) as server, client(server, max_concurrency=1) as afas:
        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(afas.file(IDENTITY, "x", to=tmp_path / str(number)))
        assert names_in(tmp_path) == ["0", "1", "2", "3", "4"]
        assert server.peak_in_flight == 1
