"""The commands that the package's docstring lists."""

from __future__ import annotations

import re
import shlex

import pytest

from afas_async import commands
from afas_async.commands import cli

COMMANDS = re.findall(r"^python -m afas_async (.*)\n((?:    .*\n)+)", commands.__doc__ or "", re.MULTILINE)


def test_every_command_is_listed() -> None:
    """Each command has a place in the docstring."""
    assert {command.split()[0] for command, _ in COMMANDS} == {"demo", "inspect", "journal", "models", "simulate"}


@pytest.mark.parametrize(("command", "description"), COMMANDS, ids=[command for command, _ in COMMANDS])
def test_the_commands_exist(command: str, description: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command in the list is one that the command line takes, here with `--help` after it."""
    with pytest.raises(SystemExit) as ended:
        cli.run([*shlex.split(command), "--help"])
    out, err = capsys.readouterr()
    assert (ended.value.code, err) == (0, "")
    for option in re.findall(r"--[a-z]+", command + description):
        assert option in out
