"""The command `changes`: the rows modified since the last run, which a file of state remembers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from afas_async.commands.environment import ENVIRONMENT, client, completed
from afas_async.commands.keys_file import NAME, KeyOption, KeysOption, key_of
from afas_async.commands.options import ConnectorName, OwnSimulator
from afas_async.commands.row_output import Pipe, RowFile, RowSink, format_of, in_thread
from afas_async.commands.row_read import json_lines
from afas_async.commands.terminal import ProgressLine, remark, size_text
from afas_async.commands.where import parsed_condition
from afas_async.errors import UsageError
from afas_async.vocabulary.connectors import GetConnector
from afas_async.vocabulary.filters import Condition

if TYPE_CHECKING:
    from afas_async.client.client import AfasClient

EPILOG: Final = (
    "The state is stored once all rows are written: after a failure, run the command again. Some rows of the last run"
    " come again, so write them as inserts or updates. Deleted rows are not reported.\n\n" + ENVIRONMENT
)


class ChangesState(msgspec.Struct, forbid_unknown_fields=True):
    """The state that a run leaves for the next one.

    Attributes:
        connector: The connector.
        watermark: The moment up to which the runs are complete, as the library writes it.
        at: When it was stored.
    """

    connector: str
    watermark: str
    at: str


def read_state(path: Path, connector: str) -> str | None:
    """Return the watermark of the last run; None before the first.

    Raises:
        UsageError: If the file is not a state, or is another connector's.
    """
    if not path.exists():
        return None
    try:
        state = msgspec.json.decode(path.read_bytes(), type=ChangesState)
    except msgspec.DecodeError:
        raise UsageError(f"{path} is not a state of this command: give another --state, or delete it") from None
    if state.connector != connector:
        raise UsageError(f"{path} is the state of {state.connector}: give {connector} its own --state")
    return state.watermark


def write_state(path: Path, connector: str, watermark: str) -> None:
    """Store the watermark of a run, whole or not at all.

    Raises:
        OSError: If it cannot be written.
    """
    new = Path(f"{path}.new")
    at = datetime.now(UTC).isoformat(timespec="seconds")
    new.write_bytes(msgspec.json.encode(ChangesState(connector, watermark, at)) + b"\n")
    new.replace(path)


async def read_changes(
    afas: AfasClient,
    connector: GetConnector[Any],
    sink: RowSink,
    *,
    modified: str,
    since: str | None,
    where: Condition | None,
) -> tuple[int, str]:
    """Read the modified rows into a sink. Return their number, and the watermark for the next run.

    Raises:
        AfasError: If they cannot be read.
        OSError: If they cannot be written.
    """
    raw = GetConnector(connector.name, msgspec.Raw, key=connector.key)
    count = 0
    with ProgressLine() as line:
        async with afas.changes(raw, modified=modified, since=since, where=where) as rows:
            async for batch in rows.batches():
                count += len(batch)
                await sink.write(json_lines(batch), len(batch), None)
                if line.is_due:
                    done = rows.progress
                    line.show(count, pages=done.pages, seconds=done.seconds, bytes=done.bytes)
            return count, rows.watermark


def command(
    name: ConnectorName,
    *,
    state: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="The file that remembers up to which moment your last run was complete.",
            show_default=False,
        ),
    ],
    modified: Annotated[
        str, typer.Option(metavar="FIELD", help="The field with the moment of a row's last change.")
    ] = "ModifiedOn",
    where: Annotated[str | None, typer.Option(metavar="CONDITION", help="A further condition, as for `rows`.")] = None,
    key: KeyOption = None,
    keys: KeysOption = Path(NAME),
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write into this .ndjson file; standard output by default."
        ),
    ] = None,
    simulator: OwnSimulator = False,
) -> int:
    """Read the rows modified since your last run, as lines of JSON. The first run reads all rows."""
    form, packing = format_of(output, None)
    if form != "ndjson":
        raise typer.BadParameter("changes are lines of JSON: give -o a name that ends in .ndjson")
    condition = None if where is None else parsed_condition(where)
    connector = GetConnector(name, key=key_of(name, key, keys))
    since = read_state(state, name)
    options: dict[str, Any] = {"modified": modified, "since": since, "where": condition}

    async def work() -> int:
        async with client(simulator=simulator) as afas:
            if output is None:
                count, watermark = await read_changes(afas, connector, Pipe(), **options)
            else:
                async with RowFile(output, "", packing, resume=False) as file:
                    count, watermark = await read_changes(afas, connector, file, **options)
                    await file.complete()
                print(f"{output}: {count:,} rows, {size_text(file.size)}")
            await in_thread(write_state, state, name, watermark)
            return count

    count = completed(work())
    remark(f"{count:,} rows since {'the last run' if since else 'the beginning'}; the state is in {state}")
    return 0
