"""What a user calls: the client, and what it offers for each kind of connector. The guide to the client.

The life of a client
--------------------

A client is made without I/O, opened once, and shared by any number of tasks. `afas.with_options(timeout=60)` is a view
with other settings and the same connections.

`auth` is one of these:

- The app connector's token.
- Its `ClientCredentials(client_id, client_secret)`, for OAuth: one token for all requests. It is renewed before it
  expires, and once more when it is refused. While it is valid, a renewal that fails for a moment stops no request.
- Its `PrivateKeyCredentials(client_id, private_key)`, likewise, which AFAS prefers from Profit 9 on.
- An async function that returns a token, for vaults and rotation. It is asked again when a token is refused; if it
  returns the same one, it is not asked again within the minute.

`AfasClient.from_env()` takes AFAS_TOKEN, or AFAS_CLIENT_ID and AFAS_CLIENT_SECRET. It also takes AFAS_ENVIRONMENT (with
AFAS_ENVIRONMENT_TYPE) or AFAS_BASE_URL.

The author of an async service
------------------------------

You await one page, and stream a connector into a response (`pip install "afas-async[fastapi]"`). A complete service,
with tenants and loads, stands in `afas_async.integrations`:

    >>> import asyncio
    >>> import sqlite3
    >>> from collections.abc import AsyncIterator
    >>> from contextlib import asynccontextmanager
    >>> from decimal import Decimal
    >>> import msgspec
    >>> from fastapi import FastAPI, Response
    >>> from fastapi.testclient import TestClient
    >>> from afas_async import AfasClient, GetConnector
    >>> from afas_async.integrations.fastapi import Afas, json_response, ndjson_response
    >>> from afas_async.simulator import Latency, Simulator
    >>> class Article(msgspec.Struct, frozen=True, rename="pascal"):
    ...     item_code: str
    ...     price: Decimal | None = None
    >>> ARTICLES = GetConnector("Profit_Article", Article, key="ItemCode")
    >>> @asynccontextmanager
    ... async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    ...     async with (
    ...         Simulator(rows=5_000) as simulator,
    ...         AfasClient(base_url=simulator.base_url, auth=simulator.token) as app.state.afas,  # one for all requests
    ...     ):
    ...         yield
    >>> app = FastAPI(lifespan=lifespan)
    >>> @app.get("/articles/dearest")
    ... async def dearest(afas: Afas) -> Response:
    ...     page = await afas.page(ARTICLES, take=3, order_by="-Price")  # exactly one request
    ...     return json_response(page.rows)
    >>> @app.get("/articles")
    ... async def articles(afas: Afas) -> Response:
    ...     return ndjson_response(afas.rows(ARTICLES))  # a client that goes away ends the read
    >>> with TestClient(app) as http:
    ...     for article in http.get("/articles/dearest").json():
    ...         print(article)
    ...     print(len(http.get("/articles").text.splitlines()), "articles")
    {'ItemCode': '000126', 'Price': '9985.26'}
    {'ItemCode': '004915', 'Price': '9984.89'}
    {'ItemCode': '001534', 'Price': '9982.4'}
    5000 articles

The data engineer
-----------------

You copy a connector every night, page by page, within a memory bound, and see how it goes:

    >>> LINES = GetConnector("Profit_JournalLines", key=("UnitId", "EntryNo", "LineNo"))  # dicts, decimals as Decimal
    >>> async def main():
    ...     database = sqlite3.connect(":memory:")
    ...     database.execute("CREATE TABLE lines (unit, entry, line, account, PRIMARY KEY (unit, entry, line))")
    ...     async with (
    ...         Simulator(rows=20_000, latency=Latency(base=0.05)) as simulator,
    ...         AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ...         afas.pages(LINES) as pages,  # whole server pages; the block's end stops requests that still run
    ...     ):
    ...         async for page in pages:
    ...             keys = [(row["UnitId"], row["EntryNo"], row["LineNo"], row["Account"]) for row in page.rows]
    ...             with database:
    ...                 database.executemany("INSERT INTO lines VALUES (?, ?, ?, ?)", keys)
    ...             progress = pages.progress
    ...             print(f"{progress.rows:,} rows, {progress.pages} pages, {progress.rows_per_second:,.0f} rows/s")
    ...     print(database.execute("SELECT count(*) FROM lines").fetchone()[0], "lines")
    ...     database.close()
    >>> asyncio.run(main())  # doctest: +ELLIPSIS
    100 rows, 1 pages, ... rows/s
    ...
    10,000 rows, ... pages, ... rows/s
    10000 lines

The integrator
--------------

You load records, and must know what became of each of them: see the example in `afas_async.write`.

Many tenants
------------

`ClientPool(make)` keeps the open clients of a service: `async with pool.client("acme") as afas:`. Clients of one
environment share a limit of 5 requests; `limiter=FileLimiter(path, 5)` does that for all processes of a machine.

Logs, metrics and traces
------------------------

`on_event` is called with an `Event` for each step of a request, and for the end of each call of yours. No event has a
value, so you can log them all: `AFAS_LOG=debug` does, and needs no code. The context variables of the caller are set in
`on_event` and in log records, so a request id of your service gets there by itself. `afas.statistics(by="connector")`
counts without a listener.

`afas_async.integrations.opentelemetry` makes spans and metrics. For Prometheus a function is enough
(`pip install prometheus-client`):

    >>> from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
    >>> registry = CollectorRegistry()
    >>> labels = ["environment", "connector", "error"]
    >>> SECONDS = Histogram("afas_request_seconds", "Time of a request", labels, registry=registry)
    >>> WAITED = Histogram("afas_wait_seconds", "Wait for a slot", ["environment"], registry=registry)
    >>> ROWS = Counter("afas_rows", "Rows read", ["environment", "connector"], registry=registry)
    >>> def count(event):
    ...     if event.kind in {"answered", "failed", "cancelled"}:
    ...         SECONDS.labels(event.environment, event.connector, event.error).observe(event.seconds)
    ...         WAITED.labels(event.environment).observe(event.waited)
    ...     elif event.kind == "ended":
    ...         ROWS.labels(event.environment, event.connector).inc(event.rows)
    >>> async def main():
    ...     async with (
    ...         Simulator(rows=500) as simulator,
    ...         AfasClient(base_url=simulator.base_url, auth=simulator.token, on_event=count) as afas,
    ...     ):
    ...         await afas.rows("Profit_Article", key="ItemCode").to_list()
    >>> asyncio.run(main())
    >>> [line for line in generate_latest(registry).decode().splitlines() if line.startswith("afas_rows_total")]
    ... # doctest: +ELLIPSIS
    ['afas_rows_total{connector="Profit_Article",environment="127.0.0.1:..."} 500.0']

What holds
----------

The service is spared
    At most 5 requests to an environment (or `max_concurrency`) run at a time for all tasks together, fewer after signs
    of overload.
Each request is sent once
    There is no hidden repetition, and no redirect is followed. Retries follow one table and obey Retry-After.
A file is complete, or there is an error
    With `to=path` it goes to the disk piece by piece. It stands under its name only when all of it is there.
A wrong or expired credential is named once
    It raises an AuthenticationError. For a minute after it nothing more is sent with that credential to that connector,
    nor to the token endpoint. `await afas.ping()`, a "test connection", ignores that memory.
Each error says what to answer
    `error.retryable`, `error.applied` and `error.whose`; see `afas_async.errors`.
The token stays secret
    It is in no repr, log, event, pickle or traceback, captured local variables included. In a loop written by hand, the
    token is in the traceback that the crash reporter keeps.

Limits, today
-------------

OAuth
    covers client credentials. For other grants give an async function that returns a `BearerToken`. There is no DPoP.
BI models, SOAP, webhooks
    are other APIs than this one.

Everything the API offers
-------------------------

AFAS's documentation names it in the first line; what you call follows. Each entry is tested over HTTP.

GetConnector: `skip`, `take`, `orderbyfieldids`
    `afas.rows(...)`, `afas.pages(...)`, `afas.page(..., skip=, take=, order_by=)`
    Tests: `tests/read`
Everything in one answer (`skip=-1`, `take=-1`)
    `afas.rows(..., take=-1)`
    Tests: `tests/read`
Filters, 15 operators, and/or, simple form and `filterjson`
    `where=(F.Price < 10) & F.Name.contains("x")`
    Tests: `tests/wire/test_filter_parameters.py`, `tests/simulator/test_filters.py`
Synchronise by modified date
    `afas.changes(...)`, `afas.deleted_keys(...)`
    Tests: `tests/read/test_changes.py`
Metainfo: what the token may use
    `await afas.metainfo()`
    Tests: `tests/client/test_metainfo.py`
Metainfo of a GetConnector, an UpdateConnector
    `await afas.get_metainfo(name)`, `await afas.update_metainfo(name)`
    Tests: `tests/calls/test_metainfo.py`
Metainfo of all connectors
    `await afas.all_metainfo()`
    Tests: `tests/client/test_metainfo.py`
Code lists, custom fields, data types
    `models.source(...)`, `models.define(...)`, `python -m afas_async models`
    Tests: `tests/commands/test_models.py`, `tests/models/test_generate.py`
UpdateConnector: POST, PUT
    `await afas.insert(...)`, `await afas.update(...)`
    Tests: `tests/http/test_write_faults_status.py`
Objects, `@Action`, custom fields, attachments in base64
    `Element(fields, key=, objects=, action=)`, bytes as values
    Tests: `tests/wire/test_element_bodies.py`, `tests/write/test_intake.py`
Sub-elements: POST, PUT `/{connector}/{sub}`
    `afas.insert(..., sub="KnBasicAddressAdr")`
    Tests: `tests/client/test_update_connectors.py`
DELETE, also of a line
    `await afas.delete(..., key=, sub=, sub_key=)`
    Tests: `tests/client/test_update_connectors.py`
Several elements in a call; large loads over several calls
    `afas.load(...)`, `afas.outcomes(...)`
    Tests: `tests/write/test_load.py`
Errors: `externalMessage`, `errorNumber`, `profitLogReference`, `X-Profit-Error`, 503 with `retry_after`
    the tree of errors: `afas_async.errors`
    Tests: `tests/http/test_read_faults_status.py`
ProfitVersionConnector
    `await afas.version()`
    Tests: `tests/client/test_data_connectors.py`
FileConnector, with its coding of file names
    `await afas.file(file_id, filename)`
    Tests: `tests/client/test_data_connectors.py`
SubjectConnector
    `await afas.subject(subject_id, file_id)`
    Tests: `tests/client/test_data_connectors.py`
ImageConnector, three formats
    `await afas.image(image_id, "thumbnail")`
    Tests: `tests/client/test_data_connectors.py`
ReportConnector, with filters
    `await afas.report(guid, where=...)`
    Tests: `tests/client/test_data_connectors.py`
Base64, or binary (`SendFileAsBinary`)
    by default, or with `binary=True`
    Tests: `tests/calls/test_file_faults.py`
Classic token
    `AfasClient("12345", auth="<token>...</token>")`, `AppToken`
    Tests: `tests/http/test_auth.py`
OAuth 2.1, client credentials
    `auth=ClientCredentials(client_id, client_secret)`, `auth=PrivateKeyCredentials(client_id, private_key)`
    Tests: `tests/http/test_oauth.py`
Other grants, rotation, vaults
    `auth=` an async function that returns a token or a `BearerToken`
    Tests: `tests/http/test_auth.py`
One-time password: otprequest, otpvalidation
    `await afas_async.otp.request(...)`, `await afas_async.otp.validate(...)`
    Tests: `tests/client/test_otp.py`
Environments: production, test, accept, course
    `Environment("12345", "test")`
    Tests: `tests/client/test_construction.py`
`IntegrationId`, `Accept-Language`
    `AfasClient(integration_id=, language=)`
    Tests: `tests/client/test_headers.py`
Anything else below the base URL
    `await afas.request("GET", "any/path", params={...})`
    Tests: `tests/calls/test_raw.py`

`python -m afas_async models -o models.py --key Profit_Article=ItemCode` writes a typed struct and a constant for each
connector that the token may use (`--check` for CI). Moments in it are naive datetimes, wall time in Amsterdam. Codes
that AFAS adds later break no read.
"""

# The modules that the reference shows: the bases of `AfasClient`.
# pyright: reportUnsupportedDunderAll=false
__all__ = [
    "data_connectors",
    "get_connectors",
    "metainfo",
    "update_connectors",
    "verification",
]
