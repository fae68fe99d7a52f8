"""The state that all views of a client share: transport, limiter, tasks, and whether the client is open."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from afas_async.errors import ClientClosedError, UsageError
from afas_async.http.auth import ConstantSigner, FunctionSource, NoSigner, RenewingSigner, Signer
from afas_async.http.engine import Engine, Sender
from afas_async.http.host import Host, Job
from afas_async.http.limiter import Limiter, limit_of, limiter_of
from afas_async.http.memory import MEMORY, Memory
from afas_async.http.oauth import TOKEN_SECONDS, TokenEndpoint
from afas_async.http.options import Options
from afas_async.http.shared_limiter import SharedLimiter
from afas_async.http.statistics import Counts
from afas_async.http.transport import Transport
from afas_async.vocabulary.credentials import AppToken, BearerToken, CheckedAuth, ClientCredentials

_OPTIONS: Final = Options(timeout=TOKEN_SECONDS, max_retries=3, language="nl-nl", on_event=None)


class Session:
    """The life of a client: created without I/O, opened once and closed once, in one event loop of one process.

    Args:
        transport: Sends the requests. It is entered when the session opens, and left when it closes.
        limiter: Limits the requests in flight; see `limiter_of`.
        sender: Who sends, for requests and events.
        memory: The bytes of responses that may wait for their readers.
        auth: The credential of requests, or its source. By default requests have no `Authorization` header.
        options: The options of requests for tokens.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        limiter: Limiter | SharedLimiter | str,
        memory: int = MEMORY,
        sender: Sender | None = None,
        auth: CheckedAuth | None = None,
        options: Options = _OPTIONS,
    ) -> None:
        counts = Counts()
        self._signer: Signer = NoSigner()
        if isinstance(auth, ClientCredentials):
            tokens = Engine(transport, limiter=Limiter(1), sender=sender, counts=counts)
            self._signer = RenewingSigner(TokenEndpoint(auth, tokens, options), self.start)
        elif isinstance(auth, (AppToken, BearerToken)):
            self._signer = ConstantSigner(auth)
        elif auth is not None:
            self._signer = RenewingSigner(FunctionSource(auth), self.start)
        self.engine: Engine = Engine(
            transport,
            limiter=Limiter(limit_of(limiter)),
            signer=self._signer,
            sender=sender,
            counts=counts,
        )
        self.max_concurrency: int = limit_of(limiter)
        self._limiter = limiter
        self.memory: Memory = Memory(memory)
        self._transport = transport
        self._host: Host | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0
        self._closed = False
        self.known: dict[tuple[str, str], Any] = {}  # facts that the service has reported, by path and language
        self.drifted: set[tuple[str, ...]] = set()  # the connectors and fields with a SchemaDriftWarning so far

    async def open(self) -> None:
        """Open the transport. If this fails or is cancelled, the session is closed."""
        if self._closed or self._host is not None:
            raise UsageError("this client was opened before: create a new client")
        self._loop = asyncio.get_running_loop()
        self._process = os.getpid()
        self.engine.share(limiter_of(self._limiter))
        self._host = Host(self._transport)
        try:
            await self._host.wait_open()
        except BaseException:
            self._closed = True
            raise
        if self._closed:
            raise ClientClosedError("the client was closed while it was opening")

    async def aclose(self) -> None:
        """Cancel all calls and close the transport. You may call it again, and from any task of the loop."""
        if self._host is not None and not self._closed:
            self._check_home()
        self._closed = True
        if self._host is not None:
            await self._host.close()

    def forget_refusals(self) -> None:
        """Send the next request even if its credential was refused a moment ago."""
        self._signer.forget()

    def check(self) -> None:
        """Raise UsageError unless the client is open in this event loop and process.

        Raises:
            ClientClosedError: If the client is closed, or not open yet.
            UsageError: If the client was opened in another event loop, or before this process was forked.
        """
        if self._closed:
            raise ClientClosedError("the client is closed")
        if self._host is None:
            raise ClientClosedError("the client is not open: use `async with client:` or `await client.open()`")
        self._check_home()

    def _check_home(self) -> None:
        if os.getpid() != self._process:
            raise UsageError("the client was opened before this process was forked: create one client per process")
        if asyncio.get_running_loop() is not self._loop:
            raise UsageError("the client was opened in another event loop: create one client per event loop")

    def start(self, work: Coroutine[Any, Any, Any]) -> Job:
        """Start a job of this session; see `Host.start`."""
        assert self._host is not None  # noqa: S101 - `check` comes first
        return self._host.start(work)

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Let the event loop call `callback`. Garbage collection uses it, perhaps in another thread."""
        if self._loop is not None and os.getpid() == self._process:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(callback)
