"""However many elements a generator gives, and however large they are, a load needs little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.thoroughness import by_default

ROOT = Path(__file__).parents[2]
ELEMENTS = int(os.environ.get("AFAS_MEMORY_ROWS", by_default("5000", "50000")))
LARGE = min(ELEMENTS, 50_000) // 10  # of 20 kB each
GROWTH_LIMIT = 64_000_000 if ELEMENTS > 5_000 else 12_000_000
# 16 MB that wait, and four calls of 8 MB: their elements, bodies, and the parts that connections hold.
LARGE_LIMIT = 200_000_000


@pytest.mark.sampled(3)
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("kind", "count"), [("load", ELEMENTS), ("outcomes", ELEMENTS // 5), ("large", LARGE), ("invalid", LARGE)]
)
def test_bounded_memory(kind: str, count: int, record_property: pytest.RecordProperty) -> None:
    """Neither elements nor their outcomes accumulate in memory."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.support.memory_loader", kind, str(count)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert ended.stderr == ""
    found = json.loads(ended.stdout)
    print(f"{kind}, {count} elements: {found['growth'] / 1e6:.1f} MB, {found['seconds']:.1f} s")  # noqa: T201
    record_property("growth", found["growth"])
    applied = 0 if kind == "invalid" else count
    assert found["counts"] == {"applied": applied, "rejected": 0, "unknown": 0, "not_sent": count - applied}
    assert kind == "large" or found["rows"] == applied + 1
    assert found["growth"] < (LARGE_LIMIT if kind == "large" else GROWTH_LIMIT)
