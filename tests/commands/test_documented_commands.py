"""The commands that the package's docstring lists."""

from __future__ import annotations

import re
import shlex

import pytest

from afas_async import commands
from afas_async.commands import cli, program

COMMANDS = re.findall(r"^- `python -m afas_async (.*)`\n((?:  .*\n)+)", commands.__doc__ or "", re.MULTILINE)


def test_every_command_is_listed() -> None:
    """Each command has a place in the docstring."""
    assert {command.split()[0] for command, _ in COMMANDS} == set(program.COMMANDS)


@pytest.mark.parametrize(("command", "description"), COMMANDS, ids=[command for command, _ in COMMANDS])
def test_the_commands_exist(command: str, description: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command in the list is one that the command line takes, here with `--help` after it."""
    assert cli.run([*shlex.split(command), "--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for option in re.findall(r"--[a-z]+", command + description):
        assert option in out
