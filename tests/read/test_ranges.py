"""Plans: parts that hold every row once, wherever and by whomever they are read."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from afas_async import AfasClient, F, GetConnector, NonUniqueKeyError, SortKeyRequiredError, UsageError
from afas_async.simulator import Change
from tests.read.conftest import Serve
from tests.support.own_connectors import BY_BOTH, BY_CODE, BY_NUMBER, KEYS, numbers, row, table
from tests.support.thoroughness import by_default

END = by_default(1_300, 5_000)
LAST = range(by_default(801, 4_001), END)
ROWS = range(100, END)
STEP = by_default(100, 500)
MANY = range(by_default(2_000, 20_000))


@pytest.mark.parametrize("connector", [BY_NUMBER, BY_CODE], ids=["int", "text"])
async def test_parts_beside_a_long_condition(connector: GetConnector[Any], serve: Serve) -> None:
    """Every part of a plan can be read with its condition. Where no bounds fit, the plan has one part."""
    _, afas = await serve(connectors={"T": table(range(60))})
    planned = set()
    for length in range(1_860, 1_925, by_default(8, 3)):
        where = (F.Code != "x" * length) & (F.Group >= 0)
        parts = await afas.plan(connector, parts=3, where=where)
        found = [row for part in parts for row in await afas.rows(connector, part=part).to_list()]
        assert numbers(found) == list(range(60)), length
        planned.add(len(parts))
    assert planned >= {1, 3}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("connector", KEYS, ids=["int", "text", "both"])
@pytest.mark.parametrize("parts", [1, 2, 7, by_default(24, 64)])
async def test_on_several_machines(connector: GetConnector[Any], parts: int, serve: Serve) -> None:
    """Parts go through JSON, and several clients read them side by side: every row comes once."""
    simulator, afas = await serve(connectors={"T": table(ROWS)})
    planned = json.loads(json.dumps(await afas.plan(connector, parts=parts)))
    assert 1 <= len(planned) <= (parts if len(connector.key) == 1 else 1.4 * parts)

    async def read(part: dict[str, Any]) -> list[int]:
        async with AfasClient(base_url=simulator.base_url, auth=simulator.token) as client:
            return numbers(await client.rows(connector, part=part).to_list())

    found = [await read(part) for part in planned] if parts > 7 else await asyncio.gather(*map(read, planned))
    assert [number for part in found for number in part] == list(ROWS)


async def test_parts_are_even(serve: Serve) -> None:
    """Ten parts of evenly spread rows differ by less than a quarter, and cost few requests."""
    simulator, afas = await serve(connectors={"T": table(MANY)})
    for connector, most in ((BY_NUMBER, 2), (BY_CODE, 40)):
        before = simulator.counters.requests
        parts = await afas.plan(connector, parts=10)
        assert simulator.counters.requests - before <= most
        sizes = [len(await afas.rows(connector, part=part).to_list()) for part in parts]
        assert sum(sizes) == len(MANY)
        assert max(sizes) < 1.25 * min(sizes)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("connector", [BY_CODE, BY_BOTH, BY_NUMBER], ids=["text", "both", "int"])
@pytest.mark.parametrize("when", range(2, 20, 2))
async def test_written_while_it_is_cut(connector: GetConnector[Any], when: int, serve: Serve) -> None:
    """Rows that appear below while the plan looks for its cuts do not make parts overlap."""
    simulator, afas = await serve(connectors={"T": table(range(10_000, 10_000 + STEP * 4))})
    simulator.changes.add(
        Change(connector="T", after=when, insert=[row(number) for number in range(10_000 - STEP * 4, 10_000 - STEP)]),
        Change(connector="T", after=when + 1, delete=[row(number) for number in range(10_000, 10_000 + STEP * 2)]),
    )
    parts = await afas.plan(connector, parts=5)
    simulator.changes.clear()
    found = [number for part in parts for number in numbers(await afas.rows(connector, part=part).to_list())]
    assert found == numbers(await afas.rows(connector).to_list())


@pytest.mark.parametrize("connector", KEYS, ids=["int", "text", "both"])
async def test_written_after_it_was_cut(connector: GetConnector[Any], serve: Serve) -> None:
    """Rows below the first and above the last row of the plan belong to its first and last part."""
    simulator, afas = await serve(connectors={"T": table(ROWS)})
    parts = await afas.plan(connector, parts=4)
    simulator.changes.add(Change(connector="T", insert=[row(1), row(9_000)], delete=[row(number) for number in (700,)]))
    found = [number for part in parts for number in numbers(await afas.rows(connector, part=part).to_list())]
    assert found == [1, *range(100, 700), *range(701, END), 9_000]


async def test_with_a_condition(serve: Serve) -> None:
    """The parts carry the condition, and are even among its rows."""
    _, afas = await serve(connectors={"T": table(ROWS)})
    for connector in (BY_NUMBER, BY_CODE):
        where = F.Id >= LAST[0]
        parts = await afas.plan(connector, parts=4, where=where)
        sizes = [len(await afas.rows(connector, part=part).to_list()) for part in parts]
        assert sum(sizes) == len(LAST)
        assert max(sizes) < 1.25 * min(sizes)
        found = [row for part in parts for row in await afas.rows(connector, part=part).to_list()]
        assert sorted(numbers(found)) == list(LAST)


async def test_small_tables(serve: Serve) -> None:
    """A table of no rows, or of one, makes one part with everything."""
    _, afas = await serve(connectors={"T": table(range(1))})
    for connector in KEYS:
        parts = await afas.plan(connector, parts=5)
        assert [numbers(await afas.rows(connector, part=part).to_list()) for part in parts] == [[0]]
    _, afas = await serve(rows=5)
    empty = GetConnector("Profit_Empty", key="Id")
    parts = await afas.plan(empty, parts=5)
    assert [await afas.rows(empty, part=part).to_list() for part in parts] == [[]]


async def test_misuse(serve: Serve) -> None:
    """A value that is not a part of a plan for this connector is refused, and nothing is sent for it."""
    simulator, afas = await serve(connectors={"T": table(ROWS)})
    part = (await afas.plan(BY_NUMBER, parts=2))[0]
    before = simulator.counters.requests
    for connector in (BY_CODE, BY_BOTH, GetConnector("U", key="Id"), GetConnector("T")):
        with pytest.raises(UsageError, match="planned for T with the key Id"):
            afas.rows(connector, part=part)
    with pytest.raises(UsageError, match="leave where= out"):
        afas.rows(BY_NUMBER, part=part, where=F.Id > 5)
    with pytest.raises(UsageError, match="another version"):
        afas.rows(BY_NUMBER, part={**part, "version": 2})
    wrongs: list[Any] = [{}, {**part, "range": 1.5}, {**part, "more": 1}, {**part, "where": "x"}, 5, "x", []]
    for wrong in wrongs:
        with pytest.raises(UsageError, match="part: expected"):
            afas.rows(BY_NUMBER, part=wrong)
    with pytest.raises(UsageError, match="parts must be 1"):
        await afas.plan(BY_NUMBER, parts=0)
    assert simulator.counters.requests == before
    with pytest.raises(SortKeyRequiredError):
        await afas.plan(GetConnector("T"), parts=2)


async def test_a_plan_of_no_rows(serve: Serve) -> None:
    """A condition that no row can meet is planned as one part, and costs no request."""
    simulator, afas = await serve(connectors={"T": table(ROWS)})
    assert len(await afas.plan(BY_NUMBER, parts=3, where=F.Id.in_([]))) == 1
    assert simulator.counters.requests == 0


async def test_a_plan_of_a_long_condition(serve: Serve) -> None:
    """A condition too long for one request can be planned."""
    _, afas = await serve(connectors={"T": table(ROWS)})
    parts = await afas.plan(BY_NUMBER, parts=3, where=F.Id.in_(range(2_000)))
    assert parts


async def test_more_rows_of_one_value_than_can_be_skipped(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan by the first field of a key does not stop at a value that most rows have."""
    monkeypatch.setattr("afas_async.read.ranges.FARTHEST", 20)
    monkeypatch.setattr("afas_async.read.ranges.NEAREST", 5)
    sizes = {"a": 7, "b": 90, "c": 11, "d": 60, "e": 3}
    rows = [{"Code": code, "Id": number} for code, size in sizes.items() for number in range(size)]
    _, afas = await serve(connectors={"T": rows})
    connector = GetConnector("T", key=("Code", "Id"))
    parts = await afas.plan(connector, parts=3)
    found = [row for part in parts for row in await afas.rows(connector, part=part).to_list()]
    assert found == rows
    assert len(parts) > 1


@pytest.mark.parametrize(
    "odd", [{}, {10, 150}, set(range(0, 300, 2)), set(range(300))], ids=["none", "few", "half", "all"]
)
@pytest.mark.parametrize("ending", ["\t", "q" * 1_700], ids=["tab", "long"])
async def test_keys_that_no_request_can_hold(odd: set[int], ending: str, serve: Serve) -> None:
    """No cut is at a key that no request can hold; where no key can be sent, there is one part."""
    codes = [f"{number:04}{ending if number in odd else ''}" for number in range(300)]
    _, afas = await serve(connectors={"T": [{"Code": code} for code in codes]})
    connector = GetConnector("T", key="Code")
    parts = await afas.plan(connector, parts=4)
    found = [row["Code"] for part in parts for row in await afas.rows(connector, part=part).to_list()]
    assert found == codes
    assert len(parts) == (1 if len(odd) == 300 else 4)


async def test_by_name_alone(serve: Serve) -> None:
    """A part has all that a read of it needs, besides the name of the connector."""
    _, afas = await serve(connectors={"T": table(ROWS)})
    parts = await afas.plan("T", key=("Part", "Code"), parts=3, where=F.Id < LAST[0])
    found = [await afas.rows("T", part=part).to_list() for part in parts]
    assert [number for rows in found for number in numbers(rows)] == list(range(ROWS[0], LAST[0]))
    assert all(len(rows) <= part["rows"] for rows, part in zip(found, parts, strict=True))


async def test_one_value_of_the_first_field(serve: Serve) -> None:
    """A first-field value that most rows have is cut by the fields after it. Parts hold at most twice their share."""
    first = ["k", "K", *["m"] * 20, "p"]  # k and K are one value for the service
    rows = [
        {"Id": number, "A": first[number // 100], "B": number % 100 // 10, "C": f"c{number % 10}"}
        for number in range(len(first) * 100)
        if first[number // 100] != "K" or number % 10 > 5
    ]
    for each in rows:
        each["B"] += 10 * (each["Id"] // 100 if each["A"] in "kK" else each["Id"] // 100 - 2)
    _, afas = await serve(connectors={"T": rows})
    connector = GetConnector("T", key=("A", "B", "C"))
    in_order = numbers(await afas.rows(connector).to_list())
    assert len(in_order) == len(rows)
    for count in by_default((7,), (2, 7, 23)):
        parts = await afas.plan(connector, parts=count)
        assert count <= len(parts) <= 1.3 * count + 4
        found = [numbers(await afas.rows(connector, part=part).to_list()) for part in parts]
        assert [number for part in found for number in part] == in_order
        assert max(map(len, found)) <= 1.8 * len(rows) / count


async def test_no_room_for_deep_cuts(serve: Serve) -> None:
    """Beside a condition that leaves no room for keys, a plan is one part."""
    _, afas = await serve(connectors={"T": table(ROWS)})
    connector = GetConnector("T", key=("Group", "Code"))
    expected = numbers(await afas.rows(connector).to_list())
    counts = []
    for length in by_default((1, 1_900), (1, 900, 1_800, 1_900)):
        where = F.Price.is_not_empty() & (F.Code != "x" * length)
        parts = await afas.plan(connector, parts=20, where=where)
        found = [row for part in parts for row in await afas.rows(connector, part=part).to_list()]
        assert numbers(found) == expected
        counts.append(len(parts))
    assert counts[0] > 20
    assert counts[-1] == 1
    assert {*counts} == {counts[0], 1}


async def test_rows_before_a_value_that_had_none_before_it(serve: Serve) -> None:
    """The parts tile the key: a row that appears before the first value, or after the last, is in one of them."""
    simulator, afas = await serve(connectors={"T": [{"A": 1, "B": number} for number in range(400)]})
    connector = GetConnector("T", key=("A", "B"))
    parts = await afas.plan(connector, parts=4)
    simulator.changes.add(Change(connector="T", insert=[{"A": 0, "B": 7}, {"A": 2, "B": 7}]))
    found = [row for part in parts for row in await afas.rows(connector, part=part).to_list()]
    assert len(found) == 402


@pytest.mark.parametrize("field", ["A", "B"])
async def test_an_empty_field_of_the_key(field: str, serve: Serve) -> None:
    """A plan refuses an empty key field, as a read does: no range holds such a row, so it would be lost."""
    rows = [{"A": number // 100, "B": f"b{number}"} for number in range(1_000)]
    rows[-1 if field == "A" else 333][field] = None  # type: ignore[assignment]
    _, afas = await serve(connectors={"T": rows})
    with pytest.raises(NonUniqueKeyError, match=f"{field}, a field of the key, is empty"):
        await afas.plan(GetConnector("T", key=("A", "B")), parts=4)
