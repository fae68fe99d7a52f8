"""Reads your own rows, from a CSV file, a file with a JSON object on each line, or Python."""

from __future__ import annotations

import codecs
import csv
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

import msgspec

Source = str | os.PathLike[str] | Iterable[Mapping[str, Any]]

_BLOCK_ROWS: Final = 5_000
_BLOCK_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Reading:
    """Rows over which you can iterate more than once.

    Attributes:
        label: Their file or connector, for messages.
        unit: The name of a numbered row in messages: "row" or "line".
        rows: Returns an iterator over the rows with their numbers; null is None.
        header: The ids of all fields, if they come before the rows; then all values are text.
        first: The number of the header.
    """

    label: str
    unit: str
    rows: Callable[[], Iterable[tuple[int, Mapping[str, Any]]]]
    header: Sequence[str] = ()
    first: int = 1

    def blocks(self) -> Iterator[tuple[tuple[int, ...], tuple[Mapping[str, Any], ...]]]:
        """Iterate over the rows in blocks, each with the numbers of its rows and the rows."""
        rows = iter(self.rows())
        while block := list(islice(rows, _BLOCK_ROWS)):
            numbers, mappings = zip(*block, strict=True)
            yield numbers, mappings

    def error(self, number: int, reason: object) -> ValueError:
        """Return an error about a row."""
        return ValueError(f"{self.label}, {self.unit} {number}: {reason}")


def read_source(name: str, source: Source) -> Reading:
    """Choose how to read a user's rows.

    Args:
        name: The id of the connector.
        source: The path of a `.csv`, `.ndjson` or `.jsonl` file in UTF-8, or rows. A CSV file has the field ids in its
            first line, and commas, semicolons or tabs between the values. If it is not in UTF-8, it is read as
            Windows-1252, in which Excel saves by default.

    Raises:
        ValueError: The file is invalid, here or when you read its rows; the message says where.
        OSError: The file cannot be read.
    """
    if not isinstance(source, (str, os.PathLike)):
        given = list(source)
        return Reading(f"the rows of {name}", "row", lambda: _python_rows(name, given))
    path = Path(source)
    match path.suffix.lower():
        case ".csv":
            encoding = "utf-8" if _is_utf_8(path) else "cp1252"
            first, header = next(_csv_lines(path, encoding), (1, list[str]()))
            if "" in header:
                raise ValueError(f"{path}, line {first}: column {header.index('') + 1} has no name")
            return Reading(str(path), "line", lambda: _csv_rows(path, encoding, header), header, first)
        case ".ndjson" | ".jsonl":
            return Reading(str(path), "line", lambda: _json_rows(path))
        case _:
            raise ValueError(f"{path}: give a file whose name ends in .csv, .ndjson or .jsonl")


def _is_utf_8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        try:
            while block := file.read(_BLOCK_BYTES):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _lines(path: Path, encoding: str = "utf-8") -> Iterator[str]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.decode(encoding)
            except UnicodeDecodeError:
                others = "" if encoding == "utf-8" else " or Windows-1252"
                raise ValueError(f"{path}, line {number}: the text is not in UTF-8{others}") from None
            yield text.removeprefix("\ufeff") if number == 1 else text


def _csv_lines(path: Path, encoding: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that have cells, each with the number of its last line in the file."""
    lines = _lines(path, encoding)
    start = next(lines, "")
    if named := re.fullmatch(r"sep=([,;\t])\s*", start):  # as Excel writes it
        delimiter, start = named[1], "\n"
    else:
        delimiter = max(",;\t", key=start.count)  # a field id cannot have any of them
    reader = csv.reader(chain([start], lines), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        reason = "a line ends in CR alone: end it with LF or CR LF" if "new-line" in str(error) else error
        raise ValueError(f"{path}, line {reader.line_num}: {reason}") from None


def _csv_rows(path: Path, encoding: str, header: Sequence[str]) -> Iterator[tuple[int, Mapping[str, str | None]]]:
    for number, cells in islice(_csv_lines(path, encoding), 1, None):
        if len(cells) != len(header):
            raise ValueError(f"{path}, line {number}: {len(cells)} values for {len(header)} fields")
        yield number, {field: cell or None for field, cell in zip(header, cells, strict=True)}


def _json_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    decoder = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
    for number, line in enumerate(_lines(path), 1):
        if line.strip():
            try:
                yield number, decoder.decode(line)
            except (msgspec.DecodeError, RecursionError) as error:
                raise ValueError(f"{path}, line {number}: {error}") from None


def _python_rows(name: str, rows: Iterable[Any]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise ValueError(f"the rows of {name}, row {number}: {row!r} is not a dict")  # noqa: TRY004 (all faults of rows are ValueError)
        yield number, row
