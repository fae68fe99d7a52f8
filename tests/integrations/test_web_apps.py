"""A FastAPI app over a real server: streams, their ends, errors, and what OpenAPI says."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.testclient import TestClient

from afas_async import AfasClient, ClientPool, F, GetConnector, columns
from afas_async.integrations.fastapi import (
    Afas,
    PageParameters,
    csv_response,
    install_error_handlers,
    json_response,
    lifespan,
    ndjson_response,
    parquet_response,
    rows_schema,
    sse_response,
    tenant_client,
)
from afas_async.simulator import Fault, Latency, Simulator
from tests.support import canary
from tests.support.web_server import get, served, until


class Article(msgspec.Struct, frozen=True, rename={"item_code": "ItemCode", "price": "Price"}):
    item_code: str
    price: Decimal | None = None


ARTICLES = GetConnector("Profit_Article", Article, key="ItemCode")
DICTS = GetConnector("Profit_Article", key="ItemCode")
NDJSON = {"responses": rows_schema(Article, "application/x-ndjson"), "response_class": Response}
ROWS = 3_000


async def tenant_of(name: str) -> str:
    return name


TenantAfas = Annotated[AfasClient, tenant_client(tenant_of)]


def make_app(make: Callable[[], AfasClient]) -> FastAPI:
    app = FastAPI(lifespan=lifespan(make))
    install_error_handlers(app)

    @app.get("/page", responses=rows_schema(Article))
    async def page(afas: Afas, paging: PageParameters) -> Response:
        return json_response((await afas.page(ARTICLES, **paging)).rows)

    @app.get("/ndjson", **NDJSON)
    @app.head("/ndjson", **NDJSON)
    async def lines(afas: Afas, *, cursor: bool = False) -> Response:
        return ndjson_response(afas.rows(ARTICLES), cursor=cursor)

    @app.get("/csv")
    async def table(afas: Afas) -> Response:
        return csv_response(afas.rows(ARTICLES), headers={"Content-Disposition": 'attachment; filename="a.csv"'})

    @app.get("/csv-of-dicts")
    async def dicts(afas: Afas, below: str) -> Response:
        return csv_response(afas.rows(DICTS, where=F.ItemCode < below), delimiter=";")

    @app.get("/parquet")
    async def file(afas: Afas, above: str = "") -> Response:
        where = F.ItemCode > above if above else None
        return parquet_response(columns.batches(afas, "Profit_Article", key="ItemCode", where=where))

    @app.get("/empty-csv")
    async def empty(afas: Afas) -> Response:
        return csv_response(afas.rows(ARTICLES, where=F.ItemCode == "none"))

    @app.get("/raw-csv")
    async def raw(afas: Afas) -> Response:
        return csv_response(afas.rows(GetConnector("Profit_Article", msgspec.Raw, key="ItemCode")))

    @app.get("/cursor-of-changes")
    async def changes(afas: Afas) -> Response:
        return ndjson_response(afas.changes(ARTICLES, modified="ModifiedOn"), cursor=True)

    @app.get("/refused")
    async def refused(afas: Afas) -> None:
        await afas.insert("KnSubject", {"StId": 1, "Ds": canary.TOKEN, "St": "Z"})

    @app.get("/mistake")
    async def mistake(afas: Afas) -> None:
        await afas.rows("Profit_Article").to_list()

    return app


@pytest.fixture
def app(simulator: Simulator) -> FastAPI:
    return make_app(lambda: AfasClient(base_url=simulator.base_url, auth=simulator.token, max_retries=0))


@pytest.fixture
async def port(app: FastAPI) -> AsyncIterator[int]:
    async with served(app) as port:
        yield port


def records(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_lines_of_json(port: int) -> None:
    """All rows come, and a cursor at the end on request."""
    got = await get(port, "/ndjson")
    assert (got.status, got.headers["content-type"], got.whole) == (200, "application/x-ndjson", True)
    rows = [json.loads(line) for line in got.body.splitlines()]
    assert len({row["ItemCode"] for row in rows}) == len(rows) == ROWS
    *rest, last = (await get(port, "/ndjson?cursor=true")).body.splitlines()
    assert (b"\n".join(rest) + b"\n", list(json.loads(last))) == (got.body, ["cursor"])


async def test_a_csv_file(port: int) -> None:
    """The service's names stand in the first line, also for Structs without a row. A missing value is empty."""
    got = await get(port, "/csv")
    header, *lines = got.body.decode().splitlines()
    assert (header, len(lines), lines[1], got.whole) == ("ItemCode,Price", ROWS, "000002,", True)
    assert got.headers["content-disposition"] == 'attachment; filename="a.csv"'
    assert (await get(port, "/empty-csv")).body == b"ItemCode,Price\r\n"
    header, *lines = (await get(port, "/csv-of-dicts?below=000003")).body.decode().splitlines()
    assert header.startswith("ItemCode;Description;")
    assert [line.split(";")[0] for line in lines] == ["000001", "000002"]
    assert (await get(port, "/csv-of-dicts?below=0")).body == b""


async def test_a_parquet_file(port: int, simulator: Simulator) -> None:
    """It has all rows, with their types, also if there are none; an error before the first row keeps its status."""
    pq = pytest.importorskip("pyarrow.parquet")
    got = await get(port, "/parquet")
    assert (got.headers["content-type"], got.whole) == ("application/vnd.apache.parquet", True)
    table = pq.read_table(io.BytesIO(got.body))
    assert (table.num_rows, str(table.schema.field("Price").type)) == (ROWS, "decimal128(18, 2)")
    none = pq.read_table(io.BytesIO((await get(port, "/parquet?above=z")).body))
    assert (none.num_rows, none.schema) == (0, table.schema)
    simulator.faults.add(Fault(path="connectors/", status=503))
    assert (await get(port, "/parquet")).status == 503


async def test_a_page(port: int) -> None:
    """The parameters of a page are those of `page`, and a value beyond the bounds is a 422."""
    got = await get(port, "/page?skip=2&take=1&order_by=-ItemCode")
    assert json.loads(got.body)[0]["ItemCode"] == "002998"
    assert len(json.loads((await get(port, "/page")).body)) == 100
    for wrong in ("skip=-1", "take=0", "take=1001", "order_by=a%20b"):
        assert (await get(port, f"/page?{wrong}")).status == 422


async def test_head_reads_no_further_than_the_status(port: int, simulator: Simulator) -> None:
    """A HEAD request learns the status, and nobody reads the rows for it."""
    got = await get(port, "/ndjson", method="HEAD")
    assert (got.status, got.body) == (200, b"")
    assert simulator.counters.rows < ROWS


@pytest.mark.parametrize("path", ["/raw-csv", "/cursor-of-changes"])
async def test_what_cannot_be_streamed(port: int, path: str) -> None:
    """A mistake of the program is a server error, before anything is sent."""
    assert (await get(port, path)).status == 500


async def test_an_error_before_the_first_row_keeps_its_status(
    port: int, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """The first batch decides the status."""
    simulator.faults.add(Fault(status=503, retry_after=7))
    got = await get(port, "/ndjson")
    assert (got.status, got.headers["retry-after"]) == (503, "7")
    assert json.loads(got.body)["retryable"] is True
    assert [(record.name, record.exc_info) for record in records(caplog)] == [("afas_async", None)]


async def count_requests(app: FastAPI) -> None:
    """Add a middleware that finishes a response, whatever happens in it."""

    @app.middleware("http")
    async def count(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        return await call_next(request)


@pytest.mark.parametrize("middleware", [False, True])
@pytest.mark.parametrize("path", ["/ndjson?cursor=true", "/csv"])
async def test_a_later_error_cuts_the_connection(
    app: FastAPI, simulator: Simulator, caplog: pytest.LogCaptureFixture, path: str, *, middleware: bool
) -> None:
    """Half of the rows are never taken for all, and the log has one line that says why."""
    if middleware:
        await count_requests(app)
    simulator.faults.add(Fault(cut="reset", at=1_000, after=2, times=None))
    async with served(app) as port:
        got = await get(port, path)
    assert (got.status, got.whole) == (200, False)
    assert got.body
    (record,) = records(caplog)
    assert record.name == "uvicorn.error"
    assert record.exc_info is None
    assert "cut off: Profit_Article: the connection broke" in record.getMessage()


async def test_a_time_out_within_a_stream_cuts_it(simulator: Simulator) -> None:
    """A time-out of AFAS, which is an OSError as well, is not taken for a disconnected reader."""
    app = make_app(lambda: AfasClient(base_url=simulator.base_url, auth=simulator.token, max_retries=0, timeout=5))
    simulator.faults.add(Fault(cut="stall", at=1_000, after=2, times=None))
    async with served(app) as port:
        assert not (await get(port, "/ndjson")).whole


@pytest.mark.parametrize("middleware", [False, True])
@pytest.mark.parametrize("received", [0, 2_000])
async def test_the_read_ends_with_its_reader(
    app: FastAPI, simulator: Simulator, caplog: pytest.LogCaptureFixture, received: int, *, middleware: bool
) -> None:
    """When the reader disconnects, no request is left at AFAS within 50 ms, also while the read waits for a page."""
    if middleware:
        await count_requests(app)
    simulator.latency = Latency(base=2.0)
    seconds = list[float]()
    async with served(app) as port:
        for _ in range(3):  # the clock counts what a busy machine takes, too
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /ndjson HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await reader.readexactly(received)
            await until(lambda: simulator.counters.in_flight)
            writer.transport.abort()
            seconds.append(await until(lambda: not simulator.counters.in_flight))
        requests = simulator.counters.requests
        await asyncio.sleep(10)
        assert simulator.counters.requests == requests
    assert min(seconds) < 0.05
    assert records(caplog) == []


async def test_what_afas_refuses(port: int) -> None:
    """Profit's text and log reference reach the caller."""
    got = await get(port, "/refused")
    document = json.loads(got.body)
    assert (got.status, got.headers["content-type"]) == (422, "application/problem+json")
    assert document["log_reference"]
    assert document["detail"]


async def test_a_mistake_of_the_program(port: int, caplog: pytest.LogCaptureFixture) -> None:
    """The traceback is in the log, and the caller gets no detail of it."""
    got = await get(port, "/mistake")
    assert (got.status, list(json.loads(got.body))) == (500, ["status", "title"])
    (record,) = records(caplog)
    assert record.exc_info is not None


async def test_events(simulator: Simulator) -> None:
    """Each object of the source is an event, and the last event says that it was the last."""
    app = FastAPI(lifespan=lifespan(AfasClient(base_url=simulator.base_url, auth=simulator.token)))

    @app.get("/load")
    async def load(afas: Afas) -> Response:
        async with afas.load("KnSubject") as load:
            await load.add({"StId": 1, "Ds": "x"})
        return sse_response(load.watch())

    async with served(app) as port:
        got = await get(port, "/load")
    first, last, rest = got.body.split(b"\n\n")
    assert json.loads(first.removeprefix(b"data: "))["elements"] == 1
    assert (last, rest) == (b"event: end\ndata: {}", b"")
    assert got.headers["content-type"].startswith("text/event-stream")


async def test_tenants(simulator: Simulator) -> None:
    """Each tenant has a client, which stays in use until the last row of a stream is sent."""
    pools = list[ClientPool]()

    def make() -> ClientPool:
        pools.append(ClientPool(lambda _: AfasClient(base_url=simulator.base_url, auth=simulator.token), most=1))
        return pools[-1]

    app = FastAPI(lifespan=lifespan(make))

    @app.get("/rows")
    async def rows(afas: TenantAfas) -> Response:
        return ndjson_response(afas.rows(ARTICLES))

    simulator.latency = Latency(per_row=0.001)
    async with served(app) as port:
        reading = [asyncio.create_task(get(port, f"/rows?name={name}")) for name in ("acme", "other")]
        await until(lambda: simulator.counters.rows > 200)
        statistics = pools[0].statistics()
        assert (statistics.open, statistics.in_use, statistics.waiting) == (1, 1, 1)
        assert [(got.whole, got.body.count(b"\n")) for got in await asyncio.gather(*reading)] == [(True, ROWS)] * 2
        assert pools[0].statistics().in_use == 0


async def test_openapi(app: FastAPI) -> None:
    """The rows stand in the OpenAPI by their Struct, of a list as of a line, with the bounds of a page."""
    paths = app.openapi()["paths"]
    (name, rows), *others = paths["/page"]["get"]["responses"]["200"]["content"].items()
    assert (name, others) == ("application/json", [])
    (name, line), *others = paths["/ndjson"]["get"]["responses"]["200"]["content"].items()
    assert (name, others) == ("application/x-ndjson", [])
    assert rows["schema"] == {"type": "array", "items": line["schema"]}
    assert list(line["schema"]["properties"]) == ["ItemCode", "Price"]
    assert {each["name"]: each["schema"].get("maximum") for each in paths["/page"]["get"]["parameters"]} == {
        "skip": 100_000,
        "take": 1_000,
        "order_by": None,
    }


def test_a_schema_of_one_object() -> None:
    """A page with its rows in it is described with all its parts in place."""

    class Page(msgspec.Struct):
        rows: list[Article]
        following: int | None

    schema = rows_schema(Page, single=True)[200]["content"]["application/json"]["schema"]
    assert "$ref" not in json.dumps(schema)
    assert list(schema["properties"]["rows"]["items"]["properties"]) == ["ItemCode", "Price"]


@pytest.fixture
def running() -> Iterator[Simulator]:
    with Simulator.running(rows=10, token=canary.TOKEN) as simulator:
        yield simulator


def test_a_life_within_another(running: Simulator) -> None:
    """The app's own lifespan runs within that of the client, its state is kept, and a function serves many lives."""
    seen = list[str]()

    @asynccontextmanager
    async def own(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        seen.append(await app.state.afas.version())
        yield {"greeting": "hello"}
        seen.append("ended")

    app = FastAPI(lifespan=lifespan(lambda: AfasClient(base_url=running.base_url, auth=running.token), own))

    @app.get("/")
    async def greeting(request: Request) -> str:
        return str(request.state.greeting)

    for _ in range(2):
        with TestClient(app) as http:
            assert http.get("/").json() == "hello"
    assert seen == ["22.22.5", "ended"] * 2


def test_a_stream_in_a_test_client(running: Simulator) -> None:
    """An app's own test sees that a stream was cut off."""
    app = make_app(lambda: AfasClient(base_url=running.base_url, auth=running.token, max_retries=0))
    with TestClient(app) as http:
        assert len(http.get("/ndjson").text.splitlines()) == 10
        running.faults.add(Fault(cut="reset", at=300, times=None))
        with pytest.raises(Exception, match="cut off"):
            http.get("/ndjson")
