"""The lines of a file that are not applied, in a file of the same form, to be corrected and loaded again."""

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
    """Writes each line that is not applied, as it stands in its file, with its status, the error and its number.

    It has the name `path` once it has all lines that are not applied; `.part` is added until then, as the file that is
    there may be the very source.

    Args:
        path: The file: `.csv`, with the columns of the source, or `.ndjson`.
        source: The file that is loaded.
        looks_up: Whether unknown outcomes are looked up at the end. Those lines are written then, as they may turn out
            to be applied.

    Raises:
        UsageError: If the suffix is another one, or the lines of the source do not fit.
    """

    def __init__(self, path: Path, source: LineFile, *, looks_up: bool) -> None:
        suffix = path.suffix.lower()
        header = source.header
        if suffix not in {".csv", ".ndjson", ".jsonl"}:
            raise UsageError(f"{path}: the file of --failed is a .csv or an .ndjson file")
        if suffix == ".csv" and header is None:
            raise UsageError(f"{path}: lines of JSON do not fit into a CSV file: give --failed a name in .ndjson")
        self._header = header
        self._delimiter = source.delimiter
        self._is_csv = suffix == ".csv"
        # With the mark at its beginning a spreadsheet takes it for UTF-8.
        head = b"\xef\xbb\xbf" + self._row([*header, *NOTES]) if self._is_csv and header is not None else b""
        self._file = FailureFile(path, line=self._line, head=head)
        self._looks_up = looks_up
        self._unsettled: dict[int, Outcome] = {}

    async def open(self) -> None:
        """Open the file, and begin anew.

        Raises:
            OSError: If it cannot be written.
        """
        await self._file.open()
        self._file.begin()

    def add(self, outcome: Outcome) -> None:
        """Take the outcome of a line, whose `item` is its number, the line itself, and the fault if it did not fit."""
        if outcome.status == "unknown" and self._looks_up and len(self._unsettled) < LISTED:
            self._unsettled[outcome.index] = outcome
            return
        self._file.add(outcome, None)

    def keep(self, noted: tuple[int, Any, str]) -> None:
        """Take a line that was not loaded again, as an earlier load left it unknown: its number, itself, the error."""
        self._file.add(Outcome(0, "unknown", item=noted), None)

    async def flush(self) -> None:
        """Write what has been taken, if that is much.

        Raises:
            OSError: If it cannot be written.
        """
        if self._file.is_full:
            await self._file.flush()

    async def close(self, report: LoadReport, *, is_whole: bool) -> None:
        """Write the lines whose outcome was unknown, as they stand in the end, and complete the file.

        Args:
            report: What became of the load.
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
    """Go through outcomes that were unknown as they are in the end, without those that were found to be applied."""
    unknown = {outcome.index for outcome in report.unknown}
    absent = {outcome.index: outcome.error for outcome in report.not_sent}
    for index, before in unsettled.items():
        if index in absent:
            yield Outcome(index, "not_sent", error=absent[index], item=before.item)
        elif index in unknown or len(report.not_sent) >= LISTED:  # a list that is full may lack it
            yield before
