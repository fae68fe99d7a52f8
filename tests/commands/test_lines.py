"""Files of records: what each is, how it is written, and its lines with their numbers."""

from __future__ import annotations

import gzip
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from afas_async.commands.lines import BrokenLine, LineFile, found_delimiter
from afas_async.errors import UsageError

MOMENT = datetime.fromisoformat("2024-01-31")
TEXT = 'code;naam;prijs\r\n000012;Café;1,5\r\n\r\n13;"twee\r\nregels; en meer";2,5\r\n'


def lines(file: LineFile) -> list[tuple[int, Any]]:
    return [numbered for chunk in file.chunks() for numbered in chunk]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_a_csv_file_however_it_is_written(encoding: str, tmp_path: Path) -> None:
    """Its encoding and its delimiter are found; a blank line is none, and a cell may have several."""
    path = tmp_path / "a.csv"
    path.write_bytes(TEXT.encode(encoding))
    file = LineFile(path)
    assert (file.header, file.delimiter) == (["code", "naam", "prijs"], ";")
    assert lines(file) == [(2, ["000012", "Café", "1,5"]), (4, ["13", "twee\r\nregels; en meer", "2,5"])]


def test_what_is_given_is_not_looked_for(tmp_path: Path) -> None:
    """An encoding, a delimiter and a format that are said hold."""
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
    """The one that cuts all lines alike."""
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
            "is not in utf-8, as the byte 0xff is none of that: say which --encoding",
        ),
        ("a.csv", b"a,b\n1,\x81\n", {}, "not in cp1252"),
        ("a.csv", b"a,b\n", {"encoding": "latin-99"}, "there is no encoding 'latin-99'"),
        ("a.csv", b'a,b\n"' + b"x" * 70_000 + b'",\x81\n', {}, "not in cp1252"),
        ("a.data", b"", {}, "its suffix does not say what it is: give --format csv, ndjson, xlsx, parquet"),
        ("a.parquet", b"nothing", {}, "a.parquet"),
    ],
)
def test_files_that_cannot_be_read(
    name: str, content: bytes, options: dict[str, str], text: str, tmp_path: Path
) -> None:
    """One sentence says what is wrong with which file."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageError, match=text):
        lines(LineFile(path, **options))


def test_lines_of_json(tmp_path: Path) -> None:
    """Decimals are exact, and a line that is no JSON is told in its place."""
    path = tmp_path / "a.ndjson"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1.10, "b": {"c": [{"d": 1}]}}\n\n{"a"\n{"a": 2}\n{"a": 3}\n[1]\n')
    file = LineFile(path)
    assert lines(file) == [
        (1, {"a": Decimal("1.10"), "b": {"c": [{"d": 1}]}}),
        (3, BrokenLine('{"a"', "the line is no JSON")),
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
        (6, [1, 2, 3, 4]),  # a cell beside the table is not dropped without a word
    ]
    assert LineFile(tmp_path / "a.xlsx", sheet="twee").header == ["x"]
    with pytest.raises(UsageError, match="it has no sheet 'drie', but Sheet, twee"):
        LineFile(tmp_path / "a.xlsx", sheet="drie")


def test_a_library_that_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One sentence says how to install it."""
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(UsageError, match=r'an Excel file needs openpyxl: pip install "afas-async\[excel\]"'):
        LineFile(tmp_path / "a.xlsx")


def test_failed_lines_are_read_again(tmp_path: Path) -> None:
    """Without what was noted about them, and without those that may have been applied."""
    path = tmp_path / "failed.csv"
    path.write_text("a,b,_status,_error,_line\n1,2,rejected,no,7\n3,4,unknown,lost,8\n5,not_sent,short,9\n")
    file = LineFile(path)
    assert (file.header, file.is_failed) == (["a", "b"], True)
    assert (lines(file), file.left_out) == ([(2, ["1", "2"]), (4, ["5"])], [("8", ["3", "4"], "lost")])
    (tmp_path / "f.ndjson").write_text(
        '{"a":1,"_status":"unknown","_error":"","_line":1}\n{"a":2,"_status":"rejected","_error":"","_line":2}\n'
    )
    assert lines(LineFile(tmp_path / "f.ndjson")) == [(2, {"a": 2})]
