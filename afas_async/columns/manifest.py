"""Files for the parts of plans, and the manifests that record their contents."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from afas_async.errors import UsageError
from afas_async.read.parts import part_of
from afas_async.vocabulary.arguments import check_type
from afas_async.vocabulary.names import connector_name

VERSION: Final = 1
_ENVIRONMENT: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z_\-]{0,63}", re.ASCII)


class PartFile(msgspec.Struct, frozen=True):
    """One part of a plan, and the file for its rows. You get it from `part_files` and pass it to `write_part`.

    It is plain data without credentials, so you can send it to another machine.

    Args:
        environment: Your name for the environment that the part is read from.
        part: The part, as `AfasClient.plan` returned it.
        folder: The folder, as a path or as a URL of fsspec.
        name: The path of the file in the folder, without its extension.
    """

    environment: str
    part: dict[str, Any]
    folder: str
    name: str

    @property
    def connector(self) -> str:
        """The name of the connector."""
        name: str = self.part["connector"]
        return name


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The contents of one file that `write_part` wrote. If a file has its manifest, you know that it is complete.

    Args:
        environment: Your name for the environment that the rows came from.
        part: The part of the plan.
        rows: The number of rows.
        bytes: The size of the file.
        seconds: The time to read and write the rows.
        columns: The names of the columns, with their Arrow types.
        version: The version of the manifest's format.
    """

    environment: str
    part: dict[str, Any]
    rows: int
    bytes: int
    seconds: float
    columns: dict[str, str]
    version: int = VERSION


def part_files(plans: Mapping[str, Iterable[Mapping[str, Any]]], to: str | os.PathLike[str]) -> list[PartFile]:
    """Name a file for each part of your plans, to write with `write_part` here or on other machines.

    The files of a connector are `to/environment/connector/part-00000-....parquet` and so on, in key order. Their names
    depend only on the parts. So if you repeat a run with the same plans and folder, it finds the files that exist.

    Args:
        plans: For each environment, the parts of all its connectors. The names of environments are yours, made of
            letters, digits, `-` and `_`.
        to: The folder, as a path or as a URL of fsspec such as "s3://bucket/afas/2024-01-31". Use a new folder for each
            run.

    Returns:
        Plain data, which you can turn into JSON with `msgspec.to_builtins`. The environments take turns in the list,
        so workers that start at its front work on all of them.

    Raises:
        UsageError: If a plan contains anything but parts, or the same part twice.

    Example:
        >>> async def main():
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         return await afas.plan("Profit_Article", key="ItemCode", parts=2)
        >>> files = columns.part_files({"12345": asyncio.run(main())}, "/data/2024-01-31")
        >>> files[1].name
        '12345/Profit_Article/part-00001-e8960b75868e'
    """
    check_type("plans", plans, Mapping, "a mapping of environments to parts")
    check_type("to", to, str | os.PathLike, "a folder, as a path or URL")
    queues = [_files_of(environment, parts, os.fspath(to)) for environment, parts in plans.items()]
    longest = max(map(len, queues), default=0)
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]


def _files_of(environment: str, parts: Iterable[Mapping[str, Any]], to: str) -> list[PartFile]:
    check_type("environment", environment, str, "the name of an environment")
    if not _ENVIRONMENT.fullmatch(environment):
        raise UsageError(f"{environment!r} cannot name a folder: use letters, digits, `-` and `_`")
    counts: dict[str, int] = {}
    files: dict[bytes, PartFile] = {}
    for data in parts:
        part = part_of(environment, data)
        text = msgspec.json.encode(part.data(), order="sorted")
        if text in files:
            raise UsageError(f"{environment}: the plan has the same part of {part.connector} twice: remove one of them")
        number = counts[part.connector] = counts.get(part.connector, -1) + 1
        name = f"part-{number:05}-{hashlib.sha256(text).hexdigest()[:12]}"
        path = f"{environment}/{connector_name(part.connector)}/{name}"
        files[text] = PartFile(environment, msgspec.json.decode(text), to, path)  # decoded as in a manifest
    return list(files.values())


def check_tiling(files: Iterable[PartFile], manifests: Mapping[str, Manifest]) -> None:
    """Check that you have a file for each part, and that all files of a connector have the same columns.

    Args:
        files: The files of your plan, from `part_files`.
        manifests: The manifests of the files that exist, by the names of the files, from `manifests_of`.

    Raises:
        UsageError: If parts are missing or files differ. The message lists them, and says what you can do.

    Example:
        >>> async def main():
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         return await afas.plan("Profit_Article", key="ItemCode", parts=2)
        >>> files = columns.part_files({"12345": asyncio.run(main())}, "/data/2024-01-31")
        >>> columns.check_tiling(files, manifests={})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        afas_async.errors.UsageError: 2 of 2 parts are missing, such as 12345/...: run the plan again
    """
    files = list(files)
    missing = [file.name for file in files if file.name not in manifests]
    if missing:
        raise UsageError(f"{len(missing)} of {len(files)} parts are missing, such as {missing[0]}: run the plan again")
    first: dict[tuple[str, str], PartFile] = {}
    for file in files:
        found = manifests[file.name]
        if (found.environment, found.part) != (file.environment, file.part):
            raise UsageError(f"{file.name}: its manifest belongs to another part: use a new folder for each run")
        other = first.setdefault((file.environment, file.connector), file)
        if found.columns != manifests[other.name].columns:
            differing = _differing(found.columns, manifests[other.name].columns)
            raise UsageError(
                f"{file.name} has other columns than {other.name} ({', '.join(differing)}): the connector or the"
                " options changed between the two: make a new plan, and use a new folder"
            )


def _differing(one: Mapping[str, str], other: Mapping[str, str]) -> Sequence[str]:
    names = [name for name in {**other, **one} if one.get(name) != other.get(name)]
    return names[:3] or ["another order"]
