"""Read the lines of a file to load, in chunks and numbered: CSV, NDJSON, Excel or Parquet."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Final, TypeAlias, cast
from zipfile import BadZipFile

import msgspec

from afas_async.errors import UsageError
from afas_async.policy.coercion import ErrorCell
from afas_async.policy.field_map import parts_of

Numbered: TypeAlias = tuple[int, Any]  # a line of cells, or a JSON value, with its number from 1

# The columns that a file of failed lines adds to the original ones. It can be loaded again with them.
STATUS: Final = "_status"
ERROR: Final = "_error"
LINE: Final = "_line"
NOTES: Final = (STATUS, ERROR, LINE)
FORMATS: Final = ("csv", "ndjson", "xlsx", "parquet")

_CHUNK: Final = 1_000
_SAMPLE: Final = 1 << 16  # characters in which the delimiter is detected
_DELIMITERS: Final = (";", ",", "\t", "|")
_SUFFIXES: Final = {".csv": "csv", ".txt": "csv", ".tsv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}
_SUFFIXES_OF_TABLES: Final = {".xlsx": "xlsx", ".xlsm": "xlsx", ".parquet": "parquet"}


class BrokenLine(msgspec.Struct, frozen=True):
    """A line that cannot be read.

    Attributes:
        text: The line as it is in the file.
        fault: The reason.
    """

    text: str
    fault: str


class LineFile:
    """A file whose lines are records. Format, encoding and delimiter are detected, unless they are given.

    A formula in an Excel file counts as the value that is stored with it. A program that does not calculate stores no
    value, and then the cell is empty.

    Args:
        path: The file. `.gz` may follow the suffix of a CSV or NDJSON file.
        format: "csv", "ndjson", "xlsx" or "parquet", in place of the suffix.
        encoding: The encoding of a CSV file.
        delimiter: The character between its cells.
        sheet: The sheet of an Excel file; the first one by default.

    Raises:
        UsageError: If the format is unknown, the encoding is wrong, or a library for it is missing.
        OSError: If the file cannot be read.

    Attributes:
        header: The names of the columns; None for NDJSON, whose lines name their members.
        delimiter: The delimiter of a CSV file.
        is_failed: Whether it is a file of failed lines. Its unknown lines are left out, because they may have been
            applied.
        left_out: The lines left out so far, as noted in the file: number, line and error.
    """

    def __init__(
        self,
        path: Path,
        *,
        format: str | None = None,  # noqa: A002 - the word of the option
        encoding: str | None = None,
        delimiter: str | None = None,
        sheet: str | None = None,
    ) -> None:
        self._path = path
        self._is_packed = path.suffix.lower() == ".gz"
        self.format: str = format or _format_of(Path(path.stem) if self._is_packed else path)
        self._sheet = sheet
        self.header: list[str] | None = None
        self.delimiter: str = delimiter or ","
        self._encoding = encoding or "utf-8"
        if self.format == "csv":
            self._encoding = encoding or self._found_encoding()
            if delimiter is None:
                with self._text() as file:
                    self.delimiter = found_delimiter(file.read(_SAMPLE))
        columns = None if self.format == "ndjson" else self._columns()
        self.is_failed: bool = columns is not None and tuple(columns[-len(NOTES) :]) == NOTES
        self.header = columns[: -len(NOTES)] if self.is_failed and columns is not None else columns
        self.left_out: list[tuple[int, Any, str]] = []

    def chunks(self) -> Iterator[list[Numbered]]:
        """Go through the lines, up to 1,000 at a time, without blank ones. It blocks: call it in a thread.

        Raises:
            UsageError: If the file is malformed.
            OSError: If it cannot be read.
        """
        self.left_out = []
        chunk = list[Numbered]()
        for numbered in self._lines():
            line = self._without_notes(numbered[1])
            if line is not None:
                chunk.append((numbered[0], line))
                if len(chunk) == _CHUNK:
                    yield chunk
                    chunk = []
        if chunk:
            yield chunk

    def read_through(self) -> None:
        """Check that a CSV file can be read to its end, before any line is sent. It blocks.

        Raises:
            UsageError: If the file is malformed: it is cut off, lacks a quotation mark, and the like.
            OSError: If it cannot be read.
        """
        if self.format == "csv":
            for _ in self._csv_rows():
                pass

    def names(self) -> set[tuple[tuple[str, ...], str]]:
        """Return the names of all members in the lines of an NDJSON file, each with the objects around it."""
        found, shapes = set[tuple[tuple[str, ...], str]](), set[tuple[str, ...]]()
        for chunk in self.chunks():
            for _, line in chunk:
                if isinstance(line, dict):
                    members = cast("dict[str, Any]", line)
                    if not any(isinstance(value, (dict, list)) for value in members.values()):
                        if (shape := tuple(members)) in shapes:
                            continue
                        shapes.add(shape)
                    _collect(members, (), found)
        return found

    def _without_notes(self, line: Any) -> Any | None:
        """Return a line without the notes of a file of failed lines; None if it must not be loaded again."""
        if self.header is not None and not self.is_failed:
            return line
        if self.header is not None:
            cells = cast("list[Any]", line)
            (status, error, number), line = cells[-len(NOTES) :], cells[: -len(NOTES)]
        elif _has_notes(line):
            members = cast("dict[str, Any]", line)
            self.is_failed = True
            status, error, number = (members[name] for name in NOTES)
            line = {name: each for name, each in members.items() if name not in NOTES}
        else:
            return line
        if status == "unknown":
            self.left_out.append((number, line, error))
            return None
        return line

    def _lines(self) -> Iterator[Numbered]:
        reader: dict[str, Callable[[], Iterator[Numbered]]] = {
            "csv": self._csv_lines,
            "ndjson": self._json_lines,
            "xlsx": self._sheet_lines,
            "parquet": self._parquet_lines,
        }
        return reader[self.format]()

    def _columns(self) -> list[str]:
        if self.format == "parquet":
            return list(_parquet(self._path).schema_arrow.names)
        first = next(iter(self._lines_with_header()), None)
        if first is None:
            raise UsageError(f"{self._path}: the file is empty; its first line must name the columns")
        names = ["" if cell is None else str(cell).strip() for cell in first[1]]
        while names and not names[-1]:
            names.pop()
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise UsageError(f"{self._path}: two columns are named {twice[0]!r}")
        return names

    def _lines_with_header(self) -> Iterator[Numbered]:
        return self._sheet_rows() if self.format == "xlsx" else self._csv_rows()

    # --- CSV ---

    def _csv_lines(self) -> Iterator[Numbered]:
        rows = self._csv_rows()
        next(rows, None)
        return rows

    def _csv_rows(self) -> Iterator[Numbered]:
        with self._text() as file:
            csv.field_size_limit(1 << 30)  # a remark of any length
            reader = csv.reader(file, delimiter=self.delimiter, strict=True)  # or a lone quotation mark swallows lines
            number = 1
            try:
                for cells in reader:
                    if cells:
                        yield number, cells
                    number = reader.line_num + 1
            except csv.Error as error:
                fault = f'{error}: write a cell with a quotation mark as "3/4"" bolt"'
                raise UsageError(f"{self._path}, line {number}: {fault}") from None

    @contextmanager
    def _text(self) -> Generator[IO[str]]:
        try:
            with self._bytes() as file, io.TextIOWrapper(file, encoding=self._encoding, newline="") as text:
                yield text
        except UnicodeDecodeError as error:
            found = f"the byte {error.object[error.start]:#x}"
            raise UsageError(f"{self._path} is not in {self._encoding}: it has {found}. Give its --encoding") from None
        except LookupError:
            raise UsageError(f"unknown encoding {self._encoding!r}: give one such as utf-8 or cp1252") from None

    @contextmanager
    def _bytes(self) -> Generator[IO[bytes]]:
        try:
            with cast("IO[bytes]", gzip.open(self._path)) if self._is_packed else self._path.open("rb") as file:
                yield file
        except (EOFError, zlib.error) as error:
            raise UsageError(f"{self._path} cannot be decompressed to its end: {error}") from None

    def _found_encoding(self) -> str:
        with self._bytes() as file:
            begin = file.read(4)
            if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return "utf-16"
            decoder = codecs.getincrementaldecoder("utf-8")()
            try:
                decoder.decode(begin)
                while piece := file.read(1 << 20):
                    decoder.decode(piece)
                decoder.decode(b"", final=True)
            except UnicodeDecodeError:
                return "cp1252"  # what Excel on Windows writes as "CSV"
        return "utf-8-sig"

    # --- JSON ---

    def _json_lines(self) -> Iterator[Numbered]:
        decoder = msgspec.json.Decoder(float_hook=Decimal)
        with self._bytes() as file:
            for number, line in enumerate(file, 1):
                text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                if text.isspace():
                    continue
                try:
                    yield number, decoder.decode(text)
                except (msgspec.DecodeError, RecursionError, ValueError):
                    yield number, BrokenLine(text.decode("utf-8", "replace").rstrip("\r\n"), "the line is not JSON")

    # --- tables ---

    def _sheet_lines(self) -> Iterator[Numbered]:
        assert self.header is not None  # noqa: S101 - read before any line
        width = len(self.header) + (len(NOTES) if self.is_failed else 0)
        rows = self._sheet_rows()
        next(rows, None)
        for number, cells in rows:
            more = any(cell is not None for cell in cells[width:])
            yield number, list(cells if more else (*cells, *[None] * width)[:width])

    def _sheet_rows(self) -> Iterator[Numbered]:
        openpyxl = _library("openpyxl", "excel", "an Excel file")
        # Opened here, because openpyxl leaves its file open when a book breaks off.
        with self._path.open("rb") as file:
            book = None
            try:
                book = openpyxl.load_workbook(file, read_only=True, data_only=True)
                names = book.sheetnames
                if self._sheet is not None and self._sheet not in names:
                    raise UsageError(f"{self._path}: there is no sheet {self._sheet!r}, but {', '.join(names)}")
                sheet = book[self._sheet or names[0]]
                sheet.reset_dimensions()  # some programs write them wrongly, which would cut off rows and columns
                for number, row in enumerate(sheet.iter_rows(), 1):
                    cells = [ErrorCell(cell.value) if cell.data_type == "e" else cell.value for cell in row]
                    if any(cell is not None and cell != "" for cell in cells):
                        yield number, cells
            except (BadZipFile, EOFError, KeyError, SyntaxError, ValueError, zlib.error) as error:
                raise UsageError(f"{self._path} is not an Excel file, or is damaged: {error}") from None
            finally:
                if book is not None:
                    book.close()

    def _parquet_lines(self) -> Iterator[Numbered]:
        number = 0
        with _parquet(self._path) as file, _understood(self._path):
            for batch in file.iter_batches(batch_size=_CHUNK):
                for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    number += 1
                    yield number, list(cells)


def found_delimiter(sample: str) -> str:
    r"""Return the delimiter that cuts most lines into the same number of cells, at least two.

    Example:
        >>> found_delimiter('code;price\n1;"1,5"\n2;2,5\n')
        ';'
    """
    best, found = (0.0, 1), ","
    lines = sample.splitlines(keepends=True)
    if len(sample) >= _SAMPLE:
        lines = lines[:-1] or lines  # the last line is cut off
    for delimiter in _DELIMITERS:
        try:
            widths = [len(cells) for cells in csv.reader(lines[:100], delimiter=delimiter) if cells]
        except csv.Error:
            continue
        if widths and widths[0] > 1:
            score = (round(widths.count(widths[0]) / len(widths), 1), widths[0])
            if score > best:
                best, found = score, delimiter
    return found


def as_json(value: object) -> bytes:
    """Return a line of a table or of JSON as JSON. Decimals keep all digits; other types become text."""
    return _ENCODER.encode(value)


_ENCODER: Final = msgspec.json.Encoder(decimal_format="number", enc_hook=str)


def _format_of(path: Path) -> str:
    known = (_SUFFIXES | _SUFFIXES_OF_TABLES).get(path.suffix.lower())
    if known is None:
        raise UsageError(f"{path}: its suffix does not show the format: give --format {', '.join(FORMATS)}")
    return known


def _has_notes(line: object) -> bool:
    return isinstance(line, dict) and cast("dict[str, Any]", line).keys() >= set(NOTES)


def _collect(members: dict[str, Any], within: tuple[str, ...], found: set[tuple[tuple[str, ...], str]]) -> None:
    for name, value in members.items():
        found.add((within, name))
        for part in parts_of(value):
            if isinstance(part, dict):
                _collect(cast("dict[str, Any]", part), (*within, name), found)


def _parquet(path: Path) -> Any:
    parquet = _library("pyarrow.parquet", "columns", "a Parquet file")
    with _understood(path):
        return parquet.ParquetFile(path)


@contextmanager
def _understood(path: Path) -> Generator[None]:
    try:
        yield
    except (import_module("pyarrow").ArrowException, ValueError) as error:  # also invalid texts and dates
        raise UsageError(f"{path}: {error}") from None


def _library(name: str, extra: str, what: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise UsageError(f'{what} needs {name.partition(".")[0]}: pip install "afas-async[{extra}]"') from None
