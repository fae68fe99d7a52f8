"""Each value is the one that the service wrote, or an error names a type that fits, whatever reads it."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afas_async import AfasError, RowError
from afas_async.columns.groups import RawGroup
from afas_async.columns.parse import Parser
from afas_async.read.stream import Progress

NOTHING = Progress(0, 0, 0, 0.0)
TEXT, WHOLE, FLAG, MOMENT, DAY = pa.string(), pa.int64(), pa.bool_(), pa.timestamp("s"), pa.date32()


def money(digits: int = 18, scale: int = 2) -> pa.DataType:
    return pa.decimal128(digits, scale)


def wall(*parts: int) -> datetime:
    return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001 - wall time in Amsterdam


EXACT: dict[str, tuple[bytes, Any, Any]] = {
    "sixteen digits and cents": (b"1234567890123456.78", money(), Decimal("1234567890123456.78")),
    "all digits that Arrow has": (
        b"1234567890123456789012345678.0123456789",
        money(38, 10),
        Decimal("1234567890123456789012345678.0123456789"),
    ),
    "a tenth": (b"0.1", money(), Decimal("0.10")),
    "trailing zeros": (b"5385.6000000000", money(), Decimal("5385.60")),
    "whole as decimal": (b"7", money(), Decimal("7.00")),
    "exponent": (b"1.5E+2", money(), Decimal("150.00")),
    "negative exponent": (b"15e-3", money(18, 3), Decimal("0.015")),
    "decimal in quotation marks": (b'"7.10"', money(), Decimal("7.10")),
    "minus nought": (b"-0.0", money(), Decimal("0.00")),
    "empty decimal": (b"null", money(), None),
    "thirty-eight digits": (
        b"12345678901234567890123456789012345678",
        money(38, 0),
        Decimal("1234567890" * 3 + "12345678"),
    ),
    "largest int": (b"9223372036854775807", WHOLE, 2**63 - 1),
    "least int": (b"-9223372036854775808", WHOLE, -(2**63)),
    "negative int": (b"-5", WHOLE, -5),
    "minus nought as int": (b"-0", WHOLE, 0),
    "leading noughts": (b'"000012"', TEXT, "000012"),
    "escapes": (rb'"a\"b\\c\u0041\n\ud83c\udf5f"', TEXT, 'a"b\\cA\n\N{FRENCH FRIES}'),
    "a boundary of rows in a text": (b'"},{"', TEXT, "},{"),
    "a line break and rows in a text": (rb'"a}\n{\"x\":1}"', TEXT, 'a}\n{"x":1}'),
    "nul": (rb'"a\u0000b"', TEXT, "a\0b"),
    "empty text": (b'""', TEXT, ""),
    "no text": (b"null", TEXT, None),
    "the text null": (b'"null"', TEXT, "null"),
    "blanks around": (b'"  a "', TEXT, "  a "),
    "mark and joiner": ('"\N{ZERO WIDTH NO-BREAK SPACE}\N{ZERO WIDTH JOINER}"'.encode(), TEXT, "\ufeff\u200d"),
    "composed and not": ('"\u00e9e\u0301"'.encode(), TEXT, "\u00e9e\u0301"),
    "a moment in a text": (b'"2019-10-02T17:31:39Z"', TEXT, "2019-10-02T17:31:39Z"),
    "moment": (b'"2019-10-02T17:31:39Z"', MOMENT, wall(2019, 10, 2, 17, 31, 39)),
    "moment that Amsterdam skips": (b'"2024-03-31T02:30:00Z"', MOMENT, wall(2024, 3, 31, 2, 30)),
    "moment without Z": (b'"2019-10-02T17:31:39"', MOMENT, wall(2019, 10, 2, 17, 31, 39)),
    "date without time": (b'"2019-10-02"', MOMENT, wall(2019, 10, 2)),
    "year 1": (b'"0001-01-01T00:00:00Z"', MOMENT, wall(1, 1, 1)),
    "year 9999": (b'"9999-12-31T00:00:00Z"', MOMENT, wall(9999, 12, 31)),
    "no moment": (b"null", MOMENT, None),
    "milliseconds": (b'"2019-10-02T17:31:39.512Z"', pa.timestamp("ms"), wall(2019, 10, 2, 17, 31, 39, 512_000)),
    "microseconds": (b'"2019-10-02T17:31:39.000001Z"', pa.timestamp("us"), wall(2019, 10, 2, 17, 31, 39, 1)),
    "date": (b'"2019-10-02T00:00:00Z"', DAY, date(2019, 10, 2)),
    "bare date": (b'"2019-10-02"', DAY, date(2019, 10, 2)),
    "date of year 1": (b'"0001-01-01T00:00:00Z"', DAY, date(1, 1, 1)),
    "true": (b"true", FLAG, True),
    "false": (b"false", FLAG, False),
    "no flag": (b"null", FLAG, None),
    "binary fraction": (b"1234.5", pa.float64(), 1234.5),
}

# For each value a type that fits, or None if no type fits.
REFUSED: dict[str, tuple[bytes, Any, str | None]] = {
    "too many decimals": (b"1.005", money(), "pa.decimal128(18, 3)"),
    "rounding to the last digit": (b"0.999", money(), "pa.decimal128(18, 3)"),
    "too large": (b"12345678901234567.89", money(), "pa.decimal128(19, 2)"),
    "too large by what the scale adds": (b"999.9", money(4, 2), "pa.decimal128(18, 1)"),
    "far too large": (b"1e30", money(), "pa.decimal128(31, 0)"),
    "more digits than Arrow has": (b"1" * 39, money(), None),
    "first digits that 128 bits would lose": (
        b"27929712110124740653376580206100",
        money(38, 20),
        "pa.decimal128(32, 0)",
    ),
    "so small that it would be nought": (b"1e-39", money(), None),
    "so small, in quotation marks": (b'"-1.5E-40"', money(), "pa.string()"),
    "beyond a float": (b"1e400", money(), None),
    "empty text as decimal": (b'""', money(), "pa.string()"),
    "text as decimal": (b'"n/a"', money(), "pa.string()"),
    "blank before a number": (b'" 7"', money(), "pa.string()"),
    "true as decimal": (b"true", money(), "pa.bool_()"),
    "beyond int64": (b"9223372036854775808", WHOLE, "pa.decimal128(19, 0)"),
    "point nought as int": (b"1.0", WHOLE, "pa.decimal128(18, 1)"),
    "fraction as int": (b"1.5", WHOLE, "pa.decimal128(18, 1)"),
    "exponent as int": (b"1e2", WHOLE, "pa.decimal128(18, 0)"),
    "text as int": (b'"5"', WHOLE, "pa.string()"),
    "number as text": (b"12", TEXT, "pa.int64()"),
    "decimal as text": (b"12.50", TEXT, "pa.decimal128(18, 2)"),
    "flag as text": (b"false", TEXT, "pa.bool_()"),
    "list in a text": (b"[1]", TEXT, None),
    "object in a text": (b'{"a":1}', TEXT, None),
    "half of a character": (rb'"\ud83c"', TEXT, None),
    "not UTF-8": (b'"\xff"', TEXT, None),
    "nought as flag": (b"0", FLAG, "pa.int64()"),
    "text as flag": (b'"true"', FLAG, "pa.string()"),
    "fraction of a second": (b'"2019-10-02T17:31:39.5Z"', MOMENT, 'pa.timestamp("us")'),
    "offset": (b'"2019-10-02T17:31:39+02:00"', MOMENT, "pa.string()"),
    "short offset": (b'"2019-10-02T17:31:39+02"', MOMENT, "pa.string()"),
    "offset of no hours": (b'"2019-10-02T17:31:39+00:00"', MOMENT, "pa.string()"),
    "offset as long as Z": (b'"2019-10-02T17:31+020"', MOMENT, "pa.string()"),
    "no such day": (b'"2019-02-30T00:00:00Z"', MOMENT, "pa.string()"),
    "24 o'clock": (b'"2019-10-02T24:00:00Z"', MOMENT, "pa.string()"),
    "words in place of a moment": (b'"(replaced)"', MOMENT, "pa.string()"),
    "twenty letters and Z": (b'"not a moment at all Z"', MOMENT, "pa.string()"),
    "number as moment": (b"20191002", MOMENT, "pa.int64()"),
    "a time in a date": (b'"2019-10-02T17:31:39Z"', DAY, 'pa.timestamp("s")'),
    "nanoseconds before 1677": (b'"0001-01-01T00:00:00Z"', pa.timestamp("ns"), 'pa.timestamp("s")'),
}


def group_of(*rows: bytes) -> RawGroup:
    return RawGroup(rows, len(rows), 0, rows[0], None, NOTHING)


def parsed(kind: Any, *rows: bytes) -> pa.RecordBatch:
    schema = pa.schema([("x", kind)])
    return Parser(schema, [], known=None, connector="T", in_key_order=True).parse(group_of(*rows)).batch


def value(kind: Any, text: bytes) -> Any:
    return parsed(kind, b'{"x":%b}' % text).column("x").to_pylist()[0]


def same(found: Any, meant: Any) -> bool:
    """Return whether two values are equal and of one type; the scale of decimals is ignored: readers differ in it."""
    return found == meant and (type(found) is type(meant) or isinstance(meant, date))


@pytest.mark.parametrize("name", EXACT)
def test_a_value_is_the_one_that_was_written(name: str) -> None:
    text, kind, meant = EXACT[name]
    assert same(value(kind, text), meant)


@pytest.mark.parametrize("name", REFUSED)
def test_a_value_that_does_not_fit_is_an_error_that_helps(name: str) -> None:
    """It names field, row and value, and the type that it suggests works."""
    text, kind, advice = REFUSED[name]
    good = b'{"x":null}'
    with pytest.raises(RowError) as caught:
        parsed(kind, good, good, b'{"x":%b}' % text, good)
    error = caught.value
    assert (error.index, error.path) == (2, "$.rows[2].x")
    assert "T: row 2 of the read: x" in str(error)
    if advice is None:
        assert "types=" not in str(error)
    else:
        assert f'use types={{"x": {advice}}}' in str(error)
        assert value(eval(advice, {"pa": pa}), text) is not None  # noqa: S307 - the test's own words


def test_parquet_polars_and_duckdb_read_the_same(tmp_path: Path) -> None:
    """Every awkward value comes back as it was written, whatever reads the file."""
    names = [f"{number}" for number in range(len(EXACT))]
    schema = pa.schema([(name, kind) for name, (_, kind, _) in zip(names, EXACT.values(), strict=True)])
    row = b",".join(
        b'"%b":%b' % (name.encode(), text) for name, (text, _, _) in zip(names, EXACT.values(), strict=True)
    )
    parser = Parser(schema, [], known=None, connector="T", in_key_order=True)
    batch = parser.parse(group_of(b"{%b}" % row)).batch
    path = tmp_path / "values.parquet"
    pq.write_table(pa.Table.from_batches([batch]), path, compression="zstd")
    rows = {
        "pyarrow": pq.read_table(path).to_pylist()[0],
        "polars": pl.read_parquet(path).row(0, named=True),
        "polars from Arrow": pl.DataFrame(pl.from_arrow(batch)).row(0, named=True),
        "duckdb": dict(zip(names, duckdb.sql(f"from '{path}'").fetchall()[0], strict=True)),
        "duckdb from Arrow": dict(zip(names, duckdb.sql("from batch").fetchall()[0], strict=True)),
    }
    for reader, found in rows.items():
        wrong = {
            label: (found[name], meant)
            for name, (label, (_, _, meant)) in zip(names, EXACT.items(), strict=True)
            if not same(found[name], meant)
        }
        assert wrong == {}, reader


def test_a_field_that_stands_twice_is_an_error() -> None:
    with pytest.raises(RowError, match="row 1 of the read: the row has x twice"):
        parsed(WHOLE, b'{"x":1}', b'{"x":1,"x":2}')


def test_an_exponent_anywhere_is_looked_at_closely() -> None:
    """An exponent is found beside other values, with blanks before it, and in text that only looks like an exponent."""
    rows = [b'{"x": 1.5e1,"t":"at:1e5"}', b'{"x":0}', b'{"x":null,"y":1e-50}', b'{"t":":1e-50","x":2e-1}']
    assert parsed(money(), *rows).column("x").to_pylist() == [15, 0, None, Decimal("0.20")]
    with pytest.raises(RowError, match=r"row 4 of the read: x is 1e-50, which does not fit decimal128\(18, 2\)"):
        parsed(money(), *rows, b'{"x": 1e-50}')


def test_whole_numbers_and_decimals_mix() -> None:
    found = parsed(money(), b'{"x":7}', b'{"x":7.25}', b'{"x":null}').column("x").to_pylist()
    assert found == [Decimal("7.00"), Decimal("7.25"), None]


def test_a_moment_of_another_form_does_not_hide_among_others() -> None:
    """The usual form is read in a faster way, but not if a single value has another form."""
    usual, other = b'{"x":"2019-10-02T17:31:39Z"}', b'{"x":"2019-10-02"}'
    found = parsed(MOMENT, usual, other, usual).column("x").to_pylist()
    assert found == [wall(2019, 10, 2, 17, 31, 39), wall(2019, 10, 2), wall(2019, 10, 2, 17, 31, 39)]
    with pytest.raises(RowError, match="row 1 of the read"):
        parsed(MOMENT, usual, b'{"x":"2019-10-02T17:31:39X"}')


def test_rows_over_several_lines_are_rows() -> None:
    """White space between members, as Profit 6 wrote it, splits no row."""
    assert parsed(WHOLE, b'{\n "x": 1\n}', b'{"x"\r\n:2}', b'{"y":[{\n},\n{}],"x":3}').column("x").to_pylist() == [
        1,
        2,
        3,
    ]


def test_rows_that_get_lost_are_an_error() -> None:
    """Whatever pyarrow makes of a text, the number of rows is checked against the read."""
    parser = Parser(pa.schema([("x", WHOLE)]), [], known=None, connector="T", in_key_order=True)
    with pytest.raises(AfasError, match="parsing returned 2 of 3 rows"):
        parser.parse(RawGroup((b'{"x":1}', b'{"x":2}'), 3, 0, b'{"x":1}', None, NOTHING))


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15), st.integers(0, 12))
def test_any_decimal_is_exact_or_refused(number: Decimal, scale: int) -> None:
    """Python's own decimals decide whether a decimal is exact."""
    kind = pa.decimal128(28, scale)
    with localcontext() as context:
        context.prec = 400
        fits = number == number.quantize(Decimal(1).scaleb(-scale))
    try:
        found = value(kind, str(number).encode())
    except RowError:
        # More digits than the type has are refused even if they are zeros.
        assert not fits or len(number.as_tuple().digits) - min(0, int(number.as_tuple().exponent)) > 28
    else:
        assert found == number


@given(st.text())
def test_any_text_is_exact(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert value(TEXT, json.dumps(text).encode()) == text
    assert value(TEXT, json.dumps(text, ensure_ascii=False).encode()) == text
