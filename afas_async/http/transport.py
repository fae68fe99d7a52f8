"""The only use of the aiohttp client: one request, exactly once, and its answer as bytes.

What aiohttp does by itself and a client of this service must not: send GET, PUT and DELETE again on a lost connection,
follow redirects (with the token, or as another method), unpack gzip without noticing that it was cut off, raise
exceptions that carry the token, take proxies and passwords from the environment. All of it is switched off here, and
each switch has a test at the server's side.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from io import BytesIO
from types import SimpleNamespace, TracebackType
from typing import Any, Final, Protocol, Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from yarl import URL

from afas_async.errors import AfasError, AnswerError, AnswerLostError, ConfigurationError, ConnectError
from afas_async.vocabulary.arguments import check_type
from afas_async.vocabulary.credentials import Credential
from afas_async.vocabulary.environment import Proxy, is_loopback
from afas_async.wire.requests import Request

CONNECT_SECONDS = 10.0
IDLE_SECONDS = 15.0
NO_IDLE_SECONDS = 1e-9  # 0 would keep a connection for one tick of the clock
# The default of 8,190 turns a long `X-Profit-Error` into an unparsable answer.
HEADER_LIMIT = 1 << 16
READ_BUFFER = 1 << 18
SEND_BUFFER = 1 << 18


class Response(Protocol):
    """An answer whose head has arrived."""

    status: int
    headers: Mapping[str, str]

    async def read(self) -> bytes:
        """Return the next bytes of the body as they came, empty at its end; raise AnswerLostError if it breaks."""
        ...

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else cut it. May be called twice."""
        ...


class Transport(Protocol):
    """Sends one request, once. The seam for tests: everything above it can run on a fake."""

    async def __aenter__(self) -> object: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

    async def send(
        self,
        request: Request,
        headers: Mapping[str, str],
        connected: Callable[[], None],
        sent: Callable[[], None],
        credential: Credential | None,
    ) -> Response:
        """Send a request and return the answer when its head has arrived.

        Args:
            request: What to send.
            headers: Its headers, without the credential.
            connected: Called before the first byte leaves. Until then nothing was sent, whatever happens.
            sent: Called when the last byte of the body has left.
            credential: Signs it; None for a request without an `Authorization` header.

        Raises:
            ConnectError: If nothing was sent.
            AnswerLostError: If the connection broke before the head was complete.
            AnswerError: If what came back is no HTTP.
        """
        ...


class AiohttpTransport:
    """The transport over HTTP.

    Args:
        base_url: The checked base URL.
        proxy: The proxy; none is taken from the environment.
        ssl_context: In place of the default context; it must verify certificates and demand TLS 1.2, but for loopback.

    Raises:
        UsageError: If `ssl_context` is of another type.
        ConfigurationError: If `ssl_context` would accept any server, or TLS below 1.2.
    """

    def __init__(self, base_url: str, *, proxy: Proxy | None = None, ssl_context: ssl.SSLContext | None = None) -> None:
        check_type("ssl_context", ssl_context, ssl.SSLContext | None, "an ssl.SSLContext, or None for the default")
        if ssl_context is not None and not is_loopback(urlsplit(base_url).hostname or ""):
            _check_context(ssl_context)
        self._base = base_url
        self._proxy = proxy
        self._context = ssl_context
        self._reads: aiohttp.ClientSession | None = None
        self._writes: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        context = self._context
        if context is None and self._base.startswith("https:"):
            context = _CONTEXTS.get(_authorities()) or await asyncio.to_thread(_common_context)
        # Until a larger block has been freed once, glibc gives the buffer of every read a mapping of its own, with a
        # page fault for each 4 KiB of it (mallopt, M_MMAP_THRESHOLD): a seventh of the time of a long answer.
        bytearray(4 * READ_BUFFER)
        self._reads = _session(context, IDLE_SECONDS, _socket)
        # A connection that the server is just closing takes a request and loses it. A write must not meet that, so each
        # has a connection of its own; closing it is our part, as AFAS asks not to send `Connection: close`.
        self._writes = _session(context, NO_IDLE_SECONDS, _socket_of_writes)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        for session in (self._reads, self._writes):
            if session is not None:
                await session.close()

    async def send(
        self,
        request: Request,
        headers: Mapping[str, str],
        connected: Callable[[], None],
        sent: Callable[[], None],
        credential: Credential | None,
    ) -> Response:
        """Send a request, exactly once; see `Transport`."""
        session = self._writes if request.writes else self._reads
        assert session is not None  # noqa: S101 - the host opens the transport before any job starts
        connection = _Connection(connected if request.body or request.form is not None else _both(connected, sent))
        url = f"{self._base}/{request.path}" + (f"?{request.query}" if request.query else "")
        failure: AfasError
        try:
            return _AiohttpResponse(
                await session.request(
                    request.method,
                    URL(url, encoded=True),
                    # Form, header and proxy are never bound to a name: the locals of this frame are part of tracebacks.
                    data=_payload(request, url, sent),
                    headers={**headers, **({} if credential is None else {"Authorization": credential.header()})},
                    allow_redirects=False,
                    proxy=None if self._proxy is None else self._proxy.url(),
                    trace_request_ctx=connection,
                ),
                request.connector,
            )
        except Exception as error:  # noqa: BLE001 - whatever aiohttp raises has the token in its frames
            failure = _failure(error, request.connector, connected=connection.stands)
        except BaseException as error:  # an interrupt, or a cancellation, which others make the cause of a TimeoutError
            _forget_frames(error)
            raise
        # Raised here, outside the handler, so that aiohttp's exception does not become its context.
        raise failure


def _payload(request: Request, url: str, sent: Callable[[], None]) -> aiohttp.BytesIOPayload | None:
    if request.form is not None:
        return _Payload(BytesIO(request.form.form(url, time.time())), sent)
    # In pieces: aiohttp writes bytes at one go, and warns of large ones.
    return _Payload(BytesIO(request.body), sent) if request.body else None


class _Payload(aiohttp.BytesIOPayload):
    """A body, which aiohttp may write in a task of its own, together with the headers.

    Args:
        body: The body.
        sent: Called when its last byte is handed to the system.
    """

    def __init__(self, body: BytesIO, sent: Callable[[], None]) -> None:
        super().__init__(body)
        self._sent = sent

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        try:
            await super().write_with_length(writer, content_length)
            await writer.drain()
        except BaseException as error:
            _forget_frames(error)
            raise
        self._sent()


def _forget_frames(error: BaseException) -> None:
    """Have an exception forget the frames of aiohttp that it came through: their variables hold the token."""
    error.__context__ = error.__cause__ = None
    error.__traceback__ = None


def _both(one: Callable[[], None], other: Callable[[], None]) -> Callable[[], None]:
    def call() -> None:
        one()
        other()

    return call


class _Connection:
    """Whether the connection of a request stands."""

    def __init__(self, connected: Callable[[], None]) -> None:
        self.stands = False
        self._connected = connected

    def note(self) -> None:
        self.stands = True
        self._connected()


def _session(
    context: ssl.SSLContext | None, idle_seconds: float, socket_factory: Callable[[Any], socket.socket]
) -> aiohttp.ClientSession:
    trace = aiohttp.TraceConfig()
    for moment in (trace.on_connection_create_end, trace.on_connection_reuseconn):
        moment.append(_note)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0,  # the engine's limiter is the only one: waiting here would count against time-outs
            keepalive_timeout=idle_seconds,
            socket_factory=socket_factory,
            ssl=True if context is None else context,
        ),
        middlewares=(_send_once,),
        auto_decompress=False,
        raise_for_status=False,
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=READ_BUFFER,
        max_line_size=HEADER_LIMIT,
        max_field_size=HEADER_LIMIT,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        trace_configs=[trace],
    )


async def _note(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    connection: _Connection = context.trace_request_ctx
    connection.note()


class _AiohttpResponse:
    def __init__(self, response: aiohttp.ClientResponse, connector: str) -> None:
        self._response = response
        self._connector = connector
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        # When aiohttp finds a malformed chunk in a body, it closes the connection and leaves the reader waiting.
        protocol = response.connection.protocol if response.connection is not None else None
        self._closed = protocol.closed if protocol is not None else None
        if self._closed is not None:
            self._closed.remove_done_callback(_look_at)  # once for each connection, however many answers it brings
            self._closed.add_done_callback(_look_at)
            self._closed.add_done_callback(self._connection_closed)

    def _connection_closed(self, _: asyncio.Future[None]) -> None:
        content = self._response.content
        if not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError())

    async def read(self) -> bytes:
        try:
            return await self._response.content.readany()
        except Exception:  # noqa: BLE001, S110 - said below, outside the handler
            pass
        raise AnswerLostError(f"{self._connector}: the connection broke within the answer", connector=self._connector)

    def close(self) -> None:
        if self._closed is not None:
            self._closed.remove_done_callback(self._connection_closed)  # or the connection keeps all its answers
        self._response.close()


def _look_at(closed: asyncio.Future[None]) -> None:
    """Look at how a connection ended, or asyncio reports that nobody did."""
    if not closed.cancelled():
        closed.exception()


class _LostError(Exception):
    """A broken connection, in a class that aiohttp does not take for an invitation to send the request again."""


async def _send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        reason = _reason(error)
    raise _LostError(reason)


def _failure(error: Exception, connector: str, *, connected: bool) -> AfasError:
    """Return what an exception of aiohttp means, without the exception itself: its texts may hold the token."""
    match error:
        case _LostError():
            text = f"{connector}: the connection broke before the answer: {error}"
            return AnswerLostError(text, connector=connector)
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError() | aiohttp.ClientSSLError():
            # A handshake that breaks off may succeed the next time; a bad certificate or protocol version will not.
            permanent = isinstance(error, aiohttp.ClientConnectorCertificateError) or _is_final(error)
            text = f"{connector}: no secure connection: {_reason(error)}"
            return ConnectError(text, connector=connector, permanent=permanent)
        case aiohttp.ClientHttpProxyError():
            text = f"{connector}: the proxy refused the connection (HTTP {error.status})"
            return ConnectError(text, connector=connector, permanent=error.status in {403, 407})
        case _ if not connected and not isinstance(error, ValueError):
            return ConnectError(f"{connector}: no connection: {_reason(error)}", connector=connector)
        case ValueError():  # InvalidURL, and host names that cannot be encoded
            text = f"{connector}: the host of the base URL or of the proxy cannot be called"
            return ConnectError(text, connector=connector, permanent=True)
        case aiohttp.ClientResponseError():
            # aiohttp says 400 here, but no server did.
            text = f"{connector}: what came back is no HTTP that can be understood"
            return AnswerError(text, connector=connector, damaged=True)
        case _:
            return AnswerLostError(f"{connector}: the connection broke: {_reason(error)}", connector=connector)


def _reason(error: Exception) -> str:
    """Return a short reason that holds no header and no URL."""
    cause = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return type(cause).__name__


def _is_final(error: Exception) -> bool:
    cause = getattr(error, "os_error", None)
    reason = getattr(cause, "reason", "") or ""
    return any(word in reason for word in ("VERSION", "PROTOCOL"))


def _check_context(context: ssl.SSLContext) -> None:
    if context.verify_mode != ssl.CERT_REQUIRED or not context.check_hostname:
        raise ConfigurationError("the ssl_context does not verify the server's certificate and host name")
    if context.minimum_version < ssl.TLSVersion.TLSv1_2:
        raise ConfigurationError("the ssl_context accepts TLS below 1.2: set context.minimum_version")


# One for all clients of the process, because each takes 900 KB and 40 ms of CPU for the authorities of this machine.
_CONTEXTS: Final[dict[tuple[str | None, ...], ssl.SSLContext]] = {}
_MAKING: Final = threading.Lock()


def _authorities() -> tuple[str | None, ...]:
    """Return where the authorities are that this machine trusts, as far as that can change."""
    return tuple(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))


def _common_context() -> ssl.SSLContext:
    with _MAKING:
        key = _authorities()
        if key not in _CONTEXTS:
            _CONTEXTS[key] = _default_context()
        return _CONTEXTS[key]


def _default_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Python writes the session keys to a file that an environment variable names; a token must not be read that way.
    context.keylog_filename = None  # type: ignore[assignment]
    return context


def _socket(address: tuple[Any, ...]) -> socket.socket:
    """Make a socket that keeps a silent connection alive: a call may be silent for minutes, and routers drop such."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPALIVE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 6)):
        if hasattr(socket, option):  # each platform has its own
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made


def _socket_of_writes(address: tuple[Any, ...]) -> socket.socket:
    """Make a socket of which the system buffers little: when a body has left tells when the service may begin."""
    made = _socket(address)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    return made
