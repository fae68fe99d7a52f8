"""The command `simulate`: serve a simulated AFAS Profit, with the options of `afas_async.simulator.command`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from afas_async.commands.latency import typed_latency
from afas_async.commands.record import record_environment
from afas_async.simulator.command import EPILOG, run
from afas_async.simulator.latency import NOTATION, Latency

__all__ = ["EPILOG", "command"]


def command(
    *,
    rows: Annotated[int, typer.Option(metavar="N", help="Rows in the large connectors.")] = 1_000,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed makes the same rows.")] = 1,
    latency: Annotated[
        Latency | None,
        typer.Option(
            parser=typed_latency,
            metavar=NOTATION,
            help="Seconds for each response, each 1,000 rows in it, each 1,000 rows skipped, and each 1,000 elements"
            " written.",
        ),
    ] = None,
    connector: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE",
            help="Serve the rows of a .csv, .ndjson or .jsonl file as the GetConnector NAME. You can repeat it.",
        ),
    ] = None,
    metainfo: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE",
            help="The fields of the GetConnector NAME: the JSON of GET metainfo/get/NAME. You can repeat it.",
        ),
    ] = None,
    update: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE",
            help="Add the UpdateConnector NAME, from the JSON of GET metainfo/update/NAME. You can repeat it.",
        ),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Serve nothing. Record the connectors of your environment, and the shapes and sizes of their rows,"
            " but no value of any row.",
        ),
    ] = None,
    recording: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Serve the connectors from --record with made-up rows, in place of the samples.",
        ),
    ] = None,
    profit: Annotated[int, typer.Option(min=6, max=7, help="The release of Profit whose formats are used.")] = 7,
    rules: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="""How the service behaves, such as '{"page_cap":1000,"time_limit":5}'."""),
    ] = None,
    gzip: Annotated[bool, typer.Option("--gzip", help="Compress responses for clients that accept it.")] = False,
    port: Annotated[int, typer.Option(help="The port; 0 picks a free one.")] = 0,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print the URL and the token as a line of JSON, and stop when standard input ends."
        ),
    ] = False,
) -> int:
    """Serve a simulated AFAS Profit REST API on this computer, until you press Ctrl+C."""
    numbers = {"--rows": (rows, 1_000), "--seed": (seed, 1), "--profit": (profit, 7), "--port": (port, 0)}
    arguments = [f"{option}={number}" for option, (number, default) in numbers.items() if number != default]
    named = {"--connector": connector, "--metainfo": metainfo, "--update": update}
    arguments += [f"{option}={text}" for option, texts in named.items() for text in texts or ()]
    single = {"--latency": latency, "--rules": rules, "--from": recording}
    arguments += [f"{option}={text}" for option, text in single.items() if text is not None]
    arguments += [option for option, on in (("--gzip", gzip), ("--json", as_json)) if on]
    if record is None:
        return run(arguments)
    if arguments:
        raise typer.BadParameter("--record excludes all other options")
    return run(["--record", str(record)], record_environment)
