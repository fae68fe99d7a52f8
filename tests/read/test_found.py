"""Promises that were once found broken."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from afas_async import F, GetConnector, NonUniqueKeyError, UsageError
from tests.read.conftest import Serve
from tests.support.own_connectors import BY_NUMBER, code, numbers, row, table

ROWS = range(100, 1_100)


@pytest.mark.parametrize("start", [100, 300])
async def test_a_token_of_pages_for_rows(start: int, serve: Serve) -> None:
    """A split condition, read as pages part after part, cannot be gone on with as rows, which are merged."""
    _, afas = await serve(connectors={"T": [{**row(number), "Code": code(number * 7 % 1_009)} for number in ROWS]})
    where = F.Code.in_([code(number) for number in range(1_009)])
    found: list[int] = []
    async with afas.pages(BY_NUMBER, where=where, take=50) as pages:
        async for page in pages:
            found += numbers(page.rows)
            if len(found) > start:
                break
        token = pages.cursor
    with pytest.raises(UsageError, match="after"):
        await afas.rows(BY_NUMBER, where=where, after=token).to_list()
    async for page in afas.pages(BY_NUMBER, where=where, after=token):
        found += numbers(page.rows)
    assert sorted(found) == list(ROWS)


class Line(msgspec.Struct):
    part: int = msgspec.field(name="Part")
    number: int = msgspec.field(name="Id")


@pytest.mark.parametrize("first_typed", [True, False])
async def test_a_token_of_another_row_type(first_typed: bool, serve: Serve) -> None:  # noqa: FBT001
    """A condition that is split otherwise for rows of another type is not gone on with as those."""
    _, afas = await serve(connectors={"T": [{"Part": number, "Id": number, "Name": "x"} for number in ROWS]})
    connectors: list[GetConnector[Any]] = [
        GetConnector("T", Line, key=("Part", "Id")),
        GetConnector("T", key=("Part", "Id")),
    ]
    one, other = connectors if first_typed else connectors[::-1]
    # So long that two values fit into a request if the key is known to hold numbers, and one otherwise.
    options: dict[str, Any] = {"where": F.Part.in_(ROWS) & (F.Name != "n" * 119)}
    async with afas.rows(one, **options) as rows:
        found = [_number(await anext(rows)) for _ in range(400)]
        token = rows.cursor
    with pytest.raises(UsageError, match="after"):
        await afas.rows(other, after=token, **options).to_list()
    found += [_number(row) async for row in afas.rows(one, after=token, **options)]
    assert sorted(found) == list(ROWS)


def _number(found: Any) -> int:
    return found.number if isinstance(found, Line) else found["Id"]


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


@pytest.mark.parametrize("facts", [{"after": [1, 2]}, {"parts": "x"}, {"over": 1}])
async def test_cursors_of_another_shape(facts: dict[str, Any], serve: Serve) -> None:
    """A cursor that does not fit the read is refused by name."""
    _, afas = await serve(connectors={"T": table(ROWS)})
    rows = afas.rows(BY_NUMBER)
    token = msgspec.json.encode({**msgspec.json.decode(rows.cursor), **facts}).decode()
    with pytest.raises(UsageError, match="after"):
        await afas.rows(BY_NUMBER, after=token).to_list()


async def test_a_token_that_is_no_unicode(serve: Serve) -> None:
    """Text with half a character is garbage like any other."""
    _, afas = await serve(connectors={"T": table(ROWS)})
    with pytest.raises(UsageError, match="after"):
        afas.rows(BY_NUMBER, after="\ud800")


async def test_a_part_whose_rows_have_all_been_seen(serve: Serve) -> None:
    """Parts that overlap wholly end, also where more rows than are kept ready are dropped at once."""
    _, afas = await serve(connectors={"T": [{"Code": code(number), "Name": "xxyy"} for number in range(300)]})
    where = F.Name.contains("xx")
    for number in range(40):
        where |= F.Name.contains(f"never {number:060}")
    for connector in (GetConnector("T", key="Code"), GetConnector("T", key=("Name", "Code"))):
        rows = await afas.rows(connector, where=where | F.Name.contains("yy")).to_list()
        assert [row["Code"] for row in rows] == [code(number) for number in range(300)]


async def test_an_anchor_is_as_long_as_it_is_written(serve: Serve) -> None:
    """Values that take more characters in a request than they have do not make it too long behind the first page."""
    texts = [f"{'é' * 8}{number:03}" for number in range(60)] + [f"{'e' * 8}{number:03}x" for number in range(60)]
    _, afas = await serve(connectors={"T": [{"Code": text} for text in texts[::2]]})
    rows = await afas.rows(GetConnector("T", key="Code"), where=F.Code.in_(texts)).to_list()
    assert sorted(row["Code"] for row in rows) == sorted(texts[::2])


async def test_equal_keys_of_undecoded_rows(serve: Serve) -> None:
    """A key that a whole piece of rows has in common is noticed at its ends."""
    _, afas = await serve(connectors={"T": [{"Group": "a", "Id": number} for number in range(300)]})
    with pytest.raises(NonUniqueKeyError):
        await afas.rows(GetConnector("T", msgspec.Raw, key="Group")).to_list()


async def test_a_field_is_no_condition(serve: Serve) -> None:
    """Forgetting the comparison is a clear error."""
    _, afas = await serve(connectors={"T": table(ROWS)})
    with pytest.raises(UsageError, match="where: expected a condition"):
        afas.rows(BY_NUMBER, where=cast("Any", F.Blocked))


async def test_a_key_that_no_filter_can_hold(serve: Serve) -> None:
    """A text with a control character is named, with its connector."""
    _, afas = await serve(connectors={"T": [{"Code": f"a\t{number:04}"} for number in range(300)]})
    with pytest.raises(UsageError, match=r"T: the read cannot go on by the key"):
        await afas.rows(GetConnector("T", key="Code")).to_list()
