"""Reads the parameters of a request to a GetConnector."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from afas_async.simulator.answer import functional_error, unexpected_error
from afas_async.simulator.messages import field_not_found
from afas_async.simulator.read.conditions import has_dot, read_filter
from afas_async.simulator.rules import Rules
from afas_async.simulator.samples.connectors import Connector
from afas_async.simulator.storage.store import Where

_DEFAULT_TAKE: Final = 100
_EVERYTHING: Final = -1
_INT_MAX: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Question:
    """The rows that a request asks for.

    Attributes:
        skip: The `skip` that the response repeats.
        take: The `take` that the response repeats.
        first: The number of rows to skip.
        limit: The most rows to return, -1 for all.
        order: The fields to sort by, each with whether it descends.
        where: The condition on the rows, or None for all rows.
    """

    skip: int
    take: int
    first: int
    limit: int
    order: tuple[tuple[str, bool], ...]
    where: Where | None


def read_question(query: Mapping[str, str], connector: Connector, rules: Rules) -> Question:
    """Read the parameters of a request as the service reads them.

    The documentation is docs.afas.help, "GetConnector" and "Troubleshooting". A `skip` that is not a row number means
    0, as a client's author reports. Unknown parameters are ignored.

    Args:
        query: The parameters by lower-case name.
        connector: The connector.
        rules: How the service behaves where AFAS does not document it.

    Raises:
        RefusalError: Profit would respond with an error.
    """
    skip = _number(query.get("skip", "0"))
    take = _number(query.get("take", str(_DEFAULT_TAKE)))
    everything = skip == _EVERYTHING and (rules.skip_alone or take == _EVERYTHING)
    if skip is None or (skip < 0 and not everything):
        skip = 0
    order = tuple(
        (field.removeprefix("-"), field.startswith("-"))
        for field in query.get("orderbyfieldids", "").split(",")
        if field
    )
    for field, _ in order:
        if has_dot(field):
            raise functional_error(field_not_found(field))
    return Question(
        skip=skip,
        take=_EVERYTHING if take is None else take,
        first=max(skip, 0),
        limit=_EVERYTHING if everything else _limit(take, rules),
        order=order,
        where=read_filter(query, connector, rules, [field for field, _ in order]),
    )


def _limit(take: int | None, rules: Rules) -> int:
    if take is None or take < 0 or (take == 0 and rules.take_zero == "error"):
        raise unexpected_error()
    return 1 if take == 0 and rules.take_zero == "one row" else take


def _number(text: str) -> int | None:
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        return None
    number = int(text)
    if abs(number) > _INT_MAX:
        raise unexpected_error()
    return number
