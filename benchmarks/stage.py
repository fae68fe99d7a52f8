"""Runs servers and readers in separate processes, on separate cores if there are two."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import msgspec

from afas_async.simulator import Latency
from benchmarks.task import Measurement, Task

_TOKEN = "<token><version>1</version><data>BENCHMARK</data></token>"  # noqa: S105 - valid for simulators only
_PROJECT = Path(__file__).parent.parent
_SERVER_CORE, _READER_CORE = 0, -1  # the first and the last core that this process may use


class Server(msgspec.Struct, frozen=True):
    """A server with the connector `Profit_Wide`.

    Args:
        base_url: Its base URL.
        rows: The number of rows.
    """

    base_url: str
    rows: int

    def requests(self) -> int:
        """Return the number of requests that a simulator has received."""
        with urlopen(f"{self.base_url.removesuffix('profitrestservices')}simulator/counters") as answer:  # noqa: S310
            counters: dict[str, int] = msgspec.json.decode(answer.read())
        return counters["requests"]

    def task(self, contestant: str, **options: object) -> Task:
        """Return a task for a contestant."""
        plain = {"contestant": contestant, "base_url": self.base_url, "token": _TOKEN, "rows": self.rows}
        return msgspec.convert(plain | options, Task)


def read(task: Task) -> Measurement:
    """Do a task in a new process.

    Raises:
        RuntimeError: If the task fails. Standard error has its traceback.
    """
    process = _start("benchmarks.child", core=_READER_CORE)
    output, _ = process.communicate(msgspec.json.encode(task))
    if process.returncode:
        raise RuntimeError(f"{task.contestant} failed: see its traceback on standard error")
    return msgspec.json.decode(output, type=Measurement)


@contextmanager
def bare_server(rows: int, *, gzip: bool = False) -> Iterator[Server]:
    """Run the bare server until the block ends."""
    with _running("benchmarks.bare_server", f"--rows={rows}", *(["--gzip"] if gzip else [])) as line:
        yield Server(f"http://127.0.0.1:{int(line)}/profitrestservices", rows)


@contextmanager
def simulator(rows: int, latency: Latency) -> Iterator[Server]:
    """Run the simulator until the block ends."""
    with _running("afas_async.simulator", "--json", f"--rows={rows}", f"--latency={latency}") as line:
        yield Server(msgspec.json.decode(line)["base_url"], rows)


@contextmanager
def web_service(server: Server) -> Iterator[int]:
    """Run a web service that uses a simulator on the core of the readers, and yield its port."""
    with _running("benchmarks.service_app", f"--base-url={server.base_url}", core=_READER_CORE) as line:
        yield int(line)


@contextmanager
def _running(module: str, *arguments: str, core: int = _SERVER_CORE) -> Iterator[bytes]:
    """Run a server that prints a line when it is ready, and ends when its standard input ends."""
    process = _start(module, *arguments, core=core)
    try:
        line = process.stdout.readline() if process.stdout else b""
        if not line:
            raise RuntimeError(f"{module} did not start: see its traceback on standard error")
        yield line
    finally:
        process.communicate()


def _start(module: str, *arguments: str, core: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(  # noqa: S603 - this Python interpreter
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=_PROJECT,
        env=os.environ | {"AFAS_SIMULATOR_TOKEN": _TOKEN},
    )
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process.pid, {sorted(os.sched_getaffinity(0))[core]})
    return process
