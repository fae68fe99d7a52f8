"""The whole stream predicts where pages begin: the requests show it, and every row comes once."""

from __future__ import annotations

import random

import pytest

from afas_async import GetConnector
from afas_async.simulator import Change, Latency, Simulator
from tests.read.conftest import Serve
from tests.support.own_connectors import BY_CODE, BY_NUMBER, numbers, row, table
from tests.support.thoroughness import by_default

TAKE = 60
WINDOW = 5
COUNT = by_default(1_200, 3_000)
LATENCY = Latency(base=0.05, per_row=0.00002)


def _skips(simulator: Simulator) -> list[int]:
    return [int(request.query["skip"]) for request in simulator.requests if "skip" in request.query]


@pytest.mark.parametrize("order", [(), "-Id"])
async def test_nothing_is_skipped(order: str, serve: Serve) -> None:
    """For consecutive numbers, nothing is skipped from the second window on, and no page is requested twice."""
    simulator, afas = await serve(connectors={"T": table(range(COUNT))}, latency=LATENCY)
    found = numbers(await afas.rows(BY_NUMBER, take=TAKE, order_by=order).to_list())
    assert found == sorted(range(COUNT), reverse=bool(order))
    assert max(_skips(simulator)) <= WINDOW * TAKE
    assert not any(_skips(simulator)[3 * WINDOW :])
    assert len(simulator.requests) <= COUNT / TAKE + WINDOW + 2  # as the last page is full


async def test_texts_are_skipped(serve: Serve) -> None:
    """Only the service knows the order of texts. So a request skips the rows in flight, and no more."""
    simulator, afas = await serve(connectors={"T": table(range(COUNT))}, latency=LATENCY)
    assert len(await afas.rows(BY_CODE, take=TAKE).to_list()) == COUNT
    assert WINDOW * TAKE >= max(_skips(simulator)[3 * WINDOW :]) >= (WINDOW - 2) * TAKE


async def test_numbers_that_jump(serve: Serve) -> None:
    """Numbers that start again each year jump. Some pages are requested again, but not after each jump."""
    years = [range(year * 100_000, year * 100_000 + 600) for year in range(2015, by_default(2020, 2025))]
    simulator, afas = await serve(connectors={"T": [row(number) for year in years for number in year]}, latency=LATENCY)
    found = numbers(await afas.rows(BY_NUMBER, take=TAKE).to_list())
    assert found == [number for year in years for number in year]
    assert len(simulator.requests) <= 600 * len(years) / TAKE + 6 * WINDOW


@pytest.mark.sampled(3)
@pytest.mark.parametrize("seed", range(6))
async def test_rows_that_change_meanwhile(seed: int, serve: Serve) -> None:
    """Rows vanish and appear before, at and after the places where pages begin."""
    chance = random.Random(seed)  # noqa: S311
    even = range(0, 4 * COUNT, 4)
    simulator, afas = await serve(connectors={"T": table(even)}, latency=LATENCY)
    gone, made = set[int](), set[int]()
    for after in range(6, COUNT // 50, 3):
        near = range(max(0, 4 * TAKE * after - 2_000), 4 * TAKE * after + 2_000, 4)
        deleted = {number for number in near if number in even and chance.random() < 0.1} - gone
        inserted = {number + 1 for number in near if chance.random() < 0.1} - made
        gone, made = gone | deleted, made | inserted
        delete = [{"Id": number} for number in deleted]
        simulator.changes.add(Change(connector="T", after=after, delete=delete, insert=[*map(row, inserted)]))
    found = numbers(await afas.rows(GetConnector("T", key="Id"), take=TAKE).to_list())
    assert found == sorted({*found})
    assert {*even} - gone <= {*found}
    assert 0 in _skips(simulator)[3 * WINDOW :]
