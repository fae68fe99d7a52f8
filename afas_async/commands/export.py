"""The command `export`: many connectors, each into a file of a folder."""

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

EPILOG: Final = "The exit status is 0 if every connector was exported, else 1.\n\n" + ENVIRONMENT


class Exported(msgspec.Struct, frozen=True):
    """The result for a connector.

    Attributes:
        name: Its name.
        rows: The number of rows written.
        size: The size of the file in bytes.
        seconds: The time it took.
        fault: The reason of a failure; empty if it was exported.
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
        folder: The folder for the files.
        form: "parquet", "csv" or "ndjson".
        at_a_time: Connectors to read at a time.

    Returns:
        The result of each, in their order. If one fails, the others are still exported.
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
        list[str] | None, typer.Argument(metavar="[NAME]...", help="The connectors; or --all.", show_default=False)
    ] = None,
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="The folder for the files.", show_default=False)
    ],
    everything: Annotated[bool, typer.Option("--all", help="Export every connector in the file of keys.")] = False,
    keys: KeysOption = Path(NAME),
    format: Annotated[  # noqa: A002 - the name of the option
        str, typer.Option(metavar="|".join(FORMATS), help="The format of the files.")
    ] = "parquet",
    at_a_time: Annotated[int, typer.Option(min=1, max=8, metavar="N", help="Connectors to read at a time.")] = 3,
    simulator: OwnSimulator = False,
) -> int:
    """Write many connectors to files, several at a time. Each file is complete, in the order of its key.

    The connectors and their keys come from the file of keys, which `inspect --all` writes.
    """
    if bool(names) == everything:
        raise typer.BadParameter("give the names of connectors, or --all")
    if format not in FORMATS:
        raise typer.BadParameter(f"--format must be one of {', '.join(FORMATS)}")
    if format != "ndjson":
        columns_room()  # a missing library is reported before anything is read
    known = read_keys(keys)
    wanted = known if everything else {name: key_of(name, None, keys) for name in names or ()}
    if not wanted:
        raise UsageError(f"{keys} is missing or empty: write it with `{PROGRAM} inspect --all`")

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
