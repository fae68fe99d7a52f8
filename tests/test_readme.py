"""The README is short, and what it shows is what happens."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import run, simulate_within

README = (Path(__file__).parent.parent / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```\n", README, re.DOTALL | re.MULTILINE)
OUTPUTS = [text for language, text in BLOCKS if language == "text"]
# Each program with the output that the next block shows; None where the next block is something else.
PROGRAMS = [
    (text, following[1] if following[0] == "text" else None)
    for (language, text), following in zip(BLOCKS, [*BLOCKS[1:], ("", "")], strict=True)
    if language == "python"
]
COMMAND = r"^    (python3 -m venv .*)$"


def line_of(text: str) -> str:
    return f"line {README.partition(text)[0].count(chr(10))}"


@pytest.mark.parametrize(("program", "output"), PROGRAMS, ids=[line_of(program) for program, _ in PROGRAMS])
def test_the_examples_print_what_the_readme_shows(program: str, output: str | None) -> None:
    """Each Python block is a complete program that runs without a warning and prints the text block after it."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
    assert done.stdout == output


def test_there_is_one_example_for_each_direction() -> None:
    """The README shows one read and one write."""
    assert ["afas.rows(" in program for program, _ in PROGRAMS] == [True, False]
    assert ["afas.load(" in program for program, _ in PROGRAMS] == [False, True]


def test_the_demo_prints_what_the_readme_shows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line that the README shows of the demo is one that the demo prints, but for its numbers."""
    simulate_within(monkeypatch)
    ended = run(capsys, "demo", "--rows", "3000", "--latency", "0")
    assert ended.status == 0
    assert _without_numbers(OUTPUTS[0]) == _without_numbers(ended.out)


def _without_numbers(text: str) -> list[str]:
    """Return the lines of a text in order, each kind once, with 0 for each number and its unit."""
    lines = (re.sub(r"\d[\d,.]*( ms| s\b)?", "0", line) for line in text.splitlines())
    return list(dict.fromkeys(" ".join(re.sub("checksum [0-9a-f]+", "checksum", line).split()) for line in lines))


def test_it_can_be_read_to_its_end() -> None:
    """It has 120 to 160 lines, under 1,500 words, and no line in a table that is so long that it wraps."""
    assert 120 <= README.count("\n") <= 160
    assert len(README.split()) < 1_500
    assert [line for line in README.splitlines() if line.startswith("|") and len(line) > 160] == []


def test_the_first_command_is_the_demo_and_the_second_the_tests() -> None:
    """`.ci/run` takes both from here."""
    assert [command.rpartition(" -m ")[2] for command in re.findall(COMMAND, README, re.MULTILINE)] == [
        "afas_async demo",
        "pytest",
    ]


def test_the_guides_that_it_names_are_there() -> None:
    """Each module that it names has a docstring which is a guide, but for what a program imports."""
    guides = set(re.findall(r"`(afas_async\.[\w.]+)`", README))
    lengths = {guide: len((importlib.import_module(guide).__doc__ or "").splitlines()) for guide in guides}
    assert len(lengths) == 11
    assert min(lengths.values()) > 20, lengths
