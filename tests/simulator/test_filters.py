"""Filters: each operator, and any set of conditions, against a plain evaluation over the whole table."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afas_async.simulator import Latency, Rules, Simulator
from afas_async.simulator.answer import RefusalError
from afas_async.simulator.read.conditions import read_filter
from afas_async.simulator.samples.connectors import SAMPLES
from afas_async.simulator.storage.store import Store
from tests.simulator.conftest import Client
from tests.support.thoroughness import by_default, examples

ARTICLE = "/connectors/Profit_Article"
WIDE = "/connectors/Profit_Wide"
DEBTOR = "/connectors/Profit_Debtor"
UNEXPECTED = -2147180999
TYPES = {sample.connector.name: {f.id: f.type for f in sample.connector.fields} for sample in SAMPLES}
DEFINITIONS = {sample.connector.name: sample.connector for sample in SAMPLES}
LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
PATTERNS = {6: ".*{}.*", 10: "{}.*", 11: ".*{}.*", 12: "{}.*", 13: ".*{}", 14: ".*{}", 15: ".*{}.*"}
NEGATIVE = {7, 11, 12, 14}


def shown(value: Any) -> str:
    """Return the text of a value in a row, folded."""
    if isinstance(value, str):
        return value.translate(LOWER)
    return json.dumps(value)


def meets(kind: str, value: Any, operator: int, text: str) -> bool:
    """Return whether a value of a row meets a condition, by the documentation."""
    if operator in {8, 9}:
        return (value in {None, ""}) == (operator == 8)
    if value in {None, ""}:
        return False
    if operator in PATTERNS or (operator == 7 and "%" in text):
        if kind == "date":
            value = value.removesuffix("Z")
        pattern = ".*".join(re.escape(part) for part in text.translate(LOWER).split("%"))
        pattern = PATTERNS.get(operator, "{}").replace("{}", pattern)
        return (re.fullmatch(pattern, shown(value), re.DOTALL) is None) == (operator in NEGATIVE)
    match kind:
        case "string":
            # As the database compares: the bytes of UTF-8.
            left, right = shown(value).encode(), text.translate(LOWER).encode()
        case "date":
            left, right = datetime.fromisoformat(value.removesuffix("Z")), datetime.fromisoformat(text)
        case "boolean":
            left, right = value, text == "true"
        case _:
            left, right = value, float(text)
    return {1: left == right, 2: left >= right, 3: left <= right, 4: left > right, 5: left < right, 7: left != right}[
        operator
    ]


def simple(*groups: list[tuple[str, int, str]]) -> dict[str, str]:
    lists = [";".join(",".join(str(condition[slot]) for condition in group) for group in groups) for slot in (0, 2, 1)]
    return dict(zip(("filterfieldids", "filtervalues", "operatortypes"), lists, strict=True))


def in_json(*groups: list[tuple[str, int, str]]) -> str:
    filters = [
        {
            "@FilterId": f"Filter {number}",
            "Field": [{"@FieldId": name, "@OperatorType": str(code), "#text": text} for name, code, text in group],
        }
        for number, group in enumerate(groups, 1)
    ]
    return json.dumps({"Filters": {"Filter": filters}}, separators=(",", ":"))


async def whole(client: Client, simulator: Simulator, path: str) -> list[dict[str, Any]]:
    return (await client.get(simulator, path, skip=-1)).rows


def keys(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(row) for row in rows)


CASES = [
    (WIDE, "Quantity", "500"),
    (WIDE, "Score", "5000"),
    (WIDE, "Price", "5000.5"),
    (WIDE, "Discount", "-.5"),
    (WIDE, "Category", "oPTion"),
    (WIDE, "Remark", "5"),
    (WIDE, "Active", "true"),
    (WIDE, "CreatedOn", "2015-06-01T00:00:00"),
    (WIDE, "DeliveryDate", "2022-01-01"),
    (DEBTOR, "DebtorName", "%a_"),
    (DEBTOR, "DebtorName", "e%r"),
    (DEBTOR, "DebtorName", "\\"),
    (DEBTOR, "DebtorName", "caf\N{LATIN SMALL LETTER E WITH ACUTE} of"),
    (DEBTOR, "City", "LEUSDEN"),
]


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("path", "field", "text"), CASES)
async def test_every_operator(client: Client, simulator: Simulator, path: str, field: str, text: str) -> None:
    """Each operator gives the rows of its documented meaning, in the simple form and in the JSON form."""
    rows = await whole(client, simulator, path)
    kind = TYPES[path.rpartition("/")[2]][field]
    for operator in range(1, 16):
        expected = keys([row for row in rows if meets(kind, row[field], operator, text)])
        condition = [(field, operator, text)]
        forms = [simple(condition), {"filterjson": in_json(condition)}]
        # By default each operator in one of the forms, and each form with another field.
        for form in by_default(forms[(operator + len(field)) % 2 :][:1], forms):
            assert keys((await client.get(simulator, path, skip=-1, **form)).rows) == expected, operator


VALUES: dict[str, st.SearchStrategy[str]] = {
    "string": st.sampled_from([
        "a",
        "Steel",
        "box",
        "%",
        "_",
        "1%",
        "%5%",
        "opEN",
        "",
        "'",
        '"',
        "W0000100",
        "\\",
        "[a]",
    ]),
    "int": st.integers(-50, 1100).map(str),
    "decimal": st.decimals(-10, 10_000, places=2).map(lambda number: format(number, "f")),
    "boolean": st.sampled_from(["true", "false"]),
    "date": st.datetimes(datetime(2011, 1, 1), datetime(2025, 1, 1)).map(lambda day: day.isoformat()),  # noqa: DTZ001
}
CONDITIONS = st.sampled_from(sorted(TYPES["Profit_Wide"].items())).flatmap(
    lambda field: st.tuples(st.just(field[0]), st.integers(1, 15), VALUES[field[1]])
)
GROUPS = st.lists(st.lists(CONDITIONS, min_size=1, max_size=4), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def store() -> Any:
    store = Store(400, 7)
    yield store
    store.close()


@examples(300, 30)
@given(groups=GROUPS, and_first=st.booleans())
def test_any_conditions(store: Store, groups: list[list[tuple[str, int, str]]], and_first: bool) -> None:  # noqa: FBT001
    """Any set of conditions gives the rows that a plain evaluation over all rows gives, in every form and grouping."""
    rows = json.loads(b"[" + store.page("Profit_Wide", 0, -1).json + b"]")
    types = TYPES["Profit_Wide"]
    met = {
        row["Id"]: [[meets(types[name], row[name], code, text) for name, code, text in group] for group in groups]
        for row in rows
    }
    or_of_ands = {number for number, truth in met.items() if any(all(group) for group in truth)}
    and_of_ors = {number for number, truth in met.items() if all(any(group) for group in truth)}

    def found(query: dict[str, str]) -> set[int]:
        where = read_filter(query, DEFINITIONS["Profit_Wide"], Rules(and_first=and_first))
        page = store.page("Profit_Wide", 0, -1, where=where)
        assert store.count("Profit_Wide", where) == page.rows
        answer = [row["Id"] for row in json.loads(b"[" + page.json + b"]")]
        assert len(answer) == len(set(answer))
        return set(answer)

    assert found({"filterjson": in_json(*groups)}) == or_of_ands
    if and_first:
        assert found(simple(*groups)) == or_of_ands
    else:
        swapped = {name: text.translate(str.maketrans(",;", ";,")) for name, text in simple(*groups).items()}
        assert found(swapped) == and_of_ors


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("field", "written", "meant"),
    [
        ("CreatedOn", "2015-06-01", "2015-06-01T00:00:00"),
        ("CreatedOn", "2015-06-01T00:00", "2015-06-01T00:00:00"),
        ("CreatedOn", "01-06-2015", "2015-06-01T00:00:00"),
        ("CreatedOn", "2015-06-01T00:00:00.000", "2015-06-01T00:00:00"),
        ("CreatedOn", "2015-06-01 12:30:00", "2015-06-01T12:30:00"),
        ("Active", "1", "true"),
        ("Active", "False", "false"),
        ("Quantity", " 500 ", "500"),
        ("Quantity", "0500.0", "500"),
        ("Price", ".5", "0.5"),
    ],
)
@pytest.mark.parametrize("operator", [1, 2, 5, 7])
async def test_lenient_values(  # noqa: PLR0917
    client: Client, simulator: Simulator, field: str, written: str, meant: str, operator: int
) -> None:
    """A value may be written in all the ways in which clients write it."""
    found, expected = [
        (await client.get(simulator, WIDE, skip=-1, **simple([(field, operator, text)]))).rows
        for text in (written, meant)
    ]
    assert keys(found) == keys(expected)
    assert found or operator != 7


async def test_moment_of_a_row(client: Client, simulator: Simulator) -> None:
    """A moment copied from a row finds the row, once its false Z is off; with a fraction it is later than the row."""
    row = (await whole(client, simulator, WIDE))[0]
    moment = row["CreatedOn"].removesuffix("Z")
    for text, operator in ((moment, 1), (f"{moment}.5", 5), (f"{moment}.000", 3)):
        query = simple([("Id", 1, str(row["Id"])), ("CreatedOn", operator, text)])
        assert (await client.get(simulator, WIDE, **query)).rows == [row]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("CreatedOn", "2015-06-01T00:00:00Z"),
        ("CreatedOn", "2015-02-30"),
        ("CreatedOn", "1-6-2015"),
        ("CreatedOn", "soon"),
        ("CreatedOn", "2015-06-01T24:61"),
        ("CreatedOn", ""),
        ("Active", "ja"),
        ("Quantity", "many"),
        ("Quantity", "1e3"),
        ("Quantity", ""),
        ("Price", "1.2.3"),
        ("Name", "a\0b"),
    ],
)
@pytest.mark.parametrize("operator", [1, 4])
async def test_values_of_another_type(
    client: Client, simulator: Simulator, field: str, text: str, operator: int
) -> None:
    """A value that is not of the field's type is an unexpected error; so is a moment with its false Z."""
    reply = await client.get(simulator, WIDE, filterjson=in_json([(field, operator, text)]))
    assert (reply.status, reply.json["errorNumber"]) == (500, UNEXPECTED)


@pytest.mark.parametrize("number", ["9" * 18, "9" * 19, "9" * 300, "-" + "9" * 400])
async def test_huge_numbers(client: Client, simulator: Simulator, number: str) -> None:
    """A number of any length is compared."""
    for operator, count in ((4, 300), (5, 0)) if number.startswith("-") else ((4, 0), (5, 300)):
        query = simple([("Quantity", operator, number)])
        assert len((await client.get(simulator, WIDE, skip=-1, **query)).rows) == count


@pytest.mark.parametrize(
    "query",
    [
        {"filterfieldids": "Id,Name", "filtervalues": "1", "operatortypes": "1,1"},
        {"filterfieldids": "Id", "filtervalues": "1,2", "operatortypes": "1"},
        {"filterfieldids": "Id", "filtervalues": "1", "operatortypes": "1,1"},
        {"filterfieldids": "Name", "filtervalues": "a,b", "operatortypes": "6"},
        {"filterfieldids": "Id,Name", "filtervalues": "1;x", "operatortypes": "1,1"},
        {"filterfieldids": "Name", "operatortypes": "8"},
        {"filtervalues": "1"},
        {"filterfieldids": "Id", "filtervalues": "1", "operatortypes": "0"},
        {"filterfieldids": "Id", "filtervalues": "1", "operatortypes": "16"},
        {"filterfieldids": "Id", "filtervalues": "1", "operatortypes": "="},
        {"filterfieldids": "Id,Id", "filtervalues": "1,1", "operatortypes": "1,"},
        {"filterfieldids": "Id", "filtervalues": "1", "filterjson": in_json([("Id", 1, "1")])},
        {"filterjson": "{"},
        {"filterjson": "[]"},
        {"filterjson": "[" * 600},
        {"filterjson": '{"Filters":{"Filter":[]}}'},
        {"filterjson": '{"Filters":{"Filter":[{"Field":[]}]}}'},
        {"filterjson": '{"Filters":{"Filter":{"Field":{"@FieldId":"Id","#text":"1"}}}}'},
        {"filterjson": '{"Filters":{"Filter":{"Field":{"@FieldId":"Id","@OperatorType":16,"#text":"1"}}}}'},
        {"filterjson": '{"Filters":{"Filter":{"Field":{"@FieldId":"Id","@OperatorType":1,"#text":[1]}}}}'},
        {"filterjson": '{"Filters":{"Filter":{"Field":{"@FieldId":"Id","@OperatorType":1,"#text":1e999999999}}}}'},
        {"filterjson": '{"Filters":{"Filter":{"Field":{"@FieldId":"Id","@OperatorType":1,"#text":1e-999999999}}}}'},
        {"filterjson": '{"Filters":{"Filter":{"Field":{"@FieldId":"Name","@OperatorType":1,"#text":"\\ud800"}}}}'},
    ],
)
async def test_broken_filters(client: Client, simulator: Simulator, query: dict[str, str]) -> None:
    """An undocumented filter is an unexpected error, and is never taken for another filter."""
    reply = await client.get(simulator, WIDE, **query)
    assert (reply.status, reply.json["errorNumber"]) == (500, UNEXPECTED)


@pytest.mark.parametrize("field", ["Nonsense", "U001", "id", "", 'Id" OR 1 --'])
async def test_unknown_field(client: Client, simulator: Simulator, field: str) -> None:
    """A field that the connector does not have is named in the error."""
    for query in (simple([(field, 1, "1"), ("Id", 1, "1")]), {"filterjson": in_json([(field, 8, "")])}):
        reply = await client.get(simulator, WIDE, **query)
        assert (reply.status, reply.json["externalMessage"]) == (500, f"Connectorveld '{field}' niet gevonden")


async def test_values_are_no_sql(client: Client, simulator: Simulator) -> None:
    """A value that carries SQL is only a value."""
    for text in ("' OR '1'='1", '" OR 1=1 --', "'); DROP TABLE Profit_Wide --", "?", ":1", "{}", "{0}"):
        for operator in (1, 6, 10, 13, 15):
            query = {"filterjson": in_json([("Name", operator, text)])}
            assert (await client.get(simulator, WIDE, **query)).rows == []
    assert simulator.store.count("Profit_Wide") == 300


async def test_empty_fields(client: Client, simulator: Simulator) -> None:
    """An empty field meets only "is empty"; an empty text counts as one, and a blank does not."""
    for number, name in enumerate([None, "", "x", "y", " "]):
        simulator.store.execute("INSERT INTO Profit_Empty (Id, Name) VALUES (?, ?)", (number, name))
    not_x, filled = [3, 4], [2, 3, 4]
    expected = {8: [0, 1], 9: filled, 7: not_x, 11: not_x, 12: not_x, 14: not_x, 5: [4], 3: [2, 4], 1: [2]}
    without_a_text = {1: [], 2: filled, 3: [], 6: filled, 7: filled, 10: filled, 13: filled}
    for operator, text, numbers in (
        *((operator, "x", numbers) for operator, numbers in expected.items()),
        *((operator, "", numbers) for operator, numbers in without_a_text.items()),
    ):
        query = {"filterjson": in_json([("Name", operator, text)])}
        rows = (await client.get(simulator, "/connectors/Profit_Empty", orderbyfieldids="Id", **query)).rows
        assert [row["Id"] for row in rows] == numbers, (operator, text)


@pytest.mark.parametrize(
    ("operator", "text", "numbers"),
    [
        (10, "12.30", [0]),
        (6, ".30", [0]),
        (6, "7.0", []),
        (6, "7", [1, 2]),
        (6, "e+", []),
        (13, "890.12", [2]),
        (11, "2", [1]),
        (7, "%2%", [1]),
        (1, "12.3", [0]),
        (4, "12", [0, 2]),
        (8, "", [3]),
        (9, "", [0, 1, 2]),
    ],
)
async def test_decimals_as_text(client: Client, operator: int, text: str, numbers: list[int]) -> None:
    """The operators on text see the digits that a row of your own shows, and the others its value."""
    prices = [Decimal("12.30"), 7, Decimal("12345678901234567890.12"), None]
    rows = [{"Id": number, "Price": price} for number, price in enumerate(prices)]
    async with Simulator(rows=5, connectors={"X": rows}) as simulator:
        query = simple([("Price", operator, text)])
        found = (await client.get(simulator, "/connectors/X", orderbyfieldids="Id", **query)).rows
        assert [row["Id"] for row in found] == numbers
        simulator.store.execute("UPDATE X SET Price = 99.5 WHERE Id = 1")
        changed = (await client.get(simulator, "/connectors/X", **simple([("Price", 10, "99.5")]))).rows
        assert [row["Id"] for row in changed] == [1]


@pytest.mark.parametrize(
    ("number", "numbers"),
    [("0.00005", [1, 2]), ("5e-05", [1, 2]), ("5E1", [2]), ("9" * 30, []), ("-1.50", [0, 1, 2]), ("1e-300", [1, 2])],
)
async def test_numbers_in_json(client: Client, number: str, numbers: list[int]) -> None:
    """A number in the JSON form may be as small, as large and as exact as JSON has them."""
    rows = [{"Id": place, "Price": Decimal(text)} for place, text in enumerate(("0", "0.00005", "51"))]
    asked = in_json([("Price", 2, "?")]).replace('"?"', number)
    async with Simulator(rows=5, connectors={"X": rows}) as simulator:
        found = (await client.get(simulator, "/connectors/X", orderbyfieldids="Id", filterjson=asked)).rows
    assert [row["Id"] for row in found] == numbers


async def test_parameters_without_a_text(client: Client, simulator: Simulator) -> None:
    """Empty filter parameters do not filter."""
    query = dict.fromkeys(("filterfieldids", "filtervalues", "operatortypes", "filterjson"), "")
    assert len(await whole(client, simulator, f"{WIDE}?{'&'.join(f'{name}=' for name in query)}")) == 300


async def test_longest_filter(client: Client, simulator: Simulator) -> None:
    """A filter may have as many conditions as a query can hold, and more."""
    query = f"skip=-1&filterfieldids={'Id;' * 399}Id&filtervalues={'1;' * 399}4"
    assert 2000 < len(query) <= 2048
    assert len((await client.get(simulator, f"{WIDE}?{query}")).rows) == 2
    for groups in ([[("Name", 8, "")] * 700], [[("Name", 11, "x")]] * 700):
        where = read_filter(simple(*groups), DEFINITIONS["Profit_Wide"], Rules())
        assert simulator.store.count("Profit_Wide", where) == (300 if len(groups) > 1 else 0)


def test_deepest_filter() -> None:
    """JSON that is nested too deeply to be read is refused like any other nonsense."""
    with pytest.raises(RefusalError):
        read_filter({"filterjson": "[" * 2000}, DEFINITIONS["Profit_Wide"], Rules())


async def test_sorted_pages_of_a_filter(client: Client, simulator: Simulator) -> None:
    """The sorted pages of a filter hold every row of it once, and the page after the last is empty."""
    rows = [row for row in await whole(client, simulator, WIDE) if row["Active"]]
    query = simple([("Active", 1, "true")])
    found = [
        (await client.get(simulator, WIDE, skip=skip, take=50, orderbyfieldids="-Id", **query)).rows
        for skip in range(0, 350, 50)
    ]
    assert found[-1] == []
    assert list(itertools.chain(*found)) == sorted(rows, key=lambda row: -row["Id"])


async def test_no_order_is_no_stable_order(client: Client, simulator: Simulator) -> None:
    """Without a sort each request for a filter gets all of its rows in an order of its own."""
    query = simple([("Quantity", 4, "100")])
    first, second = [(await client.get(simulator, WIDE, skip=-1, **query)).rows for _ in range(2)]
    assert first != second
    assert keys(first) == keys(second)
    assert len(first) > 200


async def test_latency_counts_the_rows_of_the_filter(client: Client) -> None:
    """The time of a response depends on the rows that the filter leaves."""
    async with Simulator(rows=1000, latency=Latency(per_row=0.01)) as simulator:
        for query, rows in ((simple([("Id", 5, "31")]), 10), (simple([("Id", 5, "31")]) | {"skip": "7"}, 3)):
            started = asyncio.get_running_loop().time()
            assert len((await client.get(simulator, WIDE, take="100", orderbyfieldids="Id", **query)).rows) == rows
            # For the 100 requested rows it would be a second.
            assert rows * 0.01 <= asyncio.get_running_loop().time() - started < rows * 0.01 + 0.5


async def test_key_ranges_need_no_look_at_the_whole_table() -> None:
    """A page after a key costs what its rows cost, however large the table: the key's index finds them."""
    store = Store(10_000, 1)
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    def cost(read: Callable[[], Any]) -> int:
        nonlocal steps
        steps = 0
        read()
        return steps

    store._database.connection.set_progress_handler(count, 100)
    for name, key, value in (("Profit_Article", "ItemCode", "005000"), ("Profit_Wide", "Id", "15000")):
        store.count(name)
        where = read_filter(simple([(key, 2, value)]), DEFINITIONS[name], Rules())
        page = cost(lambda: store.page(name, 0, 100, [(key, False)], where))  # noqa: B023
        page += cost(lambda: store.count(name, where, 100))  # noqa: B023
        assert page < 50 < cost(lambda: store.count(name, where))  # noqa: B023
    store.close()
