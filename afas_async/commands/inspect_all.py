"""Find the likeliest key of each connector, for the file that other commands read."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from afas_async.commands.key_proposal import page_size, proposed_keys
from afas_async.commands.keys_file import read_keys, write_keys
from afas_async.commands.naming import NOT_ALL, PROGRAM
from afas_async.commands.terminal import ProgressLine, print_json, print_table
from afas_async.errors import AfasError

if TYPE_CHECKING:
    from afas_async.client.client import AfasClient


class Proposal(msgspec.Struct, frozen=True):
    """A proposed key of a connector.

    Attributes:
        name: Its name.
        fields: The number of its fields.
        key: Its likeliest key, or empty.
        others: The number of other candidates.
        remark: Where the key comes from, or why it is missing.
    """

    name: str
    fields: int
    key: tuple[str, ...]
    others: int
    remark: str


async def inspect_all(afas: AfasClient, path: Path, *, as_json: bool) -> int:
    """Propose a key for every GetConnector that the token may use, print them, and write the file of keys.

    Args:
        afas: An open client.
        path: The file of keys. Keys that are already in it stay.
        as_json: Whether to print JSON.

    Returns:
        The exit status: 0 if every connector has a key, else 1.

    Raises:
        AfasError: If the list of connectors cannot be read.
        OSError: If the file cannot be written.
    """
    known = read_keys(path)
    names = [each.id for each in (await afas.metainfo()).get_connectors]
    with ProgressLine(len(names), what="connectors") as line:
        done = 0

        async def one(name: str) -> Proposal:
            nonlocal done
            found = await _proposal(afas, name, known.get(name))
            done += 1
            line.show(done)
            return found

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(name)) for name in names]
    found = [task.result() for task in tasks]
    keys = known | {each.name: each.key for each in found if each.key}
    write_keys(path, keys)
    if as_json:
        print_json([msgspec.structs.asdict(each) for each in found])
    else:
        print_table(
            ("connector", "fields", "key", "remark"),
            [(each.name, each.fields, ",".join(each.key), each.remark) for each in found],
            right=("fields",),
        )
        print(
            f"\n{path} has the keys of {len(keys):,} connectors. They are unique and never empty in a sample.\n"
            f"To test one on all rows: `{PROGRAM} inspect NAME --key KEY`."
        )
    return 0 if all(each.key for each in found) else NOT_ALL


async def _proposal(afas: AfasClient, name: str, known: tuple[str, ...] | None) -> Proposal:
    try:
        fields = (await afas.get_metainfo(name)).fields
        if known is not None:
            return Proposal(name, len(fields), known, 0, "already in the file")
        rows, keys = await proposed_keys(afas, name, fields, page_size(fields))
    except AfasError as error:
        return Proposal(name, 0, known or (), 0, str(error))
    if not keys:
        why = f"only {rows} rows to judge by" if rows < 2 else "no fields are unique and never empty"
        return Proposal(name, len(fields), (), 0, why)
    others = len(keys) - 1
    return Proposal(name, len(fields), keys[0], others, f"or {','.join(keys[1])}" if others else "")
