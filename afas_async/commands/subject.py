"""The command `subject`: download an attachment by the number of its dossier item."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from afas_async.commands.download import Output, download
from afas_async.commands.environment import ENVIRONMENT
from afas_async.commands.options import OwnSimulator

EPILOG: Final = ENVIRONMENT


def command(
    subject_id: Annotated[
        str, typer.Argument(metavar="SUBJECT", help="The number of the dossier item.", show_default=False)
    ],
    file_id: Annotated[str, typer.Argument(metavar="ID", help="The id of the file.", show_default=False)],
    *,
    output: Output = None,
    simulator: OwnSimulator = False,
) -> int:
    """Download an attachment of a dossier item. You get the complete file, or an error."""
    return download(
        lambda afas, options: afas.subject(subject_id, file_id, **options),
        output=output,
        stem=file_id,
        simulator=simulator,
    )
