r'''AFAS inside web services and their tests: the guide.

| You use | Import | You get |
|---|---|---|
| FastAPI | `afas_async.integrations.fastapi` | one client or pool for your app, dependencies, OpenAPI from Structs |
| Starlette | `afas_async.integrations.starlette` | `lifespan`, streaming responses, `install_error_handlers` |
| another framework | `afas_async.integrations.streams` | NDJSON, CSV, Parquet and server-sent events in chunks |
| another framework | `afas_async.integrations.problems` | errors as problem documents |
| OpenTelemetry | `afas_async.integrations.opentelemetry` | spans and metrics, without your values |
| dlt | `afas_async.integrations.dlt` | connectors as resources of dlt |
| Dask | `afas_async.integrations.dask` | plans that a whole cluster reads |
| pytest | `afas_async.integrations.pytest` | fixtures for your tests, without requests to a real AFAS |

A module is loaded only if you import it. Install FastAPI with `pip install "afas-async[fastapi]"`. For a first service
of ten lines, see `afas_async.integrations.fastapi`.

A complete service
------------------

This service has several companies as tenants. It lists and streams articles, and imports dossier items in the
background. You can copy it and start from there. `relations.py`:

    """A service for several companies, each with an AFAS environment of its own.

    TENANTS holds them as JSON: {"acme": {"key": "...", "AFAS_ENVIRONMENT": "12345", "AFAS_TOKEN": "<token>..."}}
    Start it with: uvicorn relations:app --timeout-graceful-shutdown 10
    """

    import asyncio
    import json
    import logging
    import os
    import secrets
    from collections.abc import AsyncIterator
    from contextlib import asynccontextmanager
    from decimal import Decimal
    from pathlib import Path
    from typing import Annotated, Any

    import msgspec
    from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request, Response
    from fastapi import Path as PathParameter

    from afas_async import AfasClient, AfasError, ClientPool, F, GetConnector, JournalError, Load
    from afas_async.integrations.fastapi import (
        PageParameters,
        csv_response,
        install_error_handlers,
        json_response,
        lifespan,
        ndjson_response,
        rows_schema,
        sse_response,
        tenant_client,
    )

    TENANTS = json.loads(os.environ["TENANTS"])
    JOURNALS = Path(os.environ.get("JOURNALS", "."))


    class Article(msgspec.Struct, frozen=True, rename={"code": "ItemCode", "name": "Description", "price": "Price"}):
        """One Struct is the row type of the connector, the body of the responses, and the schema in the OpenAPI."""

        code: str
        name: str | None = None
        price: Decimal | None = None


    class ArticlePage(msgspec.Struct):
        """Some articles, and where the next page begins."""

        articles: list[Article]
        next_skip: int | None


    ARTICLES = GetConnector("Profit_Article", Article, key="ItemCode")


    def make_client(tenant: str) -> AfasClient:
        return AfasClient.from_env(TENANTS[tenant])


    async def tenant_of(x_api_key: Annotated[str, Header()]) -> str:
        for name, settings in TENANTS.items():
            if secrets.compare_digest(settings["key"], x_api_key):
                return name
        raise HTTPException(401, "unknown key")


    Tenant = Annotated[str, Depends(tenant_of)]
    Afas = Annotated[AfasClient, tenant_client(tenant_of)]


    @asynccontextmanager
    async def background(app: FastAPI) -> AsyncIterator[None]:
        app.state.loads = {}
        async with asyncio.TaskGroup() as app.state.tasks:
            yield
            for load in app.state.loads.values():  # SIGTERM: calls in flight end normally, so no outcome is unknown
                load.stop()


    app = FastAPI(title="Relations", lifespan=lifespan(lambda: ClientPool(make_client, most=50), background))
    install_error_handlers(app)


    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}


    @app.get("/articles", responses=rows_schema(ArticlePage, single=True))
    async def list_articles(afas: Afas, page: PageParameters, below: Decimal | None = None) -> Response:
        """List articles, page by page."""
        found = await afas.page(ARTICLES, **page, where=None if below is None else F.Price < below)
        full = len(found.rows) == page["take"]
        return json_response(ArticlePage(found.rows, page["skip"] + page["take"] if full else None))


    @app.get("/articles/{code}", responses=rows_schema(Article, single=True))
    async def get_article(afas: Afas, code: str) -> Response:
        """Return one article."""
        article = await afas.rows(ARTICLES, where=F.ItemCode == code).first()
        if article is None:
            raise HTTPException(404, "no such article")
        return json_response(article)


    @app.get("/articles.ndjson", responses=rows_schema(Article, "application/x-ndjson"), response_class=Response)
    async def stream_articles(afas: Afas, after: Annotated[str | None, Query()] = None) -> Response:
        """Stream all articles; the last line has a cursor for `after` in a later call."""
        return ndjson_response(afas.rows(ARTICLES, after=after), cursor=True)


    @app.get("/articles.csv", responses=rows_schema(Article, "text/csv"), response_class=Response)
    async def download_articles(afas: Afas) -> Response:
        """Download all articles for a spreadsheet."""
        named = {"Content-Disposition": 'attachment; filename="articles.csv"'}
        return csv_response(afas.rows(ARTICLES), delimiter=";", headers=named)


    @app.post("/subjects", status_code=201)
    async def add_subject(afas: Afas, subject: dict[str, Any]) -> dict[str, str]:
        """Add one dossier item, and return its key."""
        return (await afas.insert("KnSubject", subject)).keys[0]


    ImportName = Annotated[str, PathParameter(pattern=r"^[\w-]{1,40}$")]


    async def load_of(request: Request, tenant: Tenant, name: ImportName) -> Load:
        load = request.app.state.loads.get((tenant, name))
        if load is None:
            raise HTTPException(404, "no such import")
        return load


    ThisLoad = Annotated[Load, Depends(load_of)]


    @app.put("/imports/{name}", status_code=202)
    async def start_import(
        request: Request, tenant: Tenant, afas: Afas, name: ImportName, subjects: list[dict[str, Any]]
    ) -> dict[str, str]:
        """Import dossier items in the background. After a restart, the same call continues and sends nothing twice."""
        loads = request.app.state.loads
        if (tenant, name) in loads and not loads[tenant, name].progress.ended:
            raise HTTPException(409, "this import is running")
        load = loads[tenant, name] = afas.load("KnSubject", journal=JOURNALS / f"{tenant}-{name}.journal")
        opened = asyncio.get_running_loop().create_future()
        request.app.state.tasks.create_task(run_import(request.app.state.afas, tenant, load, subjects, opened))
        try:
            await opened
        except JournalError:
            raise HTTPException(409, "this import has ended, or it runs in another process") from None
        return {"progress": f"/imports/{name}/progress", "report": f"/imports/{name}"}


    async def run_import(
        pool: ClientPool, tenant: str, load: Load, subjects: list[dict[str, Any]], opened: asyncio.Future[None]
    ) -> None:
        try:
            async with pool.client(tenant), load:  # the pool keeps a client open while it is in use
                opened.set_result(None)
                for subject in subjects:
                    if load.is_stopped:
                        break
                    await load.add(subject)
        except AfasError as error:
            if not opened.done():
                opened.set_exception(error)  # becomes the response to start_import
            logging.getLogger(__name__).error("an import of %s failed: %s", tenant, error)


    @app.get("/imports/{name}/progress", response_class=Response)
    async def watch_import(load: ThisLoad) -> Response:
        """Follow an import as server-sent events, until it has ended."""
        return sse_response(load.watch(every=0.5))


    @app.get("/imports/{name}")
    async def import_report(load: ThisLoad) -> Response:
        """Report the outcomes of the dossier items, with the reasons of the first 100 failures."""
        report = load.report
        failed = report.failed[:100]
        why = [{"index": outcome.index, "status": outcome.status, "reason": str(outcome.error)} for outcome in failed]
        return json_response({"total": report.total, "counts": report.counts, "failed": why})

Guarantees
----------

- **Errors have the right status.** 404 and 422 are mistakes of your caller, 500 of your program. 502 to 504 come from
  AFAS or from your credential. The body is a problem document with `retryable`, `applied`, `quiet_until`, Profit's
  log reference, and the trace id with which AFAS finds the call. See `afas_async.integrations.problems`.
- **Half a table never looks complete.** Your reader gets an error status if the first batch fails. An error after
  that cuts the connection, even through a `BaseHTTPMiddleware`, and you find one line in the log of your server.
- **A read ends with its reader.** 50 ms after your reader disconnects, no request is in flight any more.
- **Memory does not grow with the table.** A batch is about 64 KiB, and a slow reader slows the read down.
- **SIGTERM loses nothing.** uvicorn waits `--timeout-graceful-shutdown` seconds for responses that are being sent, and
  cuts the rest. Then `load.stop()` lets the calls in flight end. You know every outcome, and you can continue the
  load with its journal.

Yours to decide: authentication, job queues that survive the loss of a machine, caches, CORS and settings.

aiohttp.web
-----------

`articles_aiohttp.py`:

    import asyncio
    import logging

    import msgspec
    from aiohttp import web

    from afas_async import AfasClient, AfasError, GetConnector
    from afas_async.integrations.problems import MEDIA_TYPE, problem_of
    from afas_async.integrations.streams import NDJSON, ndjson, started

    AFAS = web.AppKey("afas", AfasClient)
    ARTICLES = GetConnector("Profit_Article", key="ItemCode")


    async def client(app):
        async with AfasClient.from_env() as app[AFAS]:
            yield


    @web.middleware
    async def problems(request, handler):
        try:
            return await handler(request)
        except AfasError as error:
            problem = problem_of(error)
            body = msgspec.json.encode(problem)
            return web.Response(body=body, status=problem.status, headers=problem.headers, content_type=MEDIA_TYPE)


    async def article(request):
        page = await request.app[AFAS].page(ARTICLES, take=1, skip=int(request.match_info["number"]))
        return web.Response(body=msgspec.json.encode(page.rows), content_type="application/json")


    async def articles(request):
        async with request.app[AFAS].rows(ARTICLES) as rows:  # the end of the block stops running requests
            chunks = await started(ndjson(rows))  # an error until here becomes a problem document
            response = web.StreamResponse(headers={"Content-Type": NDJSON})
            await response.prepare(request)
            try:
                async for chunk in chunks:
                    await response.write(chunk)
            except AfasError as error:  # a partial response must not look complete
                logging.getLogger(__name__).error("%s is cut off: %s", request.path, error)
                request.transport.abort()
            return response


    app = web.Application(middlewares=[problems])
    app.cleanup_ctx.append(client)
    app.add_routes([web.get("/articles", articles), web.get("/articles/{number}", article)])

    if __name__ == "__main__":
        web.run_app(app, handler_cancellation=True)  # a reader that disconnects ends the read

Litestar
--------

`articles_litestar.py`:

    from contextlib import asynccontextmanager

    import msgspec
    from litestar import Litestar, Request, Response, get
    from litestar.datastructures import State
    from litestar.response import Stream

    from afas_async import AfasClient, AfasError, GetConnector
    from afas_async.integrations.problems import MEDIA_TYPE, problem_of
    from afas_async.integrations.streams import NDJSON, ndjson, started


    class Article(msgspec.Struct, rename={"code": "ItemCode"}):
        code: str


    ARTICLES = GetConnector("Profit_Article", Article, key="ItemCode")


    @asynccontextmanager
    async def client(app: Litestar):
        async with AfasClient.from_env() as app.state.afas:
            yield


    def answer(request: Request, error: AfasError) -> Response:
        problem = problem_of(error)
        body = msgspec.json.encode(problem)
        return Response(body, status_code=problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


    @get("/articles/first")
    async def first(state: State) -> list[Article]:  # Litestar supports msgspec, in its OpenAPI too
        return (await state.afas.page(ARTICLES, take=3)).rows


    @get("/articles")
    async def articles(state: State) -> Stream:
        chunks = await started(ndjson(state.afas.rows(ARTICLES)))  # an error until here becomes a problem document
        return Stream(chunks, media_type=NDJSON)


    app = Litestar([first, articles], lifespan=[client], exception_handlers={AfasError: answer})
'''

__docformat__ = "google"

# The modules that the reference (pdoc) shows.
# pyright: reportUnsupportedDunderAll=false
__all__ = [
    "dask",
    "dlt",
    "fastapi",
    "opentelemetry",
    "problems",
    "pytest",
    "starlette",
    "streams",
]
