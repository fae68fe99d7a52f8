"""The command `load`: send the records of a file, with one outcome for each line, even after a crash."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from afas_async.commands.environment import ENVIRONMENT, client, completed
from afas_async.commands.failed_lines import FailedLines
from afas_async.commands.line_load import LineLoad, print_report, status_of
from afas_async.commands.lines import FORMATS, BrokenLine, LineFile
from afas_async.commands.load_check import check_lines, print_check, print_forecast
from afas_async.commands.lookup import NOTATION, typed_lookup
from afas_async.commands.naming import NOT_ALL, UNKNOWN_LEFT
from afas_async.commands.options import OwnSimulator
from afas_async.errors import UsageError
from afas_async.policy.field_map import Empty, FieldMap, RecordMaker, UnfitRecordError
from afas_async.vocabulary.connectors import UpdateConnector
from afas_async.vocabulary.elements import Action, Element

if TYPE_CHECKING:
    from afas_async.vocabulary.metainfo import UpdateMetainfo

EPILOG: Final = (
    "The exit status is 0 if every line is applied, 1 if some are not, and 3 if some outcomes are unknown. Your first"
    " Ctrl+C sends nothing more and waits for open calls; a second one stops at once.\n\n" + ENVIRONMENT
)


def read_map(path: Path | None) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the columns and constants of a map: `column = "field"`, and a table `[constants]`.

    Raises:
        UsageError: If the file is malformed.
        OSError: If it cannot be read.
    """
    if path is None:
        return {}, {}
    try:
        with path.open("rb") as file:
            columns = tomllib.load(file)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: {error}") from None
    constants = columns.pop("constants", {})
    for column, target in columns.items():
        if not isinstance(target, str):
            raise UsageError(f'{path}: {column} must be a field as text, such as "@ItCd", or "" to leave it out')
    return columns, constants


def maker_of(
    source: LineFile,
    metainfo: UpdateMetainfo,
    columns: Mapping[str, str],
    constants: Mapping[str, Any],
    *,
    empty: Empty,
    dutch: bool,
) -> Callable[[Any], Element]:
    """Return the function that makes a record from a line. This reads a CSV or NDJSON file to its end: use a thread.

    Raises:
        UsageError: If a column or member is not a field, or the file is damaged. Nothing is sent.
    """
    maker = RecordMaker(FieldMap(metainfo, columns, dutch=dutch), empty, constants)
    if source.header is not None:
        source.read_through()
        return maker.of_cells(source.header)
    maker.check_names(source.names())

    def make(line: Any) -> Element:
        if isinstance(line, BrokenLine):
            raise UnfitRecordError(line.fault)
        return maker.of_object(line)

    return make


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the UpdateConnector.", show_default=False)],
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="The records: CSV, NDJSON, Excel (formulas as last calculated) or Parquet.",
            show_default=False,
            dir_okay=False,
        ),
    ],
    *,
    action: Annotated[Action, typer.Option(help="What to do with the records.", show_default=False)],
    journal: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Note each call in this file before it is sent, so you can repeat the command after a crash.",
            rich_help_panel="Safety",
        ),
    ] = None,
    load_id: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Which load the journal belongs to, such as a date. With a new one, a finished journal starts over.",
            rich_help_panel="Safety",
        ),
    ] = None,
    failed: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the lines that are not applied to this file, with error and number, to load again.",
            rich_help_panel="Safety",
        ),
    ] = None,
    max_errors: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Stop when more than N records are rejected.", rich_help_panel="Safety"),
    ] = None,
    lookup: Annotated[
        str | None,
        typer.Option(
            metavar=NOTATION,
            help="How to find a record whose response was lost, such as Profit_Subjects:Subject=Ds.",
            rich_help_panel="Safety",
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD",
            help="A free text field into which the load writes a reference, for --lookup.",
            rich_help_panel="Safety",
        ),
    ] = None,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait",
            help="Wait up to 16 minutes, until the service is done with unknown records, and look them up again.",
            rich_help_panel="Safety",
        ),
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Check the whole file, and send nothing.", rich_help_panel="Before you send"),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Check the file, and show how many calls it takes. No record is sent.",
            rich_help_panel="Before you send",
        ),
    ] = False,
    field_map: Annotated[
        Path | None,
        typer.Option(
            "--map",
            metavar="FILE",
            help='A TOML file that maps columns to fields: Artikel = "@ItCd". By default, columns are named by ids or'
            " labels.",
            rich_help_panel="What the file means",
        ),
    ] = None,
    empty: Annotated[
        Empty | None,
        typer.Option(
            help="Whether an empty cell leaves the field as it is, or clears it. Required for an update.",
            rich_help_panel="What the file means",
            show_default=False,
        ),
    ] = None,
    dutch: Annotated[
        bool,
        typer.Option(
            "--dutch",
            help="Read numbers like 1.234,56 and dates like 31-01-2024.",
            rich_help_panel="What the file means",
        ),
    ] = False,
    language: Annotated[
        str,
        typer.Option(
            metavar="CODE", help="The language of the labels that name columns.", rich_help_panel="What the file means"
        ),
    ] = "nl-nl",
    format: Annotated[  # noqa: A002 - the name of the option
        str | None,
        typer.Option(
            metavar="|".join(FORMATS),
            help="The format, if the suffix does not show it.",
            rich_help_panel="What the file means",
        ),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The encoding of a CSV file; detected by default.",
            rich_help_panel="What the file means",
        ),
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(
            metavar="CHARACTER",
            help="The character between cells; detected by default.",
            rich_help_panel="What the file means",
        ),
    ] = None,
    sheet: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The sheet of an Excel file; the first by default.",
            rich_help_panel="What the file means",
        ),
    ] = None,
    simulator: OwnSimulator = False,
) -> int:
    """Insert, update or delete one record for each line of a file.

    Every line gets one outcome: applied, rejected, not sent, or unknown if the response was lost. Nothing is sent
    twice, and the other lines are applied even if the service refuses one. Text keeps its leading zeros. You can write
    codes by id or by description.
    """
    if action == "update" and empty is None:
        raise typer.BadParameter("an update needs --empty omit or --empty clear: what an empty cell means")
    if wait and lookup is None:
        raise typer.BadParameter("--wait looks up unknown records: give --lookup too")
    if load_id is not None and journal is None:
        raise typer.BadParameter("--load-id names the load in a --journal: give both")
    if format is not None and format not in FORMATS:
        raise typer.BadParameter(f"--format is {', '.join(FORMATS)}")
    found_by = None if lookup is None else typed_lookup(lookup, action)
    columns, constants = read_map(field_map)

    async def work() -> int:
        source = await asyncio.to_thread(
            LineFile, file, format=format, encoding=encoding, delimiter=delimiter, sheet=sheet
        )
        failures = None if failed is None else FailedLines(failed, source, looks_up=found_by is not None)
        async with client(simulator=simulator, language=language) as afas:
            metainfo = await afas.update_metainfo(name)
            make = await asyncio.to_thread(
                maker_of,
                source,
                metainfo,
                columns,
                constants,
                empty=empty or "omit",
                dutch=dutch,
            )
            if check or dry_run:
                found = await asyncio.to_thread(check_lines, source, make, metainfo, action)
                print_check(found)
                if dry_run:
                    print_forecast(found, UpdateConnector(name), action)
                return NOT_ALL if found.unfit else 0
            run = LineLoad(source, make, failures)
            load = afas.load(
                name,
                action=action,
                on_reject="split",
                journal=journal,
                load_id=load_id,
                max_rejected=max_errors,
                lookup=found_by,
                reference=reference,
                on_outcome=run.hear,
            )
            report = await run.run(load, wait=wait)
        print_report(name, report, run, failed, journal)
        if source.left_out:
            count = f"{len(source.left_out):,} lines were left out"
            print(f"{count}: the file marks them as unknown, so they may have been applied.")
        return UNKNOWN_LEFT if source.left_out else status_of(report, run)

    return completed(work())
