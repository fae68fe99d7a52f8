"""Sends one request exactly once and receives the response as bytes. Only this module uses the aiohttp client.

aiohttp does several things by itself that a client of this service must not do:

- It sends GET, PUT and DELETE again after a lost connection.
- It follows redirects, with the token, or with another method.
- It decompresses gzip without noticing that the data was cut off.
- It raises exceptions that carry the token.
- It takes proxies and passwords from the environment.

All of this is switched off here, and each switch has a test on the server's side.
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
# With the default of 8,190, a response with a long `X-Profit-Error` cannot be parsed.
HEADER_LIMIT = 1 << 16
READ_BUFFER = 1 << 18
SEND_BUFFER = 1 << 18
# Set by the pytest plugin. Read when a client is opened, and here, as a test may clear the environment.
LOOPBACK_ONLY: Final = "AFAS_LOOPBACK_ONLY"
_LOOPBACK_ONLY_AT_FIRST: Final = os.environ.get(LOOPBACK_ONLY)


class Response(Protocol):
    """A response whose status and headers have arrived."""

    status: int
    headers: Mapping[str, str]

    async def read(self) -> bytes:
        """Return the next bytes of the body as they came; empty at the end.

        Raises:
            AnswerLostError: If the connection breaks.
        """
        ...

    def close(self) -> None:
        """Give the connection back if the body was read to its end, or close it. You may call it twice."""
        ...


class Transport(Protocol):
    """Sends a request exactly once. Tests can replace it by a fake, on which everything else runs."""

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
        """Send a request, and return the response when its status and headers have arrived.

        Args:
            request: The request.
            headers: The headers, without the credential.
            connected: Called before the first byte is sent. Until then it is certain that nothing was sent.
            sent: Called when the last byte of the body was sent.
            credential: The credential; None for a request without an `Authorization` header.

        Raises:
            ConnectError: If nothing was sent.
            AnswerLostError: If the connection broke before the headers were complete.
            AnswerError: If the response is not valid HTTP.
        """
        ...


class AiohttpTransport:
    """The transport over HTTP.

    Args:
        base_url: The base URL, already checked.
        proxy: The proxy, if any. Proxies of the environment are ignored.
        ssl_context: A context instead of the default one. It must verify certificates and require TLS 1.2, except for
            loopback hosts.

    Raises:
        UsageError: If `ssl_context` has another type.
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
        if not is_loopback(urlsplit(self._base).hostname or "") and (
            _LOOPBACK_ONLY_AT_FIRST or os.environ.get(LOOPBACK_ONLY)
        ):
            raise ConfigurationError(
                f"{self._base}: {LOOPBACK_ONLY} is set, so only addresses of this machine may be called; in tests, use"
                " the fixture afas_simulator, or run pytest with --afas-real"
            )
        context = self._context
        if context is None and self._base.startswith("https:"):
            context = _CONTEXTS.get(_authorities()) or await asyncio.to_thread(_common_context)
        # This allocation makes long responses faster by a seventh. Until a larger block has been freed once, glibc maps
        # the buffer of every read anew, with a page fault for each 4 KiB of it (mallopt, M_MMAP_THRESHOLD).
        bytearray(4 * READ_BUFFER)
        self._reads = _session(context, IDLE_SECONDS, _socket)
        # A connection that the server is just closing accepts a request and loses it. That must not happen to a write,
        # so each write gets its own connection. The client closes it, as AFAS asks not to send `Connection: close`.
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
                    # Form, header and proxy are never bound to a name: tracebacks may show local variables.
                    data=_payload(request, url, sent),
                    headers={**headers, **({} if credential is None else {"Authorization": credential.header()})},
                    allow_redirects=False,
                    proxy=None if self._proxy is None else self._proxy.url(),
                    trace_request_ctx=connection,
                ),
                request.connector,
            )
        except Exception as error:  # noqa: BLE001 - every exception of aiohttp has the token in its frames
            failure = _failure(error, request.connector, connected=connection.established)
        except BaseException as error:  # an interrupt, or a cancellation, which may become the cause of a TimeoutError
            _forget_frames(error)
            raise
        # Raised here, outside the handler, so that aiohttp's exception does not become its context.
        raise failure


def _payload(request: Request, url: str, sent: Callable[[], None]) -> aiohttp.BytesIOPayload | None:
    if request.form is not None:
        return _Payload(BytesIO(request.form.form(url, time.time())), sent)
    # A BytesIO, because aiohttp writes plain bytes in one go, and warns if they are large.
    return _Payload(BytesIO(request.body), sent) if request.body else None


class _Payload(aiohttp.BytesIOPayload):
    """The body of a request. aiohttp may write it in a separate task, together with the headers.

    Args:
        body: The body.
        sent: Called when the last byte was passed to the operating system.
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
    """Remove the frames of aiohttp from an exception, because their variables hold the token."""
    error.__context__ = error.__cause__ = None
    error.__traceback__ = None


def _both(one: Callable[[], None], other: Callable[[], None]) -> Callable[[], None]:
    def call() -> None:
        one()
        other()

    return call


class _Connection:
    """Records whether the connection of a request is established."""

    def __init__(self, connected: Callable[[], None]) -> None:
        self.established = False
        self._connected = connected

    def note(self) -> None:
        self.established = True
        self._connected()


def _session(
    context: ssl.SSLContext | None, idle_seconds: float, socket_factory: Callable[[Any], socket.socket]
) -> aiohttp.ClientSession:
    trace = aiohttp.TraceConfig()
    for moment in (trace.on_connection_create_end, trace.on_connection_reuseconn):
        moment.append(_note)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0,  # only the engine's limiter counts, because a wait here would count against time-outs
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
        # After a malformed chunk, aiohttp closes the connection, but does not wake the reader.
        protocol = response.connection.protocol if response.connection is not None else None
        self._closed = protocol.closed if protocol is not None else None
        if self._closed is not None:
            self._closed.remove_done_callback(_mark_retrieved)  # one per connection, not one per response
            self._closed.add_done_callback(_mark_retrieved)
            self._closed.add_done_callback(self._connection_closed)

    def _connection_closed(self, _: asyncio.Future[None]) -> None:
        content = self._response.content
        if not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError())

    async def read(self) -> bytes:
        try:
            return await self._response.content.readany()
        except Exception:  # noqa: BLE001, S110 - an error is raised below, outside the handler
            pass
        raise AnswerLostError(f"{self._connector}: the connection broke during the response", connector=self._connector)

    def close(self) -> None:
        if self._closed is not None:
            self._closed.remove_done_callback(self._connection_closed)  # it would keep the response in memory
        self._response.close()


def _mark_retrieved(closed: asyncio.Future[None]) -> None:
    """Retrieve the exception of a closed connection, so that asyncio does not report it as never retrieved."""
    if not closed.cancelled():
        closed.exception()


class _LostError(Exception):
    """A broken connection, as a class after which aiohttp does not send the request again."""


async def _send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        reason = _reason(error)
    raise _LostError(reason)


def _failure(error: Exception, connector: str, *, connected: bool) -> AfasError:
    """Translate an exception of aiohttp, and leave out its texts, which may hold the token."""
    match error:
        case _LostError():
            text = f"{connector}: the connection broke before the response: {error}"
            return AnswerLostError(text, connector=connector)
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError() | aiohttp.ClientSSLError():
            # A handshake that breaks off may succeed the next time. A bad certificate or protocol version will not.
            permanent = isinstance(error, aiohttp.ClientConnectorCertificateError) or _is_final(error)
            text = f"{connector}: no secure connection: {_reason(error)}"
            return ConnectError(text, connector=connector, permanent=permanent)
        case aiohttp.ClientHttpProxyError():
            text = f"{connector}: the proxy refused the connection (HTTP {error.status})"
            return ConnectError(text, connector=connector, permanent=error.status in {403, 407})
        case _ if not connected and not isinstance(error, ValueError):
            return ConnectError(f"{connector}: no connection: {_reason(error)}", connector=connector)
        case ValueError():  # InvalidURL, and host names that cannot be encoded
            text = f"{connector}: the host name of the base URL or of the proxy is not valid"
            return ConnectError(text, connector=connector, permanent=True)
        case aiohttp.ClientResponseError():
            # The status of this exception is 400, but that comes from aiohttp and not from the server.
            text = f"{connector}: the response is not valid HTTP"
            return AnswerError(text, connector=connector, damaged=True)
        case _:
            return AnswerLostError(f"{connector}: the connection broke: {_reason(error)}", connector=connector)


def _reason(error: Exception) -> str:
    """Return a short reason, without headers and URLs."""
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
        raise ConfigurationError(
            "the ssl_context does not verify the server's certificate and host name: set verify_mode and check_hostname"
        )
    if context.minimum_version < ssl.TLSVersion.TLSv1_2:
        raise ConfigurationError("the ssl_context accepts TLS below 1.2: set minimum_version")


# One context for all clients of the process: each takes 900 KB and 40 ms of CPU for the authorities of this machine.
_CONTEXTS: Final[dict[tuple[str | None, ...], ssl.SSLContext]] = {}
_MAKING: Final = threading.Lock()


def _authorities() -> tuple[str | None, ...]:
    """Return the variable part of the place where this machine keeps the authorities that it trusts."""
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
    # Python writes session keys to a file that an environment variable names. Nobody may read a token that way.
    context.keylog_filename = None  # type: ignore[assignment]
    return context


def _socket(address: tuple[Any, ...]) -> socket.socket:
    """Make a socket that keeps silent connections alive: a call may be silent for minutes, and routers drop those."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPALIVE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 6)):
        if hasattr(socket, option):  # the options differ between platforms
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made


def _socket_of_writes(address: tuple[Any, ...]) -> socket.socket:
    """Make a socket with a small system buffer: the end of an upload shows when the service may begin to work."""
    made = _socket(address)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    return made
