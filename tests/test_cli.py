"""The command line: its commands, its refusals and its exit statuses."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from afas_async import cli
from tests import canary
from tests.commands import environment, refused, run

COMMANDS = (["demo", "--connector", "Profit_Article", "--key", "ItemCode"], ["inspect", "Profit_Article"])
# Whatever the shell has made of Ctrl+C: a job in the background ignores it.
PROGRAM = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
    " from afas_async.cli import run; sys.exit(run(sys.argv[1:]))"
)


def test_the_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` names each command with one line."""
    with pytest.raises(SystemExit) as ended:
        cli.run(["--help"])
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    for command in ("demo", "inspect", "simulate"):
        assert [line for line in lines if line.startswith(f"    {command} ")], command


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
    """Where Python has no `resource`, as on Windows, the command line starts all the same."""
    code = "import sys; sys.modules['resource'] = None; from afas_async.cli import run; run(['simulate', '--help'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--port" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nothing"],
        ["demo", "--nothing"],
        ["demo", "--rows", "x"],
        ["demo", "--rows", "0"],
        ["demo", "--window", "0"],
        ["demo", "--window", "9"],
        ["demo", "--latency", "1,2,3"],
        ["demo", "--latency", "-1"],
        ["demo", "--latency", "nan"],
        ["demo", "--latency", "inf"],
        ["demo", "--latency", ""],
        ["demo", "--key", "Id"],
        ["inspect"],
        ["inspect", "Profit_Article", "--nothing"],
        ["inspect", "Profit_Article", "--rows", "-1"],
        ["simulate", "--nothing"],
    ],
    ids=" ".join,
)
def test_bad_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What makes no sense is refused with a usage line and status 2."""
    with pytest.raises(SystemExit) as ended:
        cli.run(arguments)
    assert ended.value.code == 2
    assert "usage: python -m afas_async" in capsys.readouterr().err


def test_the_latency_of_a_real_environment_is_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--latency` is refused where there is no simulator."""
    monkeypatch.setenv("AFAS_ENVIRONMENT", "12345")
    with pytest.raises(SystemExit) as ended:
        cli.run([*COMMANDS[0], "--latency", "1"])
    assert ended.value.code == 2
    assert "--latency is the simulator's" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
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
        """Variables that do not suffice are an error: the simulator in their place would mislead."""
        monkeypatch.setenv("AFAS_TOKEN", canary.TOKEN)
        assert "AFAS_ENVIRONMENT or AFAS_BASE_URL" in refused(run(capsys, *arguments))


def _started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_ctrl_c() -> None:
    """Ctrl+C, which reaches the simulator's process too, ends a command with status 130 and no traceback."""
    with _started("demo", "--rows", "1000", "--latency", "20") as process:
        assert process.stdout is not None
        while "Reading" not in process.stdout.readline():
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate()
    assert (process.returncode, err) == (130, "\ninterrupted\n")


def test_a_reader_that_goes_away() -> None:
    """Where standard output is closed, as `| head -1` does, a command ends without a traceback."""
    with _started("demo", "--rows", "1000") as process:
        assert process.stdout is not None
        assert "Starting" in process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 1
