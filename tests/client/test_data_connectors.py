"""Files, images and reports over HTTP: complete, under their own names, into memory or onto a disk."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from afas_async import (
    AfasClient,
    AuthenticationError,
    BusinessError,
    ClientClosedError,
    F,
    File,
    InvalidNameError,
    NotFoundError,
    QueryTooLongError,
    ServerError,
    UnavailableError,
)
from afas_async.simulator import Fault, Simulator
from tests.support import canary
from tests.support.raw_server import Connection, RawServer, Received

both_modes = pytest.mark.parametrize("binary", [False, True], ids=["base64", "binary"])
ABSENT = "absent or not permitted"


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@asynccontextmanager
async def service(*, gzip: bool = False) -> AsyncIterator[tuple[Simulator, AfasClient]]:
    async with (
        Simulator(rows=300, token=canary.TOKEN, gzip=gzip) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ):
        yield simulator, afas


async def test_version(afas: AfasClient, simulator: Simulator) -> None:
    """The version of Profit, in one request."""
    assert await afas.version() == "22.22.5"
    assert [request.path for request in simulator.requests] == ["/profitrestservices/profitversion"]


@pytest.mark.sampled(2)
@both_modes
@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("on_disk", [False, True], ids=["memory", "disk"])
async def test_every_sample_file(tmp_path: Path, *, binary: bool, gzip: bool, on_disk: bool) -> None:
    """Each file comes byte for byte with its name and type, in both forms, by its name and by its dossier item."""
    async with service(gzip=gzip) as (simulator, afas):
        for number, attached in enumerate(simulator.files.attached):
            if binary and attached.mimetype == "application/json":
                continue  # looks like the response of a service that does not know bare bytes
            to = tmp_path / f"{number}" if on_disk else None
            for file in (
                await afas.file(attached.id, attached.name, to=to, binary=binary),
                await afas.subject(attached.subject_id, attached.id, to=to, binary=binary),
            ):
                assert (to.read_bytes() if to else file.data) == attached.data
                assert (file.mimetype, file.size, file.path) == (attached.mimetype, len(attached.data), to)
                assert to is None or file.data == b""
                assert file.name == attached.name or binary
            if to:
                assert names_in(tmp_path) == [to.name]
                to.unlink()
            headers = simulator.requests[-1].headers
            assert headers.get("SendFileAsBinary") == ("1" if binary else None)


async def test_the_name_of_bare_bytes(afas: AfasClient, simulator: Simulator) -> None:
    """Bare bytes have the requested name, or no name."""
    attached = simulator.files.attached[0]
    assert (await afas.file(attached.id, attached.name, binary=True)).name == attached.name
    assert (await afas.subject(attached.subject_id, attached.id, binary=True)).name == ""


async def test_an_image_with_a_number(afas: AfasClient, simulator: Simulator) -> None:
    """Some environments number their images: you can give the number as a row has it, or as text."""
    image = simulator.files.images[-1]
    assert (await afas.image(int(image.id))).data == (await afas.image(image.id)).data == image.sizes[0]


@both_modes
async def test_images(afas: AfasClient, simulator: Simulator, *, binary: bool) -> None:
    """An image comes in the requested size."""
    image = simulator.files.images[0]
    assert (await afas.image(image.id, binary=binary)).data == image.sizes[0]
    assert (await afas.image(image.id, "thumbnail", binary=binary)).data == image.sizes[1]
    medium = await afas.image(image.id, format="medium", binary=binary)
    assert medium == File("", "image/png", image.sizes[2], len(image.sizes[2]))
    assert [request.query for request in simulator.requests] == [{"format": "0"}, {"format": "1"}, {"format": "2"}]


@both_modes
async def test_reports(afas: AfasClient, simulator: Simulator, tmp_path: Path, *, binary: bool) -> None:
    """A report takes conditions as rows do, in both forms of a filter."""
    guid = simulator.files.reports[0].id
    code = F.ItemCode
    for where, rows in (
        (None, b"3000 rows"),
        (code <= "000007", b"7 rows"),
        ((code == "000001") | (code == "000009"), b"2 rows"),
        (code == "0,0;0", b"0 rows"),
    ):
        report = await afas.report("{" + guid + "}", where=where, binary=binary)
        assert report.mimetype == "application/pdf"
        assert b": " + rows + b")" in report.data
    assert ["filterjson" in request.query for request in simulator.requests] == [False, False, True, True]
    kept = await afas.report(guid, where=code <= "000007", to=tmp_path / "report.pdf")
    assert kept.path is not None
    assert b": 7 rows)" in kept.path.read_bytes()
    with pytest.raises(BusinessError, match="Nope"):
        await afas.report(guid, where=F.Nope == 1)
    requests = len(simulator.requests)
    with pytest.raises(QueryTooLongError):
        await afas.report(guid, where=code.in_([f"{number:06}" for number in range(500)]))
    assert len(simulator.requests) == requests


@both_modes
async def test_what_is_absent(afas: AfasClient, simulator: Simulator, tmp_path: Path, *, binary: bool) -> None:
    """A missing document is one error that says what it can mean, after one request. No file is written."""
    attached = simulator.files.attached[0]
    for call in (
        lambda: afas.file("0" * 32, "a.pdf", to=tmp_path / "x", binary=binary),
        lambda: afas.file(attached.id, "other.pdf", binary=binary),
        lambda: afas.subject(attached.subject_id + 1, attached.id, binary=binary),
        lambda: afas.image("0" * 32, binary=binary),
        lambda: afas.report("0" * 32, binary=binary),
    ):
        requests = len(simulator.requests)
        with pytest.raises(NotFoundError, match=ABSENT) as raised:
            await call()
        assert raised.value.status == 404
        assert len(simulator.requests) == requests + 1
    assert names_in(tmp_path) == []


async def test_ids_are_checked_first(afas: AfasClient, simulator: Simulator, tmp_path: Path) -> None:
    """An impossible id or name is refused: nothing is sent, and nothing is written."""
    identity = "0" * 32
    for call in (
        lambda: afas.file("../../metainfo", "a.pdf", to=tmp_path / "x"),
        lambda: afas.file(identity, "../a.pdf"),
        lambda: afas.subject("1/..", identity),
        lambda: afas.subject(1, f"{identity}?"),
        lambda: afas.image(f"{identity}/.."),
        lambda: afas.report("x"),
    ):
        with pytest.raises(InvalidNameError):
            await call()
    assert list(simulator.requests) == []
    assert names_in(tmp_path) == []


@both_modes
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=503, retry_after=1),
        Fault(cut="reset"),
        Fault(cut="reset", at=100),
        Fault(cut="close", at=300),
        Fault(status=502, body="<html>"),
        Fault(refusal="locked"),
        Fault(cut="close", at=0),
    ],
    ids=str,
)
async def test_another_attempt(tmp_path: Path, fault: Fault, *, binary: bool) -> None:
    """A download that breaks starts anew, and the file has the bytes of one response only."""
    async with service() as (simulator, afas):
        attached = simulator.files.attached[-1]
        simulator.faults.add(fault)
        found: list[int] = []
        to = tmp_path / "big"
        file = await afas.file(attached.id, attached.name, to=to, binary=binary, on_progress=found.append)
        assert to.read_bytes() == attached.data
        assert file.size == found[-1] == len(attached.data)
        assert len(simulator.requests) == 2
        assert names_in(tmp_path) == ["big"]
        simulator.faults.add(fault)
        assert (await afas.file(attached.id, attached.name, binary=binary)).data == attached.data


async def test_refused_for_good(tmp_path: Path) -> None:
    """An error leaves only the earlier file, unchanged."""
    to = tmp_path / "kept"
    to.write_bytes(b"before")
    async with service() as (simulator, afas):
        attached = simulator.files.attached[0]
        simulator.faults.add(Fault(status=503, retry_after=7200))
        with pytest.raises(UnavailableError):
            await afas.file(attached.id, attached.name, to=to)
        simulator.faults.add(Fault(connector="fileconnector", status=401))
        with pytest.raises(AuthenticationError):
            await afas.file(attached.id, attached.name, to=to)
        assert to.read_bytes() == b"before"
        assert names_in(tmp_path) == ["kept"]


async def test_a_client_that_is_closed(tmp_path: Path) -> None:
    """A client that is not open sends no request and writes no file."""
    afas = AfasClient("12345", auth=canary.TOKEN)
    with pytest.raises(ClientClosedError):
        await afas.file("0" * 32, "a", to=tmp_path / "a")
    assert names_in(tmp_path) == []


async def test_what_is_shown(afas: AfasClient, simulator: Simulator, watch: canary.Watch) -> None:
    """No repr shows a file's bytes, and no event its name: both may be personal."""
    number = simulator.files.add("Ontslag Jan.txt", b"geheim" * 10)
    file = await afas.file(number, "Ontslag Jan.txt")
    assert repr(file) == "File(name='Ontslag Jan.txt', mimetype='application/octet-stream', size=60)"
    assert not any(re.search("Ontslag|geheim", text) for text in watch.texts if text.startswith("Event("))


async def test_what_the_service_tells_is_cleaned(afas: AfasClient, simulator: Simulator, tmp_path: Path) -> None:
    """A name with terminal control characters is harmless, and a path as a name leads nowhere."""
    hostile = "..\\..\\evil\x1b[2J\u202e.txt"
    number = simulator.files.add(hostile, b"x", subject_id=3)
    file = await afas.subject(3, number, to=tmp_path / "good")
    assert file.name == "..\\..\\evil\\u001b[2J\\u202e.txt"
    assert file.path == tmp_path / "good"
    assert names_in(tmp_path) == ["good"]


async def test_progress(afas: AfasClient, simulator: Simulator) -> None:
    """The progress function is called for each piece; its exception ends the download."""
    data = bytes(300_000)
    number = simulator.files.add("x", data)
    for binary in (False, True):
        told: list[int] = []
        await afas.file(number, "x", on_progress=told.append, binary=binary)
        assert told == sorted(set(told))
        assert len(told) > 3
        assert told[-1] == len(data)

    def stop(_: int) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        await afas.file(number, "x", on_progress=stop)


@pytest.mark.parametrize("page", ["of today", "older"])
async def test_a_name_that_is_coded_in_one_of_two_ways(page: str) -> None:
    """The other encoding costs one 404, once for each client. A missing file costs both."""
    coded = {"of today": "Gabri%C3%ABls.pdf", "older": "Gabri_C3_ABls.pdf"}[page]
    asked = list[str]()

    async def answer(connection: Connection, received: Received) -> None:
        asked.append(received.target.rpartition("/")[2])
        if asked[-1] == coded:
            await connection.answer(b'{"filename":"x.pdf","mimetype":"application/pdf","filedata":"eA=="}')
        else:
            await connection.answer(b"<html>404</html>", status=404)

    async with RawServer(answer) as server, AfasClient(base_url=server.base_url, auth=canary.TOKEN) as afas:
        for _ in range(3):
            assert (await afas.file("0" * 32, "Gabri\u00ebls.pdf")).data == b"x"
        assert len(asked) == (3 if page == "of today" else 4)
        with pytest.raises(NotFoundError):
            await afas.file("0" * 32, "caf\u00e9.pdf")
        assert len(asked) == (5 if page == "of today" else 6)


async def test_a_wrong_name_that_is_answered_as_a_fault() -> None:
    async def answer(connection: Connection, _: Received) -> None:
        await connection.answer(b"<html>404 - File or directory not found.</html>", status=500)

    async with (
        RawServer(answer) as server,
        AfasClient(base_url=server.base_url, auth=canary.TOKEN, max_retries=0) as afas,
    ):
        with pytest.raises(ServerError, match="compare filename with the row of the file"):
            await afas.file("0" * 32, "x.pdf")
