"""The command `report`: download a report, which the service makes while you wait."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from afas_async.commands.download import Output, download
from afas_async.commands.environment import ENVIRONMENT
from afas_async.commands.options import OwnSimulator
from afas_async.commands.where import parsed_condition

EPILOG: Final = ENVIRONMENT


def command(
    guid: Annotated[str, typer.Argument(metavar="GUID", help="The id of the report.", show_default=False)],
    *,
    where: Annotated[
        str | None,
        typer.Option(metavar="CONDITION", help="Only lines that meet this condition on the report's field codes."),
    ] = None,
    output: Output = None,
    simulator: OwnSimulator = False,
) -> int:
    """Download a report. The service may take up to 15 minutes to make it."""
    condition = None if where is None else parsed_condition(where)
    return download(
        lambda afas, options: afas.report(guid, where=condition, **options),
        output=output,
        stem=f"report-{guid}",
        simulator=simulator,
    )
