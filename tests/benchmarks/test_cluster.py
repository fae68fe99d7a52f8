"""The simulated cluster grows as far as the service's slots and the workers' cores let it, and no further."""

from __future__ import annotations

import pytest

from benchmarks.measures.cluster import PAGE, PAGE_SECONDS, SLOTS, simulated

ROW_SECONDS = 10e-6
SLOTS_RATE = SLOTS * PAGE / PAGE_SECONDS  # rows per second of one environment
CORE_RATE = 1 / ROW_SECONDS


@pytest.mark.parametrize("environments", [1, 4, 20])
@pytest.mark.parametrize("workers", [1, 2, 8])
def test_the_lower_limit_decides(environments: int, workers: int) -> None:
    """The rate is the lower one of what the environments give and what the cores take, but for start and end."""
    limit = min(environments * SLOTS_RATE, workers * CORE_RATE)
    assert 0.9 * limit <= simulated(workers, environments, ROW_SECONDS) <= limit


def test_two_workers_of_eight_environments() -> None:
    """With enough environments, a second worker doubles the throughput."""
    assert simulated(2, 8, ROW_SECONDS) >= 1.8 * simulated(1, 8, ROW_SECONDS)
