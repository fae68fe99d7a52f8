"""How much a run of the tests does: by default a sample of the long families, and all of them if AFAS_FULL is set.

A family is a test with many cases, or one that loops over many. A sample is the same in each run, and has each value of
each parameter in it, though not each combination.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeVar

import pytest
from hypothesis import settings

T = TypeVar("T")

FULL = os.environ.get("AFAS_FULL", "") not in {"", "0"}


def by_default(sampled: T, full: T) -> T:
    """Return the first value, or the second in a full run."""
    return full if FULL else sampled


def examples(full: int, sampled: int = 15) -> settings:
    """Have hypothesis make that many examples, the same in each run."""
    return settings(max_examples=by_default(sampled, full), derandomize=True, deadline=None, database=None)


def left_out(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return the cases of tests marked `sampled(n)` that a sample leaves out: all but about one of n.

    Those stay whose values' numbers add up to a multiple of n, where the values of each parameter are numbered from 0.
    """
    out: list[pytest.Item] = []
    numbers: dict[tuple[object, str], dict[int, int]] = {}
    for item in items:
        marker = item.get_closest_marker("sampled")
        if marker is not None and isinstance(item, pytest.Function):
            total = 0
            for name, value in item.callspec.params.items():
                seen = numbers.setdefault((item.function, name), {})
                total += seen.setdefault(id(value), len(seen))
            if total % marker.args[0]:
                out.append(item)
    return out


full_only = pytest.mark.skipif(not FULL, reason="it starts several processes: AFAS_FULL=1 runs it")
