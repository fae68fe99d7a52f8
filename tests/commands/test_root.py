"""The options before a command, and the behaviour that all commands share."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from afas_async.commands.program import COMMANDS
from tests.support import canary
from tests.support.command_line import environment, refused, run


def test_variables_from_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Variables that are already set stay, and only AFAS_* variables are taken."""
    path = tmp_path / ".env"
    with environment(monkeypatch) as simulator:
        monkeypatch.delenv("AFAS_TOKEN")
        monkeypatch.delenv("OTHER", raising=False)
        path.write_text(
            f"# the test environment\n\nexport AFAS_TOKEN='{simulator.token}'\nAFAS_BASE_URL=\"http://nowhere\"\nOTHER=1\n"
        )
        monkeypatch.setattr(os, "environ", dict(os.environ))
        assert run(capsys, "--env-file", str(path), "version").status == 0


@pytest.mark.parametrize("line", ["AFAS_TOKEN", f"{canary.TOKEN}", "1=2", "AFAS_TOKEN='x"])
def test_a_file_that_is_none(line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error gives the number of the line, but not its text, which may be the token."""
    path = tmp_path / ".env"
    path.write_text(f"A=1\n{line}\n")
    told = refused(run(capsys, "--env-file", str(path), "version"))
    assert told.endswith(f"{path}, line 2: expected NAME=VALUE, such as AFAS_ENVIRONMENT=12345\n")


def test_no_credentials_are_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    """No command has an option for a token, a secret or a password."""
    for command in COMMANDS:
        text = run(capsys, command, "--help").out
        assert re.findall(r"--\w*(?:token|secret|password|auth)\w*", text) == [], command


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_a_page(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It starts with what the command is for, has no line that is too long, and shows no type for a switch."""
    monkeypatch.setenv("TERMINAL_WIDTH", "60")
    ended = run(capsys, command, "--help")
    lines = ended.out.splitlines()
    assert (ended.status, ended.err) == (0, "")
    assert lines[1].startswith(f" Usage: python -m afas_async {command}")
    assert "<bool>" not in ended.out


def test_without_arguments_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    """With status 2, as nothing was done."""
    ended = run(capsys)
    assert (ended.status, "Look" in ended.out, ended.err) == (2, True, "")
