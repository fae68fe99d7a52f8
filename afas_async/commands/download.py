"""Files that the service has, to the disk: what the commands `file`, `image`, `subject` and `report` share."""

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
        "--output", "-o", metavar="FILE", help="Where to write it; by default under its own name, in this folder."
    ),
]
_LONG: Final = 900.0  # seconds; the service makes a report while the call waits


def download(
    get: Callable[[AfasClient, dict[str, Any]], Awaitable[File]], *, output: Path | None, stem: str, simulator: bool
) -> int:
    """Write a file to the disk, and print where it is.

    Args:
        get: Asks a client for it, with the options of a download.
        output: Where it goes; None for its own name, or `stem` where it has none. Then no other file is replaced.
        stem: The name of a file that has none, without its suffix.
        simulator: Whether it is in a simulator.

    Raises:
        AfasError: If it cannot be had.
        OSError: If it cannot be written, or there is another file of its name.
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
        # What the service answers is no path: only the last part of it, and nothing that hides.
        name = printable(Path(file.name.replace("\\", "/")).name).strip().lstrip(".")
        path = Path(name or f"{stem}{guess_extension(file.mimetype) or ''}")
        with path.open("xb") as target:
            try:
                target.write(file.data)
                target.flush()
            except OSError:
                path.unlink()  # half a file under its name would pass for whole
                raise
    print(f"{path}: {size_text(file.size)}, {printable(file.mimetype)}")
    return 0
