"""What is read: the connector, its order, the condition, and the requests they make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic, NoReturn
from urllib.parse import quote

import msgspec

from afas_async.calls.metainfo import explain, field_ids
from afas_async.errors import (
    AnswerError,
    ApiError,
    InvalidFilterError,
    SortKeyRequiredError,
    TransportError,
    UnknownFieldError,
    UsageError,
)
from afas_async.http.channel import Channel
from afas_async.policy.order import Order, combine
from afas_async.policy.spans import Key, Slice, Span, values_of
from afas_async.vocabulary.arguments import check_type
from afas_async.vocabulary.connectors import GetConnector, RowT, key_types
from afas_async.vocabulary.filters import Condition, Group, Operator
from afas_async.vocabulary.values import value_text
from afas_async.wire.filter_parameters import is_simple
from afas_async.wire.requests import QUERY_LIMIT, Request
from afas_async.wire.row_requests import EVERY_ROW, rows_query_length, rows_request, sort_field

# AFAS (GET connector; Troubleshooting): beyond it a request is too slow to be of use.
SKIP_LIMIT = 100_000
LARGEST = 10**9  # rows that a skip may count
MOST_GROUPS = 500  # in one request, and far from it
LONGEST_NUMBER = 20  # characters
ROOM = 12  # characters for each value of a key that a request should have; Profit's own codes are about as long


@dataclass(frozen=True)
class Query(Generic[RowT]):
    """What is read, and how its requests are sent.

    Args:
        channel: Sends the requests.
        connector: The connector, with the type of its rows.
        order: The sort order.
        where: The condition that rows must meet.
        keyed: Whether pages are anchored by key and verified.
        listed: Whether alternatives are written as a list, beside which no key has a place.
    """

    channel: Channel
    connector: GetConnector[RowT]
    order: Order
    where: tuple[Group, ...] = ((),)
    keyed: bool = True
    listed: bool = False

    def within(self, *groups: Group) -> Query[RowT]:
        """Return what is to be read of the rows that also meet one of the groups."""
        return replace(self, where=combine(self.where, groups))

    def request(self, span: Span) -> Request:
        """Return the request for a span."""
        where = self.where if span.within is None else combine(self.where, (self.order.tests(span.within),))
        return rows_request(
            self.connector.name,
            skip=span.skip,
            take=span.take,
            order_by=self.order.fields,
            where=where,
            listed=self.listed,
        )

    def length(self, groups: Sequence[Group]) -> int:
        """Return the length of the longest query string for the rows of some groups that goes by no key."""
        return rows_query_length(
            skip=LARGEST, take=LARGEST, order_by=self.order.fields, where=groups, listed=self.listed
        )

    def length_with_key(self, groups: Sequence[Group]) -> int:
        """Return the same of one that goes by a key with values of `ROOM` characters, if there are several groups."""
        if len(groups) == 1 or self.listed or not self.keyed:
            return self.length(groups)
        return self._length_beside_key(groups)

    def _length_beside_key(self, groups: Sequence[Group], value: str = ROOM * "0") -> int:
        values = (value,) * len(self.order.fields)
        return self.length(combine(groups, (self.order.tests(Slice("at", values)),)))

    @cached_property
    def room(self) -> int:
        """How many characters the values of a key may take in a request."""
        return self._room(ROOM * "0")

    @cached_property
    def _room_for_signs(self) -> int:
        """How many they may take if the condition has to be written in the long form because of one of them."""
        return self._room(ROOM * "0" + " ")

    def _room(self, value: str) -> int:
        if self.listed or not self.where:
            return 0
        left = QUERY_LIMIT - self._length_beside_key(self.where, value)
        return left // len(self.where) + _written(value) * len(self.order.fields)

    def fits(self, key: Key, times: int = 1) -> bool:
        """Whether the read can go on by a key, which stands so many times in a request."""
        if type(key) is int:
            return self.room // times >= LONGEST_NUMBER
        try:
            texts = [value_text(value, "key") for value in values_of(key)]
        except InvalidFilterError:
            return False
        room = self.room if all(map(is_simple, texts)) else self._room_for_signs
        return sum(map(_written, texts)) <= room // times

    @cached_property
    def by_key(self) -> bool:
        """Whether the condition asks for nothing but values of a key of one field, by which the read is sorted."""
        if not self.keyed or len(self.order.fields) != 1:
            return False
        (key,) = self.connector.key
        return all(
            len(group) == 1 and group[0].field == key and group[0].operator is Operator.EQUAL for group in self.where
        )

    def in_one_request(self) -> Query[RowT] | None:
        """Return what is to be read, written so that it fits into one request; None if there is no such way.

        A list of alternatives is short. It has no place for a key, so that the rows of such a read are counted.
        """
        if not 0 < len(self.where) <= MOST_GROUPS:
            return None
        if not self.by_key and self.room >= ROOM * len(self.order.fields):
            return self
        written = replace(self, listed=all(len(group) == 1 for group in self.where))
        return written if written.length(self.where) <= QUERY_LIMIT else None


def query_of(
    channel: Channel,
    connector: GetConnector[Any] | str,
    *,
    key: str | tuple[str, ...] = (),
    order_by: str | Sequence[str] = (),
    where: Condition | None = None,
    keyed: bool = False,
) -> Query[Any]:
    """Return what is to be read, in an order that is unique if there is a key.

    Raises:
        UsageError: If connector, key or order make no sense, or do not fit into a request.
    """
    check_type("connector", connector, GetConnector | str, "a GetConnector or its name")
    if isinstance(connector, str):
        connector = GetConnector(connector, key=key)
    elif key:
        raise UsageError(f"{connector.name}: give key= to GetConnector(...), which declares the key")
    name = connector.name
    expected = 'a field id such as "Price" or "-Price", or several'
    check_type("order_by", order_by, Iterable, expected, connector=name)
    check_type("where", where, Condition | None, "a condition such as F.Blocked.is_(False)", connector=name)
    order = tuple(sort_field(field) for field in ((order_by,) if isinstance(order_by, str) else order_by))
    # Without the key behind it, rows that are equal in the order may change places between pages.
    sorted_by = {field.removeprefix("-") for field in order}
    order += tuple(field for field in connector.key if field not in sorted_by)
    keyed = keyed and bool(connector.key)
    if keyed:
        _check_sortable(connector, order)
    groups = EVERY_ROW if where is None else where.groups()
    query = Query(channel, connector, Order(order), groups, keyed)
    rows_request(connector.name, skip=LARGEST, take=LARGEST, order_by=order)  # whether the order alone fits
    return query


def _check_sortable(connector: GetConnector[Any], order: Sequence[str]) -> None:
    types = key_types(connector.row_type)
    if types is None:
        return  # their rows are looked at when they come
    for field in order:
        name = field.removeprefix("-")
        if name not in types:
            raise UnknownFieldError(
                f"{connector.name}: {name!r}, by which the read is to be sorted, is not a field of"
                f" {connector.row_type.__name__}: a read of several pages goes on by its value; add it to the row type"
            )
        if types[name] is None:
            raise UsageError(
                f"{connector.name}: {name!r} is neither str nor int: a read of several pages cannot be sorted by it, as"
                " other values do not survive the round trip through a filter; use verify=False, or sort afterwards"
            )


def _written(text: str) -> int:
    """Return how many characters a text takes in a query: others than letters and digits are escaped."""
    return len(quote(msgspec.json.encode(text))) - len(quote('""'))


async def explain_refusal(query: Query[Any], error: BaseException) -> None:
    """Have the refusal of a read say what could be meant, if its connector or one of its fields is unknown."""
    fields = {field.removeprefix("-") for field in query.order.fields}
    fields |= {test.field for group in query.where for test in group}
    await explain(query.channel, error, query.connector.name, kind="GetConnector", fields=fields)


async def refuse_without_key(query: Query[Any]) -> NoReturn:
    """Raise the error for a read of several pages without a key, with the fields there are to choose from."""
    name = query.connector.name
    try:
        fields = f" (it has {', '.join(await field_ids(query.channel, query.connector))})"
    except (TransportError, ApiError, AnswerError):
        fields = ""  # that the key is missing is what matters
    raise SortKeyRequiredError(
        f"{name}: a read of several pages needs a key to sort by, or pages miss and repeat rows. Give key= a field, or"
        f" fields, that are unique and never empty{fields}, or verify=False for best effort"
    )
