"""The command `image`: download an image."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from afas_async.commands.download import Output, download
from afas_async.commands.environment import ENVIRONMENT
from afas_async.commands.options import OwnSimulator
from afas_async.wire.file_requests import ImageFormat

EPILOG: Final = ENVIRONMENT


def command(
    image_id: Annotated[str, typer.Argument(metavar="ID", help="The id of the image.", show_default=False)],
    *,
    size: Annotated[ImageFormat, typer.Option(help="The size of the image.")] = "original",
    output: Output = None,
    simulator: OwnSimulator = False,
) -> int:
    """Download an image. You get the complete file, or an error."""
    return download(
        lambda afas, options: afas.image(image_id, size, **options),
        output=output,
        stem=f"image-{image_id}",
        simulator=simulator,
    )
