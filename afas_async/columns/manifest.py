"""What is to be written of plans, and what was: one file for each part, and a manifest that says what it holds."""

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
    """One part of a plan, and where its rows go. Plain data, made by `part_files`; it holds no credential.

    Args:
        environment: The environment that it is read from, by the name that you gave it.
        part: What `AfasClient.plan` returned.
        folder: A folder, as a path or as a URL of fsspec.
        name: The path of the file within the folder, without its ending.
    """

    environment: str
    part: dict[str, Any]
    folder: str
    name: str

    @property
    def connector(self) -> str:
        """The connector that is read."""
        name: str = self.part["connector"]
        return name


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one file holds: the file is complete once its manifest is there.

    Args:
        environment: The environment that the rows were read from.
        part: The part of the plan.
        rows: How many rows.
        bytes: The size of the file.
        seconds: How long it took to read and write them.
        columns: The columns, with their Arrow types.
        version: The version of this form.
    """

    environment: str
    part: dict[str, Any]
    rows: int
    bytes: int
    seconds: float
    columns: dict[str, str]
    version: int = VERSION


def part_files(plans: Mapping[str, Iterable[Mapping[str, Any]]], to: str | os.PathLike[str]) -> list[PartFile]:
    """Return a file for each part of some plans: what `write_part` writes, here or on other machines.

    The files of a connector are `to/environment/connector/part-00000-....parquet` and so on, in key order. Their names
    depend on the parts alone, so that a repetition finds what is there already.

    Args:
        plans: The parts of all connectors of an environment, by a name for the environment: letters, digits, `-`, `_`.
        to: A folder, as a path or as a URL of fsspec such as "s3://bucket/afas/2024-01-31". Give each run its own.

    Returns:
        Plain data, which survive JSON by `msgspec.to_builtins`. The environments take turns, so that workers that begin
        at the front are busy with all of them.

    Raises:
        UsageError: If something else than parts is in the plans, or a part is there twice.

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
            raise UsageError(f"{environment}: a part of {part.connector} is in the plan twice: its rows would be, too")
        number = counts[part.connector] = counts.get(part.connector, -1) + 1
        name = f"part-{number:05}-{hashlib.sha256(text).hexdigest()[:12]}"
        path = f"{environment}/{connector_name(part.connector)}/{name}"
        files[text] = PartFile(environment, msgspec.json.decode(text), to, path)  # equal to what a manifest says
    return list(files.values())


def check_tiling(files: Iterable[PartFile], manifests: Mapping[str, Manifest]) -> None:
    """Check that each part is there exactly once, and that the files of a connector have the same columns.

    Args:
        files: What was to be written.
        manifests: What was, by the names of the files.

    Raises:
        UsageError: If not: which parts are missing or differ, and what to do.
    """
    files = list(files)
    missing = [file.name for file in files if file.name not in manifests]
    if missing:
        raise UsageError(f"{len(missing)} of {len(files)} parts are missing, such as {missing[0]}: run the plan again")
    first: dict[tuple[str, str], PartFile] = {}
    for file in files:
        found = manifests[file.name]
        if (found.environment, found.part) != (file.environment, file.part):
            raise UsageError(f"{file.name}: its manifest is that of another part: use a folder for each run")
        other = first.setdefault((file.environment, file.connector), file)
        if found.columns != manifests[other.name].columns:
            differing = _differing(found.columns, manifests[other.name].columns)
            raise UsageError(
                f"{file.name} has other columns than {other.name} ({', '.join(differing)}): the connector or the"
                " options changed between the two: plan anew, into another folder"
            )


def _differing(one: Mapping[str, str], other: Mapping[str, str]) -> Sequence[str]:
    names = [name for name in {**other, **one} if one.get(name) != other.get(name)]
    return names[:3] or ["another order"]
