"""The command line of the simulator."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from afas_async.simulator.control import CONTROL_ROOT
from afas_async.simulator.latency import NO_LATENCY, NOTATION, parse_latency
from afas_async.simulator.own.get_connectors import OwnGetConnector
from afas_async.simulator.rules import Rules
from afas_async.simulator.samples.connectors import SAMPLES
from afas_async.simulator.server import Simulator, serve
from afas_async.simulator.service import authorization
from afas_async.simulator.traffic import TOKEN_PARAMETER

TOKEN_VARIABLE: Final = "AFAS_SIMULATOR_TOKEN"  # noqa: S105 (the name of the variable)
EPILOG: Final = f"""\
The token is random, or the whole XML in the environment variable {TOKEN_VARIABLE}.

You can script what goes wrong, here with --port 8765. The next request gets a 503:
  curl -d '{{"status":503,"retry_after":2}}' http://127.0.0.1:8765/{CONTROL_ROOT}/faults
To change how long responses take, post JSON to /{CONTROL_ROOT}/latency: {{"base":0.1,"per_element":0.02}}
To change rows during a read, post JSON to /{CONTROL_ROOT}/changes.

--record FILE finds your environment by AFAS_TOKEN (or AFAS_CLIENT_ID and AFAS_CLIENT_SECRET), and by AFAS_ENVIRONMENT
(with AFAS_ENVIRONMENT_TYPE) or AFAS_BASE_URL. The FILE has metainfo, counts, lengths and ranges, and no value of any
row.

More about          Read
faults              python -m pydoc afas_async.simulator.Fault
changes             python -m pydoc afas_async.simulator.Change
--rules             python -m pydoc afas_async.simulator.Rules
--record            python -m pydoc afas_async.simulator.own.recordings
"""
INTERRUPTED: Final = 130  # 128 plus the number of SIGINT, as in shells


def run(arguments: list[str], record: Callable[[Path], Awaitable[bool]] | None = None) -> int:
    """Run a simulator until it is interrupted, or record an environment.

    Args:
        arguments: The command line without the name of the command.
        record: Records the user's environment in a file, and returns whether the recording is complete; None if the
            caller cannot record.

    Returns:
        The exit status of the process.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.record is not None:
        if record is None or len(arguments) > 2:
            parser.error("use --record alone, without other options: python -m afas_async simulate --record FILE")
        return 0 if asyncio.run(_done(record(options.record))) else 1
    connectors: dict[str, str | OwnGetConnector] = {**dict[str, str](options.connector)}
    described, updates = dict[str, str](options.metainfo), dict[str, str](options.update)
    if any(
        len(named) < len(given)
        for named, given in (
            (connectors, options.connector),
            (described, options.metainfo),
            (updates, options.update),
        )
    ):
        parser.error("two connectors have the same name: give each name once")
    rows = dict[str, str](options.connector)
    connectors |= {name: OwnGetConnector(file, rows.get(name, ())) for name, file in described.items()}
    if sys.stdout is None:
        parser.exit(1, f"{parser.prog}: there is no standard output to write the token to\n")
    try:
        simulator = Simulator(
            rows=options.rows,
            seed=options.seed,
            latency=options.latency,
            gzip=options.gzip,
            token=os.environ.get(TOKEN_VARIABLE) or None,
            connectors=connectors,
            updates=updates,
            recording=options.recording,
            rules=msgspec.convert({"profit": options.profit, **options.rules}, Rules),
            port=options.port,
        )
    except (ValueError, OSError) as error:
        parser.error(str(error))
    try:
        asyncio.run(_run(simulator, for_machine=options.json))
    except OSError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    except KeyboardInterrupt:
        return INTERRUPTED
    except asyncio.CancelledError:  # the end of standard input
        pass
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m afas_async simulate",
        description="Serve a simulated AFAS Profit REST API on this computer.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=1_000, help="rows in a large connector (default: 1000)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same rows (default: 1)")
    parser.add_argument(
        "--latency",
        type=parse_latency,
        default=NO_LATENCY,
        metavar=NOTATION,
        help="seconds for each response, for 1,000 rows in it, for 1,000 rows skipped, and for 1,000 elements written"
        " (default: 0)",
    )
    for option, what in (
        ("--connector", "serve the rows of a .csv, .ndjson or .jsonl file as the GetConnector NAME"),
        ("--metainfo", "take the fields of the GetConnector NAME from the JSON of GET metainfo/get/NAME"),
        ("--update", "serve the UpdateConnector NAME, from the JSON of GET metainfo/update/NAME"),
    ):
        parser.add_argument(
            option,
            type=_connector,
            action="append",
            default=[],
            metavar="NAME=FILE",
            help=f"{what}; you can repeat it",
        )
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="serve nothing; record the connectors of your environment, and the shapes and number of their rows",
    )
    parser.add_argument(
        "--from",
        dest="recording",
        metavar="FILE",
        help="serve the connectors that you recorded with --record, with made-up rows, instead of the samples",
    )
    parser.add_argument(
        "--profit",
        type=int,
        choices=(6, 7),
        default=7,
        help="the release whose format you get (default: 7)",
    )
    parser.add_argument(
        "--rules",
        type=_rules,
        default={},
        metavar="JSON",
        help="""how the service behaves, such as '{"page_cap":1000,"time_limit":5}'""",
    )
    parser.add_argument("--gzip", action="store_true", help="compress responses for clients that accept it")
    parser.add_argument("--port", type=int, default=0, help="the port (default: a free one)")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the URL and the token as a line of JSON, and stop when standard input ends",
    )
    return parser


def _connector(text: str) -> tuple[str, str]:
    name, equals, file = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FILE")
    return name, file


def _rules(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


async def _done(work: Awaitable[bool]) -> bool:
    return await work


async def _run(simulator: Simulator, *, for_machine: bool) -> None:
    await simulator.start()
    if for_machine:
        _cancel_at_end_of_input()
        text = json.dumps({"base_url": simulator.base_url, "token": simulator.token})
    else:
        text = _welcome(simulator)
    # Some terminals cannot show the accent in the text.
    sys.stdout.write(text.encode(sys.stdout.encoding, "replace").decode(sys.stdout.encoding) + "\n")
    sys.stdout.flush()
    await serve(simulator)


def _welcome(simulator: Simulator) -> str:
    header = authorization(simulator.token)
    names = "\n           ".join(simulator.store.connectors)
    example = next(iter(simulator.store.connectors.values()), SAMPLES[0].connector)  # a recording may be empty
    order = ",".join(example.key or [example.fields[0].id])
    url = f"{simulator.base_url}/connectors/{example.name}?skip=0&take=3&orderbyfieldids={order}"
    browser = f"{url}&{TOKEN_PARAMETER}={quote(header.removeprefix('AfasToken '), safe='')}"
    return f"""\
A simulated AFAS Profit runs until you press Ctrl+C.

Base URL   {simulator.base_url}
Token      {simulator.token}
Header     Authorization: {header}
OAuth      client_id={simulator.oauth.client_id} client_secret={simulator.oauth.client_secret}
Connectors {names}

In a shell:
curl -H 'Authorization: {header}' '{url}'

With a filter, whose value curl must encode:
curl -G -H 'Authorization: {header}' '{simulator.base_url}/connectors/Profit_Debtor' \
-d filterfieldids=DebtorName -d operatortypes=6 --data-urlencode 'filtervalues=Café'

In Python:
requests.get("{url}", headers={{"Authorization": "{header}"}}).json()

In a browser:
{browser}"""


def _cancel_at_end_of_input() -> None:
    """Cancel this task when standard input ends, as it does when the process at its other end dies."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def wait() -> None:
        # Not sys.stdin: this thread would hold its lock while the interpreter shuts down.
        with suppress(OSError):  # there is no standard input
            while os.read(0, 4096):
                pass
        if task is not None:
            loop.call_soon_threadsafe(task.cancel)

    threading.Thread(target=wait, daemon=True).start()
