"""The client: one for each environment and credential, with a method for everything that the API offers."""

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
    """The client for one AFAS environment and one credential.

    Open it once, with `async with`, and share it between all tasks of an event loop. The guide `afas_async.client`
    explains the options in full.

    Args:
        environment: Your participant number such as "12345" (production), or an `Environment`.
        auth: A token as text or `AppToken`, `ClientCredentials`, `PrivateKeyCredentials`, or an async function that
            returns a token.
        base_url: A URL in place of `environment`.
        max_concurrency: Requests at a time, 1 to 8. By default, clients of one environment share 5.
        limiter: A `Limiter` or `SharedLimiter` in place of `max_concurrency`.
        memory: Bytes of responses that may wait for readers.
        timeout: Seconds for a request with all its retries; in a stream, for each page.
        write_timeout: Seconds to wait for the response to a write, at most 960.
        max_retries: Retries of a failed request.
        proxy: URL of an HTTP proxy.
        ssl_context: Your own TLS context.
        integration_id: The id that AFAS partners send, such as "12345_678900".
        user_agent: Your program, such as "orders/2.1".
        language: "en-us", "nl-nl", "nl-be", "fr-fr" or "de-de".
        drift: "warn" or "error", for a field of your row type that no row has.
        on_event: Called with each `Event`; must not block.

    Raises:
        UsageError: If an argument has the wrong type.
        ConfigurationError: If an argument is malformed. It is a UsageError too.

    Example:
        >>> from afas_async.simulator import Simulator  # or AfasClient("12345", auth="<token>")
        >>> async def main():
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         page = await afas.page("Profit_Article", order_by="ItemCode")
        ...         return page.rows[0]["ItemCode"]
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
        self._base_url = base_url or repr(environment)  # before anything can fail: error reports print `self`
        try:
            checked = checked_auth(auth)
            route = checked_proxy(proxy)
        finally:
            del auth, proxy  # no traceback may show a token or password, not even a malformed one
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
        """Create a client from environment variables.

        Set AFAS_TOKEN, or both AFAS_CLIENT_ID and AFAS_CLIENT_SECRET. Set AFAS_ENVIRONMENT to your participant number,
        and AFAS_ENVIRONMENT_TYPE to "production" (the default), "test", "accept" or "course". AFAS_BASE_URL takes the
        place of both.

        Args:
            variables: A mapping to read in place of `os.environ`.
            options: Further arguments of the constructor.

        Returns:
            The client, not yet open.

        Raises:
            ConfigurationError: If a variable is missing or malformed.

        Example:
            >>> variables = {"AFAS_TOKEN": "A" * 64, "AFAS_ENVIRONMENT": "12345", "AFAS_ENVIRONMENT_TYPE": "test"}
            >>> AfasClient.from_env(variables)
            AfasClient(base_url='https://12345.resttest.afas.online/profitrestservices')
        """
        try:
            options["proxy"] = checked_proxy(options.pop("proxy", None))
            check_type("variables", variables, Mapping | None, "a mapping such as os.environ")
            variables = os.environ if variables is None else variables
            number, kind = variables.get("AFAS_ENVIRONMENT"), variables.get("AFAS_ENVIRONMENT_TYPE") or "production"
            base_url = variables.get("AFAS_BASE_URL") or None
            auth = _auth_in(variables)
        finally:
            del variables  # no traceback may show the token or the proxy's password
        if auth is None or not (number or base_url):
            raise ConfigurationError(
                "set AFAS_TOKEN, and either AFAS_ENVIRONMENT or AFAS_BASE_URL"
                " (in place of AFAS_TOKEN: AFAS_CLIENT_ID and AFAS_CLIENT_SECRET)"
            )
        environment = None if base_url or not number else Environment(number, cast("EnvironmentType", kind))
        return cls(environment, base_url=base_url, auth=auth, **options)

    # --- life ---

    async def open(self) -> None:
        """Open the client, if you cannot use `async with`.

        Pair it with `aclose`. You can call the two from different tasks of one event loop. If opening fails or is
        cancelled, the client is closed. A client is opened once: after `aclose`, create a new one.

        Raises:
            UsageError: If the client was opened before, or if it is a view from `with_options`.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim:
            ...         afas = AfasClient(base_url=sim.base_url, auth=sim.token)
            ...         await afas.open()
            ...         try:
            ...             return await afas.version()
            ...         finally:
            ...             await afas.aclose()
            >>> asyncio.run(main())
            '22.22.5'
        """
        self._refuse_view()
        await self._session.open()

    async def aclose(self) -> None:
        """Close the client: end all requests and close the connections.

        Streams that somebody still reads raise `ClientClosedError`. You can call it again, and from any task of the
        event loop. Closing takes 5 seconds at most and cannot be cancelled: if you are cancelled meanwhile, that
        reaches you afterwards. `async with` calls it for you.

        Raises:
            UsageError: If this is a view from `with_options`, or you are in another event loop or a forked process.
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
        """Return a view of this client with other options, and the same connections and limits.

        A view costs nothing: make one for a single call if you like. It lives as long as its client. Options that you
        leave out keep this client's values; the class describes them.

        Args:
            timeout: Seconds for a request with all its retries.
            write_timeout: Seconds to wait for the response to a write.
            max_retries: How often a failed request is sent again.
            language: Language of labels and messages.
            drift: "warn" or "error".
            priority: "background" for calls that give way to others while they wait for a slot. `rows`, `pages`,
                `changes` and loads are by default. "interactive" for calls that go first. See `Limiter`.
            on_event: Called with each `Event`.

        Returns:
            The view. You cannot open or close it.

        Raises:
            UsageError: If an option has the wrong type or is malformed.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         patient = afas.with_options(timeout=900, max_retries=10)
            ...         return len((await patient.page("Profit_Article", take=5)).rows)
            >>> asyncio.run(main())
            5
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
        """Return counts of what the client and its views have done so far: requests, retries, rows, bytes.

        The result is a copy, which does not change afterwards.

        Args:
            by: "connector" for a dict with the statistics of each connector or path that you called. It has the first
                1,000; later ones are counted together as "(others)".

        Returns:
            The `Statistics`, or a dict of them.

        Raises:
            UsageError: If `by` is anything else.

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
        raise TypeError("an AfasClient cannot be pickled or copied: create a new one in each process")

    def _refuse_view(self) -> None:
        if self._is_view:
            raise UsageError("with_options returns a view, which you cannot open or close: open and close its client")


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
        del variables  # no traceback may show them
