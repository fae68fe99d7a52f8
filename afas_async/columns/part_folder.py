"""Writes and lists the files of plans in a folder, local or remote.

Several processes may write the same part: a worker that was given up may still be alive. Each one writes under its own
temporary name and then renames the file, so a reader only sees complete files. A manifest counts only if its file has
the size in the manifest.
"""
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false
# fsspec has no types, and pyarrow.parquet only some.

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
    """The options of `write_part`, which work as in `batches`."""

    types: Mapping[str, pa.DataType] | None
    select: Iterable[str] | None


async def write_part(afas: AfasClient, file: PartFile, **options: Unpack[PartOptions]) -> Manifest:
    """Write the rows of one part of a plan to its Parquet file, with a manifest beside it.

    If both exist already, nothing is read: you can repeat a run. The file gets its name only when it is complete; see
    the guide `afas_async.columns`. For a remote folder, it is written on your machine first. If your process is killed,
    a file with a temporary name stays, which `sweep` removes.

    Args:
        afas: An open client of the part's environment.
        file: The part and its file, from `part_files`.
        options: `types` and `select`, as for `batches`.

    Returns:
        The manifest, from this call or from an earlier one.

    Raises:
        OSError: If the file cannot be written, or the remote folder fails.
        AfasError: As for `to_parquet`.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> async def main(folder):
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         plan = await afas.plan("Profit_Article", key="ItemCode", parts=2)
        ...         files = columns.part_files({"12345": plan}, folder)
        ...         return sum([(await columns.write_part(afas, file)).rows for file in files])
        >>> with TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        500
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
    """Return the manifests of the files that exist and are complete.

    Use it after a run, with `check_tiling`, to see that you have all parts.

    Args:
        files: The files of your plan, from `part_files`.

    Returns:
        The manifests by the names of the files, `PartFile.name`.

    Raises:
        UsageError: If the folder of a connector has files of another plan. If you read the whole folder, you would get
            rows twice.
        OSError: If a folder cannot be read.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> part = {"connector": "Profit_Article", "key": ["ItemCode"]}
        >>> with TemporaryDirectory() as folder:  # no part was written here
        ...     columns.manifests_of([columns.PartFile("12345", part, folder, "12345/Profit_Article/part-00000")])
        {}
    """
    found: dict[str, Manifest] = {}
    for folder, expected in _by_folder(files):
        names = folder.names(expected)
        foreign = [name for name in names if _stem(name) and _stem(name) not in expected]
        if foreign:
            raise UsageError(
                f"{foreign[0]} belongs to another plan: use a new folder for each run, or repeat that plan"
            )
        there = [name for name in expected if {name + _DATA, name + _MANIFEST} <= names.keys()]
        for name, text in zip(there, folder.read([name + _MANIFEST for name in there]), strict=True):
            if (manifest := _decoded(text, names[name + _DATA])) is not None:
                found[name] = manifest
    return found


def sweep(files: Iterable[PartFile]) -> int:
    """Remove the temporary files that killed processes left in the folders of your plan.

    Call it when all parts are complete. A process that still writes one of them fails, and does no harm.

    Args:
        files: The files of your plan, from `part_files`.

    Returns:
        The number of files that were removed.
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
    """Return the folders of the files, each with the names of its files."""
    names: dict[str, set[str]] = {}
    for file in files:
        names.setdefault(file.folder, set()).add(file.name)
    return [(_Folder(folder), expected) for folder, expected in names.items()]


def _stem(name: str) -> str:
    """Return the name of a part's data or manifest without its extension; "" for any other file."""
    stem, ending = posixpath.splitext(name)
    return stem if ending in {_DATA, _MANIFEST} and not posixpath.basename(name).startswith(".") else ""


def _decoded(text: bytes, size: int) -> Manifest | None:
    """Decode a manifest. Returns None if it is damaged, has another version, or its file has another size."""
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.DecodeError, ValueError):
        return None
    return manifest if (manifest.version, manifest.bytes) == (VERSION, size) else None


class _Folder:
    """A folder that fsspec can open.

    Args:
        folder: The path or URL.
    """

    def __init__(self, folder: str) -> None:
        self._files: Any
        self._root: str
        self._files, self._root = fsspec.core.url_to_fs(folder)
        self.is_local: bool = isinstance(self._files, LocalFileSystem)

    def path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def names(self, expected: Iterable[str]) -> dict[str, int]:
        """Return all files in the folders of the expected files, with their sizes in bytes."""
        folders = {posixpath.dirname(name) for name in expected}
        self._files.invalidate_cache()
        found: dict[str, dict[str, Any]] = self._files.find(self._root, detail=True)
        sizes = {name[len(self._root) :].lstrip("/"): entry["size"] for name, entry in found.items()}
        return {name: size for name, size in sizes.items() if posixpath.dirname(name) in folders}

    def read(self, names: list[str]) -> list[bytes]:
        found: dict[str, bytes] = self._files.cat([self.path(name) for name in names]) if names else {}
        return [found[self.path(name)] for name in names]

    def manifest(self, name: str) -> Manifest | None:
        """Return the manifest of a file, if both exist."""
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
        with suppress(FileNotFoundError):  # its writer removed it first
            self._files.rm_file(self.path(name))
