"""A cursor stands for the point after the last row you got, in any client."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from afas_async import AfasClient, F, GetConnector, Rows, UsageError
from afas_async.simulator import Change, Latency, Simulator
from tests.read.conftest import Serve
from tests.support.census import assert_idle, census
from tests.support.own_connectors import (
    BY_BOTH,
    BY_CODE,
    BY_NUMBER,
    KEYS,
    WIDE,
    WIDE_DICT,
    WIDE_RAW,
    numbers,
    row,
    table,
)
from tests.support.thoroughness import by_default

END = by_default(400, 700)
ROWS = range(100, END)
MORE = range(100, by_default(260, 1_100))
CODES = by_default(401, 1_009)  # a prime number


def _another(simulator: Simulator) -> AfasClient:
    return AfasClient(base_url=simulator.base_url, auth=simulator.token, max_concurrency=2)


QUERIES: dict[str, dict[str, Any]] = {
    "plain": {},
    "order": {"order_by": ("-Group",)},
    "where": {"where": F.Group.in_([1, 2, 3])},
    "values": {"where": F.Id.in_(range(50, END - 50))},
    "capped at one page": {"take": 3, "window": 1},
    "everything": {"take": -1},
}


@pytest.mark.sampled(6)
@pytest.mark.filterwarnings("ignore:.*strongly discourages")
@pytest.mark.parametrize("connector", KEYS, ids=["int", "text", "both"])
@pytest.mark.parametrize("name", QUERIES)
async def test_any_row(name: str, connector: GetConnector[Any], serve: Serve) -> None:
    """You can leave a read at any row and resume it in another client: every row comes once."""
    simulator, afas = await serve(connectors={"T": table(ROWS)})
    options = QUERIES[name]
    if name == "values" and connector is not BY_NUMBER:  # with more of them the order of texts could not be kept
        options = {"where": F.Id.in_(range(50, 120))}
    whole = numbers(await afas.rows(connector, **options).to_list())
    chance = random.Random(name)  # noqa: S311
    for _ in range(by_default(1, 2)):
        found: list[int] = []
        cursor: str | None = None
        ended = False
        while not ended:
            async with _another(simulator) as client, client.rows(connector, after=cursor, **options) as stream:
                stop, ended = len(found) + chance.randrange(1, 250), True
                async for each in stream:
                    found.append(each["Id"])
                    if len(found) == stop:
                        ended = False
                        break
                cursor = stream.cursor
        assert found == whole


@pytest.mark.parametrize("options", [{}, {"where": F.Id.in_(range(50, END - 50))}], ids=["", "in"])
async def test_any_page(options: dict[str, Any], serve: Serve) -> None:
    """The cursor of whole pages stands after the last page you got."""
    simulator, _ = await serve(connectors={"T": table(ROWS)})
    cursor, found = None, list[int]()
    while True:
        async with (
            _another(simulator) as client,
            client.pages(BY_NUMBER, take=by_default(90, 70), after=cursor, **options) as pages,
        ):
            page = await anext(pages, None)
            cursor = pages.cursor
            if page is None:
                break
            found += numbers(page.rows)
    assert len(found) == len(set(found))
    assert set(found) == set(ROWS if "where" not in options else range(100, END - 50))


@pytest.mark.parametrize("options", [{}, {"where": F.Id.in_(ROWS)}], ids=["", "in"])
async def test_the_first_row_behind_a_cursor(options: dict[str, Any], serve: Serve) -> None:
    """`first` continues at the cursor like any other way to read, and leaves no request running."""
    _, afas = await serve(connectors={"T": table(ROWS)}, latency=Latency(base=0.05))
    async with afas.rows(BY_NUMBER, take=50, **options) as rows:
        last = [await anext(rows) for _ in range(120)][-1]
        cursor = rows.cursor
    async with census(afas):
        assert await afas.rows(BY_NUMBER, after=cursor, **options).first() == row(last["Id"] + 1)
        assert_idle(afas)


async def test_before_the_first_row_and_behind_the_last(serve: Serve) -> None:
    """The cursor of a stream that has not begun starts it. After the end it stands for rows added later."""
    simulator, afas = await serve(connectors={"T": table(ROWS)})
    rows = afas.rows(BY_NUMBER)
    assert len(await afas.rows(BY_NUMBER, after=rows.cursor).to_list()) == len(ROWS)
    await rows.to_list()
    assert await afas.rows(BY_NUMBER, after=rows.cursor).to_list() == []
    simulator.changes.add(Change(connector="T", insert=[row(50), row(END + 200)]))
    assert numbers(await afas.rows(BY_NUMBER, after=rows.cursor).to_list()) == [END + 200]


async def test_cursor_of_another_query(serve: Serve) -> None:
    """Every part of the query counts. A cursor of another query is refused before a request."""
    simulator, afas = await serve(connectors={"T": table(ROWS), "U": table(ROWS)})
    part = (await afas.plan(BY_BOTH, parts=2, where=F.Group == 1))[1]
    base: dict[str, Any] = {"where": F.Group == 1}
    rows = afas.rows(BY_BOTH, **base)
    await anext(rows)
    cursor = rows.cursor
    await rows.aclose()
    before = simulator.counters.requests
    others: list[tuple[GetConnector[Any], dict[str, Any]]] = [
        (GetConnector("U", key=("Part", "Code")), base),
        (BY_CODE, base),
        (GetConnector("T", key=("Code", "Part")), base),
        (BY_BOTH, {}),
        (BY_BOTH, {"where": F.Group == 2}),
        (BY_BOTH, {"where": F.Group >= 1}),
        (BY_BOTH, {"where": F.Part == 1}),
        (BY_BOTH, base | {"order_by": "Group"}),
        (BY_BOTH, base | {"order_by": "-Part"}),
        (BY_BOTH, {"part": part}),
    ]
    for connector, options in others:
        with pytest.raises(UsageError, match="another query"):
            afas.rows(connector, after=cursor, **options)
        with pytest.raises(UsageError, match="another query"):
            afas.pages(connector, after=cursor, **options)
    with pytest.raises(UsageError):
        afas.rows(BY_BOTH, after=cursor, verify=False, **base)
    assert simulator.counters.requests == before
    assert afas.rows(BY_BOTH, after=cursor, take=3, window=1, **base)


GARBAGE = ["", " ", "{}", "[]", "null", "1", "x", '{"version":1}', "[" * 5_000, "1" * 5_000]


@pytest.mark.parametrize("cursor", [*GARBAGE, 1, b"{}", {}])
async def test_garbage(cursor: Any, serve: Serve) -> None:
    """Text that is not a cursor is refused by name, and nothing is sent."""
    simulator, afas = await serve(rows=3)
    with pytest.raises(UsageError, match="after"):
        afas.rows(WIDE, after=cursor)
    assert simulator.counters.requests == 0


async def test_a_cursor_that_was_tampered_with(serve: Serve) -> None:
    """A cursor of the wrong kind is a UsageError, or at the worst an error of the service, never lost rows."""
    simulator, afas = await serve(rows=50)
    rows = afas.rows(WIDE)
    await anext(rows)
    genuine = msgspec.json.decode(rows.cursor)
    await rows.aclose()
    changes: list[dict[str, Any]] = [
        {"version": 2},
        {"query": "0"},
        {"after": 1.5},
        {"after": {}},
        {"over": "0"},
    ]
    for change in changes:
        with pytest.raises(UsageError):
            afas.rows(WIDE, after=msgspec.json.encode({**genuine, **change}).decode())
    assert simulator.counters.in_flight == 0


async def test_another_row_type(serve: Serve) -> None:
    """A cursor belongs to the query: you can resume with another row type."""
    _, afas = await serve(rows=400)
    rows = afas.rows(WIDE, where=F.Category == "Basis")
    first = [(await anext(rows)).number for _ in range(30)]
    rest = await afas.rows(WIDE_DICT, where=F.Category == "Basis", after=rows.cursor).to_list()
    raw = await afas.rows(WIDE_RAW, where=F.Category == "Basis", after=rows.cursor).to_list()
    await rows.aclose()
    assert len(rest) == len(raw)
    assert first[-1] < rest[0]["Id"]
    assert len(first) + len(rest) == len(await afas.rows(WIDE, where=F.Category == "Basis").to_list())


async def test_no_cursor(serve: Serve) -> None:
    """Where a stream has no point to resume from, `cursor` raises an error that says so."""
    _, afas = await serve(connectors={"T": table(ROWS)})
    for stream in (afas.rows(BY_NUMBER, verify=False), afas.rows("T", verify=False)):
        with pytest.raises(UsageError, match="without a key"):
            _ = stream.cursor


class Line(msgspec.Struct):
    part: int = msgspec.field(name="Part")
    number: int = msgspec.field(name="Id")


async def test_a_cursor_of_another_row_type(serve: Serve) -> None:
    """A split read of dicts can be resumed as structs, and the other way round."""
    _, afas = await serve(connectors={"T": [{"Part": number, "Id": number, "Name": "x"} for number in MORE]})
    connectors: list[GetConnector[Any]] = [
        GetConnector("T", Line, key=("Part", "Id")),
        GetConnector("T", key=("Part", "Id")),
    ]
    options: dict[str, Any] = {"where": F.Part.in_(MORE) & (F.Name != "n" * 119)}
    for one, other in (connectors, connectors[::-1]):
        async with afas.rows(one, **options) as rows:
            found = [_number(await anext(rows)) for _ in range(2 * len(MORE) // 5)]
            cursor = rows.cursor
        found += [_number(row) async for row in afas.rows(other, after=cursor, **options)]
        assert found == list(MORE)


def _number(found: Any) -> int:
    return found.number if isinstance(found, Line) else found["Id"]


@pytest.mark.parametrize("facts", [{"after": [1, 2]}, {"parts": "x"}, {"over": 1}])
async def test_cursors_of_another_shape(facts: dict[str, Any], serve: Serve) -> None:
    """A cursor that does not fit the read is refused by name."""
    _, afas = await serve(connectors={"T": table(ROWS)})
    rows = afas.rows(BY_NUMBER)
    cursor = msgspec.json.encode({**msgspec.json.decode(rows.cursor), **facts}).decode()
    with pytest.raises(UsageError, match="after"):
        await afas.rows(BY_NUMBER, after=cursor).to_list()


async def test_a_cursor_before_the_first_part(serve: Serve) -> None:
    """A cursor in a part that does not exist is refused: the last part would come twice."""
    _, afas = await serve(connectors={"T": table(ROWS)})
    options: dict[str, Any] = {"where": F.Id.in_(range(100, 400))}
    cursor = {**msgspec.json.decode((await _left(afas, options)).cursor), "over": -1}
    with pytest.raises(UsageError, match="after"):
        await afas.rows(BY_NUMBER, after=msgspec.json.encode(cursor).decode(), **options).to_list()


async def _left(afas: AfasClient, options: dict[str, Any]) -> Rows[Any]:
    """Return a stream that was left after its first row."""
    async with afas.rows(BY_NUMBER, **options) as rows:
        await anext(rows)
    return rows


async def test_a_cursor_behind_rows_that_vanish(serve: Serve) -> None:
    """Where no key can be sent, the rows before the deleted ones do not come again."""
    codes = [f"a\n{number:03}" for number in range(60)]
    simulator, afas = await serve(connectors={"T": [{"Code": text} for text in codes]})
    async with afas.rows(BY_CODE, take=20) as rows:
        assert [(await anext(rows))["Code"] for _ in range(25)] == codes[:25]
        cursor = rows.cursor
    simulator.changes.add(Change(connector="T", delete=[{"Code": text} for text in codes[20:25]]))
    assert [found["Code"] async for found in afas.rows(BY_CODE, take=20, after=cursor)] == codes[25:]


async def test_a_cursor_that_is_no_unicode(serve: Serve) -> None:
    """Text with an unpaired surrogate is garbage like any other."""
    _, afas = await serve(connectors={"T": table(ROWS)})
    with pytest.raises(UsageError, match="after"):
        afas.rows(BY_NUMBER, after="\ud800")
