"""The command `connectors`: list the connectors that a token may use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from afas_async.commands.environment import ENVIRONMENT, client, completed
from afas_async.commands.options import AsJson, OwnSimulator
from afas_async.commands.terminal import print_json, print_table

if TYPE_CHECKING:
    from afas_async.vocabulary.metainfo import Metainfo

EPILOG: Final = ENVIRONMENT


def command(
    *,
    search: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only connectors with this text in their name or description.")
    ] = None,
    as_json: AsJson = False,
    simulator: OwnSimulator = False,
) -> int:
    """List the connectors that your token may use: to read, to write, and others.

    The exit status is 1 if the list is empty.
    """

    async def work() -> Metainfo:
        async with client(simulator=simulator) as afas:
            return await afas.metainfo()

    metainfo = completed(work())
    wanted = (search or "").casefold()
    found = [
        (each.id, kind, each.description)
        for kind, listed in (
            ("get", metainfo.get_connectors),
            ("update", metainfo.update_connectors),
            ("other", metainfo.custom_connectors),
        )
        for each in listed
        if wanted in f"{each.id} {each.description}".casefold()
    ]
    if as_json:
        print_json([{"name": name, "kind": kind, "description": text} for name, kind, text in found])
    elif found:
        print_table(("name", "kind", "description"), found)
    return 0 if found else 1
