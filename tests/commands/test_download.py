"""`file`, `subject`, `image` and `report`: they write files to the disk, and only to the requested path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from afas_async.calls.file import File
from afas_async.client.client import AfasClient
from afas_async.simulator import Simulator
from tests.support.command_line import environment, refused, run


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Simulator]:
    monkeypatch.chdir(tmp_path)
    with environment(monkeypatch, rows=10) as running:
        yield running


def test_each_kind(simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """A file gets its own name, or the given one."""
    attached, image, report = simulator.files.attached[0], simulator.files.images[0], simulator.files.reports[0]
    assert run(capsys, "file", attached.id, attached.name).out == f"{attached.name}: 559 bytes, application/pdf\n"
    assert run(capsys, "subject", str(attached.subject_id), attached.id, "-o", "b.pdf").status == 0
    assert run(capsys, "image", str(image.id), "--size", "thumbnail").out.startswith(f"image-{image.id}.png: ")
    made = run(capsys, "report", report.id, "--where", 'ItemCode == "000001"', "-o", "r.pdf")
    assert (made.status, b"1 row" in Path("r.pdf").read_bytes()) == (0, True)
    assert Path(attached.name).read_bytes() == Path("b.pdf").read_bytes()
    assert "File exists" in refused(run(capsys, "file", attached.id, attached.name))


@pytest.mark.parametrize("name", ["../../x.pdf", "..\\x.pdf", "/x.pdf", ".x.pdf"])
@pytest.mark.usefixtures("simulator")
def test_what_the_service_answers_is_no_path(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the last part of the path becomes a name in this folder, and no file is hidden."""

    async def answer(*_: object, **__: object) -> File:
        return File(name, "application/pdf", b"x", 1)

    monkeypatch.setattr(AfasClient, "file", answer)
    assert run(capsys, "file", "0" * 32, "x").out.startswith("x.pdf: ")
    assert [path.name for path in Path().iterdir()] == ["x.pdf"]


@pytest.mark.usefixtures("simulator")
def test_what_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """One line says so, and no file is left."""
    assert "HTTP 404" in refused(run(capsys, "image", "999999", "-o", "x.png"))
    assert [*Path().iterdir()] == []
