"""The command line."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys

import pytest

from afas_async import cli
from afas_async.simulator.store import Checksum


def test_the_demo_reads_everything_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """The demo reads a connector from a simulator in another process, and compares it with the database."""
    assert cli.run(["demo", "--rows", "2000"]) == 0  # on real time: the other process knows no other
    shown = capsys.readouterr().out
    assert "rows         2,000 in " in shown
    assert "check        complete: number and checksum equal the database's" in shown
    for fact in (r"\d+ of 2,000 rows", r"rows/s", r"\d pages in \d+ requests", r"after \d+ ms", r"\d+ MB more"):
        assert re.search(fact, shown), fact


def test_the_demo_notices_a_difference(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """If what was read is not what the database holds, the demo says so and fails."""

    async def lie(_: object, __: str) -> Checksum:
        await asyncio.sleep(0)
        return Checksum(2_000, 0)

    monkeypatch.setattr("afas_async.simulator.process.SimulatorProcess.checksum", lie)
    assert cli.run(["demo", "--rows", "2000"]) == 1
    assert "check        NOT what the database holds" in capsys.readouterr().out


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


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["demo", "--window", "3"], ["demo", "--rows", "x"]])
def test_bad_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What is no command is refused with a usage line."""
    with pytest.raises(SystemExit) as ended:
        cli.run(arguments)
    assert ended.value.code == 2
    assert "usage: python -m afas_async" in capsys.readouterr().err
