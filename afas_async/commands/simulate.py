"""A simulated AFAS Profit on this computer: the options of `afas_async.simulator.command`."""

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
    seed: Annotated[int, typer.Option(metavar="N", help="What the rows come from.")] = 1,
    latency: Annotated[
        Latency | None,
        typer.Option(
            parser=typed_latency,
            metavar=NOTATION,
            help="Seconds that each answer takes, each 1,000 rows in it, each 1,000 rows skipped, and each 1,000"
            " elements written.",
        ),
    ] = None,
    connector: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE",
            help="Serve the rows of a .csv, .ndjson or .jsonl file as the GetConnector NAME; may be repeated.",
        ),
    ] = None,
    metainfo: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE",
            help="What the fields of the GetConnector NAME are: the JSON of GET metainfo/get/NAME; may be repeated.",
        ),
    ] = None,
    update: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE",
            help="Have the UpdateConnector NAME, from the JSON of GET metainfo/update/NAME; may be repeated.",
        ),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Serve nothing: read what the connectors of your environment are, and the shapes and sizes of their"
            " rows, without a value of any row.",
        ),
    ] = None,
    recording: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Serve the connectors that --record has recorded, with made-up rows, in place of the samples.",
        ),
    ] = None,
    profit: Annotated[int, typer.Option(min=6, max=7, help="The release whose way of writing is followed.")] = 7,
    rules: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="""How the service behaves, such as '{"page_cap":1000,"time_limit":5}'."""),
    ] = None,
    gzip: Annotated[bool, typer.Option("--gzip", help="Compress for clients that accept it.")] = False,
    port: Annotated[int, typer.Option(help="The port; 0 for a free one.")] = 0,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Say the URL and the token in a JSON line, and stop when standard input ends."),
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
        raise typer.BadParameter("--record goes with no other option")
    return run(["--record", str(record)], record_environment)
