"""Check a file against metainfo without writing: `load --check` and `load --dry-run`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import msgspec

from afas_async.commands.lines import LineFile
from afas_async.commands.terminal import ProgressLine, print_table
from afas_async.errors import InvalidElementError
from afas_async.policy.element_check import Checker
from afas_async.policy.field_map import UnfitRecordError
from afas_async.vocabulary.connectors import UpdateConnector
from afas_async.vocabulary.elements import Action, Element
from afas_async.vocabulary.metainfo import UpdateMetainfo
from afas_async.wire.element_bodies import encode_element

SHOWN: Final = 20
_SECONDS: Final = 0.02  # seconds for a record, assumed in a forecast


class Checked(msgspec.Struct):
    """The result of a check.

    Attributes:
        lines: Lines read.
        unfit: Lines that cannot be sent.
        size: Bytes of the records that can be sent.
        first: The first faults, each with the number of its line.
        kinds: How often each fault occurs.
    """

    lines: int = 0
    unfit: int = 0
    size: int = 0
    first: list[tuple[int, str]] = []
    kinds: Counter[str] = msgspec.field(default_factory=Counter[str])


def check_lines(source: LineFile, make: Callable[[Any], Element], metainfo: UpdateMetainfo, action: Action) -> Checked:
    """Check each line of a file as a load would. It blocks: call it in a thread.

    Args:
        source: The file.
        make: Makes a record from a line.
        metainfo: The metainfo of the connector.
        action: What the load would do with the records.

    Raises:
        OSError: If the file cannot be read.
    """
    checker, found = Checker(metainfo, action), Checked()
    with ProgressLine(what="lines") as progress:
        for chunk in source.chunks():
            for number, line in chunk:
                found.lines += 1
                faults = _faults(line, make, checker, found)
                found.unfit += bool(faults)
                for fault in faults:
                    found.kinds[fault] += 1
                    if len(found.first) < SHOWN:
                        found.first.append((number, fault))
            progress.show(found.lines, faults=found.unfit)
    return found


def _faults(line: Any, make: Callable[[Any], Element], checker: Checker, found: Checked) -> list[str]:
    try:
        element = make(line)
        faults = [str(fault) for fault in checker.faults(element)]
        if not faults:
            found.size += len(encode_element(element))
    except (UnfitRecordError, InvalidElementError) as error:
        return [str(error)]
    return faults


def print_check(found: Checked) -> None:
    """Print the first faults by line, and how often each kind occurs."""
    if found.unfit:
        print_table(("line", "fault"), found.first, right=("line",))
        if sum(found.kinds.values()) > len(found.first):
            print()
            print_table(("lines", "fault"), [(f"{count:,}", fault) for fault, count in found.kinds.most_common()])
        print()
    print(f"{found.lines:,} lines: {found.lines - found.unfit:,} can be sent, {found.unfit:,} cannot")


def print_forecast(found: Checked, connector: UpdateConnector, action: Action, *, in_flight: int = 4) -> None:
    """Print how many calls and how much time a load would take."""
    records = found.lines - found.unfit
    most = 1 if connector.takes_one or action == "delete" else 1_000
    size = found.size / max(records, 1)
    calls = -(-records // max(1, min(most, int(4_000_000 / max(size, 1)))))
    minutes = records * _SECONDS / in_flight / 60
    print(
        f"{records:,} records, {found.size / 1e6:,.1f} MB: at least {calls:,} calls of up to {most:,} records,"
        f" {in_flight} at a time;\nabout {minutes:,.0f} minutes if Profit takes {_SECONDS * 1000:.0f} ms for a record."
        " Nothing was sent."
    )
