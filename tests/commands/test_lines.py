"""Files of records: what each is, how it is written, and its lines with their numbers."""

from __future__ import annotations

import gzip
import io
import sys
import zipfile
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from afas_async.commands.lines import BrokenLine, LineFile, as_json, found_delimiter
from afas_async.errors import UsageError
from afas_async.policy.coercion import UnfitCellError, reading_of
from afas_async.vocabulary.metainfo import UpdateField

MOMENT = datetime.fromisoformat("2024-01-31")
TEXT = 'code;naam;prijs\r\n000012;Café;1,5\r\n\r\n13;"twee\r\nregels; en meer";2,5\r\n'


def lines(file: LineFile) -> list[tuple[int, Any]]:
    return [numbered for chunk in file.chunks() for numbered in chunk]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_a_csv_file_however_it_is_written(encoding: str, tmp_path: Path) -> None:
    """Its encoding and its delimiter are found. A blank line is skipped, and a cell may have several lines."""
    path = tmp_path / "a.csv"
    path.write_bytes(TEXT.encode(encoding))
    file = LineFile(path)
    assert (file.header, file.delimiter) == (["code", "naam", "prijs"], ";")
    assert lines(file) == [(2, ["000012", "Café", "1,5"]), (4, ["13", "twee\r\nregels; en meer", "2,5"])]


def test_what_is_given_is_not_looked_for(tmp_path: Path) -> None:
    """A given encoding, delimiter or format is used."""
    path = tmp_path / "a.data"
    path.write_bytes("a:b;c\né:1;2\n".encode("latin-1"))
    file = LineFile(path, format="csv", encoding="latin-1", delimiter=":")
    assert (file.header, lines(file)) == (["a", "b;c"], [(2, ["é", "1;2"])])


def test_a_packed_file(tmp_path: Path) -> None:
    """`.gz` after the suffix is unpacked."""
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1,2\n"))
    assert lines(LineFile(path)) == [(2, ["1", "2"])]


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b\n1,2\n", ","),
        ("a\tb\tc\n1,5\t2,5\t3\n", "\t"),
        ('naam;prijs\n"x, y";1,5\nz;2,5\n', ";"),
        ("a|b\n1|2\n", "|"),
        ("only\n1,5\n", ","),
        ("", ","),
        ("a;b\n" + "1;2,5\n" * 20_000, ";"),
    ],
)
def test_delimiters(text: str, delimiter: str) -> None:
    """The delimiter is the one that splits all lines alike."""
    assert found_delimiter(text[: 1 << 16]) == delimiter


@pytest.mark.parametrize(
    ("name", "content", "options", "text"),
    [
        ("a.csv", b"", {}, "the file is empty"),
        ("a.csv", b"a,b,a\n", {}, "two columns are named 'a'"),
        (
            "a.csv",
            b"a,b\n1,\xff\n" * 3,
            {"encoding": "utf-8"},
            "is not in utf-8: it has the byte 0xff. Give its --encoding",
        ),
        ("a.csv", b"a,b\n1,\x81\n", {}, "not in cp1252"),
        ("a.csv", b"a,b\n", {"encoding": "latin-99"}, "unknown encoding 'latin-99'"),
        ("a.csv", b'a,b\n"' + b"x" * 70_000 + b'",\x81\n', {}, "not in cp1252"),
        ("a.data", b"", {}, "its suffix does not show the format: give --format csv, ndjson, xlsx, parquet"),
        ("a.parquet", b"nothing", {}, "a.parquet"),
        (
            "a.csv.gz",
            gzip.compress(b"a,b\n" + bytes(range(48, 58)) * 999, mtime=0)[:-9],
            {},
            "cannot be decompressed to its end",
        ),
        ("a.ndjson.gz", gzip.compress(b"{}\n", mtime=0)[:-9], {}, "cannot be decompressed to its end"),
        ("a.xlsx", b"nothing", {}, "is not an Excel file, or is damaged"),
        ("a.csv", b'a,b\n1,"x\n2,y\n3,z\n', {}, "line 2: unexpected end of data: write a cell with a quotation mark"),
        ("a.csv", b'a,b\n1,x\n2,"3/4" bolt\n', {}, "line 3: ',' expected after '\"'"),
    ],
)
def test_files_that_cannot_be_read(
    name: str, content: bytes, options: dict[str, str], text: str, tmp_path: Path
) -> None:
    """One sentence names the file and its fault."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageError, match=text):
        lines(LineFile(path, **options))


def test_lines_of_json(tmp_path: Path) -> None:
    """Decimals are exact, and a line that is not JSON is reported in its place."""
    path = tmp_path / "a.ndjson"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1.10, "b": {"c": [{"d": 1}]}}\n\n{"a"\n{"a": 2}\n{"a": 3}\n[1]\n')
    file = LineFile(path)
    assert lines(file) == [
        (1, {"a": Decimal("1.10"), "b": {"c": [{"d": 1}]}}),
        (3, BrokenLine('{"a"', "the line is not JSON")),
        (4, {"a": 2}),
        (5, {"a": 3}),
        (6, [1]),
    ]
    assert file.names() == {((), "a"), ((), "b"), (("b",), "c"), (("b", "c"), "d")}


def test_an_excel_file(tmp_path: Path) -> None:
    """Cells have the types that the sheet has; rows without a value are left out, and short ones filled."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in ([], ["code", "prijs", "datum", None], ["000012", 1.5, MOMENT], [], ["13"], [1, 2, 3, 4]):
        sheet.append(row)
    book.create_sheet("twee").append(["x"])
    book.save(tmp_path / "a.xlsx")
    file = LineFile(tmp_path / "a.xlsx")
    assert file.header == ["code", "prijs", "datum"]
    assert lines(file) == [
        (3, ["000012", 1.5, MOMENT]),
        (5, ["13", None, None]),
        (6, [1, 2, 3, 4]),  # a cell beside the table is not dropped silently
    ]
    assert LineFile(tmp_path / "a.xlsx", sheet="twee").header == ["x"]
    with pytest.raises(UsageError, match="there is no sheet 'drie', but Sheet, twee"):
        LineFile(tmp_path / "a.xlsx", sheet="drie")


def test_a_sheet_that_tells_a_wrong_size(tmp_path: Path) -> None:
    """`dimension` is ignored: every row and column is read. The error of a formula is not a value."""
    _write_sheet(
        tmp_path / "a.xlsx",
        '<dimension ref="A1:A2"/><sheetData>'
        '<row r="1"><c r="A1" t="str"><v>code</v></c><c r="B1" t="str"><v>naam</v></c></row>'
        '<row r="2"><c r="A2" t="str"><v>1</v></c><c r="B2" t="str"><v>x</v></c></row>'
        '<row r="3"><c r="A3" t="str"><v>2</v></c><c r="B3" t="e"><v>#N/A</v></c></row></sheetData></worksheet>',
    )
    file = LineFile(tmp_path / "a.xlsx")
    (first, (number, cells)) = lines(file)
    assert (file.header, first, number) == (["code", "naam"], (2, ["1", "x"]), 3)
    assert (cells[0], str(cells[1]), as_json(cells)) == ("2", "#N/A", b'["2","#N/A"]')
    for kind in ("string", "int", "decimal", "boolean", "date", ""):
        with pytest.raises(UnfitCellError):
            reading_of(UpdateField(id="Ds", data_type=kind))(cells[1])


def test_a_sheet_that_breaks_off(tmp_path: Path) -> None:
    """The error is one sentence, and comes after the lines before it."""
    _write_sheet(tmp_path / "a.xlsx", '<sheetData><row r="1"><c r="A1" t="str"><v>code</v></c></row><row r="2"><c')
    with pytest.raises(UsageError, match=r"a\.xlsx is not an Excel file, or is damaged"):
        lines(LineFile(tmp_path / "a.xlsx"))


def _write_sheet(path: Path, content: str) -> None:
    """Write a sheet as XML, in a book that openpyxl makes."""
    made = io.BytesIO()
    openpyxl.Workbook().save(made)
    head = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    with zipfile.ZipFile(made) as book, zipfile.ZipFile(path, "w") as changed:
        for name in book.namelist():
            changed.writestr(name, head + content if name == "xl/worksheets/sheet1.xml" else book.read(name))


def test_a_parquet_file_that_is_damaged(tmp_path: Path) -> None:
    """Text that is not UTF-8 is an error of the file."""
    pq.write_table(pa.table({"a": ["x" * 50] * 9}), tmp_path / "a.parquet", compression="none")
    content = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(content.replace(b"x" * 50, b"\xff" * 50))
    with pytest.raises(UsageError, match=r"a\.parquet: 'utf-8' codec"):
        lines(LineFile(tmp_path / "a.parquet"))


def test_a_library_that_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One sentence says how to install it."""
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(UsageError, match=r'an Excel file needs openpyxl: pip install "afas-async\[excel\]"'):
        LineFile(tmp_path / "a.xlsx")


def test_failed_lines_are_read_again(tmp_path: Path) -> None:
    """They come without the notes about them, and without the lines that may have been applied."""
    path = tmp_path / "failed.csv"
    path.write_text("a,b,_status,_error,_line\n1,2,rejected,no,7\n3,4,unknown,lost,8\n5,not_sent,short,9\n")
    file = LineFile(path)
    assert (file.header, file.is_failed) == (["a", "b"], True)
    assert (lines(file), file.left_out) == ([(2, ["1", "2"]), (4, ["5"])], [("8", ["3", "4"], "lost")])
    (tmp_path / "f.ndjson").write_text(
        '{"a":1,"_status":"unknown","_error":"","_line":1}\n{"a":2,"_status":"rejected","_error":"","_line":2}\n'
    )
    assert lines(LineFile(tmp_path / "f.ndjson")) == [(2, {"a": 2})]
