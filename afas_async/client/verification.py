"""A check for the start of a program: whether connectors are what it declares them to be."""

from __future__ import annotations

__docformat__ = "google"

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
    """A fault of a connector, as `verify` reports it.

    Attributes:
        connector: The name of the connector.
        text: What does not fit, and what to do.
    """

    connector: str
    text: str


class Verification(msgspec.Struct, frozen=True):
    """The result of `verify`. As text it is a report with a line for each connector and each problem.

    Attributes:
        connectors: The names of the connectors that were checked.
        problems: All problems, in the order of the connectors.
    """

    connectors: list[str]
    problems: list[Problem]

    @property
    def ok(self) -> bool:
        """Whether no connector has a problem."""
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
    """The method of a client that compares your declarations with the service."""

    @operation
    async def verify(self, *connectors: GetConnector[Any] | UpdateConnector) -> Verification:
        """Check that connectors exist and fit what you declare: at the start of your program, or in its monitoring.

        For each GetConnector, the token may use it, and it has the fields of your row type and key, with types that
        fit. Its first 1,000 rows decode, and no two of them have the same key. For each UpdateConnector, the token may
        use it. This takes one request for the list of connectors, and one or two for each connector, several at a time.

        Args:
            connectors: GetConnectors and UpdateConnectors, as you declare them.

        Returns:
            The report. `report.ok` is True if you have no problems, and `print(report)` shows them all.

        Raises:
            UsageError: If an argument is not a connector. Nothing was sent.
            AuthenticationError: If the token itself is refused.
            AfasError: If the list of connectors cannot be read.

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
        # A read only warns of drift. Here it is a problem.
        channel = replace(self._channel, options=msgspec.structs.replace(self._options, drift="error"))
        described = await get_metainfo(channel, connector.name)
        if found := misfits(row_fields(connector.row_type) or {}, connector.key, described):
            return found
        query = query_of(channel, connector, keyed=True)
        rows = await read_page(query, Span(0, SAMPLE))
        if rows and query.keyed:
            KeyReader(connector, query.order).read(rows, None, 0)
        return []
