"""AFAS in a Starlette app, on which `afas_async.integrations.fastapi` builds: life, errors and streaming responses."""

from __future__ import annotations

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
Lifespan: TypeAlias = Callable[[Any], AbstractAsyncContextManager[Any]]  # of the state of its requests, or None

_LOG: Final = logging.getLogger("afas_async")
_SERVER_LOG: Final = "uvicorn.error"
_CUT: Final = "the response is cut off"


def lifespan(afas: AfasService | Callable[[], AfasService], own: Lifespan | None = None) -> Lifespan:
    """Return a lifespan that opens a client or pool, keeps it in `app.state.afas`, and closes it when the app ends.

    Args:
        afas: What makes the client or pool when the app starts, such as `AfasClient.from_env`. A client itself serves
            one life only: an app that a `TestClient` starts twice needs the function.
        own: The app's own lifespan, which runs within: it finds the client open, and its state is kept.

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
    """Have an app answer each AfasError with a problem document; see `problems.problem_of` for the statuses.

    An error for which this program is at fault (500) is logged with its traceback, others of 5xx with one line. None of
    them shows a credential.

    Args:
        app: A Starlette or FastAPI app.
    """
    app.add_exception_handler(AfasError, _answer)


async def _answer(request: Request, error: Exception) -> Response:
    assert isinstance(error, AfasError)  # noqa: S101 - Starlette calls it for no other
    response = problem_response(error)
    if response.status_code >= 500:
        traceback = error if response.status_code == 500 else None
        _LOG.error("%s %s: %s", request.method, request.url.path, error, exc_info=traceback)
    return response


def problem_response(error: AfasError) -> Response:
    """Return the response with the problem document of an error."""
    problem = problem_of(error)
    return Response(msgspec.json.encode(problem), problem.status, problem.headers, MEDIA_TYPE)


def json_response(content: object, status_code: int = 200) -> Response:
    """Return rows, Structs or other objects as JSON, without a detour over dicts or pydantic.

    Args:
        content: Anything msgspec can encode, such as `page.rows`. For more than some thousand rows use
            `ndjson_response`, which holds a batch at a time.
        status_code: The HTTP status.
    """
    return Response(msgspec.json.encode(content), status_code, media_type="application/json")


def ndjson_response(
    rows: RowStream[Any], *, cursor: bool = False, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a response that streams rows as lines of JSON, in constant memory, however slow its reader is.

    Nothing is sent before the first batch is there, so an error until then keeps its status. After that an error cuts
    the connection, as the reader must not take half of the rows for all: the server logs one line. When the reader
    goes, the requests to AFAS end at once.

    Args:
        rows: `afas.rows(...)` or `afas.changes(...)`.
        cursor: Whether to end with a line `{"cursor": "..."}`; see `streams.ndjson`.
        headers: Further headers.
    """
    return _Streamed(ndjson(rows, cursor=cursor), NDJSON, headers, rows)


def csv_response(rows: RowStream[Any], *, delimiter: str = ",", headers: Mapping[str, str] | None = None) -> Response:
    """Return a response that streams rows as CSV; otherwise as `ndjson_response`.

    Args:
        rows: `afas.rows(...)` or `afas.changes(...)`, of Structs or dicts.
        delimiter: What stands between two fields: a Dutch Excel expects ";".
        headers: Further headers, such as `{"Content-Disposition": 'attachment; filename="articles.csv"'}`.
    """
    return _Streamed(csv_lines(rows, delimiter=delimiter), CSV, headers, rows)


def parquet_response(batches: Batches, *, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response that streams a Parquet file; otherwise as `ndjson_response`. It needs `afas-async[columns]`.

    Args:
        batches: What `columns.batches(...)` or `columns.changes(...)` returns.
        headers: Further headers.
    """
    return _Streamed(parquet(batches), PARQUET, headers, batches)


def sse_response(progress: AsyncIterable[Any]) -> Response:
    """Return a response of server-sent events, such as those of `load.watch()`; see `streams.events`.

    Args:
        progress: Objects that msgspec can encode.
    """
    return _Streamed(events(progress), EVENTS, {"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


class StreamCutError(Exception):
    """A response that had begun cannot go on. Raised to the server, which then cuts the connection."""


class _Streamed(Response):
    """A response of chunks, of which the first decides the status.

    Args:
        chunks: The body.
        media_type: Its content type.
        headers: Further headers.
        rows: What the chunks are made of, closed in any case.
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
        """Send the chunks until they or the reader end."""
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
                except Exception as error:  # noqa: BLE001 - raised below, outside the group, which would wrap it
                    failure = error
                tasks.cancel_scope.cancel()
        except asyncio.CancelledError as error:
            error.add_note(_cut(scope, "the server ends"))
            raise
        finally:
            await self._chunks.aclose()
            if self._rows is not None:
                await self._rows.aclose()
        if failure is not None:
            raise failure
        if not self._has_begun:  # nobody is there to receive it, but a BaseHTTPMiddleware misses a response
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
                except OSError:  # servers say in this way, too, that the reader has gone
                    return
                chunk = await anext(self._chunks, b"")
        except Exception as error:  # noqa: BLE001 - whatever it is, half of the rows must not pass for all
            reason = _cut(scope, str(error) if isinstance(error, AfasError) else type(error).__name__)
        else:
            with suppress(OSError):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        # A BaseHTTPMiddleware ends the response in good order, whatever is raised in it, so that half of the rows would
        # pass for all. It fails at a message that it does not know, and so does the server, which has to by ASGI.
        with suppress(Exception):
            await send({"type": reason, "more_body": True})
        raise StreamCutError(reason)


def _cut(scope: Scope, reason: str) -> str:
    """Return the line for the server's log, and see to it that it is one line."""
    logging.getLogger(_SERVER_LOG).addFilter(_in_one_line)  # added once, however often
    return f"{scope['method']} {scope['path']}: {_CUT}: {reason}"


def _in_one_line(record: logging.LogRecord) -> bool:
    """Have the server log why a response was cut off, and not the frames of who found that out."""
    error = None if record.exc_info is None else record.exc_info[1]
    for text in (str(error), *getattr(error, "__notes__", ())):
        if _CUT in text:
            record.msg, record.args, record.exc_info = text, (), None
    return True
