"""Looking up whether an element whose outcome is unknown has been applied."""

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

_ENOUGH: Final = 2  # rows: one is it, two are one too many

Finding: TypeAlias = Literal["applied", "absent", "unknown"]


@dataclass(frozen=True)
class Lookup(Generic[RowT]):
    """How to find an element in a GetConnector, for loads whose answers get lost.

    Args:
        connector: The GetConnector in which written elements show.
        where: The condition that the row of an element meets, and no other row: by its key, or by a reference of your
            own in a field of it. The element has its values as JSON has them. None to find it by the reference that the
            load writes, in a field with the same id; see `load(..., reference=)`.
        matches: Whether a row shows what the element wrote; by default every row that is found does. For an update it
            compares the changed fields: the row is there before as well.

    Raises:
        UsageError: If an argument is of a wrong type.

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
    """Looks elements up.

    Args:
        channel: Sends the lookups.
        lookup: How to find an element.
        action: What the load does with its elements.
        reference: The field with the reference that the load writes, if it does.

    Attributes:
        control: An encoded element that is known to be applied. If the lookup does not find that either, that it finds
            nothing means nothing: the token may not see the rows, or the condition be wrong.
    """

    def __init__(self, channel: Channel, lookup: Lookup[Any], action: Action, reference: str | None = None) -> None:
        if action == "update" and lookup.matches is None:
            raise UsageError(
                f"{lookup.connector.name}: the row of an update is there before it as well: give Lookup(..., matches=)"
                " a function that compares the changed fields"
            )
        if lookup.where is None and reference is None:
            raise UsageError(
                f"{lookup.connector.name}: nothing says how to find an element: give Lookup(..., where=) a function"
                " that returns a condition, or the load reference= a free field"
            )
        self.control: bytes | None = None
        self._channel = channel
        self._lookup = lookup
        self._action: Action = action
        self._reference = reference

    async def find(self, body: bytes, error: OutcomeUnknownError, *, sent: float) -> Finding:
        """Return what became of an element.

        Args:
            body: The encoded element.
            error: What is known of its call.
            sent: When it was sent, in seconds by the clock of event loops.

        Raises:
            AfasError: If the service cannot be asked.
        """
        element = decode_element(body)
        action = element.action or self._action
        rows = await self._rows(element)
        if action == "delete":
            if rows:
                return "absent" if is_quiet(error, sent) else "unknown"
            # A deleted row shows as little as one that the token may not see, and no applied element can be a control.
            return "applied" if await self._sees_any_row() else "unknown"
        if rows:
            matches = self._lookup.matches
            # Two rows, or one with other values: somebody has to look.
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
            condition = self._lookup.where(element)  # with None for one, any row would do
            check_type("where", condition, Condition, "a function that returns a condition")
            return condition
        assert self._reference is not None  # noqa: S101 - or the finder would not have been made
        reference: str = element.fields[self._reference]
        return F[self._reference] == reference

    async def _rows(self, element: Element) -> list[Any]:
        query = self._query(self._where(element))
        return await read_page(query, Span(0, _ENOUGH)) if query.where else []

    def _query(self, where: Condition | None) -> Query[Any]:
        return query_of(self._channel, self._lookup.connector, where=where)


def is_quiet(error: OutcomeUnknownError, sent: float) -> bool:
    """Whether the service must have ended a call, also if the clock on the wall was set meanwhile.

    Args:
        error: What is known of the call.
        sent: When it was sent, in seconds by the clock of event loops. That counts from when the machine was started: a
            later moment than now is of an earlier start, and tells nothing.
    """
    if sent <= loop_time() < sent + WRITE_SECONDS:
        return False
    return datetime.now(UTC) >= error.quiet_until
