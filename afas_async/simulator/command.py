"""The command line of the simulator."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import threading
from typing import Final

from afas_async.simulator.latency import Latency
from afas_async.simulator.server import Simulator, serve
from afas_async.simulator.service import authorization

TOKEN_VARIABLE: Final = "AFAS_SIMULATOR_TOKEN"  # noqa: S105 (the name of the variable)


def run(arguments: list[str]) -> int:
    """Run a simulator until it is interrupted.

    Args:
        arguments: The command line without the name of the command.

    Returns:
        The exit status of the process.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        simulator = Simulator(
            rows=options.rows,
            seed=options.seed,
            latency=Latency(options.base_latency, options.per_row_latency, options.per_skip_latency),
            gzip=options.gzip,
            token=os.environ.get(TOKEN_VARIABLE) or None,
            port=options.port,
        )
    except ValueError as error:
        parser.error(str(error))
    try:
        asyncio.run(_run(simulator, for_machine=options.json))
    except OSError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    except (KeyboardInterrupt, asyncio.CancelledError):
        pass
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m afas_async simulate",
        description="Serve a simulated AFAS Profit REST API on this computer.",
        epilog=f"The token is random, or the whole XML in the environment variable {TOKEN_VARIABLE}.",
    )
    parser.add_argument("--rows", type=int, default=10_000, help="rows in the large connectors (default: 10000)")
    parser.add_argument("--seed", type=int, default=1, help="what the rows come from (default: 1)")
    parser.add_argument("--base-latency", type=float, default=0.0, metavar="SECONDS", help="time of every answer")
    parser.add_argument("--per-row-latency", type=float, default=0.0, metavar="SECONDS", help="time of each row sent")
    parser.add_argument(
        "--per-skip-latency", type=float, default=0.0, metavar="SECONDS", help="time of each row skipped"
    )
    parser.add_argument("--gzip", action="store_true", help="compress for clients that accept it")
    parser.add_argument("--port", type=int, default=0, help="port (default: a free one)")
    parser.add_argument(
        "--json",
        action="store_true",
        help="say the URL and the token in a JSON line, and stop when standard input ends",
    )
    return parser


async def _run(simulator: Simulator, *, for_machine: bool) -> None:
    await simulator.start()
    if for_machine:
        _cancel_at_end_of_input()
        text = json.dumps({"base_url": simulator.base_url, "token": simulator.token})
    else:
        text = _welcome(simulator)
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
    await serve(simulator)


def _welcome(simulator: Simulator) -> str:
    url = f"{simulator.base_url}/connectors/Profit_Article?skip=0&take=3&orderbyfieldids=ItemCode"
    return f"""\
A simulated AFAS Profit runs until you press Ctrl+C.

Base URL  {simulator.base_url}
Token     {simulator.token}

curl -H 'Authorization: {authorization(simulator.token)}' '{url}'"""


def _cancel_at_end_of_input() -> None:
    """Cancel this task when standard input ends, as it does when the process at its other end dies."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def wait() -> None:
        # The bare descriptor: a thread inside sys.stdin would hold its lock while the interpreter shuts down.
        while os.read(sys.stdin.fileno(), 4096):
            pass
        if task is not None:
            loop.call_soon_threadsafe(task.cancel)

    threading.Thread(target=wait, daemon=True).start()
