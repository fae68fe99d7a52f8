"""The session manager: one client per environment and token, with everything that can be asked of it."""

from __future__ import annotations

import os
import re
import ssl
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, NoReturn, Self, cast, overload

import msgspec

from afas_async.connectors import GetConnector, RowT
from afas_async.credentials import AppToken
from afas_async.environment import Environment, EnvironmentType, checked_base_url, checked_proxy
from afas_async.errors import ConfigurationError, UsageError
from afas_async.http.engine import Event, Options, Statistics
from afas_async.http.session import Session
from afas_async.http.transport import AiohttpTransport
from afas_async.metadata import get_metainfo
from afas_async.metainfo import GetMetainfo
from afas_async.policy.paging import EVERYTHING, Span
from afas_async.read.reading import source_of, window_of
from afas_async.read.stream import Page, Pages, Rows
from afas_async.read.window import read_page

_INTEGRATION_ID = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)


class AfasClient:
    """The client for one AFAS environment and one token.

    Making it does no I/O and needs no event loop. It is opened once and closed once, with `async with` or with `open`
    and `aclose` from any task of one event loop; any number of tasks may use it meanwhile.

    Args:
        environment: The participant number such as "12345" (production), or an `Environment`.
        auth: The app connector's token, as text or as `AppToken`.
        base_url: In place of `environment`: an explicit base URL, such as a simulator's.
        max_concurrency: Requests in flight at a time, 1 to 8, shared by all views. AFAS advises 5 at most (GET
            connector).
        timeout: Seconds for a request with all its retries; in a stream for each page. The wait for a free slot is not
            counted, nor is the time that a stream waits for its reader.
        max_retries: How often a request is sent again after a transport fault or a sign of overload.
        proxy: URL of an HTTP proxy. None is taken from the environment.
        ssl_context: In place of the default context, which verifies the server and demands TLS 1.2.
        integration_id: The id that AFAS partners send, such as "12345_678900" (AFAS, Integration id).
        language: Language of the service's messages: "en-us", "nl-nl", "nl-be", "fr-fr" or "de-de".
        on_event: Called with an `Event` after each attempt and before each retry, in the event loop: it must not block.

    Raises:
        ConfigurationError: If an argument is malformed. Nothing is sent.

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
        auth: str | AppToken,
        base_url: str | None = None,
        max_concurrency: int = 5,
        timeout: float = 300.0,
        max_retries: int = 3,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        integration_id: str | None = None,
        language: str = "nl-nl",
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self._base_url = base_url or repr(environment)  # before anything can fail: reports of errors print `self`
        try:
            token = auth if isinstance(auth, AppToken) else AppToken(auth)
        finally:
            del auth  # nor may they show the token, not even a malformed one, among the locals of this frame
        if (environment is None) == (base_url is None):
            raise ConfigurationError("give either an environment or a base_url")
        if isinstance(environment, str):
            environment = Environment(environment)
        self._base_url = environment.base_url if environment is not None else checked_base_url(cast("str", base_url))
        if not 1 <= max_concurrency <= 8:
            raise ConfigurationError(f"max_concurrency must be 1 to 8, not {max_concurrency}")
        if integration_id is not None and not _INTEGRATION_ID.fullmatch(integration_id):
            raise ConfigurationError("the integration_id must look like 12345_678900")
        self._options = Options(timeout=timeout, max_retries=max_retries, language=language, on_event=on_event)
        self._session = Session(
            AiohttpTransport(
                self._base_url, token, proxy=None if proxy is None else checked_proxy(proxy), ssl_context=ssl_context
            ),
            max_concurrency=max_concurrency,
            integration_id=integration_id,
        )
        self._is_view = False

    @classmethod
    def from_env(cls, variables: Mapping[str, str] | None = None, **options: Any) -> AfasClient:
        """Make a client from environment variables.

        AFAS_TOKEN holds the token; AFAS_ENVIRONMENT the participant number, and AFAS_ENVIRONMENT_TYPE "production" (the
        default), "test", "accept" or "course"; or AFAS_BASE_URL in their place.

        Args:
            variables: In place of `os.environ`.
            options: Further arguments of the constructor.

        Raises:
            ConfigurationError: If a variable is missing or malformed.
        """
        found = os.environ if variables is None else variables
        number, kind = found.get("AFAS_ENVIRONMENT"), found.get("AFAS_ENVIRONMENT_TYPE") or "production"
        base_url = found.get("AFAS_BASE_URL") or None
        try:
            auth = AppToken(found["AFAS_TOKEN"]) if found.get("AFAS_TOKEN") else None
        finally:
            del variables, found  # no error may show the token among the locals of this frame
        if auth is None or not (number or base_url):
            raise ConfigurationError("set AFAS_TOKEN, and either AFAS_ENVIRONMENT or AFAS_BASE_URL")
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

    def with_options(
        self,
        *,
        timeout: float | None = None,
        max_retries: int | None = None,
        language: str | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> AfasClient:
        """Return a view of this client with other options, and the same connections, limiter and life.

        Args:
            timeout: See the class; None keeps this client's value, as for the others.
            max_retries: See the class.
            language: See the class.
            on_event: See the class.
        """
        view = object.__new__(AfasClient)
        view._base_url = self._base_url
        view._session = self._session
        view._options = Options(
            timeout=self._options.timeout if timeout is None else timeout,
            max_retries=self._options.max_retries if max_retries is None else max_retries,
            language=self._options.language if language is None else language,
            on_event=self._options.on_event if on_event is None else on_event,
        )
        view._is_view = True
        return view

    def statistics(self) -> Statistics:
        """Return what the client and its views have done so far: a copy."""
        return msgspec.structs.replace(self._session.engine.statistics)

    def __repr__(self) -> str:
        return f"AfasClient(base_url={self._base_url!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an AfasClient is not pickled or copied: make a new one in each process")

    def _refuse_view(self) -> None:
        if self._is_view:
            raise UsageError("a view made by with_options shares the life of its client: open and close that one")

    # --- GetConnectors ---

    @overload
    def rows(
        self,
        connector: GetConnector[RowT],
        *,
        order_by: str | Sequence[str] = ...,
        take: int | None = ...,
        window: int | None = ...,
        verify: bool = ...,
    ) -> Rows[RowT]: ...

    @overload
    def rows(
        self,
        connector: str,
        *,
        key: str | tuple[str, ...] = ...,
        order_by: str | Sequence[str] = ...,
        take: int | None = ...,
        window: int | None = ...,
        verify: bool = ...,
    ) -> Rows[dict[str, Any]]: ...

    def rows(
        self,
        connector: GetConnector[Any] | str,
        *,
        key: str | tuple[str, ...] = (),
        order_by: str | Sequence[str] = (),
        take: int | None = None,
        window: int | None = None,
        verify: bool = True,
    ) -> Rows[Any]:
        """Return the rows of a GetConnector as a stream: in key order, pages fetched concurrently, in bounded memory.

        Nothing is sent before the first row is asked for. Rows are handed out as the bytes of their page arrive. At
        most `window` pages are on their way, and only while rows are being asked for. Answers that wait for the reader
        are kept to about 16 MiB together, by the size of the rows so far, and to 16 MiB each in any case. The read ends
        only on proof: an answer without rows.

        Rows that appear or vanish during the read move the rows behind them: until the read is anchored by key, such a
        row can be missing or doubled. Read while nobody writes, or compare.

        Leaving the loop in any way is safe, cancellation included, and a cancelled read can be taken up again.
        `async with` around the stream stops the requests on their way at once; without it that is done when the stream
        is collected.

        Args:
            connector: The connector, or its name for rows as dicts.
            key: The key of a connector that is given by name.
            order_by: Another order than the key's: field ids, a leading `-` for descending. The key is added.
            take: Rows per page. By default pages grow from 100 rows to AFAS's advice (columns x rows < 150,000). -1
                asks for everything in one answer, which AFAS discourages, and warns. Such an answer is not taken up
                again where it broke; while its reader pauses, it holds one of the client's slots, and the server may
                cut it after 15 minutes.
            window: Pages on their way at a time, at most the client's `max_concurrency`, which is the default.
            verify: False reads without a key: best effort, ordered by `order_by` alone, whole pages only, with an error
                at row 100,000.

        Returns:
            A stream of the connector's row type.

        Raises:
            UsageError: If an argument makes no sense. Nothing was sent.
            SortKeyRequiredError: From the stream, if there is no key; no rows were asked for.
            AfasError: From the stream, if rows cannot be had.

        Source:
            AFAS, GET connector: skip and take, sorting; REST API for developers.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         async with afas.rows("Profit_Article", key="ItemCode") as rows:
            ...             codes = [row["ItemCode"] async for row in rows]
            ...         return len(codes), codes[-1]
            >>> asyncio.run(main())
            (500, '000500')
        """
        source = source_of(self._session, self._options, connector, key=key, order_by=order_by)
        if take == EVERYTHING:
            warnings.warn(
                f"{source.connector.name}: take=-1 makes the service build one answer of all rows, which AFAS strongly"
                " discourages",
                stacklevel=2,
            )
        return Rows(window_of(source, take=take, window=window, verify=verify, whole_pages=False))

    @overload
    def pages(
        self,
        connector: GetConnector[RowT],
        *,
        order_by: str | Sequence[str] = ...,
        take: int | None = ...,
        window: int | None = ...,
        verify: bool = ...,
    ) -> Pages[RowT]: ...

    @overload
    def pages(
        self,
        connector: str,
        *,
        key: str | tuple[str, ...] = ...,
        order_by: str | Sequence[str] = ...,
        take: int | None = ...,
        window: int | None = ...,
        verify: bool = ...,
    ) -> Pages[dict[str, Any]]: ...

    def pages(
        self,
        connector: GetConnector[Any] | str,
        *,
        key: str | tuple[str, ...] = (),
        order_by: str | Sequence[str] = (),
        take: int | None = None,
        window: int | None = None,
        verify: bool = True,
    ) -> Pages[Any]:
        """Return the rows of a GetConnector as whole server pages: the form for loading a database.

        As `rows`, but each `Page` is handed out only when its answer was complete: its rows are in memory together.

        Args:
            connector: As for `rows`.
            key: As for `rows`.
            order_by: As for `rows`.
            take: As for `rows`, but not -1.
            window: As for `rows`.
            verify: As for `rows`.

        Returns:
            A stream of `Page`, in order.

        Raises:
            UsageError: If an argument makes no sense. Nothing was sent.
            SortKeyRequiredError: From the stream, if there is no key.
            AfasError: From the stream, if rows cannot be had.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         pages = afas.pages("Profit_Article", key="ItemCode", take=200)
            ...         return [(page.number, page.skip, len(page.rows)) async for page in pages]
            >>> asyncio.run(main())
            [(0, 0, 200), (1, 200, 200), (2, 400, 100)]
        """
        if take == EVERYTHING:
            raise UsageError("pages cannot hold everything in one page: use rows(..., take=-1)")
        source = source_of(self._session, self._options, connector, key=key, order_by=order_by)
        return Pages(window_of(source, take=take, window=window, verify=verify, whole_pages=True))

    @overload
    async def page(
        self, connector: GetConnector[RowT], *, skip: int = ..., take: int = ..., order_by: str | Sequence[str] = ...
    ) -> Page[RowT]: ...

    @overload
    async def page(
        self, connector: str, *, skip: int = ..., take: int = ..., order_by: str | Sequence[str] = ...
    ) -> Page[dict[str, Any]]: ...

    async def page(
        self,
        connector: GetConnector[Any] | str,
        *,
        skip: int = 0,
        take: int = 100,
        order_by: str | Sequence[str] = (),
    ) -> Page[Any]:
        """Return one page, with exactly one request (sent again only if it fails).

        Args:
            connector: The connector, or its name for rows as dicts.
            skip: Rows to leave out, 0 or more. AFAS: slow above 100,000 (GET connector).
            take: Rows to return at most, 1 or more.
            order_by: Field ids, a leading `-` for descending; by default the connector's key, or no order.

        Raises:
            UsageError: If an argument makes no sense. Nothing was sent.
            AfasError: If the page cannot be had. A cancelled call leaves nothing behind.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         page = await afas.page("Profit_Article", skip=10, take=2, order_by="ItemCode")
            ...         return [row["ItemCode"] for row in page.rows]
            >>> asyncio.run(main())
            ['000011', '000012']
        """
        if skip < 0 or take < 1:
            raise UsageError(
                f"skip must be 0 or more and take 1 or more, not skip={skip} and take={take}:"
                " use rows(..., take=-1) for everything in one answer"
            )
        source = source_of(self._session, self._options, connector, order_by=order_by)
        return Page(await read_page(source, Span(skip, take)), 0, skip)

    # --- metainfo ---

    async def get_metainfo(self, connector: str) -> GetMetainfo:
        """Return the description of a GetConnector: its fields with their types and labels.

        Args:
            connector: The connector's name.

        Returns:
            The description. What the service does not tell is empty or 0, and what is not known here is left out.

        Raises:
            InvalidNameError: If the name may not enter a URL. Nothing was sent.
            ApiError: If there is no such connector, or the token's app connector does not include it.
            AnswerError: If the answer is no list of fields with their ids.
            AfasError: If no answer can be had. A cancelled call leaves nothing behind.

        Source:
            AFAS, REST API for developers: metainfo.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         article = await afas.get_metainfo("Profit_Article")
            ...         return article.fields[0]
            >>> asyncio.run(main())
            MetainfoField(id='ItemCode', data_type='string', label='Item code', length=30, decimals=0)
        """
        return await get_metainfo(self._session, self._options, connector)
