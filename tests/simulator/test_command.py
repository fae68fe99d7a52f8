"""What the `simulate` command shows, and that all of it works as it stands there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from afas_async.simulator.command import run

TOKEN = "<token><version>1</version><data>CANA4Y??~~</data></token>"  # with a plus, a slash and a padding in base64


@contextmanager
def start_up_text(*arguments: str) -> Iterator[list[str]]:
    """The lines that a running simulator has shown."""
    process = subprocess.Popen(
        [sys.executable, "-m", "afas_async", "simulate", "--rows=20", *arguments],
        env={**os.environ, "AFAS_SIMULATOR_TOKEN": TOKEN},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = list[str]()
    try:
        while not lines or "&token=" not in lines[-1]:
            line = process.stdout.readline()
            assert line, "it ended"
            lines.append(line.rstrip("\n"))
        yield lines
    finally:
        process.terminate()
        process.communicate()


def after(lines: list[str], title: str) -> str:
    return lines[lines.index(title) + 1]


def test_what_is_shown_works() -> None:
    """The curl line, the line of Python and the browser's URL are complete, and give rows."""
    with start_up_text() as lines:
        shown = dict(line.split(maxsplit=1) for line in lines[2:6])
        assert shown["Token"] == TOKEN
        assert shown["Base"].startswith("URL   http://127.0.0.1:")
        assert shown["Header"].startswith("Authorization: AfasToken PHRva2Vu")
        with urllib.request.urlopen(after(lines, "In a browser:"), timeout=10) as answer:  # noqa: S310 (http)
            assert len(json.load(answer)["rows"]) == 3
        snippet = after(lines, "In Python:")
        assert shown["Header"].removeprefix("Authorization: ") in snippet
        compile(snippet, "shown", "eval")
        if shutil.which("curl"):
            curl = after(lines, "In a shell:")
            done = subprocess.run(curl, shell=True, capture_output=True, check=True, timeout=10)  # noqa: S602 (a shell is the point)
            assert [row["ItemCode"] for row in json.loads(done.stdout)["rows"]] == ["000001", "000002", "000003"]


def test_own_files(tmp_path: Path) -> None:
    """Files given as connectors are listed first and served, written as the chosen release writes."""
    first, second = tmp_path / "first.csv", tmp_path / "second.ndjson"
    first.write_text("Id,Price\n7,0.50\n")
    second.write_text('{"A":1}\n')
    with start_up_text(f"--connector=First={first}", "--connector", f"Second={second}", "--profit=6") as lines:
        url = after(lines, "In a browser:")
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 (http)
            assert answer.read() == b'{\n"skip":0,\n"take":3,\n"rows":[{"Id":7,"Price":.50}]\n}'
        with urllib.request.urlopen(url.replace("First", "Second").replace("=Id", "=A"), timeout=10) as answer:  # noqa: S310
            assert json.load(answer)["rows"] == [{"A": 1}]


@pytest.mark.parametrize(
    ("argument", "message"),
    [("X", "'X' is not NAME=FILE"), ("X=nothing.csv", "nothing.csv"), ("a/b=x.csv", "cannot be the name")],
)
def test_bad_connectors(argument: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A connector that cannot be served ends the command with status 2 and a reason."""
    with pytest.raises(SystemExit) as caught:
        run(["--connector", argument])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
