"""The command line: `python -m afas_async`."""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import sys

from afas_async.client import AfasClient
from afas_async.connectors import GetConnector
from afas_async.demo import LATENCY, ROWS, WIDE, WINDOW, demo_environment, demo_simulator
from afas_async.errors import AfasError, ConfigurationError, SortKeyRequiredError
from afas_async.inspection import inspect
from afas_async.simulator import Latency, spawn
from afas_async.simulator.command import run as simulate

PROGRAM = "python -m afas_async"
INTERRUPTED = 130  # 128 and the number of SIGINT, as shells count
VARIABLES = ("AFAS_TOKEN", "AFAS_ENVIRONMENT", "AFAS_BASE_URL")
_ENVIRONMENT = (
    "The environment is that of the variables AFAS_TOKEN, and AFAS_ENVIRONMENT (with AFAS_ENVIRONMENT_TYPE) or"
    " AFAS_BASE_URL."
)


def run(arguments: list[str]) -> int:
    """Run a command.

    Args:
        arguments: The command line without the program's name.

    Returns:
        The exit status: 0 if all went well, 1 if not, 130 after Ctrl+C.

    Raises:
        SystemExit: With status 2 if the arguments make no sense, with 0 after `--help`.
    """
    if arguments[:1] == ["simulate"]:
        return simulate(arguments[1:])
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "demo":
        _check_demo(options.parser, options)
    try:
        return 0 if asyncio.run(_demo(options) if options.command == "demo" else _inspect(options)) else 1
    except SortKeyRequiredError as error:
        name = options.connector
        hint = f"here that is --key FIELD[,FIELD], and `{PROGRAM} inspect {name}` proposes and tests one"
        return _fail(f"{error} ({hint})")
    except BrokenPipeError:  # as `| head` does; what is still in the buffer must not fail again at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (AfasError, OSError) as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return INTERRUPTED


def _fail(message: str) -> int:
    print(f"{PROGRAM}: {message}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description="The asyncio client for AFAS Profit.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = commands.add_parser(
        "demo",
        help="read a large connector, and check the result",
        description="Read a connector of a simulator, and compare the result with its database.",
        epilog=f"With --connector, and if any of its variables is set, a real environment is read. {_ENVIRONMENT} Its"
        " values are printed only with --show: they may be personal data.",
    )
    demo.add_argument(
        "--rows", type=_count, metavar="N", help=f"rows of the simulator (default: {ROWS}), or to stop after"
    )
    demo.add_argument(
        "--latency",
        type=_latency,
        metavar="BASE[,PER_1000_ROWS]",
        help="seconds that each answer of the simulator takes, and each 1,000 rows in it (default:"
        f" {LATENCY.base:g},{LATENCY.per_row * 1000:g})",
    )
    demo.add_argument(
        "--window",
        type=int,
        choices=range(1, 9),
        default=WINDOW,
        metavar="N",
        help=f"pages fetched at a time, 1 to 8 (default: {WINDOW})",
    )
    demo.add_argument("--compare", action="store_true", help="read it again as a plain loop would, and compare")
    demo.add_argument("--connector", metavar="NAME", help="read this connector, as dicts")
    _add_key(demo, "the connector's key")
    demo.add_argument("--show", action="store_true", help="print the first rows of a real environment too")
    demo.set_defaults(parser=demo)

    check = commands.add_parser(
        "inspect",
        help="list the fields of a connector, propose or test a key",
        description="List the fields of a connector, and test a key on its rows, or propose some.",
        epilog=f"{_ENVIRONMENT} The exit status is 0 if the key holds, or without --key if there are candidates; else"
        " 1. Values are printed only with --show: they may be personal data.",
    )
    check.add_argument("connector", metavar="CONNECTOR", help="the connector's name")
    _add_key(check, "the key to test, read from the service in its order")
    check.add_argument("--rows", type=_count, metavar="N", help="stop after so many rows")
    check.add_argument("--show", action="store_true", help="print up to three keys that occur more than once")
    check.add_argument("--simulator", action="store_true", help="use a simulator with its sample connectors")

    commands.add_parser("simulate", help="serve a simulated AFAS Profit on this computer", add_help=False)
    return parser


def _add_key(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--key", type=_key, default=(), metavar="FIELD[,FIELD]", help=text)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def _key(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _latency(text: str) -> Latency:
    seconds = [float(part) for part in text.split(",")]
    if len(seconds) > 2 or not all(0 <= part < math.inf for part in seconds):
        raise argparse.ArgumentTypeError(f"{text!r} is not one or two numbers of seconds, such as 0.05,0.02")
    base, per_thousand = (*seconds, 0.0)[:2]
    return Latency(base=base, per_row=per_thousand / 1000)


def _is_environment_set() -> bool:
    return any(os.environ.get(name) for name in VARIABLES)


def _check_demo(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if options.key and options.connector is None:
        parser.error("--key is the key of a --connector")
    if options.latency is not None and options.connector is not None and _is_environment_set():
        parser.error("--latency is the simulator's, and the AFAS_* variables name a real environment")


async def _demo(options: argparse.Namespace) -> bool:
    connector = WIDE if options.connector is None else GetConnector(options.connector, key=options.key)
    if options.connector is not None and _is_environment_set():
        await demo_environment(
            lambda concurrency: AfasClient.from_env(max_concurrency=concurrency),
            connector,
            limit=options.rows,
            window=options.window,
            compare=options.compare,
            show=options.show,
        )
        return True
    return await demo_simulator(
        connector,
        rows=options.rows or ROWS,
        latency=options.latency or LATENCY,
        window=options.window,
        compare=options.compare,
    )


async def _inspect(options: argparse.Namespace) -> bool:
    if options.simulator:
        async with spawn() as simulator, AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas:
            return await _inspect_with(afas, options)
    if not _is_environment_set():
        raise ConfigurationError(
            "set AFAS_TOKEN, and either AFAS_ENVIRONMENT or AFAS_BASE_URL; or try it with --simulator"
        )
    async with AfasClient.from_env() as afas:
        return await _inspect_with(afas, options)


async def _inspect_with(afas: AfasClient, options: argparse.Namespace) -> bool:
    return await inspect(afas, options.connector, key=options.key, limit=options.rows, show=options.show)
