"""The command `journal`: show the outcomes of a load, and settle unknown ones by hand."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from afas_async.commands.environment import completed
from afas_async.commands.naming import PROGRAM
from afas_async.commands.terminal import fitting, printable
from afas_async.errors import JournalError, OutcomeUnknownError
from afas_async.write.entries import Entry
from afas_async.write.journal import Journal
from afas_async.write.lookups import is_quiet

EPILOG: Final = (
    "The exit status is 0 if all elements are applied, else 1. Elements are printed only with --show: they may hold"
    " personal data."
)
_MOMENT: Final = "%Y-%m-%d %H:%M:%S UTC"
_LOADS: Final = {"insert": "Inserts into", "update": "Updates of", "delete": "Deletes from"}
_ALL: Final = "all"
_NUMBERS: Final = "N[-N][,...]|all"
_RANGE: Final = re.compile(r"(\d+)(?:-(\d+))?")
_MOST_RANGES: Final = 12  # printed for a group


def show_journal(path: str | os.PathLike[str], *, applied: str = "", again: str = "", show: bool = False) -> bool:
    """Print the outcomes in a journal, and what to do about elements that are not applied.

    Elements may hold personal data, so they are printed only on request.

    Args:
        path: The journal of a load that is not running.
        applied: Which elements to note as applied: numbers and ranges such as "3,7-9", or "all" for all unknown ones.
        again: Which elements to note as planned, so that the next run sends them.
        show: Whether to print the elements.

    Returns:
        Whether all elements are applied.

    Raises:
        JournalError: If the journal cannot be opened or written, or an element is not unknown. Also if you send an
            element again while the service may be at work on it. Earlier notes stay.
    """
    journal = Journal(path)
    try:
        _correct(journal, _numbers(journal, applied), _numbers(journal, again))
        unknown, rejected, counts = journal.unknown(), journal.rejected(), journal.counts()
        load = journal.identity
        print(f"{_LOADS.get(load['action'], load['action'])} {load['connector']} at {load['service']}\n")
        for state, count in counts.items():
            print(f"  {state:<9}{count:>12,}{'  sent by the next run' if state == 'planned' and count else ''}")
        if rejected:
            print("\nRejected: the service refused these, and stored nothing. The next run sends them again.")
            _print_groups(rejected, lambda entry: ("", str(entry.error)))
        if unknown:
            print("\nUnknown: these may have been applied or not.")
            _print_groups(unknown, _circumstances)
            if show:
                for entry in unknown:
                    print(f"  element {entry.number}: {printable(journal.body(entry.number).decode())}")
            _print_advice(unknown, shlex.quote(os.fspath(path)), show=show)
    finally:
        journal.close()
    return not any(count for state, count in counts.items() if state != "applied")


def ranges_text(numbers: Iterable[int]) -> str:
    """Return ascending numbers as ranges.

    Example:
        >>> ranges_text([1, 2, 3, 7, 9, 10])
        '1-3, 7, 9-10'
    """
    found = list[list[int]]()
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    texts = [str(first) if first == last else f"{first}-{last}" for first, last in found]
    more = len(texts) - _MOST_RANGES
    return ", ".join(texts[:_MOST_RANGES]) + (f" and {more:,} more ranges" if more > 0 else "")


def _numbers(journal: Journal, text: str) -> Iterable[int]:
    if text == _ALL:
        return [entry.number for entry in journal.unknown()]
    return _typed_numbers(text)


def _typed_numbers(text: str) -> list[int]:
    found = list[int]()
    for part in text.split(",") if text else ():
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise typer.BadParameter(f"{text!r} is not {_NUMBERS}, such as 3,7-9")
        found += range(int(match[1]), int(match[2] or match[1]) + 1)
    return found


def _correct(journal: Journal, applied: Iterable[int], again: Iterable[int]) -> None:
    for number in applied:
        journal.correct(number, "applied")
    wanted = list(again)
    busy = {entry.number: _error(entry) for entry in journal.unknown() if _is_busy(entry)} if wanted else {}
    for number in wanted:
        if number in busy:
            until = f"{busy[number].quiet_until:{_MOMENT}}"
            raise JournalError(
                f"element {number}: wait until {until}, or it may be there twice: the service may still apply it"
            )
        journal.correct(number, "planned")


def _print_groups(entries: Sequence[Entry], group_of: Callable[[Entry], tuple[str, str]]) -> None:
    """Print elements grouped by call and reason: a thousand failures with one reason are one line."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault(group_of(entry), []).append(entry)
    for (when, why), found in groups.items():
        count = "1 element" if len(found) == 1 else f"{len(found):,} elements"
        print(f"\n  {count}{when}: {ranges_text(entry.number for entry in found)}")
        print(fitting(f"    why     {why}"))
        if isinstance(found[0].error, OutcomeUnknownError):
            if _is_busy(found[0]):
                until = f"{found[0].error.quiet_until:{_MOMENT}}"
                print(f"    to do   wait until {until}: the service may still be at work on it")
            else:
                print("    to do   look it up: the service is done")


def _circumstances(entry: Entry) -> tuple[str, str]:
    error = _error(entry)
    return f", sent {error.sent_at:{_MOMENT}}", error.reason


def _print_advice(unknown: Sequence[Entry], path: str, *, show: bool) -> None:
    some = str(unknown[0].number) if len(unknown) == 1 else _ALL
    it, them = ("it is", "it") if len(unknown) == 1 else ("they are", "them")
    print(f"""
It is {datetime.now(UTC):{_MOMENT}}. To find out, run the load again with the same elements and lookup=Lookup(...),
or `load` with --lookup. Or look in Profit, and note what you find:

  {PROGRAM} journal {path} --applied {some}   {it} there
  {PROGRAM} journal {path} --again {some}     {it} not: the next run sends {them}""")
    if not show:
        print("\nTo print the elements, add --show.")


def _is_busy(entry: Entry) -> bool:
    return not is_quiet(_error(entry), entry.sent)


def _error(entry: Entry) -> OutcomeUnknownError:
    assert isinstance(entry.error, OutcomeUnknownError)  # noqa: S101 - as for every unknown outcome
    return entry.error


def command(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The journal of a load.", show_default=False)],
    *,
    applied: Annotated[
        str, typer.Option(metavar=_NUMBERS, help="Note that these elements are in Profit.", show_default=False)
    ] = "",
    again: Annotated[
        str,
        typer.Option(
            metavar=_NUMBERS,
            help="Note that these elements are not in Profit: the next run sends them.",
            show_default=False,
        ),
    ] = "",
    show: Annotated[bool, typer.Option("--show", help="Print the elements whose outcome is unknown.")] = False,
) -> int:
    """Show the outcomes of a load, and settle unknown ones.

    Elements that are not applied are grouped by call and reason.
    """
    if _ALL in {applied, again} and applied and again:
        raise typer.BadParameter(f"{_ALL!r} means every unknown element: leave out the other option")
    both = sorted({*_typed_numbers(applied.replace(_ALL, ""))} & {*_typed_numbers(again.replace(_ALL, ""))})
    if both:
        raise typer.BadParameter(f"element {both[0]} is in --applied and in --again: give it in one of them")

    async def work() -> bool:  # the journal reads the event loop's clock
        return show_journal(path, applied=applied, again=again, show=show)

    return 0 if completed(work()) else 1
