"""A module of typed models for the connectors of an environment: `python -m afas_async models`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from afas_async import models
from afas_async.client.client import AfasClient


async def write_models(
    afas: AfasClient, names: Sequence[str], keys: Mapping[str, tuple[str, ...]], *, path: Path | None, check: bool
) -> bool:
    """Write typed models of connectors, or compare them with a file.

    Args:
        afas: An open client.
        names: The connectors; none for all that the token may use.
        keys: By connector the fields of its key.
        path: The file; None for standard output.
        check: Whether to leave the file as it is.

    Returns:
        Whether the file has, or now has, the models.

    Raises:
        AfasError: If the service does not tell, or a key makes no sense.
        OSError: If the file cannot be read or written.
    """
    return _put(models.source(await afas.all_metainfo(names or None), keys=keys), path, check=check)


def _put(source: str, path: Path | None, *, check: bool) -> bool:
    if path is None:
        # What the terminal cannot show stands in docstrings only.
        sys.stdout.write(source.encode(sys.stdout.encoding, "backslashreplace").decode(sys.stdout.encoding))
        return True
    written = path.read_text("utf-8") if path.exists() else None
    if written == source:
        print(f"{path} is up to date")
    elif check:
        print(f"{path} differs from the metainfo: write it again" if written else f"{path} is not there: write it")
        return False
    else:
        path.write_text(source, "utf-8", newline="\n")
        read, written_to = source.count(" = GetConnector("), source.count(" = UpdateConnector(")
        print(f"{path}: GetConnectors: {read}, UpdateConnectors: {written_to}")
    return True
