"""The session manager: one client per environment and token, with everything that can be asked of it."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, cast, overload
from urllib.parse import urlsplit

import msgspec

from afas_async.client.data_connectors import DataConnectors
from afas_async.client.get_connectors import GetConnectors
from afas_async.client.metainfo import Catalogue
from afas_async.client.update_connectors import UpdateConnectors
from afas_async.client.verification import Verifier
from afas_async.errors import ConfigurationError, UsageError
from afas_async.http.engine import USER_AGENT, Sender
from afas_async.http.events import Event, log_as_asked
from afas_async.http.limiter import Limiter
from afas_async.http.memory import LEAST_MEMORY, MEMORY
from afas_async.http.oauth import TOKEN_SECONDS
from afas_async.http.options import Options, Priority
from afas_async.http.session import Session
from afas_async.http.shared_limiter import MOST, SharedLimiter
from afas_async.http.statistics import Statistics
from afas_async.http.transport import AiohttpTransport
from afas_async.policy.retrying import WRITE_SECONDS
from afas_async.vocabulary.arguments import check_type
from afas_async.vocabulary.credentials import AppToken, Auth, ClientCredentials, checked_auth
from afas_async.vocabulary.environment import (
    Environment,
    EnvironmentType,
    base_url_of,
    checked_integration_id,
    checked_proxy,
    checked_user_agent,
)


class AfasClient(GetConnectors, UpdateConnectors, DataConnectors, Catalogue, Verifier):
    """The client for one AFAS environment and one token.

    Making it does no I/O and needs no event loop. It is opened once and closed once, with `async with` or with `open`
    and `aclose` from any task of one event loop; any number of tasks may use it meanwhile.

    Args:
        environment: The participant number such as "12345" (production), or an `Environment`.
        auth: The app connector's token, as text or as `AppToken`; its `ClientCredentials` or
            `PrivateKeyCredentials` (OAuth); or an async function
            without arguments that returns a token as text, `AppToken` or `BearerToken`, for vaults and rotation. The
            function is awaited for the first request, and again when a token that it gave was refused (401): then the
            request is sent once more if the token is another one. If it is the same one, the function is not asked
            again within the minute, but by `ping`. It has 60 seconds; what it raises becomes the cause
            of a ConfigurationError.
        base_url: In place of `environment`: an explicit base URL, such as a simulator's.
        max_concurrency: Requests in flight at a time, 1 to 8, of this client and its views. Without it, all clients of
            one environment share 5 in each event loop, which is the most that AFAS advises (GET connector).
        limiter: In place of `max_concurrency`: a `Limiter` that the clients share to which you give it, or a
            `FileLimiter` or other `SharedLimiter`, which several processes share.
        memory: Bytes of answers that may wait for their readers, in all streams together: 16 MiB by default, 1 MiB at
            least. The page that a stream reads from comes in any case, with 128 KiB where others leave no room.
        timeout: Seconds for a request with all its retries; in a stream for each page. The wait for a free slot is not
            counted, nor is the time that a stream waits for its reader. For a write it counts until it is sent.
        write_timeout: Seconds to wait for the answer of a write once it is sent: 960 by default and at most, as the
            service itself ends a call after 900. A shorter one does not stop the service: if it passes, the outcome of
            the write is unknown.
        max_retries: How often a request is sent again after a transport fault or a sign of overload.
        proxy: URL of an HTTP proxy. None is taken from the environment.
        ssl_context: In place of the default context, which verifies the server and demands TLS 1.2. All clients of a
            process share that one; it knows the authorities that this machine trusts when the first client opens.
        integration_id: The id that AFAS partners send, such as "12345_678900" (AFAS, Integration id).
        user_agent: Name and version of your program, such as "orders/2.1", which follow those of this library in the
            `User-Agent` header.
        language: Language of the service's labels and messages: "en-us", "nl-nl", "nl-be", "fr-fr" or "de-de". With the
            last two, messages are in English: what a message means decides what is sent again, and AFAS documents none
            in those languages.
        drift: What happens when a Struct row type declares a field that no row has: "warn" with a SchemaDriftWarning,
            once for each connector, or "error" with a SchemaDriftError.
        on_event: Called with an `Event` for each step of a request, and for the end of each call of yours, in the event
            loop: it must not block. `AFAS_LOG=debug` in the environment logs them.

    Raises:
        UsageError: If an argument is of a wrong type. Nothing is sent.
        ConfigurationError: If an argument is malformed; it is a UsageError as well.

    Example:
        >>> from afas_async.simulator import Simulator  # or AfasClient("12345", auth="<token>...</token>")
        >>> async def main():
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         async for article in afas.rows("Profit_Article", key="ItemCode"):
        ...             return article["ItemCode"]
        >>> asyncio.run(main())
        '000001'
    """

    def __init__(
        self,
        environment: str | Environment | None = None,
        *,
        auth: Auth,
        base_url: str | None = None,
        max_concurrency: int | None = None,
        limiter: Limiter | SharedLimiter | None = None,
        memory: int = MEMORY,
        timeout: float = 300.0,
        write_timeout: float = WRITE_SECONDS,
        max_retries: int = 3,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        integration_id: str | None = None,
        user_agent: str | None = None,
        language: str = "nl-nl",
        drift: Literal["warn", "error"] = "warn",
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self._base_url = base_url or repr(environment)  # before anything can fail: reports of errors print `self`
        try:
            checked = checked_auth(auth)
            route = checked_proxy(proxy)
        finally:
            del auth, proxy  # nor may they show a token or password, not even a malformed one, among the locals
        self._base_url = base_url_of(environment, base_url)
        check_type("max_concurrency", max_concurrency, int | None, f"a whole number from 1 to {MOST}")
        check_type("memory", memory, int, "a number of bytes such as 16 << 20")
        if memory < LEAST_MEMORY:
            raise ConfigurationError(f"memory must be {LEAST_MEMORY} bytes or more, not {memory}")
        check_type("limiter", limiter, Limiter | SharedLimiter | None, "a Limiter or a SharedLimiter")
        if max_concurrency is not None and limiter is not None:
            raise ConfigurationError("give max_concurrency or limiter, not both: a limiter has its own limit")
        if max_concurrency is not None and not 1 <= max_concurrency <= MOST:
            raise ConfigurationError(f"max_concurrency must be 1 to {MOST}, not {max_concurrency}")
        log_as_asked(os.environ)
        self._options = Options(
            timeout=timeout,
            write_timeout=write_timeout,
            max_retries=max_retries,
            language=language,
            on_event=on_event,
            drift=drift,
        )
        self._session = Session(
            AiohttpTransport(self._base_url, proxy=route, ssl_context=ssl_context),
            memory=memory,
            limiter=limiter or (Limiter(max_concurrency) if max_concurrency else self._base_url),
            sender=Sender(
                environment=urlsplit(self._base_url).netloc,
                integration_id=checked_integration_id(integration_id),
                user_agent=USER_AGENT if user_agent is None else f"{USER_AGENT} {checked_user_agent(user_agent)}",
            ),
            auth=checked,
            options=msgspec.structs.replace(self._options, timeout=TOKEN_SECONDS),
        )
        self._is_view = False

    @classmethod
    def from_env(cls, variables: Mapping[str, str] | None = None, **options: Any) -> AfasClient:
        """Make a client from environment variables.

        AFAS_TOKEN holds the token, or AFAS_CLIENT_ID and AFAS_CLIENT_SECRET the client credentials. AFAS_ENVIRONMENT
        holds the participant number, and AFAS_ENVIRONMENT_TYPE "production" (the default), "test", "accept" or
        "course"; or AFAS_BASE_URL in their place.

        Args:
            variables: In place of `os.environ`.
            options: Further arguments of the constructor.

        Raises:
            ConfigurationError: If a variable is missing or malformed.
        """
        try:
            options["proxy"] = checked_proxy(options.pop("proxy", None))
            check_type("variables", variables, Mapping | None, "a mapping such as os.environ")
            variables = os.environ if variables is None else variables
            number, kind = variables.get("AFAS_ENVIRONMENT"), variables.get("AFAS_ENVIRONMENT_TYPE") or "production"
            base_url = variables.get("AFAS_BASE_URL") or None
            auth = _auth_in(variables)
        finally:
            del variables  # no error may show the token, or the proxy's password, among the locals of this frame
        if auth is None or not (number or base_url):
            raise ConfigurationError(
                "set AFAS_TOKEN, and either AFAS_ENVIRONMENT or AFAS_BASE_URL"
                " (in place of AFAS_TOKEN: AFAS_CLIENT_ID and AFAS_CLIENT_SECRET)"
            )
        environment = None if base_url or not number else Environment(number, cast("EnvironmentType", kind))
        return cls(environment, base_url=base_url, auth=auth, **options)

    # --- life ---

    async def open(self) -> None:
        """Open the client. If this fails or is cancelled, the client is closed.

        Raises:
            UsageError: If it was opened before, or this is a view.
        """
        self._refuse_view()
        await self._session.open()

    async def aclose(self) -> None:
        """Close the client: stop what is under way and close the connections.

        Streams that are being read raise `ClientClosedError`. May be called again, and from any task of the event loop;
        a cancellation of the caller is delivered after that. The wait is shielded, and ends after 5 seconds.

        Raises:
            UsageError: If this is a view, another event loop, or a forked process.
        """
        self._refuse_view()
        await self._session.aclose()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    if not TYPE_CHECKING:  # type checkers report `with` by themselves

        def __enter__(self) -> NoReturn:
            raise UsageError("use `async with` to open and close the client: `with` cannot wait")

        def __exit__(self, *_: object) -> None: ...

    def with_options(
        self,
        *,
        timeout: float | None = None,
        write_timeout: float | None = None,
        max_retries: int | None = None,
        language: str | None = None,
        drift: Literal["warn", "error"] | None = None,
        priority: Priority | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> AfasClient:
        """Return a view of this client with other options, and the same connections, limiter and life.

        Args:
            timeout: See the class; None keeps this client's value, as for the others.
            write_timeout: See the class.
            max_retries: See the class.
            language: See the class.
            drift: See the class.
            priority: "background" for calls that others pass while they wait for a slot, as reads (`rows`, `pages`,
                `changes`) and loads are by default; "interactive" for those that pass them. See `Limiter`.
            on_event: See the class.

        Raises:
            UsageError: If one of them is of a wrong type or malformed.
        """
        view = object.__new__(AfasClient)
        view._base_url = self._base_url
        changes = {
            "timeout": timeout,
            "write_timeout": write_timeout,
            "max_retries": max_retries,
            "language": language,
            "drift": drift,
            "priority": priority,
            "on_event": on_event,
        }
        given = {name: value for name, value in changes.items() if value is not None}
        view._session = self._session
        view._options = msgspec.structs.replace(self._options, **given)
        view._is_view = True
        return view

    @overload
    def statistics(self) -> Statistics: ...

    @overload
    def statistics(self, *, by: Literal["connector"]) -> dict[str, Statistics]: ...

    def statistics(self, *, by: Literal["connector"] | None = None) -> Statistics | dict[str, Statistics]:
        """Return what the client and its views have done so far: a copy.

        Args:
            by: "connector" for the statistics of each connector or path that was called, the first 1,000 of them; what
                comes after those is counted as "(others)".

        Raises:
            UsageError: If `by` is something else.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         await afas.rows("Profit_Article", key="ItemCode").to_list()
            ...         return afas.statistics(by="connector")["Profit_Article"].rows
            >>> asyncio.run(main())
            500
        """
        counts = self._session.engine.counts
        if by is None:
            return msgspec.structs.replace(counts.total)
        if by != "connector":
            raise UsageError(f'by must be "connector", not {by!r}')
        return {name: msgspec.structs.replace(counted) for name, counted in counts.by_connector.items()}

    def __repr__(self) -> str:
        return f"AfasClient(base_url={self._base_url!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an AfasClient is not pickled or copied: make a new one in each process")

    def _refuse_view(self) -> None:
        if self._is_view:
            raise UsageError("with_options returns a view, which is not opened or closed: open and close its client")


def _auth_in(variables: Mapping[str, str]) -> AppToken | ClientCredentials | None:
    names = ("AFAS_TOKEN", "AFAS_CLIENT_ID", "AFAS_CLIENT_SECRET")
    try:
        match [bool(variables.get(name)) for name in names]:
            case [True, False, False]:
                return AppToken(variables["AFAS_TOKEN"])
            case [False, True, True]:
                return ClientCredentials(variables["AFAS_CLIENT_ID"], variables["AFAS_CLIENT_SECRET"])
            case [False, False, False]:
                return None
            case _:
                raise ConfigurationError("set either AFAS_TOKEN, or both AFAS_CLIENT_ID and AFAS_CLIENT_SECRET")
    finally:
        del variables  # nor may the locals of this frame show them
