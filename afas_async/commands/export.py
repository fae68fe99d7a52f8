"""Many connectors, each into a file of a folder."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from afas_async.commands.environment import ENVIRONMENT, client, completed
from afas_async.commands.json_log import note
from afas_async.commands.keys_file import NAME, KeysOption, key_of, read_keys
from afas_async.commands.naming import NOT_ALL, PROGRAM
from afas_async.commands.options import OwnSimulator
from afas_async.commands.row_output import FORMATS, RowFile
from afas_async.commands.row_read import Wanted, columns_room, read_into, read_parquet, watched
from afas_async.commands.terminal import print_table, size_text
from afas_async.errors import AfasError, UsageError

if TYPE_CHECKING:
    from afas_async.client.client import AfasClient

EPILOG: Final = "The exit status is 0 if every connector was exported, else 1. " + ENVIRONMENT


class Exported(msgspec.Struct, frozen=True):
    """What became of a connector.

    Attributes:
        name: Its name.
        rows: How many rows were written.
        size: How many bytes.
        seconds: How long it took.
        fault: Why it was not exported; empty if it was.
    """

    name: str
    rows: int = 0
    size: int = 0
    seconds: float = 0.0
    fault: str = ""


async def export(
    afas: AfasClient, keys: dict[str, tuple[str, ...]], folder: Path, form: str, at_a_time: int
) -> list[Exported]:
    """Write connectors into files, several at a time under the limit of the client.

    Args:
        afas: An open client.
        keys: The key of each connector.
        folder: Where the files are.
        form: "parquet", "csv" or "ndjson".
        at_a_time: How many connectors are read side by side.

    Returns:
        What became of each, in their order. One that fails keeps no other away.
    """
    turn = asyncio.Semaphore(at_a_time)

    async def one(name: str, key: tuple[str, ...]) -> Exported:
        async with turn:
            started = perf_counter()
            wanted, path = Wanted(name=name, key=key), folder / f"{name}.{form}"
            try:
                if form == "parquet":
                    rows, size = await read_parquet(afas, wanted, path)
                else:
                    async with RowFile(path, wanted.query(form), "", resume=False) as file:
                        rows = await read_into(afas, wanted, form, file, after=None, before=0)
                        await file.complete()
                    size = file.size
            except (AfasError, OSError) as error:
                return Exported(name, seconds=perf_counter() - started, fault=str(error))
            found = Exported(name, rows, size, perf_counter() - started)
            note("exported", connector=name, rows=rows, bytes=size, seconds=round(found.seconds, 3))
            return found

    async with watched(afas), asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(name, key)) for name, key in keys.items()]
    return [task.result() for task in tasks]


def command(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Connectors; or --all.", show_default=False)
    ] = None,
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the files go.", show_default=False)
    ],
    everything: Annotated[bool, typer.Option("--all", help="Every connector of the file of keys.")] = False,
    keys: KeysOption = Path(NAME),
    format: Annotated[  # noqa: A002 - the name of the option
        str, typer.Option(metavar="|".join(FORMATS), help="What the files are.")
    ] = "parquet",
    at_a_time: Annotated[
        int, typer.Option(min=1, max=8, metavar="N", help="Connectors that are read side by side.")
    ] = 3,
    simulator: OwnSimulator = False,
) -> int:
    """Write many connectors into files, each complete and in the order of its key, several at a time.

    A file of keys, which `inspect --all` writes, says which connectors there are and what their keys are.
    """
    if bool(names) == everything:
        raise typer.BadParameter("give the names of connectors, or --all")
    if format not in FORMATS:
        raise typer.BadParameter(f"--format is {', '.join(FORMATS)}")
    if format != "ndjson":
        columns_room()  # what is missing is said before anything is read
    known = read_keys(keys)
    wanted = known if everything else {name: key_of(name, None, keys) for name in names or ()}
    if not wanted:
        raise UsageError(f"{keys} names no connector: `{PROGRAM} inspect --all` writes it")

    async def work() -> list[Exported]:
        output.mkdir(parents=True, exist_ok=True)
        async with client(simulator=simulator) as afas:
            return await export(afas, wanted, output, format, at_a_time)

    found = completed(work())
    print_table(
        ("connector", "rows", "size", "seconds", "result"),
        [
            (each.name, f"{each.rows:,}", size_text(each.size), f"{each.seconds:.1f}", each.fault or "complete")
            for each in found
        ],
        right=("rows", "size", "seconds"),
    )
    return NOT_ALL if any(each.fault for each in found) else 0
