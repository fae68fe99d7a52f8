"""AFAS in your Starlette app: a client for its lifespan, streaming responses, and errors as problem documents.

`afas_async.integrations.fastapi` has the same functions. The guide is `afas_async.integrations`.
"""

from __future__ import annotations

__docformat__ = "google"

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import anyio
import msgspec

from afas_async.client.client import AfasClient
from afas_async.client.pool import ClientPool
from afas_async.errors import AfasError
from afas_async.integrations.problems import MEDIA_TYPE, problem_of
from afas_async.integrations.streams import CSV, EVENTS, NDJSON, PARQUET, csv_lines, events, ndjson, parquet
from afas_async.read.stream import RowStream

try:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send
except ImportError as _missing:  # pragma: no cover
    raise ImportError('install Starlette or FastAPI: pip install "afas-async[fastapi]"') from _missing

if TYPE_CHECKING:
    from afas_async.columns.stream import Batches

AfasService: TypeAlias = AfasClient | ClientPool
Lifespan: TypeAlias = Callable[[Any], AbstractAsyncContextManager[Any]]  # yields the state of its requests, or None

_LOG: Final = logging.getLogger("afas_async")
_SERVER_LOG: Final = "uvicorn.error"
_CUT: Final = "the response is cut off"


def lifespan(afas: AfasService | Callable[[], AfasService], own: Lifespan | None = None) -> Lifespan:
    """Return a lifespan that opens a client or pool when your app starts, and closes it when your app ends.

    You find the client in `app.state.afas`.

    Args:
        afas: A function that returns the client or pool, such as `AfasClient.from_env`. You can also pass a client, but
            it can be opened only once. If a `TestClient` starts your app twice, use a function.
        own: Your own lifespan, if you have one. It runs while the client is open, and its state is kept.

    Returns:
        The lifespan, for `Starlette(lifespan=...)` or `FastAPI(lifespan=...)`.

    Example:
        >>> from starlette.testclient import TestClient
        >>> simulator = Simulator(rows=500)
        >>> async def version(request):
        ...     return json_response(await request.app.state.afas.version())
        >>> @asynccontextmanager
        ... async def own(app):
        ...     async with simulator:
        ...         with_afas = lifespan(lambda: AfasClient(base_url=simulator.base_url, auth=simulator.token))
        ...         async with with_afas(app):
        ...             yield
        >>> app = Starlette(lifespan=own)
        >>> app.add_route("/version", version)
        >>> with TestClient(app) as http:
        ...     http.get("/version").json()
        '22.22.5'
    """

    @asynccontextmanager
    async def both(app: Starlette) -> AsyncGenerator[Mapping[str, Any] | None]:
        async with afas() if callable(afas) else afas as app.state.afas:
            if own is None:
                yield None
            else:
                async with own(app) as state:
                    yield state

    return both


def install_error_handlers(app: Starlette) -> None:
    """Turn each AfasError in your app into a response with a problem document.

    `afas_async.integrations.problems.problem_of` lists the statuses. If the error is a mistake in your program (status
    500), its traceback is logged to the logger "afas_async". For the other 5xx, one line is logged. Neither the
    response nor the log shows a credential.

    Args:
        app: Your Starlette or FastAPI app.

    Example:
        >>> from starlette.testclient import TestClient
        >>> async def article(request):
        ...     raise UnavailableError("maintenance", status=503, connector="Profit_Article", retry_after=30)
        >>> app = Starlette()
        >>> install_error_handlers(app)
        >>> app.add_route("/article", article)
        >>> with TestClient(app) as http:
        ...     response = http.get("/article")
        >>> response.status_code, response.headers["Retry-After"]
        (503, '30')
    """
    app.add_exception_handler(AfasError, _answer)


async def _answer(request: Request, error: Exception) -> Response:
    assert isinstance(error, AfasError)  # noqa: S101 - it is registered for AfasError only
    response = problem_response(error)
    if response.status_code >= 500:
        traceback = error if response.status_code == 500 else None
        _LOG.error("%s %s: %s", request.method, request.url.path, error, exc_info=traceback)
    return response


def problem_response(error: AfasError) -> Response:
    """Return a response with the problem document of an error, for your own error handler.

    `install_error_handlers` uses it for each AfasError. See `afas_async.integrations.problems.problem_of` for the
    statuses and the content.

    Args:
        error: The error.

    Returns:
        A response of type "application/problem+json", with Retry-After if its status is 503.

    Example:
        >>> problem_response(NotFoundError("not found", status=404, connector="Profit_Article")).status_code
        404
    """
    problem = problem_of(error)
    return Response(msgspec.json.encode(problem), problem.status, problem.headers, MEDIA_TYPE)


def json_response(content: object, status_code: int = 200) -> Response:
    """Return a response with your rows, Structs or other objects as JSON.

    msgspec encodes them directly, without dicts or pydantic in between.

    Args:
        content: Anything that msgspec can encode, such as `page.rows`. For more than a few thousand rows, use
            `ndjson_response`, which keeps only one batch in memory.
        status_code: The HTTP status.

    Returns:
        A response of type "application/json".

    Example:
        >>> json_response({"articles": 3}).body
        b'{"articles":3}'
    """
    return Response(msgspec.json.encode(content), status_code, media_type="application/json")


def ndjson_response(
    rows: RowStream[Any], *, cursor: bool = False, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a response that streams your rows as lines of JSON.

    Memory stays constant, however slow the reader is. If an error comes before the first batch, your reader gets its
    status. A later error cuts the connection, so that half the rows cannot look complete, and your server logs one
    line. When the reader disconnects, the requests to AFAS end at once.

    Args:
        rows: `afas.rows(...)` or `afas.changes(...)`.
        cursor: Whether the last line is `{"cursor": "..."}`; see `afas_async.integrations.streams.ndjson`.
        headers: Additional headers.

    Returns:
        A response of type "application/x-ndjson".

    Example:
        >>> from starlette.testclient import TestClient
        >>> async def articles(request):
        ...     return ndjson_response(request.app.state.afas.rows(GetConnector("Profit_Article", key="ItemCode")))
        >>> with Simulator.running(rows=500) as sim:
        ...     app = Starlette(lifespan=lifespan(lambda: AfasClient(base_url=sim.base_url, auth=sim.token)))
        ...     app.add_route("/articles", articles)
        ...     with TestClient(app) as http:
        ...         len(http.get("/articles").text.splitlines())
        500
    """
    return _Streamed(ndjson(rows, cursor=cursor), NDJSON, headers, rows)


def csv_response(rows: RowStream[Any], *, delimiter: str = ",", headers: Mapping[str, str] | None = None) -> Response:
    """Return a response that streams your rows as CSV.

    Errors, memory and disconnects are handled as in `ndjson_response`, which also shows an example.

    Args:
        rows: `afas.rows(...)` or `afas.changes(...)`, with Structs or dicts as rows.
        delimiter: The character between two fields. A Dutch Excel expects ";".
        headers: Additional headers. For a download, pass
            `{"Content-Disposition": 'attachment; filename="articles.csv"'}`.

    Returns:
        A response of type "text/csv" in UTF-8; see `afas_async.integrations.streams.csv_lines`.
    """
    return _Streamed(csv_lines(rows, delimiter=delimiter), CSV, headers, rows)


def parquet_response(batches: Batches, *, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response that streams a Parquet file. Install `afas-async[columns]` to use it.

    Errors and disconnects are handled as in `ndjson_response`. The memory that you need is one row group of 131,072
    rows.

    Args:
        batches: `columns.batches(...)` or `columns.changes(...)`.
        headers: Additional headers. For a download, pass
            `{"Content-Disposition": 'attachment; filename="articles.parquet"'}`.

    Returns:
        A response of type "application/vnd.apache.parquet"; see `afas_async.integrations.streams.parquet`.
    """
    return _Streamed(parquet(batches), PARQUET, headers, batches)


def sse_response(progress: AsyncIterable[Any]) -> Response:
    """Return a response of server-sent events, so that a browser can follow a load of yours.

    After the last object it sends an event of type `end`. Close your EventSource then, or it connects again.

    Args:
        progress: An async iterable of objects that msgspec can encode, such as `load.watch()`.

    Returns:
        A response of type "text/event-stream", which caches and proxies do not hold back; see
        `afas_async.integrations.streams.events`.
    """
    return _Streamed(events(progress), EVENTS, {"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


class StreamCutError(Exception):
    """A response failed after its first chunk. The server gets this error and cuts the connection."""


class _Streamed(Response):
    """A response that is sent in chunks. It starts when the first chunk is ready.

    Args:
        chunks: The body.
        media_type: Its content type.
        headers: Additional headers.
        rows: The stream that the chunks come from. It is closed in any case.
    """

    def __init__(
        self,
        chunks: AsyncGenerator[bytes],
        media_type: str,
        headers: Mapping[str, str] | None = None,
        rows: RowStream[Any] | Batches | None = None,
    ) -> None:
        super().__init__(None, headers=headers, media_type=media_type)
        del self.headers["content-length"]
        self._chunks = chunks
        self._rows = rows
        self._has_begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the chunks until the last one, or until the reader disconnects."""
        failure: Exception | None = None
        try:
            async with anyio.create_task_group() as tasks:

                async def leave() -> None:
                    while (await receive())["type"] != "http.disconnect":
                        pass
                    tasks.cancel_scope.cancel()

                tasks.start_soon(leave)
                try:
                    await self._send(scope, send)
                except Exception as error:  # noqa: BLE001 - raised outside the group, which would wrap it
                    failure = error
                tasks.cancel_scope.cancel()
        except asyncio.CancelledError as error:
            error.add_note(_cut(scope, "the server is shutting down"))
            raise
        finally:
            await self._chunks.aclose()
            if self._rows is not None:
                await self._rows.aclose()
        if failure is not None:
            raise failure
        if not self._has_begun:  # nobody receives it, but a BaseHTTPMiddleware requires a response
            await Response(status_code=499)(scope, receive, send)
        if self.background is not None:
            await self.background()

    async def _send(self, scope: Scope, send: Send) -> None:
        chunk = await anext(self._chunks, b"")
        self._has_begun = True
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            while chunk and scope["method"] != "HEAD":
                try:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                except OSError:  # some servers report a disconnect this way
                    return
                chunk = await anext(self._chunks, b"")
        except Exception as error:  # noqa: BLE001 - after any error, the response must not look complete
            reason = _cut(scope, str(error) if isinstance(error, AfasError) else type(error).__name__)
        else:
            with suppress(OSError):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        # A BaseHTTPMiddleware completes the response even if the app raises, so a partial response would look complete.
        # Both it and the server fail at an unknown message; ASGI requires that of the server.
        with suppress(Exception):
            await send({"type": reason, "more_body": True})
        raise StreamCutError(reason)


def _cut(scope: Scope, reason: str) -> str:
    """Return the line for the server's log, and install the filter that keeps it to one line."""
    logging.getLogger(_SERVER_LOG).addFilter(_in_one_line)  # adding it again has no effect
    return f"{scope['method']} {scope['path']}: {_CUT}: {reason}"


def _in_one_line(record: logging.LogRecord) -> bool:
    """Replace the traceback of a response that was cut off with its reason."""
    error = None if record.exc_info is None else record.exc_info[1]
    for text in (str(error), *getattr(error, "__notes__", ())):
        if _CUT in text:
            record.msg, record.args, record.exc_info = text, (), None
    return True
