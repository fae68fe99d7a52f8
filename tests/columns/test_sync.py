"""A copy in a database equals its source after every complete run, and stays as it was after a run that ends early."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from afas_async import AfasClient, AnswerError, F, GetConnector, SortKeyRequiredError, UsageError, columns
from afas_async.columns.databases import Database, DuckDatabase
from afas_async.simulator import Change, Simulator
from tests.support import canary

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
adbc = pytest.importorskip("adbc_driver_postgresql.dbapi", reason="adbc_driver_postgresql is not installed")

T = GetConnector("T", key="Code")
ROWS = [
    {
        "Code": f"a'{number:03}",
        "Price": number / 4,
        "Text": None if number % 3 else f'"{number}"\n;',
        "Flag": number % 2 == 0,
        "Count": number,
        "ModifiedOn": f"2024-01-{1 + number % 20:02}T10:00:00Z",
    }
    for number in range(60)
]


def _duckdb(_: Callable[[], str]) -> Any:
    return duckdb.connect()


def _psycopg(uri: Callable[[], str]) -> Any:
    return psycopg.connect(uri())


def _adbc(uri: Callable[[], str]) -> Any:
    return adbc.connect(uri())


@pytest.fixture(params=[_duckdb, _psycopg, _adbc], ids=["duckdb", "psycopg", "adbc"])
def database(request: pytest.FixtureRequest) -> Iterator[Any]:
    """An empty database of each kind; PostgreSQL is started when the first one needs it."""
    with request.param(lambda: request.getfixturevalue("server")) as connection:
        yield connection
        connection.rollback() if request.param is not _duckdb else None
        with connection.cursor() as cursor:
            for table in ("T", "afas_async_sync", "Profit_JournalLines", "other"):
                cursor.execute(f'drop table if exists "{table}"')
        connection.commit() if request.param is not _duckdb else None


@pytest.fixture
async def source() -> AsyncIterator[Simulator]:
    async with Simulator(connectors={"T": ROWS, "U.V": ROWS[:2]}, token=canary.TOKEN) as simulator:
        yield simulator


@pytest.fixture
async def afas(source: Simulator) -> AsyncIterator[AfasClient]:
    async with AfasClient(base_url=source.base_url, auth=source.token) as client:
        yield client


def query(database: Any, statement: str) -> list[tuple[Any, ...]]:
    with database.cursor() as cursor:
        cursor.execute(statement)
        found = [tuple(row) for row in cursor.fetchall()]
    if not isinstance(database, duckdb.DuckDBPyConnection):
        database.commit()
    return found


def copy(database: Any) -> list[tuple[Any, ...]]:
    found = query(database, 'select "Code", "Price", "Text", "Flag", "Count", "ModifiedOn" from "T" order by 1')
    return [(row[0], Decimal(row[1]), *row[2:]) for row in found]  # ADBC returns it as text


def meant(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (
            *(
                row
                | {"Price": Decimal(repr(row["Price"])), "ModifiedOn": datetime.fromisoformat(row["ModifiedOn"][:-1])}
            ).values(),
        )
        for row in rows
    ]


async def test_a_copy_follows_its_source(source: Simulator, afas: AfasClient, database: Any) -> None:
    """The first run copies everything, and later ones the modified rows. Deletions follow if you ask for them."""
    first = await columns.sync(afas, T, modified="ModifiedOn", into=database)
    assert (first.rows, first.deleted) == (60, 0)
    assert copy(database) == meant(ROWS)
    new = {"Price": 99.75, "Text": None, "ModifiedOn": "2024-02-01T10:00:00Z"}
    source.changes.add(Change(connector="T", update=[({"Count": 7}, new)], delete=[{"Count": 11}]))
    changed = [row | new if row["Count"] == 7 else row for row in ROWS]
    second = await columns.sync(afas, T, modified="ModifiedOn", into=database)
    assert 0 < second.rows < 10
    assert {row[0]: row for row in copy(database)} == {row[0]: row for row in meant(changed)}
    third = await columns.sync(afas, T, modified="ModifiedOn", into=database, deletions=True)
    assert third.deleted == 1
    assert copy(database) == meant([row for row in changed if row["Count"] != 11])


async def test_a_run_that_ends_early_leaves_the_copy_as_it_was(afas: AfasClient, database: Any) -> None:
    """The copy stays after an error among the rows, a refusal of the database, and a cancellation."""
    only = {"select": ["Code", "Count", "ModifiedOn"]}
    await columns.sync(afas, T, modified="ModifiedOn", into=database, where=F.Count < 20, **only)
    before = query(database, 'select * from "T" order by 1'), query(database, "select * from afas_async_sync")
    with pytest.raises(UsageError, match="watermark in since= belongs to other changes"):
        await columns.sync(afas, T, modified="ModifiedOn", into=database, **only)
    with pytest.raises(UsageError, match=r"has other columns \(Flag, Price, Text\)"):
        await columns.sync(afas, T, modified="ModifiedOn", into=database, where=F.Count < 20)
    with pytest.raises(UsageError, match="the table T is a copy of T: use another table"):
        await columns.sync(afas, GetConnector("U", key="Code"), modified="ModifiedOn", into=database, table="T")
    for turns in range(0, 200, 40):
        task = asyncio.ensure_future(columns.sync(afas, T, modified="ModifiedOn", into=database, table="other"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    assert before == (
        query(database, 'select * from "T" order by 1'),
        query(database, "select * from afas_async_sync where target = 'T'"),
    )


async def test_a_table_of_other_types_is_refused(afas: AfasClient, database: Any) -> None:
    """The database would round and cut values silently."""
    await columns.sync(afas, T, modified="ModifiedOn", into=database, types={"Price": pa.decimal128(18, 2)})
    for types, column in (
        ({"Price": pa.decimal128(18, 4)}, r"Price is \w+\(18,2\), not \w+\(18,4\)"),
        ({"Price": pa.decimal128(18, 2), "Count": pa.int32()}, "Count is .*, not .*"),
    ):
        with pytest.raises(UsageError, match=rf"other columns \({column}\): alter it"):
            await columns.sync(afas, T, modified="ModifiedOn", into=database, types=types)
    await columns.sync(afas, T, modified="ModifiedOn", into=database, types={"Price": pa.decimal128(18, 2)})
    assert copy(database) == meant(ROWS)


async def test_a_copy_by_another_spelling_is_refused(afas: AfasClient, database: Any) -> None:
    """The state is kept by name, so it cannot see that both names are one table."""
    await columns.sync(afas, T, modified="ModifiedOn", into=database)
    other = GetConnector("U.V", key="Code")
    spellings = ("main.T", "t") if isinstance(database, duckdb.DuckDBPyConnection) else ("public.T",)
    for table in spellings:
        with pytest.raises(UsageError, match=r"has rows, but .* does not list it as a copy"):
            await columns.sync(afas, other, modified="ModifiedOn", into=database, table=table, deletions=True)
    assert copy(database) == meant(ROWS)


async def test_the_dot_in_a_connectors_name_is_part_of_its_tables(afas: AfasClient) -> None:
    with duckdb.connect() as database:
        await columns.sync(afas, GetConnector("U.V", key="Code"), modified="ModifiedOn", into=database)
        assert query(database, 'select count(*) from "U.V"') == [(2,)]


async def test_a_cancellation_during_the_commit_comes_after_it(
    afas: AfasClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, committing = asyncio.get_running_loop(), DuckDatabase.commit

    def commit(database: DuckDatabase) -> None:
        loop.call_soon_threadsafe(task.cancel)
        committing(database)

    monkeypatch.setattr(DuckDatabase, "commit", commit)
    with duckdb.connect() as database:
        task = asyncio.ensure_future(columns.sync(afas, T, modified="ModifiedOn", into=database))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert copy(database) == meant(ROWS)


async def test_a_failing_rollback_does_not_hide_the_cause(afas: AfasClient, database: Any) -> None:
    """The connection is lost when the transaction would commit, so that it cannot be taken back either."""
    kind = DuckDatabase if isinstance(database, duckdb.DuckDBPyConnection) else Database

    def fail(_: Any) -> None:
        raise ConnectionError("lost")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "commit", lambda _: 1 / 0)
        patch.setattr(kind, "rollback", fail)
        with pytest.raises(ZeroDivisionError):
            await columns.sync(afas, T, modified="ModifiedOn", into=database)
    database.rollback()


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["2024-01-31T00:00:00Z", "2024-02-01T00:00:00Z"], None),
        (["2024-01-31T00:00:00Z", "2024-02-01T00:00:00Z"], pa.date32()),
        ([1, 20], pa.decimal128(18, 2)),
    ],
    ids=["moment", "date", "decimal"],
)
async def test_deletions_are_found_by_keys_of_any_type(database: Any, values: list[Any], kind: Any) -> None:
    """The database writes such keys in another form than the service."""
    rows = [
        {"Id": number, "Value": value, "ModifiedOn": "2024-01-01T10:00:00Z"} for number in range(3) for value in values
    ]
    async with (
        Simulator(connectors={"T": rows}, token=canary.TOKEN) as source,
        AfasClient(base_url=source.base_url, auth=source.token) as afas,
    ):
        options: dict[str, Any] = {"modified": "ModifiedOn", "into": database, "deletions": True}
        options |= {"types": {"Value": kind}} if kind else {}
        kept = await columns.sync(afas, GetConnector("T", key=("Id", "Value")), **options)
        source.changes.add(Change(connector="T", delete=[rows[3]]))
        second = await columns.sync(afas, GetConnector("T", key=("Id", "Value")), **options)
    assert (kept.deleted, second.deleted) == (0, 1)
    assert query(database, 'select "Id", count(*) from "T" group by 1 order by 1') == [(0, 2), (1, 1), (2, 2)]


async def test_an_emptied_connector_does_not_empty_the_copy(source: Simulator, afas: AfasClient, database: Any) -> None:
    await columns.sync(afas, T, modified="ModifiedOn", into=database)
    source.changes.add(Change(connector="T", delete=[{"Code": row["Code"]} for row in ROWS]))
    with pytest.raises(AnswerError, match="the connector no longer has any of the 60 rows of the copy"):
        await columns.sync(afas, T, modified="ModifiedOn", into=database, deletions=True)
    assert len(copy(database)) == 60


async def test_mistakes_are_explained(afas: AfasClient) -> None:
    with pytest.raises(UsageError, match="into: expected a connection of DuckDB"):
        await columns.sync(afas, T, modified="ModifiedOn", into="postgresql://")
    with pytest.raises(SortKeyRequiredError, match="a copy needs a key"):
        await columns.sync(afas, "T", modified="ModifiedOn", into=duckdb.connect())
    with pytest.raises(UsageError, match="select: a copy needs the key: add Code"):
        await columns.sync(afas, T, modified="ModifiedOn", into=duckdb.connect(), select=["Count"])
    with pytest.raises(UsageError, match="deletions"):
        await columns.sync(afas, T, modified="ModifiedOn", into=duckdb.connect(), deletions=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("connect", [psycopg.connect, adbc.connect], ids=["psycopg", "adbc"])
async def test_a_connection_that_commits_by_itself_is_refused(afas: AfasClient, server: str, connect: Any) -> None:
    with connect(server, autocommit=True) as connection, pytest.raises(UsageError, match="without autocommit"):
        await columns.sync(afas, T, modified="ModifiedOn", into=connection)


async def test_a_transaction_of_the_user_is_left_alone(afas: AfasClient, server: str) -> None:
    with psycopg.connect(server) as connection:
        connection.execute("create temporary table mine on commit drop as select 1 as one")
        with pytest.raises(UsageError, match="has an open transaction"):
            await columns.sync(afas, T, modified="ModifiedOn", into=connection)
        assert connection.execute("select one from mine").fetchall() == [(1,)]


async def test_runs_into_two_tables_do_not_wait_for_each_other(afas: AfasClient, server: str) -> None:
    with psycopg.connect(server) as slow, psycopg.connect(server) as fast:
        await columns.sync(afas, T, modified="ModifiedOn", into=slow)
        run = Database(slow)
        run.begin()
        run.lock("T")
        fast.execute("set lock_timeout = '1s'")
        fast.commit()
        await columns.sync(afas, T, modified="ModifiedOn", into=fast, table="other")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            await columns.sync(afas, T, modified="ModifiedOn", into=fast)
        run.rollback()
        fast.execute('drop table "T", other, afas_async_sync')


async def test_texts_are_exact_whatever_the_encoding_of_the_connection(server: str) -> None:
    row = {"Code": "é", "ModifiedOn": "2024-01-01T10:00:00Z"}
    async with (
        Simulator(connectors={"T": [row]}, token=canary.TOKEN) as source,
        AfasClient(base_url=source.base_url, auth=source.token) as afas,
    ):
        with psycopg.connect(server, client_encoding="latin1") as connection:
            await columns.sync(afas, T, modified="ModifiedOn", into=connection)
            found = query(connection, 'select "Code" from "T"')
            connection.execute('drop table "T", afas_async_sync')
    assert found == [("é",)]
