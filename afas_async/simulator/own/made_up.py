"""Made-up rows in the shapes of a recording.

As with the samples, SQLite makes them when a connector is first used. Their values come from the row's number `n` and
two pseudo-random numbers `g` and `h` (`afas_async.simulator.samples.connectors`).

Each field has a `pick`, an SQL expression for a whole number from 0 on. Rows with the same pick have the same value, so
a field has as many different picks as different values.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from afas_async.simulator.own.documents import (
    DescribedConnector,
    DescribedGetField,
    MetainfoSource,
    check_columns,
    convert_document,
)
from afas_async.simulator.own.recordings import RecordedField, RecordedGetConnector, read_recording
from afas_async.simulator.samples.connectors import Connector, Field, Sample
from afas_async.simulator.storage.tables import check_table_name

_PRIME: Final = 2_147_483_647
_LETTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FILLING: Final = "-voorbeeld-café"
_MOST_CODES: Final = 500  # a longer code list is not used
_MOST_DIGITS: Final = 15  # a floating-point number keeps these
_LARGEST_TEXT: Final = 1 << 20
_SCRAMBLED: Final = 7_919  # a prime, so that neighbouring picks have different lengths
_EPOCH: Final = date(1970, 1, 1)


def recorded_connectors(path: str | os.PathLike[str]) -> tuple[Sequence[Sample], Mapping[str, MetainfoSource]]:
    """Return the GetConnectors of a recording with made-up rows, and the metainfo of its UpdateConnectors by name.

    Raises:
        ValueError: The file is not a recording, or the simulator cannot have one of its connectors.
        OSError: The file cannot be read.
    """
    recording = read_recording(path)
    samples = [made_up_sample(each, recording.recorded) for each in recording.get_connectors]
    updates = {each.id: each.metainfo for each in recording.update_connectors}
    names = [*(sample.connector.name.lower() for sample in samples), *(name.lower() for name in updates)]
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise ValueError(f"{os.fspath(path)}: two connectors have the name {twice[0]} (letter case does not count)")
    return samples, updates


def made_up_sample(recorded: RecordedGetConnector, today: date) -> Sample:
    """Return a connector with made-up rows.

    Args:
        recorded: The connector.
        today: The day of the recording. Fields with only past dates get no later ones.

    Raises:
        ValueError: The simulator cannot have such a connector; the message says why.
    """
    name = recorded.id
    check_table_name(name)
    described = convert_document(name, recorded.metainfo, DescribedConnector)
    check_columns(name, [field.id for field in described.fields])
    columns = {field.id: field.column(field.id) for field in described.fields}
    shapes = {field: recorded.fields.get(field, RecordedField(nulls=1.0)) for field in columns}
    if unknown := [field for field in recorded.key if field not in columns]:
        raise ValueError(f"{name}: its key has {unknown[0]!r}, which is not a field of its metainfo")
    picks = dict(_key_picks(recorded, shapes))
    values = {
        field.id: _value(_Made(field, columns[field.id], shapes[field.id], number, recorded.rows, today), picks)
        for number, field in enumerate(described.fields)
    }
    return Sample(
        Connector(
            name, described.description or name, recorded.key, tuple(columns.values()), document=recorded.metainfo
        ),
        lambda rows: min(rows, recorded.rows),
        values,
    )


@dataclass(frozen=True, slots=True)
class _Made:
    """A field with made-up values.

    Attributes:
        described: Its metainfo.
        column: Its column.
        shape: The shape of its values.
        number: Its place in the row.
        rows: The number of rows that were recorded.
        today: The day of the recording.
    """

    described: DescribedGetField
    column: Field
    shape: RecordedField
    number: int
    rows: int
    today: date

    @property
    def draw(self) -> str:
        """A pseudo-random number for this field of this row."""
        one, other = 2 * self.number + 3, 1_000_003 * (self.number + 1) % _PRIME
        return f"((g * {one} + h * {other}) % {_PRIME})"

    @property
    def chance(self) -> str:
        """Another pseudo-random number, from 0 to 9,999."""
        one, other = 2_654_435 * (self.number + 1) % _PRIME, 4 * self.number + 5
        return f"((g * {one} + h * {other}) % {_PRIME} / 64 % 10000)"


def _key_picks(
    recorded: RecordedGetConnector, shapes: Mapping[str, RecordedField]
) -> Iterator[tuple[str, tuple[str, int]]]:
    """The picks of the fields of a key, with their numbers; together they count the rows, the last field fastest."""
    product = 1
    for field in reversed(recorded.key[1:]):
        count = max(shapes[field].distinct, 1)
        yield field, (f"(n / {product} % {count})", count)
        product *= count
    for field in recorded.key[:1]:
        yield field, (f"(n / {product})", -(-recorded.rows // product))


def _value(made: _Made, picks: Mapping[str, tuple[str, int]]) -> str:
    """The SQL expression of a field's value."""
    shape = made.shape
    if shape.nulls >= 1:
        return "NULL"
    if made.described.id in picks:
        return _value_of(made, *picks[made.described.id])
    count = made.rows if shape.unique else max(shape.distinct, 1)
    value = _value_of(made, "n" if shape.unique else f"({made.draw} % {count})", count)
    return f"CASE WHEN {made.chance} >= {math.ceil(shape.nulls * 10_000)} THEN {value} END"


def _value_of(made: _Made, pick: str, count: int) -> str:
    """The SQL expression of the value for one of `count` picks."""
    codes = [code.id for code in made.described.values or ()]
    if count <= len(codes) <= _MOST_CODES and made.column.type == "string":
        return _code(codes, pick)
    match made.column.type:
        case "int":
            return _number(made.shape, pick, count, 0)
        case "decimal":
            decimals = made.shape.decimals
            return f"({_number(made.shape, pick, count, decimals)}) / 1e{decimals}"
        case "boolean":
            return f"({made.draw} / 32 % 10000 < {round(made.shape.trues * 10_000)})"
        case "date":
            return _date(made.shape, pick, count, made.today)
        case "string" | "blob":
            return _text(made.shape, pick, count)


def _code(codes: list[str], pick: str) -> str:
    """One of the values of a code list, which comes from metainfo."""
    quoted = ["'" + code.replace("'", "''") + "'" for code in codes]
    cases = " ".join(f"WHEN {number} THEN {code}" for number, code in enumerate(quoted))
    return f"CASE {pick} {cases} END"


def _number(shape: RecordedField, pick: str, count: int, decimals: int) -> str:
    """A number in units of its last decimal, spread over all numbers with the recorded digits."""
    fewest, most = shape.digits or (1, 1)
    most = min(most, _MOST_DIGITS - decimals)
    lowest = 10 ** (fewest - 1) if 1 < fewest <= most else 0
    scale = 10**decimals
    step = max((10**most - lowest) * scale // max(count, 1), 1)
    value = f"{lowest * scale} + {pick} * {step}"
    return f"({value}) * CASE WHEN ({pick}) % 3 = 1 THEN -1 ELSE 1 END" if shape.negative else value


def _date(shape: RecordedField, pick: str, count: int, today: date) -> str:
    """A day within the decades, or a moment on it from 07:00 to 19:00, hours that no change of summer time skips."""
    first, last = shape.decades or (2000, 2000)
    start, end = date(first, 1, 1), date(min(last + 9, date.max.year), 12, 31)
    if shape.past:
        end = max(min(end, today), start)
    days = (end - start).days + 1
    day = f"({(start - _EPOCH).days} + {pick} * {max(days // max(count, 1), 1)} % {days})"
    second = f"25200 + {pick} * {_SCRAMBLED} % 43200" if shape.times else "0"
    return f"strftime('%Y-%m-%dT%H:%M:%SZ', {day} * 86400 + {second}, 'unixepoch')"


def _text(shape: RecordedField, pick: str, count: int) -> str:
    """A text that begins with its pick, with a length in the recorded range."""
    shortest, average, longest = (min(length, _LARGEST_TEXT) for length in shape.lengths or (1, 1, 1))
    if not longest:
        return "''"
    width = len(str(max(count - 1, 0)))
    if width > longest:
        while len(_LETTERS) ** longest < count:
            longest += 1  # a text that is too long is better than a duplicate
        places = (f"substr('{_LETTERS}', {pick} / {36**place} % 36 + 1, 1)" for place in reversed(range(longest)))
        return " || ".join(places)
    head = f"printf('%0{shortest if shape.numeric else width}d', {pick})"
    if shape.numeric or longest == width:
        return head
    # The first has the largest length; those of the others are spread evenly around the average.
    spread = min(2 * (average - shortest), longest - shortest) + 1
    length = f"CASE {pick} WHEN 0 THEN {longest} ELSE {shortest} + {pick} * {_SCRAMBLED} % {spread} END"
    times = f"({length}) / {len(_FILLING)} + 1"
    return f"substr({head} || replace(printf('%.*c', {times}, '.'), '.', '{_FILLING}'), 1, max({width}, {length}))"
