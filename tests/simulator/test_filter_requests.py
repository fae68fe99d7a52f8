"""Conditions of the library over HTTP: each operator selects on the simulator what plain Python selects."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from yarl import URL

from afas_async import Condition, F
from afas_async.policy.splitting import pack
from afas_async.read.pace import paced
from afas_async.simulator import Simulator
from afas_async.wire.requests import QUERY_LIMIT
from afas_async.wire.row_requests import rows_query_length, rows_request
from tests.support.thoroughness import by_default

Row = dict[str, Any]
CONNECTOR = "Profit_Wide"


async def select(simulator: Simulator, condition: Condition, connector: str = CONNECTOR) -> list[Row]:
    """Return the rows that the simulator sends for the exact request that the library makes."""
    request = rows_request(connector, skip=-1, take=-1, where=condition.groups())
    url = URL(f"{simulator.base_url}/{request.path}?{request.query}", encoded=True)
    headers = {"Authorization": f"AfasToken {base64.b64encode(simulator.token.encode()).decode()}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as response:
        assert response.status == 200, await response.text()
        return (await response.json())["rows"]


def ids(rows: list[Row]) -> list[int]:
    return sorted(row["Id"] for row in rows)


def text(row: Row, field: str) -> str:
    return (row[field] or "").lower()


def moment(row: Row) -> datetime:
    return datetime.fromisoformat(row["CreatedOn"].removesuffix("Z"))


PIVOT = datetime(2015, 6, 1, 12, 30)  # noqa: DTZ001 - wall time, as the rows have it
CASES: list[tuple[Condition, Callable[[Row], bool]]] = [
    (F.Quantity == 114, lambda row: row["Quantity"] == 114),
    (F.Quantity >= 500, lambda row: row["Quantity"] >= 500),
    (F.Quantity <= 500, lambda row: row["Quantity"] <= 500),
    (F.Price > Decimal("5000.5"), lambda row: row["Price"] > 5000.5),
    (F.Price < 5000.5, lambda row: row["Price"] < 5000.5),
    (F.Category.contains("PT"), lambda row: "pt" in text(row, "Category")),
    (F.Category.not_contains("pt"), lambda row: "pt" not in text(row, "Category")),
    (F.Quantity != 114, lambda row: row["Quantity"] != 114),
    (F.Remark.is_empty(), lambda row: not row["Remark"]),
    (F.Remark.is_not_empty(), lambda row: bool(row["Remark"])),
    (F.Category.startswith("o"), lambda row: text(row, "Category").startswith("o")),
    (F.Category.not_startswith("o"), lambda row: not text(row, "Category").startswith("o")),
    (F.Category.endswith("n"), lambda row: text(row, "Category").endswith("n")),
    (F.Category.not_endswith("n"), lambda row: not text(row, "Category").endswith("n")),
    (F.Category.quick("tio"), lambda row: "tio" in text(row, "Category")),
    (F.Active.is_(True), lambda row: row["Active"] is True),
    (F.CreatedOn >= PIVOT, lambda row: moment(row) >= PIVOT),
    (F.CreatedOn < date(2020, 1, 1), lambda row: moment(row).year < 2020),
    (~F.Active.is_(True), lambda row: row["Active"] is False),
    (F.Id.in_([10_003, 346, 10_008]), lambda row: row["Id"] in {10_003, 346, 10_008}),
    (F.Quantity.between(100, 200), lambda row: 100 <= row["Quantity"] <= 200),
]


@pytest.fixture
async def rows(simulator: Simulator) -> list[Row]:
    return await select(simulator, ~F.Id.in_([]))


async def test_no_condition(rows: list[Row]) -> None:
    """A condition that every row meets is sent without a filter."""
    assert len(rows) == 300


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case[0]))
async def test_every_operator(
    simulator: Simulator, rows: list[Row], case: tuple[Condition, Callable[[Row], bool]]
) -> None:
    """Each operator selects the rows that it describes, in the simple form and, beside an alternative, in JSON."""
    condition, meets = case
    expected = [row for row in rows if meets(row)]
    assert expected
    assert ids(await select(simulator, condition)) == ids(expected)
    either = condition | (F.Id == -1)
    assert "filterjson" in rows_request(CONNECTOR, skip=0, take=1, where=either.groups()).query
    assert ids(await select(simulator, either)) == ids(expected)


async def test_combinations(simulator: Simulator, rows: list[Row]) -> None:
    """And, or and not together select what they select in Python."""
    for place, (one, meets_one) in enumerate(CASES[:6]):
        for other, meets_other in CASES[6 + place % by_default(3, 1) :: by_default(3, 1)]:
            condition = (one | other) & ~(one & F.Active.is_(False))
            expected = [
                row
                for row in rows
                if (meets_one(row) or meets_other(row)) and not (meets_one(row) and not row["Active"])
            ]
            assert ids(await select(simulator, condition)) == ids(expected), condition


@pytest.mark.parametrize(
    "name",
    [
        "a,b",
        "a;b",
        "a\\b",
        '""',
        "[is leeg]",
        "'",
        " a ",
        "a+b c&d=e#f/g?h",
        "\N{EURO SIGN} \u00e9",
        "100",
        "a:@!$'()*",
    ],
)
async def test_any_text_arrives(name: str) -> None:
    """A value with any character that is special in a URL, a list or JSON finds its row and no other."""
    names = ["a", "b", name, f"{name}x", "c,d"]
    own = [{"Id": number, "Name": text} for number, text in enumerate(names)]
    async with Simulator(connectors={"Own": own}) as simulator:
        assert ids(await select(simulator, F.Name == name, "Own")) == [2]
        assert ids(await select(simulator, F.Name.startswith(name), "Own")) == [2, 3]
        assert ids(await select(simulator, (F.Name == name) | (F.Name == "c,d"), "Own")) == [2, 4]


async def test_parts_find_every_row_once(simulator: Simulator, rows: list[Row]) -> None:
    """The requests for the parts of a condition that is too long for one request find every row once."""
    wanted = [row["Id"] for row in rows][::2]
    groups = (F.Id.in_([*wanted, *range(-200, 0)]) & F.Quantity.is_not_empty()).groups()
    parts = await paced(
        pack(
            [(group,) for group in groups],
            connector=CONNECTOR,
            length=lambda part: rows_query_length(skip=-1, take=-1, where=part),
            limit=QUERY_LIMIT,
        )
    )
    found: list[int] = []
    for part in parts:
        assert len(rows_request(CONNECTOR, skip=-1, take=-1, where=part).query) <= QUERY_LIMIT
        condition = Condition(tuple(Condition(group, every=True) for group in part), every=False)
        found += [row["Id"] for row in await select(simulator, condition)]
    assert len(parts) > 10
    assert sorted(found) == sorted(wanted)
