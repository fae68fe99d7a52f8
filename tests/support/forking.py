"""Processes that begin with all imports done, for tests that start, and kill, many of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
# Each child imports the main module of this process: that of pytest, if there are no workers.
CONTEXT.set_forkserver_preload([
    "pytest",
    "tests.support.kill_loader",
    "afas_async.commands.program",
    "afas_async.commands.demo",
])


def start(
    output: Path,
    work: Callable[..., object],
    *arguments: Any,
    errors: Path | None = None,
    encoding: str = "utf-8",
) -> ForkServerProcess:
    """Have a function called in a new process.

    Args:
        output: A file or a named pipe for what the process prints.
        work: The function.
        arguments: Its arguments.
        errors: A file for what the process says on standard error, if not the same.
        encoding: What the process takes for the character set of its output.
    """
    process = CONTEXT.Process(target=_call, args=(output, errors, encoding, work, arguments))
    process.start()
    return process


def command(arguments: list[str], environment: Mapping[str, str]) -> None:
    """Run a command line as `python -m afas_async` does, in such a process."""
    from afas_async.commands.cli import run  # noqa: PLC0415 (in the child)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(environment)
    sys.exit(run(arguments))


def _call(
    output: Path, errors: Path | None, encoding: str, work: Callable[..., object], arguments: tuple[Any, ...]
) -> None:
    for number, path in ((1, output), (2, errors or output)):
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    sys.stdout = open(1, "w", encoding=encoding, closefd=False)  # noqa: SIM115 (a descriptor)
    work(*arguments)
