"""The command `rows`: a table on a terminal, lines of JSON in a pipe, or a file."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from afas_async.commands.environment import ENVIRONMENT, client, completed
from afas_async.commands.keys_file import NAME, KeyOption, KeysOption, key_of, read_keys
from afas_async.commands.naming import PROGRAM
from afas_async.commands.options import ConnectorName, OwnSimulator, key_fields
from afas_async.commands.row_output import FORMATS, Pipe, RowFile, format_of
from afas_async.commands.row_read import Wanted, read_into, read_parquet
from afas_async.commands.terminal import columns_that_fit, print_table, remark, size_text
from afas_async.commands.where import parsed_condition

if TYPE_CHECKING:
    from afas_async.client.client import AfasClient

EPILOG: Final = (
    "Write a condition as in Python: 'Price < 10 and Description.contains(\"bolt\") and not Blocked'. Name fields by"
    ' their ids, and write a date as date("2024-01-31"). You can also use in [...], is None, startswith() and'
    " between(a, b).\n\n"
    "A file gets its name when it is complete. Until then --resume continues with FILE.part and FILE.cursor.\n\n"
    + ENVIRONMENT
)
SHOWN: Final = 50  # rows on a terminal


async def show_rows(afas: AfasClient, wanted: Wanted, limit: int) -> None:
    """Print the first rows as a table.

    Args:
        afas: An open client.
        wanted: What to read. Without a key, the rows come in the service's own order.
        limit: Rows to print at most.

    Raises:
        AfasError: If they cannot be read.
    """
    order = wanted.order_by or wanted.key
    page = await afas.page(wanted.name, take=limit + 1, where=wanted.where, order_by=order)
    rows: list[dict[str, Any]] = page.rows[:limit]
    if not rows:
        remark("no rows")
        return
    fields = wanted.select or tuple(rows[0])
    cells = [[_cell(row.get(field)) for field in fields] for row in rows]
    count = columns_that_fit(fields, cells)
    if count < len(fields):
        remark(
            f"{len(fields) - count} more fields do not fit: choose with --select FIELD,FIELD among {', '.join(fields)}"
        )
    fields = fields[:count]
    numbers = [field for field in fields if all(_is_number(row.get(field)) for row in rows)]
    print_table(fields, [row[:count] for row in cells], right=numbers, wrap=False)
    if len(page.rows) > limit:
        remark(f"the first {limit:,} rows; --limit N shows more, and -o FILE writes all")


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, (int, Decimal)) and not isinstance(value, bool))


def _cell(value: object) -> str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = None if value is None else str(value)
    return text.removesuffix("T00:00:00Z") if text is not None and len(text) == 20 else text


async def write_rows(afas: AfasClient, wanted: Wanted, path: Path, given: str | None, *, resume: bool) -> str:
    """Write rows into a file, and return a line about it for the user.

    Args:
        afas: An open client.
        wanted: What to read.
        path: The file.
        given: The format, in place of the suffix.
        resume: Whether to continue an incomplete file.

    Raises:
        AfasError: If the rows cannot be read.
        OSError: If they cannot be written.
    """
    form, packing = format_of(path, given)
    if form == "parquet":
        rows, size = await read_parquet(afas, wanted, path)
    else:
        async with RowFile(path, wanted.query(form + packing), packing, resume=resume) as file:
            await read_into(afas, wanted, form, file, after=file.after, before=file.rows)
            await file.complete()
        rows, size = file.rows, file.size
    return f"{path}: {rows:,} rows, {size_text(size)}"


def command(
    name: ConnectorName,
    *,
    where: Annotated[
        str | None, typer.Option(metavar="CONDITION", help="Only rows that meet this condition; see below.")
    ] = None,
    order_by: Annotated[
        str | None,
        typer.Option(metavar="[-]FIELD[,...]", help="Sort by these fields first; - for descending."),
    ] = None,
    select: Annotated[str | None, typer.Option(metavar="FIELD[,...]", help="Only these fields, in this order.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help=f"At most N rows; {SHOWN} on a terminal.")
    ] = None,
    key: KeyOption = None,
    keys: KeysOption = Path(NAME),
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write into this file: .ndjson, .csv or .parquet; .gz or .zst may follow the first two.",
        ),
    ] = None,
    format: Annotated[  # noqa: A002 - the name of the option
        str | None, typer.Option(metavar="|".join(FORMATS), help="The format, if no suffix shows it.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a file that was interrupted.")] = False,
    simulator: OwnSimulator = False,
) -> int:
    """Read the rows of a GetConnector: all of them, each once, in the order of the key.

    You get a table on a terminal, lines of JSON in a pipe, or a file with -o.
    """
    form, _ = format_of(output, format)
    if resume and (output is None or form == "parquet"):
        raise typer.BadParameter("--resume continues the file of -o, which must be an .ndjson or a .csv file")
    condition = None if where is None else parsed_condition(where)
    is_shown = output is None and format is None and sys.stdout.isatty()

    def wanted(fields: tuple[str, ...]) -> Wanted:
        return Wanted(
            name=name,
            key=fields,
            where=condition,
            order_by=key_fields(order_by),
            select=key_fields(select),
            limit=limit,
        )

    async def work() -> None:
        async with client(simulator=simulator) as afas:
            if is_shown:
                known = key_fields(key) or read_keys(keys).get(name, ())
                await show_rows(afas, wanted(known), limit or SHOWN)
                return
            found = wanted(key_of(name, key, keys))
            if output is None:
                await read_into(afas, found, form, Pipe(), after=None, before=0)
            else:
                print(await write_rows(afas, found, output, format, resume=resume))

    try:
        completed(work())
    except (KeyboardInterrupt, Exception):
        if output is not None and Path(f"{output}.cursor").exists():
            remark(f"{output}.part has the rows so far: continue with {PROGRAM} rows ... -o {output} --resume")
        raise
    return 0
