"""The README's examples run as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
COMMANDS = re.findall(r"^\| `((?:demo|inspect|simulate|journal|models) .*?)` \|", README.read_text(), re.MULTILINE)
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    "block", BLOCKS, ids=lambda block: f"line {README.read_text().partition(block)[0].count(chr(10))}"
)
def test_the_examples_run(block: str) -> None:
    """Each Python block of the README is a complete program that runs without an error or a warning."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", block], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_exist(command: str, tmp_path: Path) -> None:
    """Each command of the README's table is one that the command line takes, here with `--help` behind it."""
    arguments = command.replace("articles.csv", str(tmp_path / "articles.csv")).split()
    done = subprocess.run(
        [sys.executable, "-m", "afas_async", *arguments, "--help"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    for option in re.findall(r"--[a-z]+", command):
        assert option in done.stdout


def test_the_tests_that_it_names_are_there() -> None:
    """Each row of the table of endpoints names tests that can be looked at."""
    named = set(re.findall(r"`(tests/[\w/.]+)`", README.read_text()))
    assert len(named) > 15
    assert [path for path in sorted(named) if not (README.parent / path).exists()] == []
