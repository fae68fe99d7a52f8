"""What commands write while they work, and how texts fit."""

from __future__ import annotations

import math
import sys

import pytest

from afas_async.commands.terminal import ProgressLine, fitting, peak_memory


def test_on_a_terminal_the_line_is_rewritten(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal there is one line, which also ends when the work fails."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    def work() -> None:
        with ProgressLine(2_000) as line:
            line.show(1_000, 1, 0.5)
            line.finish(2_000, 2, 1.0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    first, second = capsys.readouterr().out.split("\r")[1:]
    assert first.split() == ["1,000", "of", "2,000", "rows", "1", "pages", "2,000", "rows/s"]
    assert second.split() == ["2,000", "of", "2,000", "rows", "2", "pages", "2,000", "rows/s"]
    assert second.endswith("\n")
    assert "\n" not in first


def test_elsewhere_lines_stay_and_are_few(capsys: pytest.CaptureFixture[str]) -> None:
    """In a log a line is written now and then, and in the end."""
    with ProgressLine() as line:
        for number in range(1_000):
            line.show(number, 0, 0.0)
        line.finish(1_000, 10, 2.0)
    (last,) = capsys.readouterr().out.splitlines()
    assert last.split() == ["1,000", "rows", "10", "pages", "500", "rows/s"]


def test_texts_fit_and_steer_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text is cut to the terminal, and what would move its cursor or colour it is left out."""
    monkeypatch.setenv("COLUMNS", "10")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert fitting("1234567890") == "1234567890"
    assert fitting("12345678901") == "1234567..."
    assert fitting("a\x1b[2J\nb") == "a [2J b"


def test_elsewhere_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text for a file or a pipe stays whole, and steers nothing either."""
    monkeypatch.setenv("COLUMNS", "10")
    assert fitting("12345678901\x1b") == "12345678901 "


def test_on_a_narrow_terminal_one_line_is_rewritten(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On 40 columns no refresh is longer than the line, so that each begins where the last one did."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    with ProgressLine(1_000_000) as line:
        line.show(1_000, 1, 0.5)
        line.finish(1_000_000, 2_000, 1.0)
    first, second = capsys.readouterr().out.removesuffix("\n").split("\r")[1:]
    assert len(first) <= 40
    assert len(second) <= 40
    assert second.split()[:3] == ["1,000,000", "of", "1,000,000"]


def test_memory_that_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python has no `resource`, as on Windows, the memory is not a number."""
    assert peak_memory() > 1
    monkeypatch.setitem(sys.modules, "resource", None)
    assert math.isnan(peak_memory())
