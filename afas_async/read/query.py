"""The query of a read: connector, order and condition, and the requests they make."""

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

# Beyond this, AFAS says, a request is too slow to be useful (GET connector; Troubleshooting).
SKIP_LIMIT = 100_000
LARGEST = 10**9  # the greatest skip that is assumed
MOST_GROUPS = 500  # in one request, which holds far fewer
LONGEST_NUMBER = 20  # characters
KEY_LENGTH = 12  #  characters that a request should have for each value of a key; Profit's own codes are about as long


@dataclass(frozen=True)
class Query(Generic[RowT]):
    """The query of a read, and the channel that sends its requests.

    Args:
        channel: Sends the requests.
        connector: The connector, with the type of its rows.
        order: The sort order.
        where: The condition that rows must meet.
        keyed: Whether pages are anchored by key and verified.
        listed: Whether alternatives are written as a list, which leaves no place for a key.
    """

    channel: Channel
    connector: GetConnector[RowT]
    order: Order
    where: tuple[Group, ...] = ((),)
    keyed: bool = True
    listed: bool = False

    def within(self, *groups: Group) -> Query[RowT]:
        """Return the query for the rows that also meet one of the groups."""
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
        """Return the length of the longest query string for the rows of some groups, without tests on a key."""
        return rows_query_length(
            skip=LARGEST, take=LARGEST, order_by=self.order.fields, where=groups, listed=self.listed
        )

    def length_with_key(self, groups: Sequence[Group]) -> int:
        """Return the same, with tests on a key with values of `KEY_LENGTH` characters if there are several groups."""
        if len(groups) == 1 or self.listed or not self.keyed:
            return self.length(groups)
        return self._length_beside_key(groups)

    def _length_beside_key(self, groups: Sequence[Group], value: str = KEY_LENGTH * "0") -> int:
        values = (value,) * len(self.order.fields)
        return self.length(combine(groups, (self.order.tests(Slice("at", values)),)))

    @cached_property
    def key_space(self) -> int:
        """How many characters the values of a key may take in a request."""
        return self._key_space(KEY_LENGTH * "0")

    @cached_property
    def _escaped_key_space(self) -> int:
        """The same if one of the values forces the condition into its long form."""
        return self._key_space(KEY_LENGTH * "0" + " ")

    def _key_space(self, value: str) -> int:
        if self.listed or not self.where:
            return 0
        left = QUERY_LIMIT - self._length_beside_key(self.where, value)
        return left // len(self.where) + _written(value) * len(self.order.fields)

    def fits(self, key: Key, times: int = 1) -> bool:
        """Whether the read can continue from a key, which appears `times` times in a request."""
        if type(key) is int:
            return self.key_space // times >= LONGEST_NUMBER
        try:
            texts = [value_text(value, "key") for value in values_of(key)]
        except InvalidFilterError:
            return False
        space = self.key_space if all(map(is_simple, texts)) else self._escaped_key_space
        return sum(map(_written, texts)) <= space // times

    @cached_property
    def by_key(self) -> bool:
        """Whether the condition asks only for values of a single-field key by which the read is sorted."""
        if not self.keyed or len(self.order.fields) != 1:
            return False
        (key,) = self.connector.key
        return all(
            len(group) == 1 and group[0].field == key and group[0].operator is Operator.EQUAL for group in self.where
        )

    def in_one_request(self) -> Query[RowT] | None:
        """Return the query in a form that fits into one request; None if no form does.

        A list of alternatives is short. It has no place for a key, so the rows of such a read are counted.
        """
        if not 0 < len(self.where) <= MOST_GROUPS:
            return None
        if not self.by_key and self.key_space >= KEY_LENGTH * len(self.order.fields):
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
    """Return the query of a read, in a unique order if there is a key.

    Raises:
        UsageError: If connector, key or order are invalid, or do not fit into a request.
    """
    check_type("connector", connector, GetConnector | str, "a GetConnector or its name")
    if isinstance(connector, str):
        connector = GetConnector(connector, key=key)
    elif key:
        raise UsageError(f"{connector.name}: give key= to GetConnector(...), where the key is declared")
    name = connector.name
    expected = 'a field id such as "Price" or "-Price", or several'
    check_type("order_by", order_by, Iterable, expected, connector=name)
    check_type("where", where, Condition | None, "a condition such as F.Blocked.is_(False)", connector=name)
    order = tuple(sort_field(field) for field in ((order_by,) if isinstance(order_by, str) else order_by))
    # Without the key at its end, rows that are equal in the order may change places between pages.
    sorted_by = {field.removeprefix("-") for field in order}
    order += tuple(field for field in connector.key if field not in sorted_by)
    keyed = keyed and bool(connector.key)
    if keyed:
        _check_sortable(connector, order)
    groups = EVERY_ROW if where is None else where.groups()
    query = Query(channel, connector, Order(order), groups, keyed)
    rows_request(connector.name, skip=LARGEST, take=LARGEST, order_by=order)  # raises if the order alone does not fit
    return query


def _check_sortable(connector: GetConnector[Any], order: Sequence[str]) -> None:
    types = key_types(connector.row_type)
    if types is None:
        return  # their rows are checked when they come
    for field in order:
        name = field.removeprefix("-")
        if name not in types:
            raise UnknownFieldError(
                f"{connector.name}: {name!r}, by which the read is sorted, is not a field of"
                f" {connector.row_type.__name__}. A read of several pages continues from its value: add it to the"
                " row type"
            )
        if types[name] is None:
            raise UsageError(
                f"{connector.name}: {name!r} is neither str nor int. A read of several pages cannot be sorted by it, as"
                " other values change on their way through a filter: use verify=False, or sort the rows afterwards"
            )


def _written(text: str) -> int:
    """Return how many characters a text takes in a query: all but letters and digits are escaped."""
    return len(quote(msgspec.json.encode(text))) - len(quote('""'))


async def explain_refusal(query: Query[Any], error: BaseException) -> None:
    """Add a "did you mean" hint to the refusal of a read if its connector or one of its fields is unknown."""
    fields = {field.removeprefix("-") for field in query.order.fields}
    fields |= {test.field for group in query.where for test in group}
    await explain(query.channel, error, query.connector.name, kind="GetConnector", fields=fields)


async def refuse_without_key(query: Query[Any]) -> NoReturn:
    """Raise the error for a read of several pages without a key, and list the fields to choose from."""
    name = query.connector.name
    try:
        fields = f" (it has {', '.join(await field_ids(query.channel, query.connector))})"
    except (TransportError, ApiError, AnswerError):
        fields = ""  # the missing key matters more than this list
    raise SortKeyRequiredError(
        f"{name}: a read of several pages needs a key to sort by, or it may miss and repeat rows. Give key= one or"
        f" more fields that are unique and never empty{fields}, or use verify=False for best effort"
    )
