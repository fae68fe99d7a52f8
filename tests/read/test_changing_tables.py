"""Rows that stay come once and in order, whatever happens to the others between two responses."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pytest

from afas_async import AfasClient, GetConnector
from afas_async.simulator import Change, Latency, Rules
from tests.read.conftest import Serve
from tests.support.own_connectors import BY_BOTH, BY_NUMBER, KEYS, LINES, WIDE_DICT, numbers, row, table
from tests.support.thoroughness import by_default

END = by_default(400, 1_600)
ROWS = range(100, END)
TAKE = by_default(20, 50)

CAPPED = range(100, by_default(160, 250))

Script = Callable[[int], tuple[Change, range]]


def _anchor(after: int) -> tuple[Change, range]:
    gone = range(100 + TAKE * after - 1, 100 + TAKE * after)
    return Change(connector="T", after=after, delete=[{"Id": number} for number in gone]), gone


def _below(after: int) -> tuple[Change, range]:
    gone = range(100, 100 + TAKE * after - 3)
    return Change(connector="T", after=after, delete=[{"Id": number} for number in gone]), gone


def _above(after: int) -> tuple[Change, range]:
    gone = range(END - len(ROWS) * 2 // 5, END)
    return Change(connector="T", after=after, delete=[{"Id": number} for number in gone]), gone


def _insert_below(after: int) -> tuple[Change, range]:
    return Change(connector="T", after=after, insert=[row(number) for number in range(100)]), range(0)


def _insert_above(after: int) -> tuple[Change, range]:
    return Change(
        connector="T", after=after, insert=[row(number) for number in range(END, END + len(ROWS) // 5)]
    ), range(0)


def _everything(after: int) -> tuple[Change, range]:
    return Change(connector="T", after=after, delete=[{"Id": number} for number in ROWS]), ROWS


SCRIPTS: tuple[Script, ...] = (_anchor, _insert_above, _below, _above, _insert_below, _everything)


async def _read_rows(afas: AfasClient, connector: GetConnector[Any], **options: Any) -> list[Any]:
    return await afas.rows(connector, **options).to_list()


async def _read_pages(afas: AfasClient, connector: GetConnector[Any], **options: Any) -> list[Any]:
    return [row async for page in afas.pages(connector, **options) for row in page.rows]


async def _read_parts(afas: AfasClient, connector: GetConnector[Any], **options: Any) -> list[Any]:
    parts = await afas.plan(connector, parts=by_default(2, 3))
    return [row for part in parts for row in await afas.rows(connector, part=part, **options).to_list()]


def judge(found: list[int], gone: Collection[int], *, ordered: bool = True) -> None:
    """Check the rows that were read against the rows that stayed."""
    assert len(found) == len(set(found))
    assert set(ROWS) - set(gone) <= set(found)
    if ordered:
        assert found == sorted(found)


@pytest.mark.sampled(8)
@pytest.mark.parametrize("after", [1, 3, 9])
@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("connector", KEYS, ids=["int", "text", "both"])
@pytest.mark.parametrize("read", [_read_rows, _read_pages, _read_parts])
async def test_one_change(
    read: Callable[..., Any], connector: GetConnector[Any], script: Script, after: int, serve: Serve
) -> None:
    """A change after the first, third and ninth response."""
    simulator, afas = await serve(connectors={"T": table(ROWS)})
    change, gone = script(after)
    simulator.changes.add(change)
    judge(numbers(await read(afas, connector, take=TAKE)), gone)
    assert simulator.changes.left == []


@pytest.mark.sampled(6)
@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("connector", KEYS, ids=["int", "text", "both"])
@pytest.mark.parametrize("options", [{"window": 1}, {"order_by": "-Group"}, {"order_by": "Group"}])
async def test_changes_again_and_again(
    options: dict[str, Any], connector: GetConnector[Any], script: Script, serve: Serve
) -> None:
    """Several changes in one read, page after page, and in another order."""
    simulator, afas = await serve(connectors={"T": table(ROWS)})
    change, gone = script(4)
    again, gone_again = _below(8)
    simulator.changes.add(change, again)
    if script is not _insert_above:
        simulator.changes.add(_insert_above(11)[0])
    found = await afas.rows(connector, take=TAKE, **options).to_list()
    judge(numbers(found), {*gone, *gone_again}, ordered=options == {"window": 1})


@pytest.mark.sampled(6)
@pytest.mark.parametrize("rules", [Rules(page_cap=1), Rules(page_cap=2), Rules(page_cap=7)])
@pytest.mark.parametrize("connector", [BY_NUMBER, BY_BOTH], ids=["int", "both"])
@pytest.mark.parametrize("take", [None, 5])
async def test_capped_pages(rules: Rules, connector: GetConnector[Any], take: int | None, serve: Serve) -> None:
    """A server that silently returns fewer rows than requested costs no row, and neither do changes during the read."""
    simulator, afas = await serve(connectors={"T": table(CAPPED)}, rules=rules)
    simulator.changes.add(Change(connector="T", after=6, delete=[{"Id": number} for number in range(100, 108)]))
    found = numbers(await afas.rows(connector, take=take).to_list())
    assert set(CAPPED[8:]) <= set(found)
    assert found == sorted(set(found))
    again = numbers([row async for page in afas.pages(connector, take=take) for row in page.rows])
    assert sorted(again) == list(CAPPED[8:])


@pytest.mark.parametrize("connector", [WIDE_DICT, LINES], ids=["int", "three"])
async def test_out_of_memory_is_halved(connector: GetConnector[Any], serve: Serve) -> None:
    """Pages shrink until the service can return them, with a fixed take or without."""
    simulator, afas = await serve(rows=by_default(500, 2_000), rules=Rules(most_cells=1_000))
    truth = simulator.store.count(connector.name, None, -1)
    choices: list[dict[str, Any]] = [{}, {"take": 1_000}, {"take": 700, "window": 1}]
    for options in choices:
        keys = [tuple(row[field] for field in connector.key) async for row in afas.rows(connector, **options)]
        assert len(keys) == len(set(keys)) == truth


async def test_out_of_time_is_halved(serve: Serve) -> None:
    """A page that the service gives up on is requested again at half its size, once."""
    latency = Latency(base=0.1, per_row=0.01)
    simulator, afas = await serve(rows=500, rules=Rules(time_limit=5), latency=latency)
    rows = await afas.rows(WIDE_DICT, take=800).to_list()
    assert len({row["Id"] for row in rows}) == len(rows) == 500
    assert 500 in {request.status for request in simulator.requests}


async def test_plain_skip_and_take_loses_and_doubles(serve: Serve) -> None:
    """Without the guarantee, the same changes lose and repeat rows."""
    simulator, afas = await serve(connectors={"T": table(ROWS)})
    change, gone = _below(3)
    simulator.changes.add(change)
    found = numbers(await afas.rows(BY_NUMBER, take=TAKE, verify=False).to_list())
    assert set(ROWS) - set(gone) - set(found)
    simulator.changes.add(Change(connector="T", after=3, insert=[row(number) for number in range(100)]))
    found = numbers(await afas.rows(BY_NUMBER, take=TAKE, verify=False).to_list())
    assert len(found) > len(set(found))
