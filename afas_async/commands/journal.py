"""What the journal of a load knows, and settling by hand what nobody knows: `python -m afas_async journal`."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime

from afas_async.commands.arguments import Commands
from afas_async.commands.terminal import PROGRAM, fitting, printable
from afas_async.errors import JournalError, OutcomeUnknownError
from afas_async.write.entries import Entry
from afas_async.write.journal import Journal
from afas_async.write.lookups import is_quiet

_MOMENT = "%Y-%m-%d %H:%M:%S UTC"
_LOADS = {"insert": "Inserts into", "update": "Updates of", "delete": "Deletes from"}


async def show_journal(
    path: str | os.PathLike[str], *, applied: Sequence[int] = (), again: Sequence[int] = (), show: bool = False
) -> bool:
    """Print what a journal knows of its load, and what to do about each element whose outcome is unknown.

    Elements may hold personal data, so they are printed only where that is asked for.

    Args:
        path: The journal of a load that is not running.
        applied: Numbers of elements to note as applied.
        again: Numbers of elements to note as planned, so that the next run sends them.
        show: Whether to print the elements.

    Returns:
        Whether no outcome is unknown.

    Raises:
        JournalError: If the journal cannot be opened or written, an element is not unknown, or it is to be sent again
            while the service may be at work on it. What was noted before stays.
    """
    journal = Journal(path)
    try:
        _correct(journal, applied, again)
        unknown = journal.unknown()
        load = journal.identity
        print(f"{_LOADS.get(load['action'], load['action'])} {load['connector']} at {load['service']}\n")
        for state, count in journal.counts().items():
            print(f"  {state:<9}{count:>12,}{'  to be sent by the next run' if state == 'planned' and count else ''}")
        if unknown:
            _print_unknown(journal, unknown, show=show)
            _print_advice(unknown, shlex.quote(os.fspath(path)), show=show)
    finally:
        journal.close()
    return not unknown


def _correct(journal: Journal, applied: Sequence[int], again: Sequence[int]) -> None:
    for number in applied:
        journal.correct(number, "applied")
    busy = {entry.number: _error(entry) for entry in journal.unknown() if _is_busy(entry)} if again else {}
    for number in again:
        if number in busy:
            until = f"{busy[number].quiet_until:{_MOMENT}}"
            raise JournalError(f"element {number}: wait until {until}, or it may be there twice: the service goes on")
        journal.correct(number, "planned")


def _print_unknown(journal: Journal, unknown: Sequence[Entry], *, show: bool) -> None:
    print("\nUnknown: each of these may have been applied or not.")
    for entry in unknown:
        error = _error(entry)
        print(f"\n  element {entry.number}, sent {error.sent_at:{_MOMENT}}")
        print(fitting(f"    why     {error.reason}"))
        if _is_busy(entry):
            print(f"    to do   wait until {error.quiet_until:{_MOMENT}}, as the service may be at work on it")
        else:
            print("    to do   look it up: the service is done with it")
        if show:
            print(f"    what    {printable(journal.body(entry.number).decode())}")


def _print_advice(unknown: Sequence[Entry], path: str, *, show: bool) -> None:
    number = unknown[0].number
    print(f"""
It is {datetime.now(UTC):{_MOMENT}}. To find out, run the load again with the same elements and lookup=Lookup(...). Or
look in Profit, and note what you have found:

  {PROGRAM} journal {path} --applied {number}   it is there
  {PROGRAM} journal {path} --again {number}     it is not: the next run is to send it""")
    if not show:
        print("\nWith --show the elements are printed.")


def _is_busy(entry: Entry) -> bool:
    return not is_quiet(_error(entry), entry.sent)


def _error(entry: Entry) -> OutcomeUnknownError:
    assert isinstance(entry.error, OutcomeUnknownError)  # noqa: S101 - as for every unknown outcome
    return entry.error


def add_to(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "journal",
        help="show what became of a load, and say what became of what is unknown",
        description="Show the states of the elements of a load by its parser, and each element whose outcome is"
        " unknown; or note what you have found out about some of these.",
        epilog="The exit status is 0 if no outcome is unknown, else 1. The elements are printed only with --show: they"
        " may hold personal data.",
    )
    parser.add_argument("path", metavar="PATH", help="the journal that a load was given")
    parser.add_argument(
        "--applied", type=int, nargs="+", default=[], metavar="N", help="note that these elements are in Profit"
    )
    parser.add_argument(
        "--again",
        type=int,
        nargs="+",
        default=[],
        metavar="N",
        help="note that these elements are not in Profit, so that the next run sends them",
    )
    parser.add_argument("--show", action="store_true", help="print the elements whose outcome is unknown")
    parser.set_defaults(parser=parser, misuse=_misuse, run=_run)


def _misuse(options: argparse.Namespace) -> str | None:
    both = sorted({*options.applied} & {*options.again})
    return f"element {both[0]} is either applied or sent again" if both else None


async def _run(options: argparse.Namespace) -> bool:
    return await show_journal(options.path, applied=options.applied, again=options.again, show=options.show)
