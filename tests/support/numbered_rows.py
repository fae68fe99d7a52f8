"""Rows whose `Id` is their number, from 0, and which of them a request to a scripted server asks for."""

from __future__ import annotations

from collections.abc import Mapping

_EQUAL, _AT_LEAST, _GREATER = "1", "2", "4"


def first_row(query: Mapping[str, str]) -> int:
    """Return the number of the first requested row; `skip` counts from the first row that meets the condition."""
    return _anchor(query) + max(0, int(query["skip"]))


def rows_asked(query: Mapping[str, str], count: int, *, most: int | None = None) -> range:
    """Return the numbers of the rows to send, out of that many, and that many at most."""
    start, stop = first_row(query), count
    if query.get("operatortypes") == _EQUAL:
        stop = min(stop, _anchor(query) + 1)
    if query["take"] != "-1":
        stop = min(stop, start + int(query["take"]))
    return range(start, stop if most is None else min(stop, start + most))


def _anchor(query: Mapping[str, str]) -> int:
    """Return the number of the first row that meets the condition on the key."""
    if "filterfieldids" not in query:
        return 0
    assert query["filterfieldids"] == "Id"
    return int(query["filtervalues"]) + {_EQUAL: 0, _AT_LEAST: 0, _GREATER: 1}[query["operatortypes"]]
