"""Commands as processes: on a terminal, in a pipe, interrupted, and killed."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from afas_async.simulator import Latency, Simulator
from tests.support import canary
from tests.support.command_line import environment
from tests.support.thoroughness import full_only

KILLS = int(os.environ.get("AFAS_COMMAND_KILLS", "1"))
COMMAND = (sys.executable, "-m", "afas_async")


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Simulator]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    with environment(monkeypatch, rows=3_000) as running:
        yield running


class Terminal:
    """A command on a pseudo-terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self.pid, self._handle = pty.fork()
        if self.pid == 0:  # pragma: no cover - in the child
            os.execv(sys.executable, [*COMMAND, *arguments])  # noqa: S606 - there is no other way in a fork
        self.shown = ""

    def read_until(self, pattern: str) -> None:
        while re.search(pattern, self.shown) is None:
            piece = self._read()
            assert piece, self.shown
            self.shown += piece

    def end(self) -> int:
        """Read to the end, and return the exit status."""
        while piece := self._read():
            self.shown += piece
        os.close(self._handle)
        _, status = os.waitpid(self.pid, 0)
        assert not canary.leaks(self.shown)
        return os.waitstatus_to_exitcode(status)

    def _read(self) -> str:
        try:
            return os.read(self._handle, 65_536).decode("utf-8", "replace")
        except OSError:  # the other side is gone
            return ""


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


@pytest.mark.usefixtures("simulator")
def test_a_table_on_a_terminal() -> None:
    """In colours, and within its width."""
    terminal = Terminal("rows", "Profit_Article", "--limit", "3")
    assert terminal.end() == 0
    assert "\x1b[1m" in terminal.shown
    lines = plain(terminal.shown).splitlines()
    assert "ItemCode" in lines[1]
    assert max(map(len, lines[1:6])) <= 60


@full_only
def test_progress_and_ctrl_c(simulator: Simulator) -> None:
    """An interrupted read shows how far it was, stops at once, and says how to continue."""
    simulator.latency = Latency(base=0.05, per_row=0.004)
    terminal = Terminal("rows", "Profit_Article", "--key", "ItemCode", "-o", "a.ndjson")
    terminal.read_until("rows/s")
    os.kill(terminal.pid, signal.SIGINT)
    assert terminal.end() == 130
    assert "Traceback" not in terminal.shown
    assert "continue with python -m afas_async rows ... -o a.ndjson --resume" in " ".join(plain(terminal.shown).split())
    simulator.latency = Latency()
    before = simulator.counters.rows
    assert Terminal("rows", "Profit_Article", "--key", "ItemCode", "-o", "a.ndjson", "--resume").end() == 0
    assert simulator.counters.rows - before < 3_000
    codes = [json.loads(line)["ItemCode"] for line in Path("a.ndjson").read_text().splitlines()]
    assert codes == [f"{number:06}" for number in range(1, 3_001)]


@pytest.mark.usefixtures("simulator")
def test_a_pipe_that_closes() -> None:
    """`| head -2` gets two lines, without an error."""
    command = f"{' '.join(COMMAND)} rows Profit_Article --key ItemCode | head -2"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)  # noqa: S602 - a pipe
    assert [json.loads(line)["ItemCode"] for line in done.stdout.splitlines()] == ["000001", "000002"]
    assert done.stderr == ""


def test_no_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without typer and rich there is one clear sentence."""
    code = "import sys; sys.modules['typer'] = None; from afas_async.commands.cli import main; main()"
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(': the command line needs typer and rich: pip install "afas-async[cli]"\n')
    assert done.stderr.count("\n") == 1


def test_help_needs_none_of_the_library() -> None:
    """So help appears at once."""
    code = """
import sys
from afas_async.commands.cli import run
run(["--help"])
print([name for name in ("aiohttp", "msgspec", "asyncio", "afas_async.client", "pyarrow") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def _write_lines(count: int) -> None:
    with Path("s.csv").open("w", encoding="utf-8") as file:
        file.write("StId;Ds;SbTx\n")
        file.writelines(f"{'x' if number % 50 == 7 else 1};Regel {number};é\n" for number in range(count))


LOAD = ("load", "KnSubject", "s.csv", "--action", "insert", "--journal", "j", "--failed", "f.csv")


def test_ctrl_c_drains_a_load(simulator: Simulator) -> None:
    """The first Ctrl+C leaves nothing unknown: the load waits for its requests, and the next run sends the rest."""
    simulator.latency = Latency(base=0.1, per_element=0.004)
    _write_lines(500)
    terminal = Terminal(*LOAD)
    terminal.read_until(r"lines  [1-9]\d* applied")
    os.kill(terminal.pid, signal.SIGINT)
    assert terminal.end() == 1
    text = plain(terminal.shown)
    assert "sending nothing more" in text
    assert " 0 unknown" in text
    assert "Interrupted: if you run the same command again, it continues." in text
    sent = len(simulator.written("KnSubject"))
    assert 0 < sent < 490
    simulator.latency = Latency()
    assert Terminal(*LOAD).end() == 1
    _check_once(simulator, 500)


@full_only
def test_the_second_ctrl_c_stops_at_once(simulator: Simulator) -> None:
    """Elements in flight are unknown then, and status 3 says so."""
    simulator.latency = Latency(per_element=60)
    _write_lines(10)
    terminal = Terminal(*LOAD)
    _wait_for(lambda: any(request.method == "POST" for request in simulator.requests))
    os.kill(terminal.pid, signal.SIGINT)
    terminal.read_until("sending nothing more")
    os.kill(terminal.pid, signal.SIGINT)
    assert terminal.end() == 3
    assert "unknown" in plain(terminal.shown)


@full_only
def test_killed_again_and_again(simulator: Simulator) -> None:
    """Every line is applied once, or is once in the file of failed lines."""
    simulator.latency = Latency(base=0.02, per_element=0.001)
    _write_lines(600)
    for number in range(KILLS):
        with _started(*LOAD) as process:
            least = len(simulator.written("KnSubject")) + 20 * (number % 3)
            _wait_for(lambda least=least: len(simulator.written("KnSubject")) > least or process.poll() is not None)
            process.kill()
            process.wait()
    _wait_for(lambda: simulator.counters.in_flight == 0)
    simulator.latency = Latency()
    # Lines in flight at the kill are looked up by their subject, so that applied ones are found.
    found = subprocess.run(
        [*COMMAND, *LOAD, "--lookup", "Profit_Subjects:Subject=Ds"], capture_output=True, text=True, check=False
    )
    assert found.returncode in {1, 3}, found.stderr
    _check_once(simulator, 600)


@contextmanager
def _started(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def _wait_for(is_so: Callable[[], object]) -> None:
    until = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


def _check_once(simulator: Simulator, count: int) -> None:
    """Check that each line is applied once, or is once in the file of failed lines."""
    applied = [int(each["Ds"].removeprefix("Regel ")) for each in simulator.written("KnSubject")]
    with Path("f.csv").open(encoding="utf-8-sig", newline="") as file:
        failed = [int(row["Ds"].removeprefix("Regel ")) for row in csv.DictReader(file, delimiter=";")]
    assert len(applied) == len(set(applied))
    assert len(failed) == len(set(failed))
    # A line that was in flight when the process was killed may be applied and yet unknown to it.
    assert set(applied) | set(failed) == set(range(count))
    assert {number for number in range(count) if number % 50 == 7} <= set(failed)
