"""Reading after a key: the bounds that a filter implies leave out no row, and let the database seek."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afas_async.simulator import Rules, Simulator
from afas_async.simulator.read.bounds import Condition, implied_bounds
from afas_async.simulator.read.conditions import read_filter
from afas_async.simulator.storage.store import Store, Where
from tests.simulator.conftest import Client
from tests.support.thoroughness import examples

LINES = "Profit_JournalLines"
KEY = ("UnitId", "EntryNo", "LineNo")
GREATER, LESS = ("4", "2"), ("5", "3")  # without equality, and with it


def in_json(groups: Sequence[Sequence[tuple[str, str, Any]]]) -> dict[str, Any]:
    filters = [
        {"Field": [{"@FieldId": name, "@OperatorType": code, "#text": str(value)} for name, code, value in group]}
        for group in groups
    ]
    return {"filterjson": json.dumps({"Filters": {"Filter": filters}})}


def beyond(
    key: Sequence[str], values: Sequence[Any], operators: tuple[str, str], *, inclusive: bool = True
) -> list[list[tuple[str, str, Any]]]:
    """The groups of conditions for the rows on one side of a key, as a client has to write them."""
    strict, loose = operators
    groups = []
    for place, field in enumerate(key):
        last = place == len(key) - 1
        equal = [(name, "1", value) for name, value in zip(key[:place], values, strict=False)]
        groups.append([*equal, (field, loose if last and inclusive else strict, values[place])])
    return groups


def both(*sides: list[list[tuple[str, str, Any]]]) -> list[list[tuple[str, str, Any]]]:
    """The groups for the rows that are on every side."""
    return [list(itertools.chain(*combination)) for combination in itertools.product(*sides)]


def where_of(store: Store, name: str, groups: Sequence[Sequence[tuple[str, str, Any]]], order: Sequence[str]) -> Where:
    where = read_filter(in_json(groups), store.connectors[name], Rules(), order)
    assert where is not None
    return where


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    store = Store(40_000, 1)  # 20,000 lines
    yield store
    store.close()


def plans(store: Store, read: Callable[[], Any]) -> str:
    """Return the database's query plans for the statements that `read` runs."""
    asked: list[str] = []
    store._database.connection.set_trace_callback(asked.append)
    read()
    store._database.connection.set_trace_callback(None)
    return "\n".join(row[3] for sql in asked for row in store.execute(f"EXPLAIN QUERY PLAN {sql}"))


def steps(store: Store, read: Callable[[], Any]) -> int:
    """Return the cost of a reading, in hundreds of the database's instructions."""
    count = 0

    def step() -> None:
        nonlocal count
        count += 1

    store._database.connection.set_progress_handler(step, 100)
    read()
    store._database.connection.set_progress_handler(None, 100)
    return count


ANCHORS = {
    "composite key": (beyond(KEY, (3, 1600, 2), GREATER), False),
    "after a key": (beyond(KEY, (3, 1600, 2), GREATER, inclusive=False), False),
    "descending": (beyond(KEY, (1, 30, 2), LESS), True),
    "with a filter of the user's own": (both(beyond(KEY, (3, 1600, 2), GREATER), [[("Account", "4", "01400")]]), False),
    "with a filter that is an OR": (
        both(beyond(KEY, (3, 1600, 2), GREATER), [[("Account", "5", "01100")], [("Account", "4", "01200")]]),
        False,
    ),
    "of two ends": (both(beyond(KEY, (3, 1600, 2), GREATER), beyond(KEY, (3, 1650, 1), LESS)), False),
}


@pytest.mark.parametrize(("groups", "descending"), ANCHORS.values(), ids=ANCHORS)
def test_reading_behind_a_key_seeks(
    store: Store,
    groups: list[list[tuple[str, str, Any]]],
    descending: bool,  # noqa: FBT001
) -> None:
    """A page and its count deep in a table cost what they hold: the key's index is entered at the key."""
    store.count(LINES)
    where = where_of(store, LINES, groups, KEY)
    order = [(field, descending) for field in KEY]

    def read() -> None:
        assert store.page(LINES, 0, 20, order, where).rows == 20
        assert store.count(LINES, where, 20) == 20

    found = plans(store, read)
    assert (
        found.count("USING COVERING INDEX Profit_JournalLines key ((UnitId,EntryNo,LineNo)")
        + found.count("USING INDEX Profit_JournalLines key ((UnitId,EntryNo,LineNo)")
        == 2
    )
    assert "TEMP B-TREE" not in found
    assert "SCAN Profit_JournalLines" not in found
    assert steps(store, read) < 60


def test_what_it_would_cost() -> None:
    """Without the order nothing is implied, and the same page goes through the table from its start."""
    store = Store(40_000, 1)
    store.count(LINES)
    groups, _ = ANCHORS["composite key"]
    order = [(field, False) for field in KEY]
    blind = where_of(store, LINES, groups, ())
    told = where_of(store, LINES, groups, KEY)
    assert store.page(LINES, 0, 20, order, blind) == store.page(LINES, 0, 20, order, told)
    assert steps(store, lambda: store.page(LINES, 0, 20, order, blind)) > 1_000
    store.close()


def test_the_end_of_a_range_is_known(store: Store) -> None:
    """The database reads nothing after the end of a range, although fewer rows are left than requested."""
    groups, _ = ANCHORS["of two ends"]
    where = where_of(store, LINES, groups, KEY)
    order = [(field, False) for field in KEY]
    assert 150 < store.page(LINES, 0, 10_000, order, where).rows < 250
    assert steps(store, lambda: store.page(LINES, 0, 10_000, order, where)) < 200


async def test_own_rows(client: Client) -> None:
    """Rows of your own have no key, but are found after one as well: by the order that the request gives them."""
    rows = [{"A": number // 100, "B": f"b{number % 100:02}", "C": number} for number in range(20_000)]
    async with Simulator(connectors={"My_Rows": rows}) as simulator:
        query: dict[str, Any] = {"orderbyfieldids": "A,B", "take": 3} | in_json(
            beyond(("A", "B"), (150, "B98"), GREATER)
        )
        found = [(await client.get(simulator, "/connectors/My_Rows", **query)).rows for _ in range(2)]
        assert [[row["C"] for row in page] for page in found] == [[15_098, 15_099, 15_100]] * 2
        where = where_of(simulator.store, "My_Rows", beyond(("A", "B"), (150, "B98"), GREATER), ("A", "B"))
        order = [("A", False), ("B", False)]
        assert steps(simulator.store, lambda: simulator.store.page("My_Rows", 0, 3, order, where)) < 60


async def test_segments_make_the_table(client: Client) -> None:
    """A connector with a composite key, read from the last key of each page on, comes whole and in order."""
    async with Simulator(rows=600) as simulator:
        found: list[tuple[int, ...]] = []
        anchor: dict[str, Any] = {}
        while True:
            query: dict[str, Any] = {"orderbyfieldids": ",".join(KEY), "take": 37} | anchor
            rows = (await client.get(simulator, f"/connectors/{LINES}", **query)).rows
            if not rows:
                break
            found += [tuple(row[field] for field in KEY) for row in rows]
            anchor = in_json(beyond(KEY, found[-1], GREATER, inclusive=False))
        assert found == simulator.store.execute(
            "SELECT UnitId, EntryNo, LineNo FROM Profit_JournalLines ORDER BY 1, 2, 3"
        )


NUMBERS = st.tuples(st.sampled_from(KEY), st.sampled_from(["1", "2", "3", "4", "5", "7"]), st.integers(0, 5).map(str))
GROUPS = st.one_of(
    st.lists(st.lists(NUMBERS, min_size=1, max_size=4), min_size=2, max_size=4),
    st.builds(
        both,
        st.builds(beyond, st.just(KEY), st.tuples(*[st.integers(0, 5)] * 3), st.sampled_from([GREATER, LESS])),
        st.builds(beyond, st.just(KEY), st.tuples(*[st.integers(0, 5)] * 3), st.sampled_from([GREATER, LESS])),
        st.lists(st.lists(NUMBERS, max_size=1), min_size=1, max_size=2),
    ),
)


@pytest.fixture(scope="module")
def small() -> Iterator[Store]:
    """All keys of three numbers between 1 and 4, and some that are empty in part."""
    store = Store(0, 1)
    values = (None, 1, 2, 3, 4)
    for key in itertools.product(values, repeat=3):
        store.insert(LINES, dict(zip(KEY, key, strict=True)))
    yield store
    store.close()


@examples(500, 60)
@given(GROUPS, st.permutations(KEY))
def test_nothing_is_left_out(small: Store, groups: list[list[tuple[str, str, Any]]], order: list[str]) -> None:
    """With implied bounds a filter selects the same rows as without them, empty keys included."""
    plain, told = (where_of(small, LINES, groups, fields) for fields in ((), order))
    assert small.page(LINES, 0, -1, [(field, False) for field in KEY], told).json == (
        small.page(LINES, 0, -1, [(field, False) for field in KEY], plain).json
    )


@pytest.mark.parametrize(
    ("groups", "edges"),
    [
        ([["a>5"], ["a=5", "b>=7"]], [(">=", "5 7")]),
        ([["a<5"], ["a=5", "b<7"]], [("<=", "5 7")]),
        ([["a>5"], ["a=5", "b=7"]], [(">=", "5 7")]),
        ([["a=5", "b>7"], ["a=5", "b=7", "c>=9"]], [(">=", "5 7 9"), ("<=", "5")]),
        ([["a>=5"], ["a=5", "b>=7"]], [(">=", "5")]),
        ([["a>5"], ["a=6", "b>=7"]], []),
        ([["b>5"], ["b=5", "c>=7"]], []),
        ([["a>5"], ["b>=7"]], []),
    ],
)
def test_what_is_implied(groups: list[list[str]], edges: list[tuple[str, str]]) -> None:
    """The bound is the longest one that holds for every group. If a group may lie on both sides, there is no bound."""
    codes = {"=": "1", ">=": "2", "<=": "3", ">": "4", "<": "5"}
    conditions = [[Condition(text[0], codes[text[1:-1]], text[-1]) for text in group] for group in groups]
    bounds = implied_bounds(conditions, ("a", "b", "c"))
    assert [(bound.sign, " ".join(condition.value for condition in bound.edge)) for bound in bounds] == edges


def test_dates_have_no_end(store: Store) -> None:
    """A date is not compared as it is stored, so its column gets no bound."""
    groups = beyond(("EntryDate", "LineNo"), ("2020-01-01", 2), GREATER)
    where = where_of(store, LINES, groups, ("EntryDate", "LineNo"))
    assert where == where_of(store, LINES, groups, ())
