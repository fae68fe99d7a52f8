"""Files, images and reports, as a client that knows nothing of this library asks for them."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from afas_async import AfasClient, BusinessError, NotFoundError
from afas_async.simulator import Fault, Latency, Simulator
from tests.simulator.conftest import Client, Reply


def coded(name: str) -> str:
    """Code a name as AFAS's own example does."""
    return quote(name, safe=" ").replace("_", "_5f").replace("%", "_").replace(" ", "%20")


async def fetch(client: Client, simulator: Simulator, path: str, *, binary: bool = False, **query: Any) -> Reply:
    headers = client.authorization(simulator) | ({"SendFileAsBinary": "1"} if binary else {})
    return await client.get(simulator, path, headers, **query)


def content(reply: Reply) -> bytes:
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
    return base64.b64decode(reply.json["filedata"], validate=True)


def shape(png: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">II", png[16:24])
    assert len(zlib.decompress(png[png.index(b"IDAT") + 4 : -16])) == (3 * width + 1) * height
    return width, height


async def test_every_way_to_a_file(client: Client, simulator: Simulator) -> None:
    """By path and by parameters, with the file's name or with its dossier item, in any case of letters."""
    for file in simulator.files.attached:
        ways: list[tuple[str, dict[str, Any]]] = [
            (f"/fileconnector/{file.id}/{coded(file.name)}", {}),
            (f"/FileConnector/{file.id.lower()}/{coded(file.name)}", {}),
            ("/fileconnector", {"fileid": file.id, "filename": file.name}),
            ("/fileconnector", {"fileid": file.id, "filenameuri": quote(file.name, safe="")}),
            (f"/subjectconnector/{file.subject_id}/{file.id}", {}),
            ("/subjectconnector", {"SubjectId": file.subject_id, "FileId": file.id}),
        ]
        for path, query in ways:
            reply = await fetch(client, simulator, path, **query)
            assert (reply.json["filename"], reply.json["mimetype"]) == (file.name, file.mimetype), path
            assert content(reply) == file.data
            reply = await fetch(client, simulator, path, binary=True, **query)
            assert (reply.status, reply.body) == (200, file.data)
            assert reply.headers["Content-Type"].partition(";")[0] == file.mimetype


async def test_what_is_absent(client: Client, simulator: Simulator) -> None:
    """An id, a name or a dossier item that does not belong together is an empty 404, as a file without permission."""
    first, second = simulator.files.attached[:2]
    image, report = simulator.files.images[0], simulator.files.reports[0]
    for path in (
        f"/fileconnector/{'0' * 32}/{coded(first.name)}",
        f"/fileconnector/{first.id}/{coded(second.name)}",
        f"/fileconnector/{first.id}",
        "/fileconnector",
        f"/subjectconnector/{first.subject_id + 1}/{first.id}",
        f"/subjectconnector/{first.subject_id}/{'0' * 32}",
        f"/imageconnector/{first.id}",
        f"/reportconnector/{image.id}",
        f"/imageconnector/{report.id}/x",
    ):
        for binary in (False, True):
            reply = await fetch(client, simulator, path, binary=binary)
            assert (reply.status, reply.body) == (404, b""), path


async def test_images(client: Client, simulator: Simulator) -> None:
    """Each image comes in three sizes, none above its bounds, and has no name."""
    for image in simulator.files.images:
        shapes = []
        for number in range(3):
            reply = await fetch(client, simulator, f"/imageconnector/{image.id}", format=number)
            assert set(reply.json) == {"filedata", "mimetype"}
            shapes.append(shape(content(reply)))
        original, thumbnail, medium = shapes
        assert max(thumbnail) == 64
        assert max(medium) == min(1000, max(original))
    assert content(await fetch(client, simulator, f"/imageconnector/{image.id}")) == image.sizes[0]
    assert (await fetch(client, simulator, f"/imageconnector/{image.id}", format="x")).status == 500


async def test_reports(client: Client, simulator: Simulator) -> None:
    """A report takes the filters of a GetConnector, and says how many rows meet them."""
    report = simulator.files.reports[0]
    path = f"/reportconnector/{report.id}"
    simple = {"filterfieldids": "ItemCode", "filtervalues": "000003", "operatortypes": "3"}
    json_form = '{"Filters":{"Filter":[{"@FilterId":"1","Field":[{"@FieldId":"ItemCode","@OperatorType":"1","#text":"000001"}]}]}}'  # noqa: E501
    for query, rows in (({}, b"300 rows"), (simple, b"3 rows"), ({"filterjson": json_form}, b"1 row")):
        reply = await fetch(client, simulator, path, **query)
        assert reply.json["mimetype"] == "application/pdf"
        page = content(reply)
        assert page.startswith(b"%PDF-1.4")
        assert b": " + rows + b")" in page
    assert b": 1 row)" in content(await fetch(client, simulator, f"{path}/ItemCode/000002"))
    reply = await fetch(client, simulator, path, filterfieldids="Nope", filtervalues="1", operatortypes="1")
    assert (reply.status, "Nope" in reply.json["externalMessage"]) == (500, True)


async def test_a_page_is_well_formed(client: Client, simulator: Simulator) -> None:
    """The table at the end of a report points at its objects."""
    page = content(await fetch(client, simulator, f"/reportconnector/{simulator.files.reports[1].id}"))
    table = page[int(page.split()[-2]) :].split(b"\n")
    assert table[:2] == [b"xref", b"0 6"]
    for number, line in enumerate(table[3:8], 1):
        assert page[int(line[:10]) :].startswith(b"%d 0 obj" % number)


async def test_files_come_out_of_the_seed() -> None:
    """The same seed gives the same files, another one other ids."""
    one, same, other = Simulator(seed=1), Simulator(seed=1), Simulator(seed=2)
    assert one.files.attached == same.files.attached
    assert one.files.images == same.files.images
    assert one.files.reports == same.files.reports
    assert {file.id for file in one.files.attached}.isdisjoint(file.id for file in other.files.attached)
    for each in (one, same, other):
        await each.stop()


async def test_a_file_of_ones_own(client: Client, simulator: Simulator) -> None:
    """A file can be added, of any size."""
    data = bytes(range(256)) * 2_000
    number = simulator.files.add("own.bin", data, mimetype="image/x", subject_id=7)
    assert content(await fetch(client, simulator, f"/subjectconnector/7/{number}")) == data
    assert (await fetch(client, simulator, f"/fileconnector/{number}/own.bin", binary=True)).body == data


async def test_tokens_faults_and_latency(client: Client, simulator: Simulator) -> None:
    """They hold for files as for everything else."""
    path = f"/fileconnector/{simulator.files.attached[0].id}/a_5fb%20_281_29.pdf"
    assert (await client.get(simulator, path, {})).status == 401
    simulator.faults.add(Fault(connector="fileconnector", status=503, retry_after=1))
    assert (await fetch(client, simulator, path)).status == 503
    assert (await fetch(client, simulator, path)).status == 200
    simulator.latency = Latency(base=0.05)
    await fetch(client, simulator, path)
    record = simulator.requests[-1]
    assert record.ended is not None
    assert record.ended - record.started >= 0.05
    assert "SendFileAsBinary" not in record.headers


async def test_compressed() -> None:
    """Files are compressed for clients that ask for it, in both forms."""
    async with Simulator(rows=5, gzip=True) as simulator, aiohttp.ClientSession() as session:
        for file in simulator.files.attached:
            headers = Client.authorization(simulator) | {"SendFileAsBinary": "1", "Accept-Encoding": "gzip"}
            url = f"{simulator.base_url}/subjectconnector/{file.subject_id}/{file.id}"
            async with session.get(url, headers=headers) as response:
                assert response.headers.get("Content-Encoding") == ("gzip" if file.data else None)
                assert await response.read() == file.data


PICTURE = b"\x89PNG" * 1_000


async def test_attachments_that_clients_write() -> None:
    """A file that is inserted with a dossier item is listed with an id, by which it is served as it was."""
    async with (
        Simulator(rows=5) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ):
        files = [{"FileName": "foto 1.png", "FileStream": PICTURE}, {"FileName": "x", "FileStream": b"x"}]
        links = [{"ToBC": True, "BcId": "1"}, {"SfTp": 2, "SfId": "000255"}]
        item = {"StId": 1, "Ds": "Offerte", "KnSubjectAttachment": files, "KnSubjectLink": links}
        subject = (await afas.insert("KnSubject", item)).keys[0]["SbId"]
        rows = await afas.rows("Profit_SubjectAttachments", key=("SubjectId", "FileId")).to_list()
        assert len(rows) == len(simulator.files.attached) + 2
        first, second = (row for row in rows if row["SubjectId"] == int(subject))
        assert first == {"SubjectId": int(subject), "FileId": f"A{1:031X}", "FileName": "foto 1.png"}
        by_subject = await afas.subject(subject, first["FileId"])
        assert (by_subject.data, by_subject.name, by_subject.mimetype) == (PICTURE, "foto 1.png", "image/png")
        by_name = await afas.file(second["FileId"], second["FileName"])
        assert (by_name.data, by_name.mimetype) == (b"x", "application/octet-stream")
        for row in rows:
            assert (await afas.file(row["FileId"], row["FileName"])).size is not None
        with pytest.raises(NotFoundError):
            await afas.subject(1, first["FileId"])
        shown = await afas.rows("Profit_SubjectLinks", key=("SubjectId", "LinkNo")).to_list()
        assert [(row["LinkNo"], row["OrganisationPerson"], row["Destination"]) for row in shown] == [
            (1, "1", None),
            (2, None, "000255"),
        ]
        change = {"FileId": first["FileId"], "FileStream": b"y"}
        with pytest.raises(BusinessError):
            await afas.update("KnSubject", {"@SbId": subject, "KnSubjectAttachment": change})
        with pytest.raises(BusinessError):
            await afas.insert("KnSubject", {**item, "KnSubjectAttachment": {"FileName": "x", "FileStream": "%"}})
        await afas.delete(
            "KnSubject", key={"SbId": subject}, sub="KnSubjectAttachment", sub_key={"FileId": first["FileId"]}
        )
        with pytest.raises(NotFoundError):
            await afas.subject(subject, first["FileId"])
        await afas.delete("KnSubject", key={"SbId": subject})
        with pytest.raises(NotFoundError):
            await afas.subject(subject, second["FileId"])
        assert await afas.rows("Profit_SubjectLinks", key=("SubjectId", "LinkNo")).to_list() == []
        simulator.reset()
        await afas.insert("KnSubject", item)
        assert (await afas.subject(subject, f"A{1:031X}")).data == PICTURE


async def test_an_own_table_of_attachments(client: Client) -> None:
    """A connector of your own in place of the table of attachments leaves the files as they are."""
    async with Simulator(rows=5, connectors={"profit_subjectattachments": [{"A": 1}]}) as simulator:
        number = simulator.files.add("x.bin", b"x", subject_id=7)
        assert content(await fetch(client, simulator, f"/subjectconnector/7/{number.lower()}")) == b"x"
        assert "KnSubject" not in simulator.store.updates
