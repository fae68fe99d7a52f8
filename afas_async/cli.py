"""The command line: `python -m afas_async`."""

from __future__ import annotations

import argparse
import asyncio

from afas_async.demo import demo
from afas_async.simulator.command import run as simulate

DEMO_ROWS = 300_000


def run(arguments: list[str]) -> int:
    """Run a command.

    Args:
        arguments: The command line without the program's name.

    Returns:
        The exit status: 0 if all went well.
    """
    parser = argparse.ArgumentParser(prog="python -m afas_async", description="The asyncio client for AFAS Profit.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    show = commands.add_parser("demo", help="read a large connector from a simulator, and check the result")
    show.add_argument("--rows", type=int, default=DEMO_ROWS, help=f"rows to read (default: {DEMO_ROWS})")
    commands.add_parser("simulate", help="serve a simulated AFAS Profit on this computer", add_help=False)
    options, rest = parser.parse_known_args(arguments)
    if options.command == "simulate":
        return simulate(rest)
    if rest:
        show.error(f"unrecognized arguments: {' '.join(rest)}")
    return 0 if asyncio.run(demo(options.rows)) else 1
