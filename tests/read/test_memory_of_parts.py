"""The parts of a condition, read as one, need little memory, however many rows there are."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.memory_parts import ROWS
from tests.support.thoroughness import full_only

ROOT = Path(__file__).parents[2]
GROWTH_LIMIT = 120_000_000


@full_only
@pytest.mark.timeout(300)
def test_bounded_memory(record_property: Callable[[str, object], None]) -> None:
    """All rows arrive within the memory bound, also where the reader pauses."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.support.memory_parts"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.stderr == ""
    found = json.loads(ended.stdout)
    record_property("growth", found["growth"])
    assert (found["count"], found["total"]) == (ROWS, sum(3 * number + 1 for number in range(ROWS)))
    assert found["growth"] < GROWTH_LIMIT
