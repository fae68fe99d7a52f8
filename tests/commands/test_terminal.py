"""What commands write while they work, and how texts and tables fit."""

from __future__ import annotations

import json
import math
import re
import sys

import pytest

from afas_async.commands import json_log
from afas_async.commands.terminal import (
    ProgressLine,
    fitting,
    peak_memory,
    print_json,
    print_table,
    remark,
    size_text,
)

ROWS = [("ItemCode", 30, "Item\x1b[2Jcode"), ("Description", None, "A long description of what this field is for")]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: ARG001 - it goes first
    """Both outputs are a terminal of 60 columns without colours."""
    for stream in (sys.stdout, sys.stderr):  # of this test, not those of the run
        monkeypatch.setattr(type(stream), "isatty", lambda _: True)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("total", [2_000, None])
def test_on_a_terminal_the_line_is_rewritten(total: int | None, capsys: pytest.CaptureFixture[str]) -> None:
    """Progress goes to standard error, no line is wider than the terminal, and it goes away also when work fails."""

    def work() -> None:
        with ProgressLine(total) as line:
            line.show(1_000, pages=2, seconds=0.5, bytes=1_500_000)
            line.show(2_000, pages=3, seconds=0.6)  # a moment later, so that it is not shown
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "1,000 of 2,000 rows" in shown.err or (total is None and "1,000 rows" in shown.err)
    assert "2 pages" in shown.err
    assert "3 pages" not in shown.err
    assert shown.err.endswith("\x1b[2K")  # the line is cleared


def test_elsewhere_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe, a file or a scheduler's log gets no progress and no remark."""
    with ProgressLine(10) as line:
        line.show(10, seconds=1.0)
    remark("nobody watches")
    assert capsys.readouterr() == ("", "")


def test_progress_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    """With --log-json a line of JSON takes its place."""
    json_log.switch_json_log(on=True)
    try:
        with ProgressLine(10) as line:
            line.show(7, pages=1)
            line.show(8, pages=1)  # a moment later
    finally:
        json_log.switch_json_log(on=False)
    (told,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert {name: told[name] for name in ("event", "rows", "pages")} == {"event": "progress", "rows": 7, "pages": 1}


def test_a_table_in_a_pipe_is_as_wide_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is cut, numbers stand to the right, and no text steers whatever shows it."""
    print_table(("field", "length", "label"), ROWS, right=("length",))
    assert capsys.readouterr().out.splitlines() == [
        "field        length  label",
        "ItemCode         30  Item [2Jcode",
        "Description          A long description of what this field is for",
    ]


@pytest.mark.usefixtures("terminal")
def test_a_table_on_a_terminal_fits(capsys: pytest.CaptureFixture[str]) -> None:
    """On 60 columns no line is longer, and the name is never cut."""
    print_table(("field", "length", "label"), ROWS, right=("length",))
    lines = re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out).splitlines()
    assert max(map(len, lines)) <= 60
    assert any(line.startswith("Description ") for line in lines)


@pytest.mark.usefixtures("terminal")
def test_json_is_indented_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    """Elsewhere it is one line, as in the tests of the commands."""
    print_json({"a": [1]})
    assert capsys.readouterr().out == '{\n  "a": [\n    1\n  ]\n}\n'


@pytest.mark.usefixtures("terminal")
def test_texts_fit_and_steer_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text is cut to the terminal, and what would move its cursor or colour it is left out."""
    monkeypatch.setenv("COLUMNS", "10")
    assert fitting("1234567890") == "1234567890"
    assert fitting("12345678901") == "1234567..."
    assert fitting("a\x1b[2J\nb") == "a [2J b"


def test_elsewhere_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text for a file or a pipe stays whole, and steers nothing either."""
    monkeypatch.setenv("COLUMNS", "10")
    assert fitting("12345678901\x1b") == "12345678901 "


def test_sizes() -> None:
    """A size has a unit that fits it."""
    assert [size_text(size) for size in (0, 999, 1_500, 2e12)] == ["0 bytes", "999 bytes", "1.5 kB", "2,000.0 GB"]


def test_memory_that_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python has no `resource`, as on Windows, the memory is not a number."""
    assert peak_memory() > 1
    monkeypatch.setitem(sys.modules, "resource", None)
    assert math.isnan(peak_memory())
