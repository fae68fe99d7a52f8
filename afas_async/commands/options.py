"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import typer

from afas_async.commands.naming import PROGRAM

ConnectorName: TypeAlias = Annotated[
    str, typer.Argument(metavar="NAME", help="The connector's name.", show_default=False)
]
OwnSimulator: TypeAlias = Annotated[
    bool, typer.Option("--simulator", help="Use a simulator with sample connectors instead of your environment.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
KEY_NOTATION: Final = "FIELD[,FIELD]"


def key_fields(text: str | None) -> tuple[str, ...]:
    """Return the fields of a key as typed: `A,B` is two."""
    return tuple(text.split(",")) if text else ()


def inspect_command(connector: str, *, simulator: bool) -> str:
    """Return the command that proposes a key for a connector."""
    return f"{PROGRAM} inspect {'--simulator ' if simulator else ''}{connector}"
