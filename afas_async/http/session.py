"""What all views of a client share: transport, limiter, tasks, and the one life from open to closed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from afas_async.errors import ClientClosedError, UsageError
from afas_async.http.auth import ConstantSigner, FunctionSource, NoSigner, RenewingSigner, Signer
from afas_async.http.engine import Engine
from afas_async.http.host import Host, Job
from afas_async.http.limiter import Limiter, limit_of, limiter_of
from afas_async.http.memory import MEMORY, Memory
from afas_async.http.oauth import TOKEN_SECONDS, TokenEndpoint
from afas_async.http.options import Options
from afas_async.http.shared_limiter import SharedLimiter
from afas_async.http.statistics import Statistics
from afas_async.http.transport import Transport
from afas_async.vocabulary.credentials import AppToken, BearerToken, CheckedAuth, ClientCredentials

_OPTIONS: Final = Options(timeout=TOKEN_SECONDS, max_retries=3, language="nl-nl", on_event=None)


class Session:
    """One life: made without I/O, opened once, closed once, in one event loop of one process.

    Args:
        transport: Entered when the session opens, left when it closes.
        limiter: How many requests may be in flight at a time; see `limiter_of`.
        integration_id: Value of the `IntegrationId` header.
        memory: Bytes of answers that may wait for their readers.
        auth: Signs requests, or gives what signs them; by default they have no `Authorization` header.
        options: Of the requests for tokens.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        limiter: Limiter | SharedLimiter | str,
        memory: int = MEMORY,
        integration_id: str | None = None,
        auth: CheckedAuth | None = None,
        options: Options = _OPTIONS,
    ) -> None:
        statistics = Statistics()
        self._signer: Signer = NoSigner()
        if isinstance(auth, ClientCredentials):
            tokens = Engine(transport, limiter=Limiter(1), integration_id=integration_id, statistics=statistics)
            self._signer = RenewingSigner(TokenEndpoint(auth, tokens, options), self.start)
        elif isinstance(auth, (AppToken, BearerToken)):
            self._signer = ConstantSigner(auth)
        elif auth is not None:
            self._signer = RenewingSigner(FunctionSource(auth), self.start)
        self.engine: Engine = Engine(
            transport,
            limiter=Limiter(limit_of(limiter)),
            integration_id=integration_id,
            signer=self._signer,
            statistics=statistics,
        )
        self.max_concurrency: int = limit_of(limiter)
        self._limiter = limiter
        self.memory: Memory = Memory(memory)
        self._transport = transport
        self._host: Host | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0
        self._closed = False
        self.known: dict[tuple[str, str], Any] = {}  # what the service told once, by path and language
        self.drifted: set[tuple[str, ...]] = set()  # the connectors and fields of which a user was warned

    async def open(self) -> None:
        """Open the transport. If this fails or is cancelled, the session is closed."""
        if self._closed or self._host is not None:
            raise UsageError("a client is opened once: make a new one")
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
        """Cancel what is under way and close the transport; may be called again, and from any task of the loop."""
        if self._host is not None and not self._closed:
            self._check_home()
        self._closed = True
        if self._host is not None:
            await self._host.close()

    def forget_refusals(self) -> None:
        """Have the next request sent, although its credential was refused a moment ago."""
        self._signer.forget()

    def check(self) -> None:
        """Raise a clear error unless requests can be made here and now."""
        if self._closed:
            raise ClientClosedError("the client is closed")
        if self._host is None:
            raise ClientClosedError("the client is not open: use `async with client:` or `await client.open()`")
        self._check_home()

    def _check_home(self) -> None:
        if os.getpid() != self._process:
            raise UsageError("the client was opened before this process was forked: make a new one in each process")
        if asyncio.get_running_loop() is not self._loop:
            raise UsageError("the client was opened in another event loop: make one per event loop")

    def start(self, work: Coroutine[Any, Any, Any]) -> Job:
        """Start a job of this session; see `Host.start`."""
        assert self._host is not None  # noqa: S101 - `check` comes first
        return self._host.start(work)

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Have the event loop call `callback`, from wherever garbage is collected, perhaps another thread."""
        if self._loop is not None and os.getpid() == self._process:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(callback)
