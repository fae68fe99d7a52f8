"""The command line: `python -m afas_async`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from afas_async.commands import demo, inspect, journal, models
from afas_async.commands.record import record_environment
from afas_async.commands.terminal import PROGRAM
from afas_async.errors import AfasError
from afas_async.simulator import SimulatorError
from afas_async.simulator.command import INTERRUPTED
from afas_async.simulator.command import run as simulate


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
            return simulate(arguments[1:], record_environment)
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
    for command in (demo, inspect, journal, models):
        command.add_to(commands)
    commands.add_parser("simulate", help="serve a simulated AFAS Profit on this computer", add_help=False)
    return parser
