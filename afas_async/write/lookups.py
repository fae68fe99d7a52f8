"""Looks up whether an element with an unknown outcome was applied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, Literal, TypeAlias

from afas_async.errors import OutcomeUnknownError, UsageError
from afas_async.http.channel import Channel
from afas_async.http.clock import loop_time
from afas_async.policy.retrying import WRITE_SECONDS
from afas_async.policy.spans import Span
from afas_async.read.query import Query, query_of
from afas_async.read.window import read_page
from afas_async.vocabulary.arguments import check_type
from afas_async.vocabulary.connectors import GetConnector, RowT
from afas_async.vocabulary.elements import Action, Element
from afas_async.vocabulary.filters import Condition, F
from afas_async.wire.element_bodies import decode_element

_ENOUGH: Final = 2  # rows: a second one shows that the condition is ambiguous

Finding: TypeAlias = Literal["applied", "absent", "unknown"]


@dataclass(frozen=True)
class Lookup(Generic[RowT]):
    """How to find out whether your element was applied when its response is lost.

    Give it to `load(..., lookup=)`. The load then looks for the row of each unknown element in a GetConnector. The
    guide `afas_async.write` shows an example, and says when an element counts as absent.

    Args:
        connector: A GetConnector that shows your written elements.
        where: Your function from an element to a condition that its row meets, and no other row. Use the key, or a
            reference of yours in a field. The values of the element are as in JSON. None to use the reference that the
            load writes; the field must have the same id in both connectors (see `load(..., reference=)`).
        matches: Your function from an element and a row to whether the row has the written values. By default each row
            that is found counts. For updates you must give it, and compare the changed fields: the row exists before
            the update too.

    Raises:
        UsageError: If an argument has a wrong type.

    Example:
        >>> by_code = Lookup(GetConnector("Profit_Article"), lambda element: F.ItemCode == element.fields["ItCd"])
    """

    connector: GetConnector[RowT]
    where: Callable[[Element], Condition] | None = None
    matches: Callable[[Element, RowT], bool] | None = None

    def __post_init__(self) -> None:
        check_type("connector", self.connector, GetConnector, "a GetConnector")
        check_type("where", self.where, Callable | None, "a function that returns a condition")
        check_type("matches", self.matches, Callable | None, "a function that returns True or False")


class Finder:
    """Looks up elements.

    Args:
        channel: Sends the lookups.
        lookup: How to find an element.
        action: The action of the load.
        reference: The field with the reference that the load writes, if any.

    Attributes:
        control: An encoded element that is known to be applied. If the lookup does not find it, a missing element does
            not count as absent: the condition may be wrong, or the token may lack rights to the rows.
    """

    def __init__(self, channel: Channel, lookup: Lookup[Any], action: Action, reference: str | None = None) -> None:
        if action == "update" and lookup.matches is None:
            raise UsageError(
                f"{lookup.connector.name}: the row of an update exists before it too: give Lookup(..., matches=) a"
                " function that compares the changed fields"
            )
        if lookup.where is None and reference is None:
            raise UsageError(
                f"{lookup.connector.name}: the lookup cannot find an element: give Lookup(..., where=) a function that"
                " returns a condition, or load(..., reference=) a free field"
            )
        self.control: bytes | None = None
        self._channel = channel
        self._lookup = lookup
        self._action: Action = action
        self._reference = reference

    async def find(self, body: bytes, error: OutcomeUnknownError, *, sent: float) -> Finding:
        """Return whether an element is applied, absent or still unknown.

        Args:
            body: The encoded element.
            error: The error of its call.
            sent: The moment when it was sent, in seconds on the clock of the event loop.

        Raises:
            AfasError: If a lookup fails.
        """
        element = decode_element(body)
        action = element.action or self._action
        rows = await self._rows(element)
        if action == "delete":
            if rows:
                return "absent" if is_quiet(error, sent) else "unknown"
            # A deleted row is as absent as one that the token cannot see, and no applied delete can be a control.
            return "applied" if await self._sees_any_row() else "unknown"
        if rows:
            matches = self._lookup.matches
            # Two rows, or one with other values: a person has to look.
            shown = len(rows) == 1 and (action == "insert" if matches is None else matches(element, rows[0]))
            return "applied" if shown else "unknown"
        believed = is_quiet(error, sent) and await self._has_control() and not await self._rows(element)
        return "absent" if believed else "unknown"

    async def _has_control(self) -> bool:
        return self.control is not None and bool(await self._rows(decode_element(self.control)))

    async def _sees_any_row(self) -> bool:
        return bool(await read_page(self._query(None), Span(0, 1)))

    def _where(self, element: Element) -> Condition:
        if self._lookup.where is not None:
            condition = self._lookup.where(element)  # None would match any row
            check_type("where", condition, Condition, "a function that returns a condition")
            return condition
        assert self._reference is not None  # noqa: S101 - the constructor checks it
        reference: str = element.fields[self._reference]
        return F[self._reference] == reference

    async def _rows(self, element: Element) -> list[Any]:
        query = self._query(self._where(element))
        return await read_page(query, Span(0, _ENOUGH)) if query.where else []

    def _query(self, where: Condition | None) -> Query[Any]:
        return query_of(self._channel, self._lookup.connector, where=where)


def is_quiet(error: OutcomeUnknownError, sent: float) -> bool:
    """Return whether the service must have ended a call by now, even if the wall clock was set.

    Args:
        error: The error of the call.
        sent: The moment when it was sent, in seconds on the clock of the event loop. That clock counts from the start
            of the machine: a moment in the future is from before a restart, and is ignored.
    """
    if sent <= loop_time() < sent + WRITE_SECONDS:
        return False
    return datetime.now(UTC) >= error.quiet_until
