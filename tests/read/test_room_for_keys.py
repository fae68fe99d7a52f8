"""Conditions that leave just enough room for a key in a request, or just not enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from afas_async import Condition, F, GetConnector
from afas_async.wire.requests import QUERY_LIMIT
from tests.read.conftest import Serve
from tests.support.thoroughness import by_default

COUNT = 60
BY_KEY = GetConnector("T", key="Key")
# The keys, and the lengths of conditions that just leave room for them, with one alternative and with three.
KEYS: dict[str, tuple[Callable[[int], Any], int, int]] = {
    "number": (lambda number: 10**18 + number * number, 1_895, 945),
    "text": (lambda number: f"{'k' * 15}{number:03}", 1_897, 948),
    "escaped": (lambda number: f"{'é' * 3}{number:03}", 1_895, 943),
    "with a comma": (lambda number: f"k,{number:03}", 1_624, 966),
}


def _condition(length: int, alternatives: int) -> Condition:
    """Return a condition that all rows meet."""
    where = F.Name != "x" * length
    for number in range(1, alternatives):
        where |= F.Name != f"y{number}"
    return where & F.Name.is_not_empty()


@pytest.mark.parametrize("alternatives", [1, 3])
@pytest.mark.parametrize("kind", KEYS)
async def test_no_row_is_lost_for_want_of_room(kind: str, alternatives: int, serve: Serve) -> None:
    """No request is too long, whatever the length of your condition and of the keys."""
    key, *lengths = KEYS[kind]
    rows = [{"Key": key(number), "Name": f"n{number}"} for number in range(COUNT)]
    simulator, afas = await serve(connectors={"T": rows})
    middle = lengths[alternatives > 1]
    counted: list[bool] = []
    for length in range(middle - 24, middle + 24, by_default(3, 1)):
        found = await afas.rows(BY_KEY, where=_condition(length, alternatives), take=25).to_list()
        assert [row["Key"] for row in found] == [row["Key"] for row in rows], length
        counted.append(simulator.requests[-1].query["skip"] != "0")
    assert counted == sorted(counted)
    assert {*counted} == {False, True}  # so that no other length is nearer to the limit


@pytest.mark.parametrize("kind", ["number", "text", "escaped"])
async def test_a_key_is_sent_as_long_as_there_is_room(kind: str, serve: Serve) -> None:
    """Rows are counted only where a request with a key might be too long."""
    key, middle, _ = KEYS[kind]
    rows = [{"Key": key(number), "Name": f"n{number}"} for number in range(COUNT)]
    simulator, afas = await serve(connectors={"T": rows})
    for length in range(middle - 24, middle + 24, by_default(3, 1)):
        await afas.rows(BY_KEY, where=_condition(length, 1), take=25).to_list()
    by_key = [request for request in simulator.requests if "Key" in request.query.get("filterfieldids", "")]
    assert QUERY_LIMIT - 25 < max(len(urlencode(request.query, safe=":@")) for request in by_key) <= QUERY_LIMIT
