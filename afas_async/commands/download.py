"""Download a file: shared by the commands `file`, `image`, `subject` and `report`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from mimetypes import guess_extension
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

from afas_async.commands.environment import client, completed
from afas_async.commands.terminal import ProgressLine, printable, size_text

if TYPE_CHECKING:
    from afas_async.calls.file import File
    from afas_async.client.client import AfasClient

Output: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Write to this file; by default to its own name in the current folder."
    ),
]
_LONG: Final = 900.0  # seconds: the service makes a report during the call


def download(
    get: Callable[[AfasClient, dict[str, Any]], Awaitable[File]], *, output: Path | None, stem: str, simulator: bool
) -> int:
    """Download a file, and print where it is.

    Args:
        get: Requests the file from a client, with the options of a download.
        output: The path to write to. None for the file's own name or `stem`; then an existing file is never replaced.
        stem: The name, without suffix, of a file that has none.
        simulator: Whether to use a simulator.

    Raises:
        AfasError: If the download fails.
        OSError: If the file cannot be written, or exists and `output` is None.
    """

    async def work() -> File:
        async with client(simulator=simulator) as afas:
            with ProgressLine(what="bytes") as line:
                options: dict[str, Any] = (
                    {"on_progress": line.show} if output is None else {"on_progress": line.show, "to": output}
                )
                return await get(afas.with_options(timeout=_LONG), options)

    file = completed(work())
    path = output
    if path is None:
        # Keep only the last part of the name, without leading dots: the service must not choose a folder or hide it.
        name = printable(Path(file.name.replace("\\", "/")).name).strip().lstrip(".")
        path = Path(name or f"{stem}{guess_extension(file.mimetype) or ''}")
        with path.open("xb") as target:
            try:
                target.write(file.data)
                target.flush()
            except OSError:
                path.unlink()  # half a file must not look complete
                raise
    print(f"{path}: {size_text(file.size)}, {printable(file.mimetype)}")
    return 0
