"""The command line: its commands, its refusals and its exit statuses."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import TextIO

import pytest

from afas_async.commands import cli
from afas_async.commands.program import COMMANDS
from afas_async.simulator import process
from tests.support import canary, forking
from tests.support.command_line import environment, refused, run

CALLS = (["demo", "--connector", "Profit_Article", "--key", "ItemCode"], ["inspect", "Profit_Article"])
SIMULATED = (["demo", "--rows", "100"], ["inspect", "Profit_Article", "--simulator"])


def test_the_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` names each command with one line."""
    assert cli.run(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for command in COMMANDS:
        assert [line for line in lines if line.startswith(f"│ {command} ")], command


async def test_simulate_serves_until_its_input_ends() -> None:
    """`simulate` says where it listens, and `--json` ties its life to its input."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "afas_async", "simulate", "--json", "--rows", "10"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    started = json.loads(await process.stdout.readline())
    assert started["base_url"].startswith("http://127.0.0.1:")
    process.stdin.close()
    assert await process.wait() == 0


def test_the_command_line_needs_nothing_of_unix() -> None:
    """Where Python has no `resource`, as on Windows, the command line still starts."""
    code = (
        "import sys; sys.modules['resource'] = None; from afas_async.commands import cli; cli.run(['simulate', '-h'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--port" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["demo", "--nothing"],
        ["demo", "--rows", "x"],
        ["demo", "--rows", "0"],
        ["demo", "--window", "0"],
        ["demo", "--window", "9"],
        ["inspect"],
        ["inspect", "Profit_Article", "--nothing"],
        ["inspect", "Profit_Article", "--rows", "-1"],
        ["journal"],
        ["journal", "x", "--again"],
        ["journal", "x", "--applied", "one"],
        ["journal", "x", "--applied", "-1"],
        ["journal", "x", "--applied", "all", "--again", "3"],
        ["simulate", "--nothing"],
    ],
    ids=" ".join,
)
def test_bad_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Bad arguments are refused with status 2 and one line, which says where to find help."""
    assert cli.run(arguments) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("python -m afas_async: ")
    assert shown.err.endswith(" --help)\n")
    assert (shown.err.count("\n"), shown.out) == (1, "")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["demo", "--row", "5"], "demo: No such option: --row (Possible options: --rows"),
        (["journl"], "No such command 'journl'. Did you mean 'journal'?"),
        (["demo", "--key", "Id"], "--key is the key of a --connector"),
        (["demo", "--connector", "X"], "to find one: python -m afas_async inspect X"),
        (["demo", "--connector", "X", "--simulator"], "to find one: python -m afas_async inspect --simulator X"),
        ([*CALLS[0], "--latency", "1"], "--latency is for the simulator: give --simulator too"),
        (["inspect", "X", "--rows", "5"], "--rows and --show need --key"),
        (["inspect", "X", "--show"], "--rows and --show need --key"),
        (["journal", "x", "--applied", "1-2", "--again", "2"], "element 2 is in --applied and in --again"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_misuse_is_explained(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The refusal names the options of the command line, and comes before anything is started or sent."""
    status = cli.run(arguments)
    shown = capsys.readouterr()
    assert (status, shown.out) == (2, "")
    assert text in shown.err


@pytest.mark.parametrize("command", ["demo", "simulate"])
@pytest.mark.parametrize("latency", ["", "x", "1,", "1,2,3,4,5", "-1", "0,-1", "nan", "0,0,inf"])
def test_latency_that_is_none(command: str, latency: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Both commands take one notation, and refuse anything but one to four times."""
    assert cli.run([command, f"--latency={latency}"]) == 2
    notation = "BASE[,PER_1000_ROWS[,PER_1000_SKIPPED[,PER_1000_ELEMENTS]]]"
    text = f"{latency!r} is not {notation} in seconds"
    assert text in capsys.readouterr().err


@pytest.mark.parametrize("arguments", CALLS, ids=" ".join)
def test_no_environment(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without variables a command does not look for a named connector in a simulator: that needs `--simulator`."""
    line = refused(run(capsys, *arguments))
    assert "set AFAS_TOKEN, and either AFAS_ENVIRONMENT or AFAS_BASE_URL" in line
    assert "--simulator" in line


@pytest.mark.usefixtures("within")
@pytest.mark.parametrize("arguments", [[*CALLS[0], "--rows", "100"], CALLS[1]], ids=" ".join)
def test_the_simulator_on_request(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--simulator` needs no variables, and wins over those that are there."""
    with environment(monkeypatch) as simulator:
        assert run(capsys, *arguments, "--simulator").status == 0
        assert simulator.counters.requests == 0


@pytest.mark.parametrize("arguments", SIMULATED, ids=" ".join)
class TestSimulatorsThatFail:
    """A simulator that does not start, or dies: one line on standard error, status 1 and no traceback."""

    def test_ended_at_once(
        self, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(sys, "executable", shutil.which("false"))
        assert "did not start: its process ended" in refused(run(capfd, *arguments))

    def test_too_slow(
        self, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(process, "_START_SECONDS", 0)
        assert "did not start within 0 seconds" in refused(run(capfd, *arguments))

    def test_no_python(
        self, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(sys, "executable", "/nothing/python")
        assert "/nothing/python" in refused(run(capfd, *arguments))

    def test_inherited_token(
        self, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """The variable of `simulate` is not for the simulator that a command starts for itself."""
        monkeypatch.setenv("AFAS_SIMULATOR_TOKEN", "x")
        assert run(capfd, *arguments).status == 0


def test_more_rows_than_a_simulator_can_hold(capfd: pytest.CaptureFixture[str]) -> None:
    """That line has the reason: the error within the simulator's process."""
    assert "OverflowError" in refused(run(capfd, "demo", "--rows", str(2**63)))


@pytest.mark.parametrize("arguments", CALLS, ids=" ".join)
class TestRefusals:
    """A real environment that cannot be read: one line on standard error, status 1 and no traceback."""

    def test_wrong_token(
        self, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with environment(monkeypatch):
            monkeypatch.setenv("AFAS_TOKEN", canary.TOKEN.replace("CA9A27", "000000"))
            assert "HTTP 401" in refused(run(capsys, *arguments))

    def test_malformed_token(
        self, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("AFAS_ENVIRONMENT", "12345")
        monkeypatch.setenv("AFAS_TOKEN", canary.TOKEN + "?")
        assert "the token is malformed" in refused(run(capsys, *arguments))

    def test_no_connection(
        self, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with socket.socket() as unused:  # bound, and not listening
            unused.bind(("127.0.0.1", 0))
            monkeypatch.setenv("AFAS_BASE_URL", f"http://127.0.0.1:{unused.getsockname()[1]}/profitrestservices")
            monkeypatch.setenv("AFAS_TOKEN", canary.TOKEN)
            monkeypatch.setattr("afas_async.policy.retrying.BACKOFF_BASE", 0.0)
            assert "connect" in refused(run(capsys, *arguments))

    def test_unknown_connector(
        self, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with environment(monkeypatch):
            unknown = [argument.replace("Article", "Nothing") for argument in arguments]
            assert "Profit_Nothing: HTTP 500" in refused(run(capsys, *unknown))

    def test_name_that_is_none(
        self, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("AFAS_ENVIRONMENT", "12345")
        monkeypatch.setenv("AFAS_TOKEN", canary.TOKEN)
        named = [argument.replace("Profit_", "../") for argument in arguments]
        assert "cannot be the name of a connector" in refused(run(capsys, *named))

    def test_half_an_environment(
        self, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Incomplete variables are an error: to use the simulator instead would mislead."""
        monkeypatch.setenv("AFAS_TOKEN", canary.TOKEN)
        assert "AFAS_ENVIRONMENT or AFAS_BASE_URL" in refused(run(capsys, *arguments))


@contextmanager
def _started(folder: Path, *arguments: str) -> Iterator[tuple[ForkServerProcess, TextIO]]:
    """Run a command in another process; its standard error goes to a file."""
    os.mkfifo(folder / "output")
    process = forking.start(folder / "output", forking.command, [*arguments], {}, errors=folder / "errors")
    try:
        with (folder / "output").open() as output:
            yield process, output
    finally:
        process.kill()
        process.join()


def _ended(process: ForkServerProcess, folder: Path) -> tuple[int | None, str]:
    """Wait for the end of a command; return its exit status and its standard error."""
    process.join(30)
    return process.exitcode, (folder / "errors").read_text()


@pytest.mark.parametrize("line", ["Starting", "Reading"])
def test_ctrl_c(line: str, tmp_path: Path) -> None:
    """Ctrl+C ends a command with status 130 and no traceback, also while its simulator starts.

    The simulator has a session of its own, so that Ctrl+C does not reach it (tests/simulator/test_process.py).
    """
    with _started(tmp_path, "demo", "--rows", "1000", "--latency", "20") as (process, output):
        while line not in output.readline():
            assert process.is_alive()
        _interrupt(process)
        assert _ended(process, tmp_path) == (130, "\ninterrupted\n")


def _interrupt(process: ForkServerProcess) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)


def test_ctrl_c_ends_the_simulator(tmp_path: Path) -> None:
    """Ctrl+C ends `simulate` with status 130 and without any output."""
    with _started(tmp_path, "simulate") as (process, output):
        assert "runs until you press Ctrl+C" in output.readline()
        _interrupt(process)
        assert _ended(process, tmp_path) == (130, "")


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    """Where standard output is closed, as `| head -1` does, a command ends without a traceback."""
    with _started(tmp_path, "demo", "--rows", "1000") as (process, output):
        assert "Starting" in output.readline()
        output.close()
        assert _ended(process, tmp_path) == (1, "")
