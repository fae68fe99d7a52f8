"""The command `sync`: keep a copy of a connector up to date in DuckDB or PostgreSQL."""

from __future__ import annotations

from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import parse_qs, urlsplit

import typer

from afas_async.commands.environment import ENVIRONMENT, client, completed
from afas_async.commands.keys_file import NAME, KeyOption, KeysOption, key_of
from afas_async.commands.options import ConnectorName, OwnSimulator, key_fields
from afas_async.commands.row_read import columns_room, watched
from afas_async.commands.where import parsed_condition
from afas_async.errors import UsageError

if TYPE_CHECKING:
    from afas_async.columns.synchronise import Synced

EPILOG: Final = (
    "Set the password of PostgreSQL in PGPASSWORD or its password file, never in an argument.\n\n" + ENVIRONMENT
)
_POSTGRES: Final = {"postgresql", "postgres"}
_PASSWORDS: Final = {"password", "sslpassword"}  # parameters of the URL


def connection(into: str) -> Any:
    """Return a connection to a database: a file of DuckDB, or a URL of PostgreSQL.

    Raises:
        UsageError: If the URL holds a password, a library is missing, or the database cannot be reached or opened.
    """
    url = urlsplit(into)
    is_postgres = url.scheme in _POSTGRES
    if is_postgres and (url.password is not None or _PASSWORDS & parse_qs(url.query, keep_blank_values=True).keys()):
        raise UsageError("--into: leave the password out of the URL and set PGPASSWORD: arguments are not secret")
    database = _library("psycopg", "psycopg[binary]") if is_postgres else _library("duckdb", "duckdb")
    try:
        return database.connect(into)
    except database.Error as error:
        raise UsageError(f"--into: {' '.join(str(error).split())}") from None


def _library(name: str, package: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise UsageError(f'this database needs {name}: pip install "{package}"') from None


def command(
    name: ConnectorName,
    *,
    into: Annotated[
        str,
        typer.Option(
            metavar="DATABASE",
            help="A file of DuckDB, such as afas.duckdb, or a URL of PostgreSQL, such as postgresql://host/database.",
            show_default=False,
        ),
    ],
    modified: Annotated[
        str, typer.Option(metavar="FIELD", help="The field with the moment of a row's last change.")
    ] = "ModifiedOn",
    table: Annotated[
        str | None, typer.Option(metavar="NAME", help="The table; by default it has the connector's name.")
    ] = None,
    deletions: Annotated[
        bool,
        typer.Option(
            "--deletions",
            help="Also delete rows that the connector no longer has. It reads the connector once more, for its keys.",
        ),
    ] = False,
    select: Annotated[str | None, typer.Option(metavar="FIELD[,...]", help="Only these fields.")] = None,
    where: Annotated[str | None, typer.Option(metavar="CONDITION", help="A further condition, as for `rows`.")] = None,
    key: KeyOption = None,
    keys: KeysOption = Path(NAME),
    simulator: OwnSimulator = False,
) -> int:
    """Keep a copy of a GetConnector up to date in DuckDB or PostgreSQL.

    Your first run creates the table and reads all rows. Later runs read the modified ones. A run is one transaction: if
    it fails, you still have the copy of the run before.
    """
    columns = columns_room()
    condition = None if where is None else parsed_condition(where)
    fields = key_of(name, key, keys)

    async def work(database: Any) -> Synced:
        async with client(simulator=simulator) as afas, watched(afas):
            done: Synced = await columns.sync(
                afas,
                name,
                modified=modified,
                into=database,
                table=table,
                deletions=deletions,
                key=fields,
                select=key_fields(select) or None,
                where=condition,
            )
            return done

    with closing(connection(into)) as database:
        done = completed(work(database))
    deleted = f", {done.deleted:,} deleted" if deletions else ""
    print(f"{table or name}: {done.rows:,} rows inserted or updated{deleted}")
    return 0
