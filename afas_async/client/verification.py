"""A check for the start of a program: whether connectors are what it declares them to be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio
import msgspec

from afas_async.calls.metainfo import get_metainfo, metainfo, update_metainfo
from afas_async.errors import AfasError
from afas_async.http.channel import Caller, operation
from afas_async.policy.declared_rows import misfits
from afas_async.policy.spans import Span
from afas_async.read.keys import KeyReader
from afas_async.read.query import query_of
from afas_async.read.window import read_page
from afas_async.vocabulary.arguments import check_type
from afas_async.vocabulary.connectors import GetConnector, UpdateConnector, row_fields

SAMPLE = 1_000


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with a connector.

    Attributes:
        connector: Its name.
        text: What is wrong, and what to do.
    """

    connector: str
    text: str


class Verification(msgspec.Struct, frozen=True):
    """What `verify` found; as text, a report of a line for each connector and problem.

    Attributes:
        connectors: The names of the connectors that were checked.
        problems: What is wrong, in the order of the connectors.
    """

    connectors: list[str]
    problems: list[Problem]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def __str__(self) -> str:
        lines = list[str]()
        for name in self.connectors:
            found = [problem.text for problem in self.problems if problem.connector == name]
            lines += [
                f"{name}: {len(found) or 'no'} problem{'s' * (len(found) != 1)}",
                *(f"  {text}" for text in found),
            ]
        return "\n".join(lines)


class Verifier(Caller):
    """The part of a client that compares what a program declares with what the service has."""

    @operation
    async def verify(self, *connectors: GetConnector[Any] | UpdateConnector) -> Verification:
        """Check that connectors are there and fit what you declare: for the start of a program, or for its monitoring.

        For each GetConnector: the token may use it, it has the fields of the row type and of the key, their types fit,
        its first 1,000 rows decode, and no two of them have the same key. For each UpdateConnector: the token may use
        it. That takes one request for the list of connectors, and one or two for each, side by side.

        Args:
            connectors: GetConnectors and UpdateConnectors, as you declare them.

        Returns:
            The report, with everything that is wrong. `report.ok` is True if nothing is.

        Raises:
            UsageError: If an argument is not a connector. Nothing was sent.
            AuthenticationError: If the token is refused as such.
            AfasError: If the list of connectors cannot be had. A cancelled call leaves nothing behind.

        Source:
            AFAS, REST API for developers: metainfo.

        Example:
            >>> async def main():
            ...     articles = GetConnector("Profit_Article", key="ItemCod")
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         report = await afas.verify(articles, UpdateConnector("KnSubject"))
            ...         return report.ok, report.problems[0].text
            >>> asyncio.run(main())
            (False, "it has no field 'ItemCod': did you mean 'ItemCode'?")
        """
        for connector in connectors:
            check_type("connectors", connector, GetConnector | UpdateConnector, "a GetConnector or an UpdateConnector")
        await metainfo(self._channel)
        found: list[list[str]] = [[] for _ in connectors]

        async def check(number: int, connector: GetConnector[Any] | UpdateConnector) -> None:
            try:
                found[number] = await self._problems(connector)
            except AfasError as error:
                found[number] = [str(error)]

        async with anyio.create_task_group() as group:
            for number, connector in enumerate(connectors):
                group.start_soon(check, number, connector)
        return Verification(
            [connector.name for connector in connectors],
            [
                Problem(connector.name, text)
                for connector, texts in zip(connectors, found, strict=True)
                for text in texts
            ],
        )

    async def _problems(self, connector: GetConnector[Any] | UpdateConnector) -> list[str]:
        if isinstance(connector, UpdateConnector):
            await update_metainfo(self._channel, connector.name)
            return []
        # What a read warns of is a problem here.
        channel = replace(self._channel, options=msgspec.structs.replace(self._options, drift="error"))
        described = await get_metainfo(channel, connector.name)
        if found := misfits(row_fields(connector.row_type) or {}, connector.key, described):
            return found
        query = query_of(channel, connector, keyed=True)
        rows = await read_page(query, Span(0, SAMPLE))
        if rows and query.keyed:
            KeyReader(connector, query.order).read(rows, None, 0)
        return []
