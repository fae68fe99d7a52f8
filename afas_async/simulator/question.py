"""What a request to a GetConnector asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from afas_async.simulator.answer import unexpected_error

_DEFAULT_TAKE: Final = 100
_EVERYTHING: Final = -1
_INT_MAX: Final = 2**31 - 1
_FILTERS: Final = frozenset({"filterfieldids", "filtervalues", "operatortypes", "filterjson"})


@dataclass(frozen=True, slots=True)
class Question:
    """The rows that a request asks for.

    Attributes:
        skip: What the answer repeats as `skip`.
        take: What the answer repeats as `take`.
        order: The fields to sort by, each with whether it descends.
    """

    skip: int
    take: int
    order: tuple[tuple[str, bool], ...]

    @property
    def first(self) -> int:
        """The number of rows to pass over."""
        return max(self.skip, 0)

    @property
    def limit(self) -> int:
        """The most rows to answer, -1 for all; asking for none gives one, as Profit does."""
        return _EVERYTHING if self.skip == _EVERYTHING else max(self.take, 1)


def read_question(query: Mapping[str, str]) -> Question:
    """Read the parameters of a request as the service reads them.

    The rules are those of docs.afas.help, "GetConnector" and "Troubleshooting", and for what these leave open the
    answers that clients report: a `skip` of -1 means all rows whatever `take` is, any other `skip` that is no row
    number means 0.

    Args:
        query: The parameters by lower-case name.

    Raises:
        RefusalError: Profit would answer with an error, or the request has a filter.
    """
    if not _FILTERS.isdisjoint(query):
        raise unexpected_error()
    skip = _number(query.get("skip", "0"))
    if skip is None or skip < _EVERYTHING:
        skip = 0
    take = _number(query.get("take", str(_DEFAULT_TAKE)))
    if skip != _EVERYTHING and (take is None or take < 0):
        raise unexpected_error()
    fields = [field for field in query.get("orderbyfieldids", "").split(",") if field]
    return Question(
        skip,
        _EVERYTHING if take is None else take,
        tuple((field.removeprefix("-"), field.startswith("-")) for field in fields),
    )


def _number(text: str) -> int | None:
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        return None
    number = int(text)
    if abs(number) > _INT_MAX:
        raise unexpected_error()
    return number
