"""The file of failed lines: lines that are not applied, in the form of their source, to correct and load again."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from afas_async.commands.lines import ERROR, LINE, NOTES, STATUS, BrokenLine, LineFile, as_json
from afas_async.errors import UsageError
from afas_async.vocabulary.outcomes import LISTED, LoadReport, Outcome
from afas_async.write.failures import FailureFile


class FailedLines:
    """Writes each line that is not applied as it was in its file, with status, error and number.

    It is named `path` once it has all these lines. Until then `.part` is added, because an existing `path` may be the
    source itself.

    Args:
        path: The file: `.csv`, with the columns of the source, or `.ndjson`.
        source: The file that is loaded.
        looks_up: Whether unknown outcomes are looked up at the end. Their lines are written after that, if they
            are still not applied.

    Raises:
        UsageError: If the suffix is another, or the lines of the source do not fit.
    """

    def __init__(self, path: Path, source: LineFile, *, looks_up: bool) -> None:
        suffix = path.suffix.lower()
        header = source.header
        if suffix not in {".csv", ".ndjson", ".jsonl"}:
            raise UsageError(f"{path}: --failed needs a .csv or an .ndjson file")
        if suffix == ".csv" and header is None:
            raise UsageError(f"{path}: lines of JSON do not fit into CSV: give --failed a name that ends in .ndjson")
        self._header = header
        self._delimiter = source.delimiter
        self._is_csv = suffix == ".csv"
        # With this mark at the beginning, spreadsheets read it as UTF-8.
        head = b"\xef\xbb\xbf" + self._row([*header, *NOTES]) if self._is_csv and header is not None else b""
        self._file = FailureFile(path, line=self._line, head=head)
        self._looks_up = looks_up
        self._unsettled: dict[int, Outcome] = {}

    async def open(self) -> None:
        """Open the file, and start it over.

        Raises:
            OSError: If it cannot be written.
        """
        await self._file.open()
        self._file.begin()

    def add(self, outcome: Outcome) -> None:
        """Take the outcome of a line. Its `item` is the number, the line, and the fault of an unfit line."""
        if outcome.status == "unknown" and self._looks_up and len(self._unsettled) < LISTED:
            self._unsettled[outcome.index] = outcome
            return
        self._file.add(outcome, None)

    def keep(self, noted: tuple[int, Any, str]) -> None:
        """Take a line that an earlier load left unknown, so it was not loaded again: number, line and error."""
        self._file.add(Outcome(0, "unknown", item=noted), None)

    async def flush(self) -> None:
        """Write the lines taken so far, if they are many.

        Raises:
            OSError: If it cannot be written.
        """
        if self._file.is_full:
            await self._file.flush()

    async def close(self, report: LoadReport, *, is_whole: bool) -> None:
        """Write the lines that are still not applied after the lookup, and complete the file.

        Args:
            report: The report of the load.
            is_whole: Whether the source was read to its end; otherwise the file keeps its `.part`.

        Raises:
            OSError: If it cannot be written.
        """
        for outcome in _settled(self._unsettled, report):
            self._file.add(outcome, None)
        self._unsettled.clear()
        await self._file.close(is_whole=is_whole)

    def _line(self, outcome: Outcome, _: bytes | None) -> bytes:
        number, line, fault = cast("tuple[int, Any, str | None]", outcome.item)
        notes = {STATUS: outcome.status, ERROR: fault or str(outcome.error or ""), LINE: number}
        if self._is_csv:
            return self._row([*line, *notes.values()])
        if isinstance(line, BrokenLine):
            return as_json({"_text": line.text, **notes}) + b"\n"
        members = line if self._header is None else dict(zip(self._header, line, strict=False))
        return as_json({**members, **notes} if isinstance(members, dict) else {"_value": members, **notes}) + b"\n"

    def _row(self, cells: Sequence[Any]) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self._delimiter, lineterminator="\r\n").writerow(cells)
        return text.getvalue().encode("utf-8", "surrogatepass")


def _settled(unsettled: Mapping[int, Outcome], report: LoadReport) -> Iterator[Outcome]:
    """Go through the unknown outcomes after the lookup, without those that proved to be applied."""
    unknown = {outcome.index for outcome in report.unknown}
    absent = {outcome.index: outcome.error for outcome in report.not_sent}
    for index, before in unsettled.items():
        if index in absent:
            yield Outcome(index, "not_sent", error=absent[index], item=before.item)
        elif index in unknown or len(report.not_sent) >= LISTED:  # a full list may lack it
            yield before
