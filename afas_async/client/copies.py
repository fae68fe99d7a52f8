"""What a client offers to those who keep a copy of a connector: plans for several machines, changes, deletions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, overload

import msgspec

from afas_async.client.get_connectors import GetConnectors
from afas_async.policy.order import Key
from afas_async.read.changes import Changes, missing_keys
from afas_async.read.plans import plan
from afas_async.read.source import source_of
from afas_async.vocabulary.arguments import check_type
from afas_async.vocabulary.connectors import GetConnector, RowT
from afas_async.vocabulary.filters import Condition
from afas_async.vocabulary.names import field_id


class Copies(GetConnectors):
    """The part of a client that keeps copies of GetConnectors."""

    async def plan(
        self,
        connector: GetConnector[Any],
        *,
        parts: int,
        where: Condition | None = None,
    ) -> list[dict[str, Any]]:
        """Return the parts of a read as plain data, for `rows(..., part=...)` here or on other machines.

        The parts are ranges of the first field of the key: together they hold every row exactly once, wherever they are
        cut and whatever is written meanwhile, because the last has no end and the first no beginning. How even they are
        is a matter of luck: whole numbers are cut evenly between the lowest and the highest, with two requests; texts
        at values found by looking at single rows, with a few dozen requests at most for each million rows.

        Args:
            connector: The connector, with its key.
            parts: How many parts there should be. There are fewer if the field has not enough values.
            where: The condition that the rows of the read will meet, so that the parts are even among those. It is not
                part of the plan: give it to `rows` as well.

        Returns:
            Dicts of strings, numbers and None, in key order.

        Raises:
            UsageError: If `parts` is not positive. Nothing was sent.
            SortKeyRequiredError: If the connector has no key.
            AfasError: If the rows to cut at cannot be had. A cancelled call leaves nothing behind.

        Source:
            AFAS, GET connector: partition by a filter instead of skipping over more than 100,000 rows.

        Example:
            >>> async def main():
            ...     articles = GetConnector("Profit_Article", key="ItemCode")
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         parts = await afas.plan(articles, parts=4)
            ...         counts = [len(await afas.rows(articles, part=part).to_list()) for part in parts]
            ...         return sum(counts), min(counts) > 100
            >>> asyncio.run(main())
            (500, True)
        """
        return await plan(source_of(self._session, self._options, connector, where=where, keyed=True), parts)

    @overload
    def changes(
        self,
        connector: GetConnector[RowT],
        *,
        modified: str,
        since: str | datetime | None = ...,
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
        where: Condition | None = ...,
    ) -> Changes[dict[str, Any]]: ...

    def changes(
        self,
        connector: GetConnector[Any] | str,
        *,
        key: str | tuple[str, ...] = (),
        modified: str,
        since: str | datetime | None = None,
        where: Condition | None = None,
    ) -> Changes[Any]:
        """Return the rows that were modified since the last run, as a stream: to be applied as inserts or updates.

        The rows come in key order, each key once in a run, with the guarantee of `rows`. A run starts with one request
        for the latest moment of all rows, which becomes its `watermark`, and reads the rows modified from 76 minutes
        before `since` on. So it gives some rows again that the last run gave.

        *Guarantee.* Every version of a row that was committed before the run began, and 15 minutes or more before the
        next one began, is seen by one of the two or replaced by a later version that is: provided that `modified` is
        stamped at each change, and that no transaction takes longer than 15 minutes. The 76 minutes are those 15, one
        for clocks and rounding, and the hour that wall time repeats in October. The moments are those of the service;
        the clock of this computer only keeps out rows that claim to be from the future.

        *Limits.* A deleted row is not seen: see `deleted_keys`. Nor is a change of a joined table, which does not stamp
        the row (AFAS), a row whose `modified` is empty except in a run without `since`, and a change of the key, which
        looks like a deleted row and a new one.

        Args:
            connector: The connector, with its key.
            key: The key of a connector that is given by name.
            modified: The field with the moment of the last change of a row.
            since: The `watermark` of the last run, or a datetime (without a time zone: wall time in Amsterdam), or None
                for all rows.
            where: A further condition.

        Returns:
            A stream of rows. Its `watermark` is there after the end; store it once the rows are safe.

        Raises:
            UsageError: If an argument makes no sense, or the watermark belongs to other changes. Nothing was sent.
            SortKeyRequiredError: From the stream, if there is no key.
            AfasError: From the stream, if rows cannot be had. Repeat the run from the same `since`.

        Source:
            AFAS, REST API for developers: synchronise by modified date.

        Example:
            >>> async def main():
            ...     articles = GetConnector("Profit_Article", key="ItemCode")
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         async with afas.changes(articles, modified="ModifiedOn") as changes:
            ...             copy = {row["ItemCode"]: row async for row in changes}
            ...         return len(copy), changes.watermark[:12]
            >>> asyncio.run(main())
            (500, '{"version":1')
        """
        reading = self._reading(connector, whole_pages=False, key=key, where=where)
        check_type("modified", modified, str, "a field id", connector=reading.source.connector.name)
        field_id(modified)
        return Changes(reading, modified=modified, since=since)

    async def deleted_keys(
        self, connector: GetConnector[Any], known_keys: Iterable[Key], *, where: Condition | None = None
    ) -> list[Key]:
        """Return those of the known keys that no row has any more: deletions leave no other trace in the service.

        It reads the whole connector, undecoded but for the keys, with the guarantee of `rows`: a key that is there from
        the first request to the last answer is never returned. Texts are compared exactly.

        Args:
            connector: The connector, with its key.
            known_keys: Keys of rows that were there: text or whole numbers, tuples of them if the key has several
                fields. They are held in memory.
            where: The condition that the known rows met, if they were read with one. A row that no longer meets it
                counts as deleted.

        Returns:
            The missing keys, in the order in which they were given. All of them if the connector has no rows: decide
            what that means before deleting everything.

        Raises:
            UsageError: If the known keys are of another type than those of the rows.
            SortKeyRequiredError: If the connector has no key.
            AfasError: If rows cannot be had. A cancelled call leaves nothing behind.

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
        check_type("connector", connector, GetConnector, "a GetConnector with its key")
        undecoded = GetConnector(connector.name, msgspec.Raw, key=connector.key)
        return await missing_keys(self._reading(undecoded, whole_pages=False, key=(), where=where), known_keys)
