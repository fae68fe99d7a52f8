"""The client: everything you can call, and the guide to it.

`AfasClient` is where you start. It has a method for each thing that the API offers:

    >>> import asyncio
    >>> from afas_async import AfasClient
    >>> from afas_async.simulator import Simulator
    >>> async def main():
    ...     async with (
    ...         Simulator(rows=500) as simulator,  # yours: AfasClient("12345", auth="<token>")
    ...         AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ...     ):
    ...         page = await afas.page("Profit_Article", take=2, order_by="ItemCode")  # one request
    ...         print([row["ItemCode"] for row in page.rows])
    ...         async for row in afas.rows("Profit_Article", key="ItemCode"):  # all rows
    ...             last = row
    ...         print(last["ItemCode"])
    ...         written = await afas.insert("KnSubject", {"StId": 1, "Ds": "Offerte"})
    ...         print(written.keys)
    >>> asyncio.run(main())
    ['000001', '000002']
    000500
    ({'SbId': '201'},)

The methods in groups:

- Read: `rows`, `pages`, `page`, `plan`, `changes`, `deleted_keys`. See the guide `afas_async.read`.
- Write: `insert`, `update`, `delete`, `validate`, `load`, `outcomes`. See the guide `afas_async.write`.
- Ask what there is: `ping`, `version`, `metainfo`, `get_metainfo`, `update_metainfo`, `all_metainfo`, `verify`.
- Download: `file`, `subject`, `image`, `report`.
- Anything else: `request`.

Open and close
--------------

You create a client without I/O, open it once, and share it between any number of tasks of one event loop. `async with`
opens and closes it. If you cannot use that, call `open` and `aclose`.

`afas.with_options(timeout=60)` gives you a view with other options and the same connections. It costs nothing, so you
can make one for a single call.

Credentials
-----------

`auth` is one of these:

- The app connector's token, as text or as `AppToken`.
- `ClientCredentials(client_id, client_secret)`, for OAuth. One access token serves all requests. It is renewed before
  it expires, and once more when it is refused. If a renewal fails for a moment, your requests go on with the token that
  is still valid.
- `PrivateKeyCredentials(client_id, private_key)`. It works the same way, and AFAS prefers it from Profit 9 on.
- An async function without arguments that returns a token as text, `AppToken` or `BearerToken`, for vaults and
  rotation.

The function is called for the first request, and again when its token is refused (401). If it returns another token,
the request is sent once more. If it returns the same one, it is not called again for a minute, except by `ping`. It has
60 seconds. If it raises, you get a `ConfigurationError` with that exception as its cause.

`AfasClient.from_env()` reads `AFAS_TOKEN`, or `AFAS_CLIENT_ID` and `AFAS_CLIENT_SECRET`, from environment variables. It
also reads `AFAS_ENVIRONMENT` (with `AFAS_ENVIRONMENT_TYPE`) or `AFAS_BASE_URL`.

Limits and time-outs
--------------------

- `max_concurrency`, `limiter`: how many requests run at a time. By default, all clients of one environment share 5 in
  each event loop. AFAS advises no more (GET connector). With `max_concurrency`, a client and its views have a limit of
  their own, from 1 to 8. With `limiter`, the clients you choose share a `Limiter`, and processes share a `FileLimiter`.
- `timeout`: the seconds for a request with all its retries; in a stream, for each page. The wait for a free slot does
  not count. Nor does the time that a stream waits for your code. For a write, the time counts until it is sent.
- `write_timeout`: the seconds you wait for the response once a write is sent. The service itself ends a call after 900.
  A shorter time than the default of 960 does not stop the service: when it is over, the outcome of the write is
  unknown.
- `max_retries`: how often a request is sent again after a fault of the connection or a sign of overload.
- `memory`: the bytes of responses that wait for their readers, in all streams of a client: 16 MiB by default, 1 MiB at
  least. The page that a stream reads from always arrives: it has 128 KiB, even if the others use up the rest.
- `proxy`, `ssl_context`: the way to the service. A proxy is used only if you give it, never from environment variables.
  The default TLS context verifies the server and demands TLS 1.2. All clients of a process share it. It trusts the
  authorities that your machine trusts when the first client opens.
- `user_agent`: your program's name and version. They follow those of this library in the `User-Agent` header.
- `language`: for labels and messages. With "fr-fr" and "de-de", messages still come in English. The client decides by
  their text whether to retry, and AFAS does not document the texts in those languages.
- `drift`: what happens if your row type declares a field that no row has. "warn" gives you a `SchemaDriftWarning`, once
  for each connector. "error" raises `SchemaDriftError`.

In a web service
----------------

You await one page, and stream a connector into a response (`pip install "afas-async[fastapi]"`). The guide
`afas_async.integrations` has a complete service, with tenants and loads.

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
    ...     return ndjson_response(afas.rows(ARTICLES))  # the read ends if the browser goes away
    >>> with TestClient(app) as http:
    ...     for article in http.get("/articles/dearest").json():
    ...         print(article)
    ...     print(len(http.get("/articles").text.splitlines()), "articles")
    {'ItemCode': '000126', 'Price': '9985.26'}
    {'ItemCode': '004915', 'Price': '9984.89'}
    {'ItemCode': '001534', 'Price': '9982.4'}
    5000 articles

In a nightly job
----------------

You copy a connector page by page, within a memory bound, and see how far it is:

    >>> import sqlite3
    >>> LINES = GetConnector("Profit_JournalLines", key=("UnitId", "EntryNo", "LineNo"))  # rows are dicts
    >>> async def main():
    ...     database = sqlite3.connect(":memory:")
    ...     database.execute("CREATE TABLE lines (unit, entry, line, account, PRIMARY KEY (unit, entry, line))")
    ...     async with (
    ...         Simulator(rows=20_000, latency=Latency(base=0.05)) as simulator,
    ...         AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ...         afas.pages(LINES) as pages,  # whole pages; leaving the block ends its requests
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

Instead of writing your own copy, you can keep one up to date with `afas_async.columns.sync`, or export to Parquet.

Loading records
---------------

You send many records, and must know what became of each. The guide `afas_async.write` has an example, and says what a
load guarantees.

Many tenants
------------

`ClientPool(make)` keeps the open clients of your service: `async with pool.client("acme") as afas:`. Clients of one
environment share a limit of 5 requests. To share it between all processes of a machine, give each client
`limiter=FileLimiter(path, 5)`.

Logs, metrics and traces
------------------------

Your `on_event` is called with an `Event` for each step of a request, and at the end of each of your calls. It runs in
the event loop, so it must not block. An event holds no values of your data, so you can log them all. `AFAS_LOG=debug`
in the environment does that without any code.

The context variables of your call are set in `on_event` and in log records. So your request id gets there by itself.
`afas.statistics(by="connector")` counts without a listener.

`afas_async.integrations.opentelemetry` makes spans and metrics. For Prometheus, a function is enough
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

Typed models
------------

`python -m afas_async models -o models.py --key Profit_Article=ItemCode` writes a Struct and a constant for each
connector that your token may use. Add `--check` in CI, to see when they change. Moments in it are naive datetimes, wall
time in Amsterdam. If AFAS adds a code later, your reads go on.

Guarantees
----------

- **The service is spared.** At most 5 requests to an environment (or `max_concurrency`) run at a time, for all your
  tasks together, and fewer after signs of overload.
- **Each request is sent once.** Nothing is repeated unseen, and no redirect is followed. Retries follow one table and
  obey Retry-After.
- **You get a complete file, or an error.** With `to=path`, a file is written piece by piece. It gets its name only
  when all of it is there.
- **A wrong or expired credential is reported at once.** It raises `AuthenticationError`. For a minute, nothing more is
  sent with that credential to that connector, or to the token endpoint. `await afas.ping()`, a "test connection",
  ends that wait.
- **You know what to do about each error.** See `error.retryable`, `error.applied` and `error.whose` in
  `afas_async.errors`.
- **Your token stays secret.** It is in no repr, log, event, pickle or traceback, captured local variables included. If
  you write the loop by hand, your crash reporter keeps the token with the traceback.
- **A cancelled call leaves nothing running.** No task, connection or slot stays in use.

Limits
------

- **OAuth** covers client credentials. For other grants, give an async function that returns a `BearerToken`. DPoP is
  not supported.
- **BI models, SOAP and webhooks** are other APIs. This library does not call them.

Everything the API offers
-------------------------

Each entry names a feature as AFAS documents it, your call, and the tests that try it over HTTP.

- GetConnector with `skip`, `take`, `orderbyfieldids`:
  `afas.rows(...)`, `afas.pages(...)`, `afas.page(..., skip=, take=, order_by=)`.
  Tests: `tests/read`
- Everything in one response (`skip=-1`, `take=-1`):
  `afas.rows(..., take=-1)`.
  Tests: `tests/read`
- Filters, 15 operators, and/or, simple form and `filterjson`:
  `where=(F.Price < 10) & F.Name.contains("x")`.
  Tests: `tests/wire/test_filter_parameters.py`, `tests/simulator/test_filters.py`
- Synchronise by modified date:
  `afas.changes(...)`, `afas.deleted_keys(...)`.
  Tests: `tests/read/test_changes.py`
- Metainfo of what the token may use:
  `await afas.metainfo()`.
  Tests: `tests/client/test_metainfo.py`
- Metainfo of a GetConnector, an UpdateConnector:
  `await afas.get_metainfo(name)`, `await afas.update_metainfo(name)`.
  Tests: `tests/calls/test_metainfo.py`
- Metainfo of all connectors:
  `await afas.all_metainfo()`.
  Tests: `tests/client/test_metainfo.py`
- Code lists, custom fields, data types:
  `models.source(...)`, `models.define(...)`, `python -m afas_async models`.
  Tests: `tests/commands/test_models.py`, `tests/models/test_generate.py`
- UpdateConnector with POST, PUT:
  `await afas.insert(...)`, `await afas.update(...)`.
  Tests: `tests/http/test_write_faults_status.py`
- Objects, `@Action`, custom fields, attachments in base64:
  `Element(fields, key=, objects=, action=)`, bytes as values.
  Tests: `tests/wire/test_element_bodies.py`, `tests/write/test_intake.py`
- Sub-elements with POST, PUT `/{connector}/{sub}`:
  `afas.insert(..., sub="KnBasicAddressAdr")`.
  Tests: `tests/client/test_update_connectors.py`
- DELETE, also of a line:
  `await afas.delete(..., key=, sub=, sub_key=)`.
  Tests: `tests/client/test_update_connectors.py`
- Several elements in a call; large loads over several calls:
  `afas.load(...)`, `afas.outcomes(...)`.
  Tests: `tests/write/test_load.py`
- `externalMessage`, `errorNumber`, `profitLogReference`, `X-Profit-Error`, 503 with `retry_after`:
  the errors in `afas_async.errors`.
  Tests: `tests/http/test_read_faults_status.py`
- ProfitVersionConnector:
  `await afas.version()`.
  Tests: `tests/client/test_data_connectors.py`
- FileConnector, with its coding of file names:
  `await afas.file(file_id, filename)`.
  Tests: `tests/client/test_data_connectors.py`
- SubjectConnector:
  `await afas.subject(subject_id, file_id)`.
  Tests: `tests/client/test_data_connectors.py`
- ImageConnector, three formats:
  `await afas.image(image_id, "thumbnail")`.
  Tests: `tests/client/test_data_connectors.py`
- ReportConnector, with filters:
  `await afas.report(guid, where=...)`.
  Tests: `tests/client/test_data_connectors.py`
- Base64, or binary (`SendFileAsBinary`):
  by default, or with `binary=True`.
  Tests: `tests/calls/test_file_faults.py`
- Classic token:
  `AfasClient("12345", auth="<token>...</token>")`, `AppToken`.
  Tests: `tests/http/test_auth.py`
- OAuth 2.1, client credentials:
  `auth=ClientCredentials(client_id, client_secret)`, `auth=PrivateKeyCredentials(client_id, private_key)`.
  Tests: `tests/http/test_oauth.py`
- Other grants, rotation, vaults:
  `auth=` an async function that returns a token or a `BearerToken`.
  Tests: `tests/http/test_auth.py`
- One-time password with otprequest, otpvalidation:
  `await afas_async.otp.request(...)`, `await afas_async.otp.validate(...)`.
  Tests: `tests/client/test_otp.py`
- Environments (production, test, accept, course):
  `Environment("12345", "test")`.
  Tests: `tests/client/test_construction.py`
- `IntegrationId`, `Accept-Language`:
  `AfasClient(integration_id=, language=)`.
  Tests: `tests/client/test_headers.py`
- Anything else below the base URL:
  `await afas.request("GET", "any/path", params={...})`.
  Tests: `tests/calls/test_raw.py`
"""

__docformat__ = "google"

# The modules that the reference shows: the bases of `AfasClient`.
# pyright: reportUnsupportedDunderAll=false
__all__ = [
    "data_connectors",
    "get_connectors",
    "metainfo",
    "update_connectors",
    "verification",
]
