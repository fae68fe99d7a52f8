"""A module of typed models for the connectors of an environment: `python -m afas_async models`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from afas_async import models
from afas_async.client.client import AfasClient
from afas_async.commands.arguments import ENVIRONMENT, Commands, client, key_fields
from afas_async.simulator.samples.connectors import SAMPLES


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


def add_to(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "models",
        help="write typed models of connectors as a Python module",
        description="Write a module with a msgspec.Struct for each connector, and the connector as a constant. The same"
        " metainfo gives the same module.",
        epilog=ENVIRONMENT,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a connector (default: all that the token may use)")
    parser.add_argument(
        "--key",
        type=_named_key,
        action="append",
        default=[],
        metavar="NAME=FIELD[,FIELD]",
        help="the key of a GetConnector, which metainfo does not tell and `inspect` proposes; may be repeated",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the module (default: standard output)")
    parser.add_argument("--check", action="store_true", help="only tell, by exit status 1, that the FILE would differ")
    parser.add_argument(
        "--simulator", action="store_true", help="the sample connectors of a simulator, with their keys"
    )
    parser.set_defaults(parser=parser, misuse=_misuse, run=_run)


def _named_key(text: str) -> tuple[str, tuple[str, ...]]:
    name, equals, fields = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FIELD[,FIELD]")
    return name, key_fields(fields)


def _misuse(options: argparse.Namespace) -> str | None:
    return "--check needs the -o FILE to compare with" if options.check and options.output is None else None


async def _run(options: argparse.Namespace) -> bool:
    keys = dict[str, tuple[str, ...]](options.key)
    if options.simulator:
        samples = {sample.connector.name: sample.connector.key for sample in SAMPLES}
        keys = {name: key for name, key in samples.items() if name in (options.names or samples)} | keys
    async with client(simulator=options.simulator) as afas:
        return await write_models(afas, options.names, keys, path=options.output, check=options.check)
