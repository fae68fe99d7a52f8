"""Processes that begin with all imports done, for tests that start, and kill, many of them."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
# Each child imports the main module of this process: that of pytest, if there are no workers.
CONTEXT.set_forkserver_preload(["pytest", "tests.support.kill_loader"])


def start(said: Path, work: Callable[..., object], *arguments: Any) -> ForkServerProcess:
    """Have a function called in a new process, with what it prints, and the traceback of its error, in a file."""
    process = CONTEXT.Process(target=_call, args=(said, work, arguments))
    process.start()
    return process


def _call(said: Path, work: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    with said.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    work(*arguments)
