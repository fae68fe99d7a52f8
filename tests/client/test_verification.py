"""`verify`: one report at the start of a program about everything that it declares."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from afas_async import AfasClient, AuthenticationError, GetConnector, UpdateConnector, UsageError
from afas_async.simulator import Simulator
from tests.support import canary
from tests.typing import simulator_models

ROWS = [
    {"Id": number, "Name": f"N{number % 90}", "Price": 1.5, "On": "2024-07-01T12:00:00Z", "Day": "2024-07-01T00:00:00Z"}
    for number in range(100)
]


class Row(msgspec.Struct):
    id: int = msgspec.field(name="Id")
    name: str = msgspec.field(name="Name")
    price: Decimal | None = msgspec.field(name="Price", default=None)
    on: datetime | None = msgspec.field(name="On", default=None)
    day: date | None = msgspec.field(name="Day", default=None)


class Misfit(msgspec.Struct):
    id: str = msgspec.field(name="Id")
    price: int | None = msgspec.field(name="Price", default=None)
    nam: str | None = msgspec.field(name="Nam", default=None)


class Narrow(msgspec.Struct):
    id: int = msgspec.field(name="Id")
    day: datetime = msgspec.field(name="Day")
    price: float = msgspec.field(name="Price")


@pytest.fixture
async def afas() -> AsyncIterator[AfasClient]:
    async with (
        Simulator(rows=50, connectors={"Own": ROWS}, token=canary.TOKEN) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token) as client,
    ):
        yield client


async def _texts(afas: AfasClient, *connectors: Any) -> list[str]:
    return [problem.text for problem in (await afas.verify(*connectors)).problems]


async def test_what_fits_has_no_problem(afas: AfasClient) -> None:
    """Rows of each type fit, with and without a key, and so does generated code for all sample connectors."""
    own = [GetConnector("Own", Row, key="Id"), GetConnector("Own", Narrow), GetConnector("Own", key=("Name", "Id"))]
    samples = [each for each in vars(simulator_models).values() if isinstance(each, (GetConnector, UpdateConnector))]
    report = await afas.verify(*own, *samples, UpdateConnector("KnSubject"))
    assert report.ok, str(report)
    assert len(report.connectors) == len(samples) + 4
    assert str(report).splitlines()[0] == "Own: no problems"


async def test_every_problem_is_in_one_report(afas: AfasClient) -> None:
    """A connector that is missing, of each kind; fields and types that do not fit; a key that is not unique."""
    report = await afas.verify(
        GetConnector("Profit_Artikel"),
        UpdateConnector("KnSubjekt"),
        GetConnector("Own", Misfit),
        GetConnector("Own", Row, key="Name"),
        GetConnector("Own", Row, key="Id"),
    )
    assert not report.ok
    texts = [problem.text for problem in report.problems]
    assert [problem.connector for problem in report.problems] == ["Profit_Artikel", "KnSubjekt", *["Own"] * 4]
    assert "did you mean Profit_Article" in texts[0]
    assert "did you mean KnSubject" in texts[1]
    assert texts[2:5] == [
        "it has no field 'Nam': did you mean 'Name'?",
        "'Id' is of type int: declare it as int",
        "'Price' is of type decimal: declare it as Decimal",
    ]
    assert "two rows have the same Name" in texts[5]
    assert str(report).splitlines()[:2] == ["Profit_Artikel: 1 problem", f"  {texts[0]}"]


async def test_rows_are_looked_at_too(afas: AfasClient) -> None:
    """Metainfo cannot show this: a field that is null in a row, and is declared never to be null."""

    class Strict(msgspec.Struct):
        item_code: str = msgspec.field(name="ItemCode")
        description: str = msgspec.field(name="Description")

    empty = [{"ItemCode": "1", "Description": None}]
    async with (
        Simulator(connectors={"Articles": empty}, token=canary.TOKEN) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token) as other,
    ):
        (text,) = await _texts(other, GetConnector("Articles", Strict, key="ItemCode"))
    assert "declare it with `| None`" in text
    assert await _texts(afas) == []


async def test_what_prevents_a_report_is_raised(afas: AfasClient) -> None:
    with pytest.raises(UsageError, match="expected a GetConnector or an UpdateConnector, got str"):
        await afas.verify("Own")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async with (
        Simulator(rows=5, token=canary.TOKEN) as simulator,
        AfasClient(base_url=simulator.base_url, auth=canary.TOKEN.replace("0", "1").replace("A", "B")) as refused,
    ):
        assert simulator.token
        with pytest.raises(AuthenticationError):
            await refused.verify(GetConnector("Profit_Article"))
