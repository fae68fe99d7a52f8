"""The files of plans in a folder, local or remote: each is there when it is complete, whoever writes it.

Several processes may write the same part, as a worker that was given up may still live. Each writes under a name of its
own and renames, so that a reader sees one complete file. A manifest beside it counts if the file has the size that it
says.
"""
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false
# fsspec has no types, and those of pyarrow.parquet are open in part.

from __future__ import annotations

import posixpath
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypedDict, Unpack

import fsspec.core
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from afas_async.client.client import AfasClient
from afas_async.columns.manifest import VERSION, Manifest, PartFile
from afas_async.columns.parquet import to_parquet
from afas_async.columns.worker import Worker
from afas_async.errors import UsageError
from afas_async.http.clock import loop_time

_DATA: Final = ".parquet"
_MANIFEST: Final = ".json"
_UNFINISHED: Final = ".part"


class PartOptions(TypedDict, total=False):
    """The options of `write_part`; `batches` describes them."""

    types: Mapping[str, pa.DataType] | None
    select: Iterable[str] | None


async def write_part(afas: AfasClient, file: PartFile, **options: Unpack[PartOptions]) -> Manifest:
    """Write the rows of one part of a plan into its Parquet file, and its manifest beside it.

    Nothing is read if both are there already. The file has its name when it is complete, and not before, as that of
    `to_parquet`; for a remote folder it is written on this machine first. A process that is killed leaves a file with a
    temporary name, which `sweep` removes.

    Args:
        afas: The client of the part's environment.
        file: Which part, and where to.
        options: `types` and `select`, as for `batches`.

    Returns:
        What was written, by this call or by one before it.

    Raises:
        OSError: If the disk or the remote folder refuses.
        AfasError: As for `to_parquet`.
    """
    async with Worker() as disk:
        folder = await disk.run(_Folder, file.folder)
        if (there := await disk.run(folder.manifest, file.name)) is not None:
            return there
        started = loop_time()
        await disk.run(folder.make_room, file.name)
        scratch = None if folder.is_local else Path(tempfile.gettempdir(), f"afas_async-{secrets.token_hex(6)}")
        try:
            if scratch is not None:
                await disk.run(scratch.mkdir, 0o700)
            path = Path(folder.path(file.name + _DATA)) if scratch is None else scratch / "rows.parquet"
            key: tuple[str, ...] = tuple(file.part["key"])
            written = await to_parquet(afas, file.connector, path, key=key, part=file.part, **options)
            types = await disk.run(_columns_of, path)
            if scratch is not None:
                await disk.run(folder.place, file.name + _DATA, path)
        finally:
            if scratch is not None:
                await disk.run(shutil.rmtree, scratch, ignore_errors=True)
        seconds = round(loop_time() - started, 3)
        manifest = Manifest(file.environment, file.part, written.rows, written.bytes, seconds, types)
        await disk.run(folder.place, file.name + _MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
        return manifest


def manifests_of(files: Iterable[PartFile]) -> dict[str, Manifest]:
    """Return the manifests of the parts that are there, with their files, by the names of the files.

    Raises:
        UsageError: If the folder of a connector has files of another plan: whoever reads it would get rows twice.
        OSError: If a folder cannot be read.
    """
    found: dict[str, Manifest] = {}
    for folder, expected in _by_folder(files):
        names = folder.names(expected)
        foreign = [name for name in names if _stem(name) and _stem(name) not in expected]
        if foreign:
            raise UsageError(
                f"{foreign[0]} belongs to another plan: give each run a folder of its own, or repeat that plan"
            )
        there = [name for name in expected if {name + _DATA, name + _MANIFEST} <= names.keys()]
        for name, text in zip(there, folder.read([name + _MANIFEST for name in there]), strict=True):
            if (manifest := _decoded(text, names[name + _DATA])) is not None:
                found[name] = manifest
    return found


def sweep(files: Iterable[PartFile]) -> int:
    """Remove what killed processes have left under temporary names, and return how many files that was.

    Whoever still writes one of these parts fails, and harms nothing.

    Args:
        files: The parts, all of which are there.
    """
    swept = 0
    for folder, expected in _by_folder(files):
        for name in folder.names(expected):
            head, _, tail = name.rpartition("/")
            stem = f"{head}/{tail[1:]}".partition(".")[0]  # of `.part-00000-....parquet.....part`
            if tail.endswith(_UNFINISHED) and stem in expected:
                folder.remove(name)
                swept += 1
    return swept


def _columns_of(path: Path) -> dict[str, str]:
    schema: pa.Schema = pq.read_schema(path)
    return dict(zip(schema.names, map(str, schema.types), strict=True))


def _by_folder(files: Iterable[PartFile]) -> list[tuple[_Folder, set[str]]]:
    """Return the folders that the files are in, each with the names of its files."""
    names: dict[str, set[str]] = {}
    for file in files:
        names.setdefault(file.folder, set()).add(file.name)
    return [(_Folder(folder), expected) for folder, expected in names.items()]


def _stem(name: str) -> str:
    """Return the name of a part's data or manifest without its ending, "" for any other file."""
    stem, ending = posixpath.splitext(name)
    return stem if ending in {_DATA, _MANIFEST} and not posixpath.basename(name).startswith(".") else ""


def _decoded(text: bytes, size: int) -> Manifest | None:
    """Return a manifest, None if it is damaged, of another version, or of a file of another size."""
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.DecodeError, ValueError):
        return None
    return manifest if (manifest.version, manifest.bytes) == (VERSION, size) else None


class _Folder:
    """A folder by fsspec.

    Args:
        folder: Its path or URL.
    """

    def __init__(self, folder: str) -> None:
        self._files: Any
        self._root: str
        self._files, self._root = fsspec.core.url_to_fs(folder)
        self.is_local: bool = isinstance(self._files, LocalFileSystem)

    def path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def names(self, expected: Iterable[str]) -> dict[str, int]:
        """Return the files that stand beside those that are expected, and their sizes in bytes."""
        folders = {posixpath.dirname(name) for name in expected}
        self._files.invalidate_cache()
        found: dict[str, dict[str, Any]] = self._files.find(self._root, detail=True)
        sizes = {name[len(self._root) :].lstrip("/"): entry["size"] for name, entry in found.items()}
        return {name: size for name, size in sizes.items() if posixpath.dirname(name) in folders}

    def read(self, names: list[str]) -> list[bytes]:
        found: dict[str, bytes] = self._files.cat([self.path(name) for name in names]) if names else {}
        return [found[self.path(name)] for name in names]

    def manifest(self, name: str) -> Manifest | None:
        """Return the manifest of one file if both are there."""
        try:
            text: bytes = self._files.cat_file(self.path(name + _MANIFEST))
            size: int = self._files.info(self.path(name + _DATA))["size"]
        except FileNotFoundError:
            return None
        return _decoded(text, size)

    def make_room(self, name: str) -> None:
        self._files.makedirs(self.path(posixpath.dirname(name)), exist_ok=True)

    def place(self, name: str, content: Path | bytes) -> None:
        """Write a file under a temporary name, and rename it."""
        head, tail = posixpath.split(name)
        part = self.path(f"{head}/.{tail}.{secrets.token_hex(6)}{_UNFINISHED}")
        try:
            if isinstance(content, Path):
                self._files.put_file(str(content), part)
            else:
                self._files.pipe_file(part, content)
            self._files.mv(part, self.path(name))
        except BaseException:
            with suppress(OSError):
                self._files.rm_file(part)
            raise

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):  # its writer was faster
            self._files.rm_file(self.path(name))
