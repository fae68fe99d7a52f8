"""Journals in processes that fork: the child takes nothing from its parent, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from afas_async.write.journal import Journal
from tests.support import forked_journal, forking
from tests.support.journals import LOAD

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def _unknown(path: Path) -> list[int]:
    journal = Journal(path, LOAD)
    found = [entry.number for entry in journal.unknown()]
    journal.close()
    return found


@pytest.mark.parametrize("how", ["collected", "refused"])
def test_a_childs_end_leaves_the_log(how: str, path: Path) -> None:
    """What the parent notes after the end of its child is there when the parent dies."""
    process = forking.start(path.with_name("said"), forked_journal.run, path, how)
    process.join()
    assert process.exitcode == -signal.SIGKILL, path.with_name("said").read_text()
    assert _unknown(path) == [0, 1]


def test_a_child_that_ends_as_programs_do(path: Path) -> None:
    """At the end of its program Python closes open files, but not this one."""
    command = [sys.executable, "-m", "tests.support.forked_journal", str(path), "sys.exit"]
    assert subprocess.run(command, check=False, cwd=ROOT).returncode == -signal.SIGKILL
    assert _unknown(path) == [0, 1]


def test_a_child_does_not_inherit_the_lock(path: Path) -> None:
    """The lock ends with the process that took it, though a child lives on."""
    until = path.with_name("until")
    os.mkfifo(until)
    process = forking.start(path.with_name("said"), forked_journal.run_with_heir, path, until)
    process.join()
    assert process.exitcode == -signal.SIGKILL, path.with_name("said").read_text()
    try:
        assert _unknown(path) == []
    finally:
        until.write_bytes(b"")
