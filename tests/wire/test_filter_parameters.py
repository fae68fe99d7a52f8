"""Conditions on the wire: AFAS's own examples to the character, and any value survives the way into a query."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afas_async import Condition, F, InvalidFilterError, InvalidNameError, QueryTooLongError
from afas_async.vocabulary.filters import Group, Operator, Test
from afas_async.wire.filter_parameters import filter_pairs
from afas_async.wire.requests import QUERY_LIMIT
from afas_async.wire.row_requests import rows_query_length, rows_request

# AFAS (GET connector: JSON filter), with the operator that its text describes.
OFFICIAL_JSON = (
    '{"Filters":{"Filter":['
    '{"@FilterId":"Filter 1","Field":['
    '{"@FieldId":"AdminId","@OperatorType":"1","#text":"1"},'
    '{"@FieldId":"AdminNm","@OperatorType":"6","#text":"Internet"}]},'
    '{"@FilterId":"Filter 2","Field":['
    '{"@FieldId":"AdminId","@OperatorType":"1","#text":"3"},'
    '{"@FieldId":"AdminNm","@OperatorType":"6","#text":"Internet"}]}]}}'
)


def sent(condition: Condition) -> dict[str, str]:
    """Return the filter parameters of a request as a server reads them."""
    query = rows_request("Profit_Article", skip=0, take=1, where=condition.groups()).query
    read = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    assert (read[:2], len(dict(read))) == ([("skip", "0"), ("take", "1")], len(read))
    return dict(read[2:])


def test_official_json_example() -> None:
    """Alternatives are sent as AFAS writes them, without a blank."""
    condition = F.AdminId.in_([1, 3]) & F.AdminNm.contains("Internet")
    assert sent(condition) == {"filterjson": OFFICIAL_JSON}


@pytest.mark.parametrize(
    ("condition", "fields", "values", "operators"),
    [
        (F.EmailForDigitalDocuments.is_empty(), "EmailForDigitalDocuments", '""', "8"),
        (
            (F.EmploymentEndDate < "2020-03-22T00:00:00") & (F.EmailForDigitalDocuments != "P"),
            "EmploymentEndDate,EmailForDigitalDocuments",
            "2020-03-22T00:00:00,P",
            "5,7",
        ),
        (F.ItemCode == "a b+c&d=e#f%g/h?i", "ItemCode", "a b+c&d=e#f%g/h?i", "1"),
        (
            F.Name.quick("caf\N{LATIN SMALL LETTER E WITH ACUTE}"),
            "Name",
            "caf\N{LATIN SMALL LETTER E WITH ACUTE}",
            "15",
        ),
        (F.Price.is_not_empty() & F.Price.between(1, 9), "Price,Price,Price", '"",1,9', "9,2,3"),
    ],
)
def test_simple_form(condition: Condition, fields: str, values: str, operators: str) -> None:
    """Tests that must all match are three lists; an operator without a value keeps its place, as AFAS has it."""
    assert sent(condition) == {"filterfieldids": fields, "filtervalues": values, "operatortypes": operators}


@pytest.mark.parametrize(
    "text",
    [
        *("a,b", "a;b", "a\\b", ",", ";", "\\", " a", "a ", "\N{NO-BREAK SPACE}a", "a\N{IDEOGRAPHIC SPACE}", " "),
        *('""', '"a"', 'a"', "'a'", "d'A", "[is leeg]", "[a]", "a]"),
    ],
)
def test_json_form_where_the_simple_one_could_be_mistaken(text: str) -> None:
    """A value goes into JSON if it has a separator, or looks like an escape, a quotation or no value."""
    parameters = sent((F.Name == text) & F.Code.is_empty())
    assert parameters.keys() == {"filterjson"}
    assert json.loads(parameters["filterjson"]) == {
        "Filters": {
            "Filter": [
                {
                    "@FilterId": "Filter 1",
                    "Field": [
                        {"@FieldId": "Name", "@OperatorType": "1", "#text": text},
                        {"@FieldId": "Code", "@OperatorType": "8", "#text": '""'},
                    ],
                }
            ]
        }
    }


def test_room_for_values() -> None:
    """Nothing is escaped without need, as each escape costs two more characters."""
    query = rows_request(
        "X", skip=0, take=1, where=((F.On == "2024-02-29T13:05:09") & F.By.contains("~a@b.nl")).groups()
    )
    assert query.query.endswith(
        "&filterfieldids=On%2CBy&filtervalues=2024-02-29T13:05:09%2C~a@b.nl&operatortypes=1%2C6"
    )
    query = rows_request("X", skip=0, take=1, where=(F.Name == "a, b").groups())
    assert query.query.endswith(
        "&filterjson=%7B%22Filters%22:%7B%22Filter%22:%5B%7B%22@FilterId%22:%22Filter%201%22,%22Field%22:%5B%7B"
        "%22@FieldId%22:%22Name%22,%22@OperatorType%22:%221%22,%22%23text%22:%22a,%20b%22%7D%5D%7D%5D%7D%7D"
    )


def test_all_and_nothing() -> None:
    """You can request every row without a filter, but not no row."""
    assert filter_pairs(((),)) == []
    assert filter_pairs((*F.A.is_empty().groups(), ())) == []
    assert sent(~F.A.in_([])) == {}
    for ask in (lambda: filter_pairs(()), lambda: rows_request("X", skip=0, take=1, where=())):
        with pytest.raises(InvalidFilterError, match="no row"):
            ask()


@pytest.mark.parametrize("field", ["a,b", "a&b", "", "a.b"])
def test_fields_of_tests_made_by_hand(field: str) -> None:
    """A field that could change the request never gets into it, whoever made the test."""
    group = (Test(field, Operator.EQUAL, "1"),)
    for groups in ((group,), (group, group)):
        with pytest.raises(InvalidNameError):
            filter_pairs(groups)


GROUPS = st.lists(
    st.lists(
        st.builds(
            Test,
            st.from_regex(r"[A-Za-z0-9_]{1,8}", fullmatch=True),
            st.sampled_from(Operator),
            st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
            | st.text("+&=#%,;:@/?\\\"'[]{} \u00e9a", min_size=1, max_size=12),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    min_size=1,
    max_size=3,
)


def read(query: str) -> list[list[tuple[str, str, str]]]:
    """Read a filter as a server without escapes does: first the percent signs, then the separators."""
    parameters = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True))
    if "filterjson" in parameters:
        filters = json.loads(parameters["filterjson"])["Filters"]["Filter"]
        assert [one["@FilterId"] for one in filters] == [f"Filter {number + 1}" for number in range(len(filters))]
        return [[(f["@FieldId"], f["@OperatorType"], f["#text"]) for f in one["Field"]] for one in filters]
    lists = [parameters[name].split(",") for name in ("filterfieldids", "operatortypes", "filtervalues")]
    return [list(zip(*lists, strict=True))]


@given(groups=GROUPS)
def test_any_condition_arrives(groups: list[Group]) -> None:
    """For any values the server reads just these groups, and nothing else of the request changes."""
    length = rows_query_length(skip=0, take=1, order_by=["Id"], where=groups)
    if length > QUERY_LIMIT:
        with pytest.raises(QueryTooLongError, match=str(length)):
            rows_request("X", skip=0, take=1, order_by=["Id"], where=groups)
        return
    query = rows_request("X", skip=0, take=1, order_by=["Id"], where=groups).query
    assert read(query) == [[(test.field, str(int(test.operator)), test.text) for test in group] for group in groups]
    assert parse_qsl(query)[:3] == [("skip", "0"), ("take", "1"), ("orderbyfieldids", "Id")]
    assert len(query) == length
    # RFC 3986, 3.4, without characters that a reader could take for a blank, an end or a separator.
    assert re.fullmatch(r"(?:[A-Za-z0-9\-._~=&:@,]|%[0-9A-F]{2})*", query)
    assert query.count("&") == query.count("=") - 1 == (3 if "filterjson" in query else 5)
    assert "," not in query.partition("filterjson")[0]


def test_length_limit() -> None:
    """A query that is too long is refused with the connector's name, its length and the limit."""

    def request(letters: int) -> int:
        return len(rows_request("Profit_Article", skip=0, take=1, where=(F.Name == "a" * letters).groups()).query)

    room = QUERY_LIMIT - request(1) + 1
    assert request(room) == QUERY_LIMIT
    with pytest.raises(QueryTooLongError, match=r"^Profit_Article: .*2049.*2048") as caught:
        request(room + 1)
    assert (caught.value.length, caught.value.limit) == (QUERY_LIMIT + 1, QUERY_LIMIT)
