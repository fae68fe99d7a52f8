"""Moments are wall time in Amsterdam, from a row and back to the service."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from afas_async import AfasClient, F, GetConnector, UsageError, models
from afas_async.simulator import Change
from tests.read.conftest import Serve
from tests.support.row_answers import bytewise, outcome, page_of

NOON = datetime(2024, 7, 1, 12)  # noqa: DTZ001 - wall time, as rows show it
COUNT = 48
ROWS = [
    {
        "EmployeeId": f"{number:04}",
        "Modified": f"2024-07-01T{number // 2:02}:{number % 2 * 30:02}:00Z",
        "Born": f"19{50 + number}-02-01T00:00:00Z",
        "Note": f"2024-07-01T{number // 2:02}:00:00Z",
    }
    for number in range(COUNT)
]


class Employee(msgspec.Struct, frozen=True):
    """A row type as a user writes it."""

    id: str = msgspec.field(name="EmployeeId")
    modified: datetime | None = msgspec.field(name="Modified", default=None)
    born: date | None = msgspec.field(name="Born", default=None)
    note: str | None = msgspec.field(name="Note", default=None)


class Odd(msgspec.Struct):
    """Field types that a plain row does not have; `Keyword` has an attribute that is a Python keyword."""

    modified: datetime | UnsetType = msgspec.field(name="Modified", default=UNSET)
    born: date = msgspec.field(name="Born", default=date(1, 1, 1))
    wide: datetime | int | None = msgspec.field(name="Wide", default=5)


Keyword = msgspec.defstruct("Keyword", [("class", datetime, msgspec.field(name="Modified"))])
EMPLOYEES = GetConnector("Employees", Employee, key="EmployeeId")
DICTS = GetConnector("Employees", key="EmployeeId")


@pytest.fixture
async def employees(serve: Serve) -> AfasClient:
    _, afas = await serve(connectors={"Employees": ROWS})
    return afas


def _decoded(row_type: Any, *texts: str) -> list[Any]:
    rows, error = outcome(bytewise(page_of(*texts), 1 << 16), row_type)
    assert error is None
    return rows


async def test_a_moment_of_any_row_type_is_wall_time(employees: AfasClient) -> None:
    """A `datetime` has no time zone, a `date` is a date, a `str` and a dict keep the text."""
    described = models.define(await employees.get_metainfo("Employees"), key="EmployeeId")
    generated: Any = await employees.rows(GetConnector("Employees", described, key="EmployeeId")).to_list()
    for rows in (
        await employees.rows(EMPLOYEES).to_list(),
        [row async for page in employees.pages(EMPLOYEES) for row in page.rows],
        (await employees.page(EMPLOYEES)).rows,
    ):
        assert [row.modified for row in rows] == [NOON + timedelta(minutes=30 * (n - 24)) for n in range(COUNT)]
        assert [row.born for row in rows] == [date(1950 + n, 2, 1) for n in range(COUNT)]
        assert [row.note for row in rows] == [row["Note"] for row in ROWS]
        assert [row.modified for row in generated] == [row.modified for row in rows]
    assert await employees.rows(DICTS).to_list() == ROWS


def test_only_moments_change() -> None:
    """Null, absent fields, fractions and texts that look like dates stay unchanged; a date with a time is refused."""
    assert _decoded(Odd, "{}") == [Odd()]
    text = '{"Modified":"2024-03-31T02:30:00.5Z","Born": "1950-02-01T00:00:00Z","Wide":"2024-01-01T00:00:00"}'
    assert _decoded(Odd, text) == [
        Odd(datetime(2024, 3, 31, 2, 30, 0, 500_000), date(1950, 2, 1), datetime(2024, 1, 1))  # noqa: DTZ001
    ]
    assert getattr(_decoded(Keyword, '{"Modified":"2024-07-01T12:00:00Z"}')[0], "class") == NOON
    inside = (
        '{"EmployeeId":"\\"Born\\":\\"1950-02-01T00:00:00Z","Note":"x \\"Born\\":1950-02-01T00:00:00Z","Born":null}'
    )
    assert _decoded(Employee, inside) == [
        Employee('"Born":"1950-02-01T00:00:00Z', note='x "Born":1950-02-01T00:00:00Z')
    ]
    escaped = '{"EmployeeId":"1","Bor\\u006e" : "1950-02-01T00:00:00Z"}'
    assert _decoded(Employee, escaped)[0].born == date(1950, 2, 1)
    rows, error = outcome(bytewise(page_of('{"Born":"1950-02-01T10:00:00Z"}'), 64), Odd)
    assert not rows
    assert "Born" in str(error)


@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_date_is_a_date_wherever_the_text_was_cut(size: int) -> None:
    """This holds for rows that come byte by byte, in the older form of the service too."""
    texts = [f'{{"Born":"19{50 + n}-02-01T00:00:00Z","Price":-.5}}' for n in range(20)]
    rows, error = outcome(bytewise(page_of(*texts), size), Odd)
    assert error is None
    assert [row.born.year for row in rows] == [1950 + n for n in range(20)]


@pytest.mark.parametrize("zone", [True, False])
def test_a_row_type_that_asks_for_a_time_zone_is_refused(*, zone: bool) -> None:
    described = msgspec.defstruct("Row", [("On", Annotated[datetime, msgspec.Meta(tz=zone)])])
    with pytest.raises(UsageError, match="declare 'On' as plain `datetime`, without a rule for time zones"):
        GetConnector("Employees", described)


async def test_a_moment_out_of_a_row_finds_the_same_rows(employees: AfasClient) -> None:
    """This holds in a filter, a list, `since=` and a comparison, from a Struct and from a dict."""
    typed = (await employees.rows(EMPLOYEES).to_list())[24]
    for moment in (typed.modified, ROWS[24]["Modified"]):
        assert len(await employees.rows(EMPLOYEES, where=F.Modified >= moment).to_list()) == 24
        assert len(await employees.rows(EMPLOYEES, where=F.Modified == moment).to_list()) == 1
        listed = F.Modified.in_([moment, ROWS[3]["Modified"]])
        assert [row.id for row in await employees.rows(EMPLOYEES, where=listed).to_list()] == ["0003", "0024"]
        changed = await employees.changes(DICTS, modified="Modified", since=moment).to_list()
        assert changed[0]["Modified"] == "2024-07-01T11:00:00Z"  # it goes back 76 minutes
        assert len(changed) == 26
    for born in (typed.born, ROWS[24]["Born"]):
        assert [row.id for row in await employees.rows(EMPLOYEES, where=F.Born == born).to_list()] == ["0024"]
    assert typed.modified < datetime.now()  # noqa: DTZ005 - both are wall time


async def test_a_date_may_be_in_a_key(serve: Serve) -> None:
    """Employments are unique only with their date: each row comes once, also after a cursor."""
    rows = [
        {"Employer": f"{n // 30}", "Person": f"M{n // 3:05}", "Start": f"20{10 + n % 3}-01-01T00:00:00Z"}
        for n in range(1_500)
    ]
    simulator, afas = await serve(connectors={"Employments": rows})
    key = ("Employer", "Person", "Start")
    found = await afas.rows("Employments", key=key, take=100).to_list()
    assert sorted(map(repr, found)) == sorted(map(repr, rows))
    reader = afas.rows("Employments", key=key, take=100)
    first = [await anext(reader) for _ in range(731)]
    await reader.aclose()
    simulator.changes.add(Change(connector="Employments", delete=[first[-1]]))
    rest = await afas.rows("Employments", key=key, after=reader.cursor).to_list()
    assert first + rest == found


@pytest.mark.parametrize("options", [{"key": "Modified"}, {"key": "EmployeeId", "order_by": "-Modified"}])
async def test_a_moment_cannot_sort_a_read(options: dict[str, Any], employees: AfasClient) -> None:
    """The service stores fractions of a second that rows do not show. So no filter finds the moment of a row."""
    with pytest.raises(UsageError, match="Modified is the moment 2024-07-01T"):
        await employees.rows("Employees", **options).to_list()
    found = await employees.rows("Employees", **options, verify=False).to_list()
    assert sorted(found, key=str) == sorted(ROWS, key=str)


async def test_the_text_since_must_be_a_moment(employees: AfasClient) -> None:
    with pytest.raises(UsageError, match="or a moment from a row"):
        employees.changes(DICTS, modified="Modified", since="yesterday")
