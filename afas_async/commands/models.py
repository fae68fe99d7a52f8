"""The command `models`: write a module of typed models for the connectors of an environment."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from afas_async import models
from afas_async.client.client import AfasClient
from afas_async.commands.environment import ENVIRONMENT, client, completed
from afas_async.commands.options import KEY_NOTATION, OwnSimulator, key_fields
from afas_async.simulator.samples.connectors import SAMPLES

EPILOG = ENVIRONMENT


async def write_models(
    afas: AfasClient, names: Sequence[str], keys: Mapping[str, tuple[str, ...]], *, path: Path | None, check: bool
) -> bool:
    """Write typed models of connectors, or compare them with a file.

    Args:
        afas: An open client.
        names: The connectors; empty for all that the token may use.
        keys: The fields of the key, by connector.
        path: The file; None for standard output.
        check: Whether to compare only, without writing the file.

    Returns:
        Whether the file is up to date now.

    Raises:
        AfasError: If metainfo cannot be read, or a key is not valid.
        OSError: If the file cannot be read or written.
    """
    return _put(models.source(await afas.all_metainfo(names or None), keys=keys), path, check=check)


def _put(source: str, path: Path | None, *, check: bool) -> bool:
    if path is None:
        # Only docstrings can hold characters that the terminal cannot show.
        sys.stdout.write(source.encode(sys.stdout.encoding, "backslashreplace").decode(sys.stdout.encoding))
        return True
    written = path.read_text("utf-8") if path.exists() else None
    if written == source:
        print(f"{path} is up to date")
    elif check:
        print(f"{path} differs from the metainfo: write it again" if written else f"{path} does not exist: write it")
        return False
    else:
        path.write_text(source, "utf-8", newline="\n")
        read, written_to = source.count(" = GetConnector("), source.count(" = UpdateConnector(")
        print(f"{path}: GetConnectors: {read}, UpdateConnectors: {written_to}")
    return True


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="The connectors; by default all that your token may use."),
    ] = None,
    *,
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar=f"NAME={KEY_NOTATION}",
            help="The key of a GetConnector. Metainfo does not have it; `inspect` proposes one. You can repeat it.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The module to write; standard output by default."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing, and exit with status 1 if FILE would change.")
    ] = False,
    simulator: OwnSimulator = False,
) -> int:
    """Write a Python module with a msgspec.Struct and a constant for each connector.

    The same metainfo gives the same module, so you can keep it in version control and --check it in CI.
    """
    if check and output is None:
        raise typer.BadParameter("--check needs the -o FILE to compare with")
    keys = dict(map(_named_key, key or ()))
    wanted = names or []
    if simulator:
        samples = {sample.connector.name: sample.connector.key for sample in SAMPLES}
        keys = {name: fields for name, fields in samples.items() if name in (wanted or samples)} | keys

    async def work() -> bool:
        async with client(simulator=simulator) as afas:
            return await write_models(afas, wanted, keys, path=output, check=check)

    return 0 if completed(work()) else 1


def _named_key(text: str) -> tuple[str, tuple[str, ...]]:
    name, equals, fields = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is not NAME={KEY_NOTATION}", param_hint="--key")
    return name, key_fields(fields)
