"""Read GetConnectors: rows as streams, whole pages, single pages, plans, changes and deletions."""

from __future__ import annotations

__docformat__ = "google"

import warnings
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict, Unpack, overload

import msgspec

from afas_async.errors import UsageError
from afas_async.http.channel import Caller, operation
from afas_async.policy.sizing import EVERYTHING
from afas_async.policy.spans import Key, Span
from afas_async.read.changes import Changes
from afas_async.read.known_keys import KnownKeys
from afas_async.read.options import ReadOptions
from afas_async.read.query import query_of
from afas_async.read.ranges import plan
from afas_async.read.scan import scan_of
from afas_async.read.stream import Page, Pages, Rows
from afas_async.read.window import read_page
from afas_async.vocabulary.arguments import check_type
from afas_async.vocabulary.connectors import GetConnector, RowT
from afas_async.vocabulary.filters import Condition
from afas_async.vocabulary.names import field_id


class ReadArguments(TypedDict, total=False):
    """The options of `rows` and `pages`, in full.

    Attributes:
        where: The condition that rows must meet, made with `F`. A condition that is too long for one request is split
            over several, if the order can be kept.
        order_by: Another order than the key's: field ids, with a leading `-` for descending. The key is added to it.
            The fields must be members of the row type, `str` or `int`, never empty, and must not change during the
            read.
        take: Rows per page. By default pages start at 100 rows. They grow to the size that AFAS advises, to 4 MB, and
            to what the service answers within 10 seconds. -1 requests all rows in one response, which AFAS discourages;
            `pages` does not accept it.
        window: Pages in flight at a time. The default, and the maximum, is the client's `max_concurrency`.
        after: A cursor of the same query, from `rows.cursor`. The stream starts after the row at which you took it.
        part: A part of a `plan`: only the rows in its key range that meet its condition. Leave `where` out.
        verify: False gives up the guarantees. Pages are requested by number, so rows that appear or vanish meanwhile
            make others missing or duplicate. Without a key it is the only way to read, up to row 100,000.
    """

    where: Condition | None
    order_by: str | Sequence[str]
    take: int | None
    window: int | None
    after: str | None
    part: Mapping[str, Any] | None
    verify: bool


class GetConnectors(Caller):
    """The methods of a client that read GetConnectors."""

    @overload
    def rows(
        self,
        connector: GetConnector[RowT],
        *,
        known_keys: Iterable[Key] | None = ...,
        **options: Unpack[ReadArguments],
    ) -> Rows[RowT]: ...

    @overload
    def rows(
        self,
        connector: str,
        *,
        key: str | tuple[str, ...] = ...,
        known_keys: Iterable[Key] | None = ...,
        **options: Unpack[ReadArguments],
    ) -> Rows[dict[str, Any]]: ...

    def rows(
        self,
        connector: GetConnector[Any] | str,
        *,
        key: str | tuple[str, ...] = (),
        known_keys: Iterable[Key] | None = None,
        **options: Unpack[ReadArguments],
    ) -> Rows[Any]:
        """Stream the rows of a GetConnector: each once, in key order, in bounded memory.

        Nothing is sent until you ask for the first row. You can leave the loop at any point, and continue later from
        `rows.cursor`. The guide `afas_async.read` has the guarantees; `afas_async.client.get_connectors.ReadArguments`
        describes the options in full.

        Args:
            connector: The connector, or its name to get rows as dicts.
            key: The key, if you give a name.
            known_keys: Keys that you have. At the end, `rows.deleted_keys` lists those without a row.
            where: The condition that rows must meet, such as `F.Price < 10`.
            order_by: Field ids to sort by before the key; a leading `-` for descending.
            take: Rows per page; by default it grows from 100.
            window: Pages in flight; by default the client's `max_concurrency`.
            after: A cursor of the same query.
            part: A part of a `plan`, in place of `where`.
            verify: False reads without guarantees: the only way without a key.

        Returns:
            A stream of the connector's row type.

        Raises:
            UsageError: If an argument makes no sense; nothing was sent. The other errors come from the stream.
            QueryTooLongError: If a condition is too long and cannot be split.
            SortKeyRequiredError: If the connector has no key.
            AfasError: If reading fails.

        Source:
            AFAS, GET connector: skip and take, sorting, filters.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         async with afas.rows("Profit_Article", key="ItemCode", where=F.ItemCode > "000010") as rows:
            ...             return len([row["ItemCode"] async for row in rows])
            >>> asyncio.run(main())
            490
        """
        scan = scan_of(self._begin("rows").bulk, connector, ReadOptions(**options), key=key)
        known = None
        if known_keys is not None:
            if {"after", "part", "order_by"} & options.keys() or not scan.verify or scan.take == EVERYTHING:
                raise UsageError(
                    f"{scan.query.connector.name}: known_keys= needs a whole read of pages in the order of the key:"
                    " leave out after=, part=, order_by=, verify=False and take=-1"
                )
            known = KnownKeys(scan.query, known_keys)
        if scan.take == EVERYTHING:
            name = scan.query.connector.name
            warnings.warn(
                f"{name}: take=-1 makes the service build one response with all rows, which AFAS strongly discourages",
                stacklevel=2,
            )
        return Rows(scan, known)

    @overload
    def pages(self, connector: GetConnector[RowT], **options: Unpack[ReadArguments]) -> Pages[RowT]: ...

    @overload
    def pages(
        self, connector: str, *, key: str | tuple[str, ...] = ..., **options: Unpack[ReadArguments]
    ) -> Pages[dict[str, Any]]: ...

    def pages(
        self,
        connector: GetConnector[Any] | str,
        *,
        key: str | tuple[str, ...] = (),
        **options: Unpack[ReadArguments],
    ) -> Pages[Any]:
        """Stream the rows of a GetConnector as whole pages: the form for loading a database.

        You get each `Page` when its response is complete, so its rows are in memory together. Guarantees and options
        are those of `rows`. To continue after the last page that you stored, keep `pages.cursor`.

        Args:
            connector: The connector, or its name to get rows as dicts.
            key: The key field or fields, if you give a name.
            options: See `rows`; `take` cannot be -1. A condition that has to be split must ask for values of the first
                field of the order. Then each page holds the rows of one response, in order.

        Returns:
            A stream of `Page`, in order.

        Raises:
            UsageError: If an argument makes no sense; nothing was sent.
            SortKeyRequiredError: From the stream, if the connector has no key.
            AfasError: From the stream, if reading fails.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         pages = afas.pages("Profit_Article", key="ItemCode", take=200)
            ...         return [(page.number, page.skip, len(page.rows)) async for page in pages]
            >>> asyncio.run(main())
            [(0, 0, 200), (1, 200, 200), (2, 400, 100)]
        """
        channel = self._begin("pages").bulk
        scan = scan_of(channel, connector, ReadOptions(**options), key=key, whole_pages=True)
        if scan.take == EVERYTHING:
            name = scan.query.connector.name
            raise UsageError(f"{name}: pages() cannot return everything in one page: use rows() for take=-1")
        return Pages(scan)

    @overload
    async def page(
        self,
        connector: GetConnector[RowT],
        *,
        skip: int = ...,
        take: int = ...,
        where: Condition | None = ...,
        order_by: str | Sequence[str] = ...,
    ) -> Page[RowT]: ...

    @overload
    async def page(
        self,
        connector: str,
        *,
        skip: int = ...,
        take: int = ...,
        where: Condition | None = ...,
        order_by: str | Sequence[str] = ...,
    ) -> Page[dict[str, Any]]: ...

    @operation
    async def page(
        self,
        connector: GetConnector[Any] | str,
        *,
        skip: int = 0,
        take: int = 100,
        where: Condition | None = None,
        order_by: str | Sequence[str] = (),
    ) -> Page[Any]:
        """Return one page of rows, with exactly one request.

        Use it for a screen of results or a quick look; for all rows use `rows`. The request is repeated only if it
        fails.

        Args:
            connector: The connector, or its name to get rows as dicts.
            skip: Rows to leave out, 0 or more. AFAS is slow above 100,000.
            take: Rows to return at most, 1 or more.
            where: The condition that rows must meet. If no row can meet it, nothing is sent.
            order_by: Field ids, a leading `-` for descending. The default is the connector's key, or no order without
                one.

        Returns:
            The page: its `rows`, and the `skip` you gave.

        Raises:
            UsageError: If an argument makes no sense; nothing was sent.
            QueryTooLongError: If the condition does not fit into one request. Use `rows`, which can split it.
            AfasError: If the request fails.

        Source:
            AFAS, GET connector: skip and take.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         page = await afas.page("Profit_Article", skip=10, take=2, order_by="ItemCode")
            ...         return [row["ItemCode"] for row in page.rows]
            >>> asyncio.run(main())
            ['000011', '000012']
        """
        query = query_of(self._channel, connector, order_by=order_by, where=where)
        name = query.connector.name
        check_type("skip", skip, int, "a whole number such as 100", connector=name)
        check_type("take", take, int, "a whole number such as 100", connector=name)
        if skip < 0 or take < 1:
            raise UsageError(
                f"{name}: skip must be 0 or more and take 1 or more, not skip={skip} and take={take};"
                " use rows() for all rows"
            )
        return Page(await read_page(query, Span(skip, take)) if query.where else [], 0, skip)

    @operation
    async def plan(
        self,
        connector: GetConnector[Any] | str,
        *,
        parts: int,
        key: str | tuple[str, ...] = (),
        where: Condition | None = None,
    ) -> list[dict[str, Any]]:
        """Split a read into parts, for `rows(..., part=...)` here or on other machines.

        The parts are key ranges that together hold every row exactly once. Rows written meanwhile are included: the
        first part has no beginning and the last no end.

        A key of whole numbers is cut evenly between lowest and highest, with two requests. Other keys are cut at
        existing rows, with a few requests for each part and each million rows. They use enough fields that no part
        holds more than about twice its share.

        Args:
            connector: The connector, or its name.
            key: The key, if you give a name.
            parts: About how many. You get fewer for few rows or if a long condition leaves no room for keys, and a few
                more if single values must be cut.
            where: The condition that rows must meet; the parts carry it.

        Returns:
            Dicts in key order, which survive JSON. They hold key values and the condition, no credential. `rows` is
            about how many rows a part has at most, or None.

        Raises:
            UsageError: If `parts` is not positive; nothing was sent.
            SortKeyRequiredError: If the connector has no key.
            AfasError: If the rows to cut at cannot be read.

        Source:
            AFAS, GET connector: above 100,000 rows, partition by a filter.

        Example:
            >>> async def main():
            ...     articles = GetConnector("Profit_Article", key="ItemCode")
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         parts = await afas.plan(articles, parts=4)
            ...         return sum([len(await afas.rows(articles, part=part).to_list()) for part in parts])
            >>> asyncio.run(main())
            500
        """
        planned = await plan(query_of(self._channel, connector, key=key, where=where, keyed=True), parts)
        return [part.data() for part in planned]

    @overload
    def changes(
        self,
        connector: GetConnector[RowT],
        *,
        modified: str,
        since: str | datetime | None = ...,
        after: str | None = ...,
        where: Condition | None = ...,
    ) -> Changes[RowT]: ...

    @overload
    def changes(
        self,
        connector: str,
        *,
        key: str | tuple[str, ...],
        modified: str,
        since: str | datetime | None = ...,
        after: str | None = ...,
        where: Condition | None = ...,
    ) -> Changes[dict[str, Any]]: ...

    def changes(
        self,
        connector: GetConnector[Any] | str,
        *,
        key: str | tuple[str, ...] = (),
        modified: str,
        since: str | datetime | None = None,
        after: str | None = None,
        where: Condition | None = None,
    ) -> Changes[Any]:
        """Stream the rows modified since your last run, to apply as inserts or updates.

        Rows come in key order, each key once in a run, with the guarantees of `rows`. A run first requests the latest
        moment of all rows, which becomes its `watermark`. Then it reads the rows modified from 76 minutes before
        `since` on, so some rows come again. The guide `afas_async.read` says which changes a run can miss.

        Args:
            connector: The connector, or its name for rows as dicts.
            key: The key, if you give a name.
            modified: The field with the moment of a row's last change.
            since: The `watermark` of your last run, None for all rows, or a datetime such as one from a row. Without a
                time zone it is wall time in Amsterdam.
            after: A `changes.cursor`, to continue a run that broke off with its `since` and watermark.
            where: A further condition.

        Returns:
            A stream of rows. Store its `watermark` once they are safe.

        Raises:
            UsageError: If an argument makes no sense, or the watermark is not of these changes.
            SortKeyRequiredError: From the stream, if the connector has no key.
            AfasError: From the stream, if reading fails: repeat the run.

        Source:
            AFAS, REST API for developers: synchronise by modified date.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         async with afas.changes("Profit_Article", key="ItemCode", modified="ModifiedOn") as changes:
            ...             copy = {row["ItemCode"]: row async for row in changes}
            ...         return len(copy), changes.watermark[:12]
            >>> asyncio.run(main())
            (500, '{"version":1')
        """
        scan = scan_of(self._begin("changes").bulk, connector, ReadOptions(where=where), key=key)
        check_type("modified", modified, str, "a field id", connector=scan.query.connector.name)
        field_id(modified)
        return Changes(scan, modified=modified, since=since, after=after)

    @operation
    async def deleted_keys(
        self,
        connector: GetConnector[Any] | str,
        known_keys: Iterable[Key],
        *,
        key: str | tuple[str, ...] = (),
        where: Condition | None = None,
    ) -> list[Key]:
        """Return which of your keys no longer have a row: how you find deletions.

        It reads the whole connector and decodes only the keys, with the guarantees of `rows`. A key that exists from
        the first request to the last response is never returned. Texts are compared exactly. Use a connector with
        nothing but the key fields, if you have one: its responses are short. If you want the rows as well, use
        `rows(known_keys=...)`.

        Args:
            connector: The connector, or its name.
            key: The key field or fields, if you give a name.
            known_keys: Keys of rows that existed, kept in memory: text or whole numbers, or tuples of them if the key
                has several fields.
            where: The condition that you read the known rows with. A row that no longer meets it counts as deleted.

        Returns:
            The missing keys, in your order. If the connector has no rows, you get all of them: decide what that means
            before you delete everything.

        Raises:
            UsageError: If your keys are of another type than those of the rows.
            SortKeyRequiredError: If the connector has no key.
            AfasError: If reading fails.

        Source:
            AFAS, deleted data: a full comparison where no log of deletions is set up.

        Example:
            >>> async def main():
            ...     articles = GetConnector("Profit_Article", key="ItemCode")
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         return await afas.deleted_keys(articles, ["000499", "000500", "000501"])
            >>> asyncio.run(main())
            ['000501']
        """
        named = query_of(self._channel, connector, key=key).connector
        undecoded = GetConnector(named.name, msgspec.Raw, key=named.key)
        async with self.rows(undecoded, where=where, known_keys=known_keys) as rows:
            async for _ in rows.batches():
                pass
        return rows.deleted_keys
