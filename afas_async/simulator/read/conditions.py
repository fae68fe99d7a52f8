"""Filters: reads the conditions in a request, and writes the SQL for them.

A condition compares as the column sorts. Texts ignore the case of the letters A to Z; numbers and moments compare by
value. The operators on text see another value in the form of the rows (from Profit 7), a moment without its `Z`.

An empty field meets only condition 8 (is empty). As in SQL it does not meet 7, 11, 12 and 14 (not equal, not contains,
and so on). AFAS's worked example asks for "not P", and in another group for "is empty" (docs.afas.help, how-to of
employees and Active Directory). An empty text counts as empty.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from afas_async.simulator.answer import functional_error, unexpected_error
from afas_async.simulator.messages import field_not_found
from afas_async.simulator.read.bounds import EQUAL, Bound, Condition, implied_bounds
from afas_async.simulator.rules import Rules
from afas_async.simulator.samples.connectors import Connector, Field
from afas_async.simulator.storage.schema import digits
from afas_async.simulator.storage.store import Where

_SIMPLE: Final = ("filterfieldids", "filtervalues", "operatortypes")
_JSON: Final = "filterjson"
FILTER_PARAMETERS: Final = frozenset({*_SIMPLE, _JSON})

_NOT_EQUAL: Final = "7"
_COMPARISONS: Final = {EQUAL: "=", "2": ">=", "3": "<=", "4": ">", "5": "<", _NOT_EQUAL: "<>"}
_EMPTINESS: Final = {"8": "IS NULL", "9": "IS NOT NULL"}  # the value in the request is ignored
# Half of the clients send the wildcards themselves. Both work, because one more `%` changes nothing.
_PATTERNS: Final = {
    "6": ("LIKE", "%{}%"),
    "10": ("LIKE", "{}%"),
    "11": ("NOT LIKE", "%{}%"),
    "12": ("NOT LIKE", "{}%"),
    "13": ("LIKE", "%{}"),
    "14": ("NOT LIKE", "%{}"),
    "15": ("LIKE", "%{}%"),
}
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
_BOOLEANS: Final = {"true": 1, "1": 1, "false": 0, "0": 0}
_MOMENT: Final = re.compile(
    r"(?:(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)|(?P<d2>\d\d)-(?P<m2>\d\d)-(?P<y2>\d{4}))"
    r"(?:[T ](?P<time>\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?))?",
    re.ASCII,
)
_LARGEST: Final = 2**63 - 1
_MOST_ZEROS: Final = 400  # more than any number in SQLite can have


class _JsonField(msgspec.Struct):
    field: str = msgspec.field(name="@FieldId")
    operator: str | int = msgspec.field(name="@OperatorType")
    value: Any = msgspec.field(name="#text", default=None)


class _JsonFilter(msgspec.Struct):
    fields: list[_JsonField] | _JsonField = msgspec.field(name="Field")


class _JsonFilters(msgspec.Struct):
    filters: list[_JsonFilter] | _JsonFilter = msgspec.field(name="Filter")


class _Json(msgspec.Struct):
    filters: _JsonFilters = msgspec.field(name="Filters")


_JSON_FILTER: Final = msgspec.json.Decoder(_Json, float_hook=Decimal)


def read_filter(
    query: Mapping[str, str], connector: Connector, rules: Rules, order: Sequence[str] = ()
) -> Where | None:
    """Read the filter of a request.

    Args:
        query: The parameters by lower-case name.
        connector: The connector whose fields may be named.
        rules: The meaning of `,` and `;` together in the simple form.
        order: The fields that the rows are sorted by, to find them by an index.

    Returns:
        The condition on the rows, or None without a filter; empty parameters count as absent.

    Raises:
        RefusalError: A field is unknown, the lists have different lengths, a value does not have its field's type, the
            request has both forms, or the filter has no conditions.
    """
    simple = any(query.get(name) for name in _SIMPLE)
    json = query.get(_JSON)
    if simple and json:
        raise unexpected_error()
    if json:
        groups, outer, inner = _json_groups(json), " OR ", " AND "
    elif simple:
        outer, inner = (" OR ", " AND ") if rules.and_first else (" AND ", " OR ")
        groups = _simple_groups(query, *((";", ",") if rules.and_first else (",", ";")))
    else:
        return None
    if not groups or not all(groups):
        raise unexpected_error()
    fields = {field.id: field for field in connector.fields}
    terms = [[_term(fields, condition) for condition in group] for group in groups]
    sql = outer.join(f"({inner.join(term.sql for term in group)})" for group in terms)
    where = Where(sql, tuple(itertools.chain.from_iterable(term.values for group in terms for term in group)))
    if outer == " OR " and len(groups) > 1:
        # A date is compared as an expression, for which there is no index.
        indexed = itertools.takewhile(lambda name: name in fields and fields[name].type != "date", order)
        for bound in implied_bounds(groups, list(indexed)):
            where = _bounded(where, fields, bound)
    return where


def _bounded(where: Where, fields: Mapping[str, Field], bound: Bound) -> Where:
    """Add to a condition a bound that follows from it."""
    columns = ", ".join(f'"{condition.field}"' for condition in bound.edge)
    places = ", ".join("?" * len(bound.edge))
    values = tuple(_value(fields[condition.field], condition.value) for condition in bound.edge)
    return Where(f"({columns}) {bound.sign} ({places}) AND ({where.sql})", (*values, *where.values))


def _simple_groups(query: Mapping[str, str], outer: str, inner: str) -> list[list[Condition]]:
    """Split the three lists. A separator cannot be escaped in them (docs.afas.help, "GetConnector")."""
    fields, values, operators = (
        [part.split(inner) for part in query[name].split(outer)] if query.get(name) is not None else None
        for name in _SIMPLE
    )
    if operators is None or operators == [[""]]:
        operators = [[EQUAL] * len(group) for group in fields or ()]
    try:
        return [
            [Condition(*texts) for texts in zip(*lists, strict=True)]
            for lists in zip(fields or (), operators, values or (), strict=True)
        ]
    except ValueError:
        raise unexpected_error() from None


def _json_groups(text: str) -> list[list[Condition]]:
    try:
        filters = _JSON_FILTER.decode(text).filters.filters
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise unexpected_error() from None
    return [
        [
            Condition(field.field, str(field.operator), _text(field.value))
            for field in (entry.fields if isinstance(entry.fields, list) else [entry.fields])
        ]
        for entry in (filters if isinstance(filters, list) else [filters])
    ]


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case Decimal() if abs(value.adjusted()) <= _MOST_ZEROS:
            return format(value, "f")
        case str() | int():
            return str(value)
        case _:
            raise unexpected_error()


def has_dot(field: str) -> bool:
    """Whether a field's id has a dot: Profit cannot filter or sort by such a field (help.afas.nl)."""
    return "." in field


def _term(fields: Mapping[str, Field], condition: Condition) -> Where:
    """Write one condition in SQL. The column's name comes from the connector, and the value is a parameter."""
    field = fields.get(condition.field)
    if field is None or has_dot(condition.field):
        raise functional_error(field_not_found(condition.field))
    column, operator, value = f'"{field.id}"', condition.operator, condition.value
    if "\0" in value:
        raise unexpected_error()  # SQLite ends a pattern there
    if operator in _EMPTINESS:
        return Where(f"nullif({column}, '') {_EMPTINESS[operator]}", ())
    like = _PATTERNS.get(operator)
    if operator == _NOT_EQUAL and "%" in value:
        like = ("NOT LIKE", "{}")  # some clients write "does not contain" so, without operator 11
    if like is not None:
        sign, pattern = like
        # Only `%` is known to be a wildcard.
        literal = value.replace("\\", "\\\\").replace("_", "\\_")
        return Where(f"{_as_text(field)} {sign} ? ESCAPE '\\'", (pattern.format(literal),))
    if operator in _COMPARISONS:
        # A bare column where possible: an index has only bare columns.
        left = _as_text(field) if field.type == "date" else column
        filled = f" AND {column} <> ''" if field.type in {"string", "blob"} else ""
        return Where(f"{left} {_COMPARISONS[operator]} ?{filled}", (_value(field, value),))
    raise unexpected_error()


def _as_text(field: Field) -> str:
    column = f'"{field.id}"'
    match field.type:
        case "string" | "blob":
            return f"nullif({column}, '')"
        case "date":
            return f"rtrim({column}, 'Z')"
        case "boolean":
            return f"CASE {column} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END"
        case _:
            return digits(field.id) if field.exact else f"CAST({column} AS TEXT)"


def _value(field: Field, text: str) -> str | int | float:
    match field.type:
        case "string" | "blob":
            return text
        case "date":
            return _moment(text)
        case "boolean":
            return _boolean(text.strip().lower())
        case _:
            return _number(text.strip())


def _boolean(text: str) -> int:
    if text not in _BOOLEANS:
        raise unexpected_error()
    return _BOOLEANS[text]


def _number(text: str) -> int | float:
    if not _NUMBER.fullmatch(text):
        raise unexpected_error()
    # A whole number that fits is compared exactly.
    return int(text) if "." not in text and abs(int(text)) <= _LARGEST else float(text)


def _moment(text: str) -> str:
    """Read a moment in the forms of clients. A `Z` is refused, as a client's author reports."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise unexpected_error()
    day = f"{found['y'] or found['y2']}-{found['m'] or found['m2']}-{found['d'] or found['d2']}"
    try:
        moment = datetime.fromisoformat(f"{day}T{found['time'] or '00:00'}")
    except ValueError:
        raise unexpected_error() from None
    whole, _, fraction = moment.isoformat().partition(".")
    return f"{whole}.{fraction.rstrip('0')}" if fraction else whole
