"""The recipes of the guide that need a database: with a real PostgreSQL. The others run with all examples."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from typing import Any

import pytest

from afas_async import AfasClient, columns
from afas_async.simulator import Simulator
from tests.support import canary


@pytest.fixture(scope="module")
def recipes() -> dict[str, Callable[..., Any]]:
    """The functions of the guide."""
    scope: dict[str, Any] = {}
    for example in doctest.DocTestParser().get_examples(columns.__doc__ or ""):
        if not example.want and not example.source.startswith("with "):
            exec(example.source, scope)  # noqa: S102 - our own words
    return scope


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        ("with_adbc", 'select count(*), sum("Price") from articles'),
        ("with_copy", "select count(*), sum(price) from prices"),
    ],
)
def test_a_recipe_loads_postgresql(
    name: str, statement: str, server: str, recipes: dict[str, Callable[..., Any]]
) -> None:
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")
    with Simulator.running(rows=700, token=canary.TOKEN) as simulator:
        recipes[name](AfasClient(base_url=simulator.base_url, auth=simulator.token), server)
        ((price,),) = simulator.store.execute("select sum(Price) from Profit_Article")
    with psycopg.connect(server) as connection:
        found = connection.execute(statement).fetchall()
    assert [(count, float(total)) for count, total in found] == [(700, pytest.approx(price))]
