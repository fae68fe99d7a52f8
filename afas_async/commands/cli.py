"""The command line: `python -m afas_async`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from afas_async.client.client import AfasClient
from afas_async.commands.demo import LATENCY, ROWS, WIDE, WINDOW, demo_environment, demo_simulator
from afas_async.commands.inspect import inspect
from afas_async.commands.journal import show_journal
from afas_async.commands.models import write_models
from afas_async.commands.terminal import PROGRAM
from afas_async.errors import AfasError, ConfigurationError
from afas_async.simulator import SimulatorError, spawn
from afas_async.simulator.command import INTERRUPTED
from afas_async.simulator.command import run as simulate
from afas_async.simulator.latency import NOTATION, parse_latency
from afas_async.simulator.samples.connectors import SAMPLES
from afas_async.vocabulary.connectors import GetConnector

_ENVIRONMENT = (
    "The environment is that of the variables AFAS_TOKEN (or AFAS_CLIENT_ID and AFAS_CLIENT_SECRET), and"
    " AFAS_ENVIRONMENT (with AFAS_ENVIRONMENT_TYPE) or AFAS_BASE_URL. Its values are printed only with --show: they may"
    " be personal data."
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
    try:
        if arguments[:1] == ["simulate"]:
            return simulate(arguments[1:])
        options = _parser().parse_args(arguments)
        if misuse := options.misuse(options):
            options.parser.error(misuse)
        return 0 if asyncio.run(options.run(options)) else 1
    except BrokenPipeError:  # as `| head` does; what is still in the buffer must not fail again at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (AfasError, SimulatorError, OSError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description="The asyncio client for AFAS Profit.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser(
        "demo",
        help="read a large connector, and check the result",
        description="Read a connector of a simulator, and compare the result with its database; or, with --connector"
        " and without --simulator, read a connector of an environment.",
        epilog=_ENVIRONMENT,
    )
    demo.add_argument("--connector", metavar="NAME", help="read this connector, as dicts")
    demo.add_argument("--key", type=_key, default=(), metavar="FIELD[,FIELD]", help="the key of that connector")
    demo.add_argument("--simulator", action="store_true", help="read it from the simulator")
    demo.add_argument(
        "--rows", type=_count, metavar="N", help=f"rows of the simulator (default: {ROWS}), or to stop after"
    )
    demo.add_argument(
        "--latency",
        type=parse_latency,
        metavar=NOTATION,
        help="seconds that each answer of the simulator takes, each 1,000 rows in it, and each 1,000 rows skipped"
        f" (default: {LATENCY})",
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
    demo.add_argument("--show", action="store_true", help="print the first rows of an environment too")
    demo.set_defaults(parser=demo, misuse=_demo_misuse, run=_demo)

    check = commands.add_parser(
        "inspect",
        help="list the fields of a connector, propose or test a key",
        description="List the fields of a connector, and test a key on its rows, or propose some.",
        epilog="The exit status is 0 if the key holds, or without --key if there are candidates; else 1. "
        + _ENVIRONMENT,
    )
    check.add_argument("connector", metavar="NAME", help="the connector's name")
    check.add_argument(
        "--key",
        type=_key,
        default=(),
        metavar="FIELD[,FIELD]",
        help="the key to test, read from the service in its order",
    )
    check.add_argument("--simulator", action="store_true", help="inspect it in a simulator with its sample connectors")
    check.add_argument("--rows", type=_count, metavar="N", help="stop the test after so many rows")
    check.add_argument("--show", action="store_true", help="print up to three keys that occur more than once")
    check.set_defaults(parser=check, misuse=_inspect_misuse, run=_inspect)

    journal = commands.add_parser(
        "journal",
        help="show what became of a load, and settle what is unknown",
        description="Show the states of the elements of a load by its journal, and each element whose outcome is"
        " unknown; or note what you have found out about some of these.",
        epilog="The exit status is 0 if no outcome is unknown, else 1. The elements are printed only with --show: they"
        " may hold personal data.",
    )
    journal.add_argument("path", metavar="PATH", help="the journal that a load was given")
    journal.add_argument(
        "--applied", type=int, nargs="+", default=[], metavar="N", help="note that these elements are in Profit"
    )
    journal.add_argument(
        "--again",
        type=int,
        nargs="+",
        default=[],
        metavar="N",
        help="note that these elements are not in Profit, so that the next run sends them",
    )
    journal.add_argument("--show", action="store_true", help="print the elements whose outcome is unknown")
    journal.set_defaults(parser=journal, misuse=_journal_misuse, run=_journal)

    typed = commands.add_parser(
        "models",
        help="write typed models of connectors as a Python module",
        description="Write a module with a msgspec.Struct for each connector, and the connector as a constant. The same"
        " metainfo gives the same module.",
        epilog=_ENVIRONMENT,
    )
    typed.add_argument("names", nargs="*", metavar="NAME", help="a connector (default: all that the token may use)")
    typed.add_argument(
        "--key",
        type=_named_key,
        action="append",
        default=[],
        metavar="NAME=FIELD[,FIELD]",
        help="the key of a GetConnector, which metainfo does not tell and `inspect` proposes; may be repeated",
    )
    typed.add_argument("-o", "--output", type=Path, metavar="FILE", help="the module (default: standard output)")
    typed.add_argument("--check", action="store_true", help="only tell, by exit status 1, that the FILE would differ")
    typed.add_argument("--simulator", action="store_true", help="the sample connectors of a simulator, with their keys")
    typed.set_defaults(parser=typed, misuse=_models_misuse, run=_models)

    commands.add_parser("simulate", help="serve a simulated AFAS Profit on this computer", add_help=False)
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rows, 1 or more")
    return int(text)


def _key(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _named_key(text: str) -> tuple[str, tuple[str, ...]]:
    name, equals, fields = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FIELD[,FIELD]")
    return name, _key(fields)


def _demo_misuse(options: argparse.Namespace) -> str | None:
    if options.connector is None:
        return "--key is the key of a --connector" if options.key else None
    if not options.key:
        return f"--connector needs its --key FIELD[,FIELD]; this proposes some: {_inspect_command(options)}"
    if options.latency is not None and not options.simulator:
        return "--latency is the simulator's: give --simulator too"
    return None


def _inspect_misuse(options: argparse.Namespace) -> str | None:
    return "--rows and --show go with --key" if (options.rows or options.show) and not options.key else None


def _journal_misuse(options: argparse.Namespace) -> str | None:
    both = sorted({*options.applied} & {*options.again})
    return f"element {both[0]} is either applied or sent again" if both else None


def _models_misuse(options: argparse.Namespace) -> str | None:
    return "--check needs the -o FILE to compare with" if options.check and options.output is None else None


def _inspect_command(options: argparse.Namespace) -> str:
    return f"{PROGRAM} inspect {'--simulator ' if options.simulator else ''}{options.connector}"


async def _demo(options: argparse.Namespace) -> bool:
    connector = WIDE if options.connector is None else GetConnector(options.connector, key=options.key)
    if connector is WIDE or options.simulator:
        return await demo_simulator(
            connector,
            rows=options.rows or ROWS,
            latency=options.latency or LATENCY,
            window=options.window,
            compare=options.compare,
        )
    await demo_environment(
        _environment,
        connector,
        limit=options.rows,
        window=options.window,
        compare=options.compare,
        show=options.show,
    )
    return True


async def _inspect(options: argparse.Namespace) -> bool:
    async with _client(simulator=options.simulator) as afas:
        return await inspect(
            afas,
            options.connector,
            key=options.key,
            limit=options.rows,
            show=options.show,
            command=_inspect_command(options),
        )


async def _models(options: argparse.Namespace) -> bool:
    keys = dict[str, tuple[str, ...]](options.key)
    if options.simulator:
        samples = {sample.connector.name: sample.connector.key for sample in SAMPLES}
        keys = {name: key for name, key in samples.items() if name in (options.names or samples)} | keys
    async with _client(simulator=options.simulator) as afas:
        return await write_models(afas, options.names, keys, path=options.output, check=options.check)


@asynccontextmanager
async def _client(*, simulator: bool) -> AsyncGenerator[AfasClient, None]:
    """A client of the environment, or of a simulator of its own."""
    async with AsyncExitStack() as stack:
        if simulator:
            running = await stack.enter_async_context(spawn())
            afas = AfasClient(base_url=running.base_url, auth=running.token)
        else:
            afas = _environment()
        yield await stack.enter_async_context(afas)


async def _journal(options: argparse.Namespace) -> bool:
    return await show_journal(options.path, applied=options.applied, again=options.again, show=options.show)


def _environment(max_concurrency: int = WINDOW) -> AfasClient:
    try:
        return AfasClient.from_env(max_concurrency=max_concurrency)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error} (or give --simulator, which needs no environment)") from None
