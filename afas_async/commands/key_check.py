"""Find fields that could be the key of a connector, and test one."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, islice
from typing import Any, Final

from afas_async.errors import InvalidNameError
from afas_async.models.shapes import constant_name
from afas_async.vocabulary.collation import folded
from afas_async.vocabulary.metainfo import MetainfoField
from afas_async.vocabulary.names import field_id

KEY_TYPES: Final = {"string": "str", "int": "int"}
EXAMPLES: Final = 3
TAIL: Final = 100
# Names that AFAS and its users give to identifying fields: EmployeeId, ItemCode, EntryNo, Volgnummer, GUID.
_IDENTIFYING: Final = re.compile(r".*(Id|Ids|Code|No|Nr|Num|Number|Nummer|Guid|Key|Sleutel|Seq)", re.IGNORECASE)
_MOST_COMBINED: Final = 8
_MOST_CANDIDATES: Final = 5

Candidate = tuple[Any, ...]


class KeyCheck:
    """Tests a candidate key on rows sorted by it. Equal keys are neighbours, so no key has to be kept.

    This also holds for pages by skip and take. Rows with equal keys may change places between two pages, but each place
    has the same key either way.

    Args:
        fields: The candidate: the ids of its fields.

    Attributes:
        rows: Rows tested.
        nulls: Rows in which a field is null.
        blanks: Rows in which a field is a text of spaces only, or empty.
        duplicates: Rows with the key of the row before them. Letter case and trailing spaces do not count, as in most
            databases.
        examples: The first distinct keys of such rows, three at most.
        types: For each field, the names of the types of its values.
        disorder: Rows whose numbers are lower than those of the row before them.
        tail: The last keys, 100 at most.
    """

    def __init__(self, fields: tuple[str, ...]) -> None:
        self.rows: int = 0
        self.nulls: int = 0
        self.blanks: int = 0
        self.duplicates: int = 0
        self.examples: list[Candidate] = []
        self.types: list[set[str]] = [set() for _ in fields]
        self.disorder: int = 0
        self.tail: deque[Candidate] = deque(maxlen=TAIL)
        self._fields = fields
        self._last: Candidate = ()

    def feed(self, keys: Iterable[Candidate]) -> None:
        """Take the keys of the next rows, each a tuple of its fields' values."""
        for key in keys:
            self.rows += 1
            self.tail.append(key)
            for types, value in zip(self.types, key, strict=True):
                if value is not None:
                    types.add(type(value).__name__)
            if None in key:
                self.nulls += 1
            elif any(isinstance(value, str) and not value.strip(" ") for value in key):
                self.blanks += 1
            else:
                self._compare(key)

    def _compare(self, key: Candidate) -> None:
        sorted_as = as_sorted(key)
        if sorted_as == self._last:
            self.duplicates += 1
            if len(self.examples) < EXAMPLES and sorted_as not in map(as_sorted, self.examples):
                self.examples.append(key)
        elif _falls(self._last, sorted_as):
            self.disorder += 1
        self._last = sorted_as

    def faults(self) -> list[str]:
        """Return the faults of the candidate in the rows so far; empty if it may be a key."""
        faults = [
            f"{field} has values of {' and '.join(sorted(types))}: a key field must be all str or all int"
            for field, types in zip(self._fields, self.types, strict=True)
            if len(types) > 1 or types - set(KEY_TYPES.values())
        ]
        for count, what in (
            (self.nulls, "no value (null): a key is never empty"),
            (self.blanks, "an empty text: a key is never empty"),
            (
                self.duplicates,
                "the key of the row before {it} (or rows appeared meanwhile: repeat the test while nobody writes)",
            ),
            (self.disorder, "a lower number than the row before {it}: the service did not sort by the key"),
        ):
            if count:
                who, it = ("1 row has", "it") if count == 1 else (f"{count:,} rows have", "them")
                faults.append(f"{who} {what.format(it=it)}")
        return faults


def as_sorted(key: Candidate) -> Candidate:
    """Return a key as most databases compare it."""
    return tuple(folded(value) if isinstance(value, str) else value for value in key)


def _falls(before: Candidate, after: Candidate) -> bool:
    """Return whether a number falls before any text differs. Only the order of texts depends on the database."""
    for one, other in zip(before, after, strict=False):
        if one != other:
            return isinstance(one, int) and isinstance(other, int) and other < one
    return False


def type_fault(field: MetainfoField) -> str | None:
    """Return the reason why a field cannot be part of a key; None if it can."""
    if field.data_type not in KEY_TYPES:
        kind = field.data_type or "unknown"
        return f"{field.id} is of type {kind}: only string and int can be sent back in a filter unchanged"
    try:
        field_id(field.id)
    except InvalidNameError as error:
        return str(error)
    return None


def candidates(fields: Sequence[MetainfoField], rows: Sequence[Mapping[str, Any]], size: int) -> list[tuple[str, ...]]:
    """Return candidates for the key, by names, types and some rows: the likeliest first, five at most.

    Args:
        fields: The fields of the connector.
        rows: Some of its rows.
        size: The number of fields in a key. Keys of several fields use only fields named like an identifier.
    """
    usable = [
        field
        for field in fields
        if type_fault(field) is None and all(row.get(field.id) not in {None, ""} for row in rows)
    ]
    if size > 1:
        usable = [field for field in usable if _IDENTIFYING.fullmatch(field.id)][:_MOST_COMBINED]
    else:
        usable.sort(key=lambda field: (not _IDENTIFYING.fullmatch(field.id), field.data_type != "int"))
    keys = combinations([field.id for field in usable], size)
    return list(islice((key for key in keys if _is_unique(key, rows)), _MOST_CANDIDATES))


def _is_unique(key: tuple[str, ...], rows: Sequence[Mapping[str, Any]]) -> bool:
    return len({as_sorted(tuple(row[field] for field in key)) for row in rows}) == len(rows)


def declaration(connector: str, key: tuple[str, ...]) -> str:
    """Return the line of Python that declares a connector with its key.

    Example:
        >>> declaration("Profit_JournalLines", ("UnitId", "EntryNo"))
        'JOURNAL_LINES = GetConnector("Profit_JournalLines", key=("UnitId", "EntryNo"))'
    """
    name = constant_name(connector)
    quoted = ", ".join(f'"{field}"' for field in key)
    return f'{name} = GetConnector("{connector}", key={quoted if len(key) == 1 else f"({quoted})"})'
