"""The files of a plan: each part once, complete or absent, whoever writes them and however often."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import fsspec
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from afas_async import AfasClient, UsageError
from afas_async.columns import (
    Manifest,
    PartFile,
    check_tiling,
    manifests_of,
    part_files,
    part_folder,
    sweep,
    write_part,
)
from afas_async.columns.new_file import write_file
from afas_async.simulator import Latency, Simulator

ROWS = 1_300
Planned = Callable[..., Awaitable[list[PartFile]]]


@pytest.fixture
def planned(afas: AfasClient, tmp_path: Path) -> Planned:
    """The files of a plan of one connector, by default in a folder of this test."""

    async def plan(to: str | Path = tmp_path / "run", parts: int = 3) -> list[PartFile]:
        return part_files({"12345": await afas.plan("Profit_Article", key="ItemCode", parts=parts)}, to)

    return plan


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def content(folder: Path) -> list[Path]:
    return [*folder.iterdir()]


async def test_the_files_of_a_plan(afas: AfasClient, planned: Planned, tmp_path: Path) -> None:
    """The files in the order of their names are the read in key order, and each manifest says what its file holds."""
    files = await planned()
    manifests = {file.name: await write_part(afas, file, select=["ItemCode", "Price"]) for file in files}
    assert manifests_of(files) == manifests
    check_tiling(files, manifests)
    found = [pq.read_table(tmp_path / "run" / f"{name}.parquet") for name in sorted(manifests)]
    assert [table.num_rows for table in found] == [manifest.rows for manifest in manifests.values()]
    codes = pa.concat_tables(found)["ItemCode"].to_pylist()
    assert codes == [f"{number:06}" for number in range(1, ROWS + 1)]
    assert manifests[files[0].name].columns == {"ItemCode": "string", "Price": "decimal128(18, 2)"}
    assert names(tmp_path / "run") == {file.name + ending for file in files for ending in (".parquet", ".json")}


async def test_a_part_that_is_there_is_not_read_again(afas: AfasClient, planned: Planned, simulator: Simulator) -> None:
    """A second call sends nothing, and returns the manifest."""
    (file, *_) = await planned()
    manifest = await write_part(afas, file)
    before = simulator.counters.requests
    assert await write_part(afas, file) == manifest
    assert simulator.counters.requests == before


async def test_files_survive_json(afas: AfasClient, planned: Planned) -> None:
    """A `PartFile` travels to other machines as JSON."""
    (file, *_) = await planned()
    there = msgspec.convert(msgspec.json.decode(msgspec.json.encode(file)), PartFile)
    assert there == file
    assert (await write_part(afas, there)).part == file.part


async def test_a_damaged_file_counts_as_missing(afas: AfasClient, planned: Planned, tmp_path: Path) -> None:
    """A part counts if its manifest can be read, and its file has the size that the manifest says."""
    files = await planned()
    good, empty, short = [tmp_path / "run" / file.name for file in files]
    for file in files:
        await write_part(afas, file)
    empty.with_suffix(".json").write_bytes(b"")
    short.with_suffix(".parquet").write_bytes(short.with_suffix(".parquet").read_bytes()[:-1])
    assert [*manifests_of(files)] == [files[0].name]
    with pytest.raises(UsageError, match=f"2 of 3 parts are missing, such as {files[1].name}: run the plan again"):
        check_tiling(files, manifests_of(files))
    for file in files:
        await write_part(afas, file)
    check_tiling(files, manifests_of(files))
    assert sum(pq.read_metadata(path.with_suffix(".parquet")).num_rows for path in (good, empty, short)) == ROWS


async def test_files_of_another_plan_are_refused(afas: AfasClient, planned: Planned, tmp_path: Path) -> None:
    """A folder never mixes two plans, as their parts overlap. Other files in the folder stay."""
    files = await planned()
    await write_part(afas, files[0])
    (tmp_path / "run" / "12345" / "Profit_Article" / "_SUCCESS").touch()
    (tmp_path / "run" / "12345" / "other.parquet").touch()  # not in the folder of a connector
    assert len(manifests_of(files)) == 1
    with pytest.raises(UsageError, match=r"part-00000-.* belongs to another plan: use a new folder for each run"):
        manifests_of(await planned(parts=4))


async def test_columns_that_differ_are_refused(afas: AfasClient, planned: Planned) -> None:
    """All files of a connector have the same columns. A run that continues with other options is refused."""
    first, second, third = await planned()
    await write_part(afas, first, select=["ItemCode", "Price"])
    await write_part(afas, second, select=["ItemCode", "Price"])
    await write_part(afas, third, select=["ItemCode", "Price"], types={"Price": pa.decimal128(20, 2)})
    with pytest.raises(UsageError, match=rf"{third.name} has other columns than {first.name} \(Price\)"):
        check_tiling([first, second, third], manifests_of([first, second, third]))


async def test_a_manifest_of_another_part_is_refused(afas: AfasClient, planned: Planned) -> None:
    """A file that was copied over another one is noticed by its manifest."""
    first, second, _ = await planned()
    manifest = await write_part(afas, first)
    with pytest.raises(UsageError, match="its manifest belongs to another part"):
        check_tiling([second], {second.name: manifest})


async def test_two_writers_of_one_part(afas: AfasClient, planned: Planned, tmp_path: Path) -> None:
    """Two writers of the same part, one of which was thought dead, leave one complete file and no other."""
    (file, *_) = await planned()
    one, other = await asyncio.gather(write_part(afas, file), write_part(afas, file))
    assert one.rows == other.rows
    assert manifests_of([file]).keys() == {file.name}
    assert names(tmp_path / "run") == {f"{file.name}.parquet", f"{file.name}.json"}


async def test_sweeping(afas: AfasClient, planned: Planned, tmp_path: Path) -> None:
    """Temporary files of these parts are removed, others stay. A writer that still writes to a removed file fails."""
    files = await planned()
    for file in files:
        await write_part(afas, file)
    folder = tmp_path / "run" / "12345" / "Profit_Article"
    final = folder / f"{Path(files[0].name).name}.parquet"
    before = final.read_bytes()
    (folder / ".part-00009-000000000000.parquet.0123456789ab.part").touch()

    class Sink:
        def __init__(self, path: Path) -> None:
            self._path = path
            path.write_bytes(b"late")

        def write(self, piece: bytes) -> None: ...

        def finish(self) -> None:
            assert sweep(files) == 1

        abandon = finish

    async def nothing() -> Any:
        for piece in ():
            yield piece

    with pytest.raises(FileNotFoundError):
        await write_file(final, Sink, nothing())
    assert final.read_bytes() == before
    assert sweep(files) == 0
    assert len(names(tmp_path / "run")) == 2 * len(files) + 1


async def test_a_cancelled_write_leaves_nothing(
    afas: AfasClient, planned: Planned, tmp_path: Path, simulator: Simulator
) -> None:
    """A cancelled call ends, and leaves no file."""
    (file, *_) = await planned()
    simulator.latency = Latency(base=5.0)
    task = asyncio.create_task(write_part(afas, file))
    await asyncio.sleep(7)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert names(tmp_path / "run") == set()


async def test_a_remote_folder(
    afas: AfasClient, planned: Planned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A URL of fsspec works as well. A part that cannot be uploaded leaves nothing, here or there."""
    monkeypatch.setattr(part_folder.tempfile, "tempdir", str(tmp_path))
    files = await planned("memory://afas/run")
    memory = fsspec.filesystem("memory")
    with monkeypatch.context() as broken:
        broken.setattr(MemoryFileSystem, "mv", _refuse)
        with pytest.raises(OSError, match="no room"):
            await write_part(afas, files[0])
    assert memory.find("/afas") == []
    manifests = {file.name: await write_part(afas, file) for file in files}
    assert manifests_of(files) == manifests
    assert sum(manifest.rows for manifest in manifests.values()) == ROWS
    memory.pipe_file(f"/afas/run/12345/Profit_Article/.{Path(files[0].name).name}.json.0123.part", b"")
    assert sweep(files) == 1
    assert len(memory.find("/afas")) == 2 * len(files)
    assert content(tmp_path) == []
    memory.rm("/afas", recursive=True)


async def test_a_cancellation_while_the_scratch_folder_is_made_leaves_none(
    afas: AfasClient, planned: Planned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, make, made = asyncio.get_running_loop(), Path.mkdir, list[Path]()

    def mkdir(path: Path, mode: int) -> None:
        loop.call_soon_threadsafe(task.cancel)
        make(path, mode)
        made.append(path)

    (file, *_) = await planned("memory://afas/cancelled")
    monkeypatch.setattr(part_folder.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(Path, "mkdir", mkdir)
    task = asyncio.create_task(write_part(afas, file))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [path.parent for path in made] == [tmp_path]
    assert content(tmp_path) == []


def _refuse(*_: object, **__: object) -> None:
    raise OSError("no room")


async def test_environments_take_turns(afas: AfasClient) -> None:
    """Workers that begin at the front of the list work on all environments."""
    parts = await afas.plan("Profit_Article", key="ItemCode", parts=3)
    files = part_files({"a": parts, "b": parts[:1], "c": []}, "run")
    assert [file.environment for file in files] == ["a", "b", "a", "a"]
    assert len({file.name for file in files}) == 4


@pytest.mark.parametrize(
    ("environment", "change", "message"),
    [
        ("12345", lambda parts: [*parts, parts[0]], "12345: the plan has the same part of Profit_Article twice"),
        ("12345", lambda _: [{"connector": "Profit_Article"}], "12345: part: expected one of the parts"),
        ("12345", lambda parts: [{**parts[0], "connector": "../x"}], "x"),
        ("../12345", lambda parts: parts, "cannot name a folder"),
        ("", lambda parts: parts, "cannot name a folder"),
    ],
    ids=["twice", "no_part", "path", "climbing", "empty"],
)
async def test_what_makes_no_sense(
    afas: AfasClient, environment: str, change: Callable[[Any], Any], message: str
) -> None:
    """A plan that would write rows twice or elsewhere is refused before anything is read."""
    parts = await afas.plan("Profit_Article", key="ItemCode", parts=2)
    with pytest.raises(UsageError, match=message):
        part_files({environment: change(parts)}, "run")


def test_a_manifest_of_another_version() -> None:
    """A manifest of a later form counts as missing, not as an error."""
    manifest = Manifest("1", {}, 1, 10, 0.1, {})
    text = msgspec.json.encode(manifest)
    assert part_folder._decoded(text, 10) == manifest
    assert part_folder._decoded(text, 11) is None
    assert part_folder._decoded(text.replace(b'"version":1', b'"version":2'), 10) is None
