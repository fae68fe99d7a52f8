"""A service that takes writes over HTTP, and the checks of its tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from afas_async import AfasClient, LoadReport, Outcome
from afas_async.simulator import Simulator
from tests.support import canary

SUBJECT = "KnSubject"  # each new one gets a number, so that an element that is written twice shows as two rows


def element(number: int) -> dict[str, Any]:
    """Return the element with a number, which stays with its row."""
    return {"StId": 1, "Ds": f"element {number}"}


def faulty(number: int) -> dict[str, Any]:
    """Return an element that the service refuses."""
    return {**element(number), "St": "?"}


def elements(count: int, *culprits: int) -> list[dict[str, Any]]:
    """Return that many elements, some of which the service refuses."""
    return [faulty(number) if number in culprits else element(number) for number in range(count)]


@asynccontextmanager
async def serving(
    *, max_concurrency: int = 5, max_retries: int = 3, **options: Any
) -> AsyncIterator[tuple[Simulator, AfasClient]]:
    """Start a simulator, whose arguments are given, and a client of it."""
    options.setdefault("rows", 0)
    async with (
        Simulator(token=canary.TOKEN, **options) as simulator,
        AfasClient(
            base_url=simulator.base_url,
            auth=simulator.token,
            max_concurrency=max_concurrency,
            max_retries=max_retries,
        ) as afas,
    ):
        yield simulator, afas


def written(simulator: Simulator) -> Counter[int]:
    """Return how often each element is there."""
    texts = simulator.store.execute("SELECT Subject FROM Profit_Subjects WHERE Subject LIKE 'element %'")
    return Counter(int(text.removeprefix("element ")) for (text,) in texts)


def statuses(outcomes: Iterable[Outcome]) -> list[str]:
    """Return what became of each."""
    return [outcome.status for outcome in outcomes]


def agree(report: LoadReport, simulator: Simulator) -> None:
    """Assert that a report accounts for every element, and that the tables have what it says they have."""
    there = written(simulator)
    counts = report.counts
    assert sum(counts.values()) == report.total
    listed = {status: {outcome.index for outcome in report.listed(status)} for status in counts if status != "applied"}
    assert {status: len(indexes) for status, indexes in listed.items()} == {
        status: count for status, count in counts.items() if status != "applied"
    }
    assert not set(there.values()) - {1}, "an element is there twice"
    absent = listed["rejected"] | listed["not_sent"]
    applied = set(range(report.total)) - absent - listed["unknown"]
    assert len(applied) == counts["applied"]
    assert applied <= set(there), "an element that is applied is not there"
    assert not absent & set(there), "an element is there that is said not to be"
    assert set(there) <= applied | listed["unknown"]


def posts(simulator: Simulator) -> list[int]:
    """Return of each write that arrived how many elements it had."""
    return [record.elements for record in simulator.requests if record.method != "GET"]
