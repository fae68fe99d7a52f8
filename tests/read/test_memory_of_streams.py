"""However long a connector is and however slow its reader, a stream needs little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.thoroughness import by_default

ROOT = Path(__file__).parents[2]
ROWS = int(os.environ.get("AFAS_MEMORY_ROWS", by_default("5000", "100000")))
GROWTH_LIMIT = 120_000_000
DEFAULT = 0


@pytest.mark.sampled(6)
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("take", "pauses"),
    [(DEFAULT, 0), (DEFAULT, 5), (100_000, 0), (100_000, 5), (-1, 0), (-1, 5)],
    ids=["default", "default paused", "100000", "100000 paused", "everything", "everything paused"],
)
def test_bounded_memory(take: int, pauses: int, record_property: pytest.RecordProperty) -> None:
    """All rows arrive in key order within the memory bound, whatever the page size and the reader's pace."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.support.memory_reader", str(ROWS), str(take), str(pauses)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert ended.stderr == ""
    found = json.loads(ended.stdout)
    print(f"{ROWS} rows: typed {found['typed_growth'] / 1e6:.1f} MB, raw {found['raw_growth'] / 1e6:.1f} MB")  # noqa: T201
    record_property("typed_growth", found["typed_growth"])
    record_property("raw_growth", found["raw_growth"])
    assert found["raw_is_true"]
    assert (found["count"], found["last"]) == (ROWS, 3 * (ROWS - 1) + 1)
    assert found["ordered"]
    assert found["total"] == found["raw_total"]
    assert found["typed_growth"] < GROWTH_LIMIT
    assert found["raw_growth"] < GROWTH_LIMIT
