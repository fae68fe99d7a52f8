"""A file that is attached to a dossier item."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from afas_async.commands.download import Output, download
from afas_async.commands.environment import ENVIRONMENT
from afas_async.commands.options import OwnSimulator

EPILOG: Final = ENVIRONMENT


def command(
    file_id: Annotated[str, typer.Argument(metavar="ID", help="Its id: 32 hex digits.", show_default=False)],
    filename: Annotated[
        str, typer.Argument(metavar="NAME", help="Its own name, from the same row.", show_default=False)
    ],
    *,
    output: Output = None,
    simulator: OwnSimulator = False,
) -> int:
    """Write a file of a dossier item to the disk. It is complete under its name, or there is an error."""
    return download(
        lambda afas, options: afas.file(file_id, filename, **options), output=output, stem=file_id, simulator=simulator
    )
