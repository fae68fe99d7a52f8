"""The command `file`: download a file of a dossier item."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from afas_async.commands.download import Output, download
from afas_async.commands.environment import ENVIRONMENT
from afas_async.commands.options import OwnSimulator

EPILOG: Final = ENVIRONMENT


def command(
    file_id: Annotated[str, typer.Argument(metavar="ID", help="The file's id: 32 hex digits.", show_default=False)],
    filename: Annotated[
        str, typer.Argument(metavar="NAME", help="The file's own name, from the row with its id.", show_default=False)
    ],
    *,
    output: Output = None,
    simulator: OwnSimulator = False,
) -> int:
    """Download a file of a dossier item. You get the complete file, or an error."""
    return download(
        lambda afas, options: afas.file(file_id, filename, **options), output=output, stem=file_id, simulator=simulator
    )
