"""What a connector is made of, and whether a key holds on its rows: `python -m afas_async inspect`."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import msgspec
import typer

from afas_async.client.client import AfasClient
from afas_async.commands.environment import HIDDEN, client, completed
from afas_async.commands.inspect_all import inspect_all
from afas_async.commands.key_check import KEY_TYPES, TAIL, KeyCheck, as_sorted, declaration, type_fault
from afas_async.commands.key_proposal import MOST_FIELDS, key_row, page_size, proposed_keys
from afas_async.commands.keys_file import NAME, KeysOption
from afas_async.commands.naming import NOT_ALL
from afas_async.commands.options import KEY_NOTATION, AsJson, OwnSimulator, inspect_command, key_fields
from afas_async.commands.terminal import ProgressLine, fitting
from afas_async.errors import UsageError
from afas_async.vocabulary.connectors import GetConnector
from afas_async.vocabulary.metainfo import MetainfoField

EPILOG = "The exit status is 0 if the key holds, or without --key if there are candidates; else 1. " + HIDDEN


async def inspect(
    afas: AfasClient, name: str, *, key: tuple[str, ...], limit: int | None, show: bool, command: str
) -> bool:
    """Print the fields of a connector, and test a key on its rows, or propose some.

    Values of rows may be personal data, so they are printed only where that is asked for.

    Args:
        afas: An open client.
        name: The connector.
        key: The fields of the key; none to have keys proposed.
        limit: Rows to read at most, None for all.
        show: Whether to print keys that occur more than once.
        command: What was typed, without a key: the command that advice is given with.

    Returns:
        Whether the key holds; without a key, whether there is any candidate.

    Raises:
        AfasError: If the service does not tell, or the names make no sense.
    """
    declared = GetConnector(name, key=key)
    fields = (await afas.get_metainfo(name)).fields
    _print_fields(name, fields)
    known = {field.id: field for field in fields}
    if unknown := [field for field in declared.key if field not in known]:
        raise UsageError(
            f"{name} has no field {' and no field '.join(unknown)}: use the ids of the list, as they stand"
        )
    take = page_size(fields)
    if not declared.key:
        return await _propose(afas, name, fields, take, command)
    print(f"\nKey {', '.join(declared.key)}:", flush=True)
    faults, complete = [fault for field in declared.key if (fault := type_fault(known[field]))], False
    if not faults:
        faults, complete = await _test(afas, declared, take=take, limit=limit, show=show)
    if faults:
        print("\nThis key cannot be declared:\n" + "\n".join(f"  - {fault}" for fault in faults))
        return False
    scope = "" if complete else f" in the first {limit:,} rows, where the test stopped as asked"
    print(f"\nThe key holds{scope}. Declare the connector so:\n\n  {declaration(name, declared.key)}")
    return True


def _print_fields(name: str, fields: list[MetainfoField]) -> None:
    print(f"{name}: {len(fields)} fields\n")
    width = max((len(field.id) for field in fields), default=0)
    print(f"  {'id':<{width}}  {'type':<8} {'length':>6} {'decimals':>8}  label")
    for field in fields:
        line = f"  {field.id:<{width}}  {field.data_type:<8} {field.length:>6} {field.decimals:>8}  {field.label}"
        print(fitting(line).rstrip())


async def _propose(afas: AfasClient, name: str, fields: list[MetainfoField], take: int, command: str) -> bool:
    rows, found = await proposed_keys(afas, name, fields, take)
    if rows < 2:
        print(f"\nNo key can be proposed: there are {rows} rows to judge by.")
        return False
    if found:
        print("\nCandidates for the key, unique and never empty in some of the rows. Test the one you mean with:\n")
        for key in found:
            print(f"  {command} --key {','.join(key)}")
        return True
    print(f"""
No candidate for a key: in some of the rows no field of type {" or ".join(KEY_TYPES)} is unique and never empty, and no
combination of up to {MOST_FIELDS} that are named like identifiers. Test your own with:

  {command} --key FIELD,FIELD""")
    return False


async def _test(
    afas: AfasClient, declared: GetConnector[Any], *, take: int, limit: int | None, show: bool
) -> tuple[list[str], bool]:
    """Read the connector sorted by the key, and print what the rows tell about it.

    Returns:
        Why it is no key, and whether all rows were read.
    """
    check, complete = KeyCheck(declared.key), False
    pages, started = 0, perf_counter()
    connector = GetConnector(declared.name, key_row(declared.key))
    with ProgressLine() as line:
        # Single pages rather than a stream: a stream relies on the key, which is what is in question here.
        while limit is None or check.rows < limit:
            size = take if limit is None else min(take, limit - check.rows)
            page = await afas.page(connector, skip=check.rows, take=size, order_by=declared.key)
            if not page.rows:
                complete = True
                break
            check.feed(map(msgspec.structs.astuple, page.rows))
            pages += 1
            line.show(check.rows, pages=pages, seconds=perf_counter() - started)
    faults = check.faults()
    reverse = await _is_reversible(afas, connector, declared.key, check) if complete else None
    if reverse is False:
        faults.append(
            "sorted the other way round, the service does not begin with the last rows: it does not sort by it, or rows"
            " changed meanwhile"
        )
    _print_check(declared.key, check, complete=complete, reverse=reverse, show=show)
    if not check.rows:
        faults.append("there are no rows to test it on")
    return faults, complete


async def _is_reversible(afas: AfasClient, connector: GetConnector[Any], key: tuple[str, ...], check: KeyCheck) -> bool:
    """Whether the service returns the last rows in reverse when it is asked to sort the other way round.

    The order of texts is the database's own and cannot be checked here; that there is an order at all can.
    """
    descending = [f"-{field}" for field in key]
    page = await afas.page(connector, take=TAIL, order_by=descending)
    first = [as_sorted(msgspec.structs.astuple(row)) for row in page.rows]
    return first == [as_sorted(values) for values in reversed(check.tail)]


def _print_check(key: tuple[str, ...], check: KeyCheck, *, complete: bool, reverse: bool | None, show: bool) -> None:
    order = {None: "not checked", True: "the same from the other end", False: "another from the other end"}[reverse]
    print(f"""
  rows         {check.rows:,} read, {"all there are" if complete else "as many as asked for"}
  empty        {check.nulls:,} with null, {check.blanks:,} with an empty text
  duplicates   {check.duplicates:,} (letter case and trailing spaces do not count)
  order        {order}""")
    if check.examples and not show:
        print("\nUp to three of the keys that occur more than once are printed with --show.")
    elif check.examples:
        print("\nKeys that occur more than once:")
        for found in check.examples:
            print(fitting("  " + ", ".join(f"{field}={value!r}" for field, value in zip(key, found, strict=True))))


def command(
    connector: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The connector's name; or --all.", show_default=False)
    ] = None,
    *,
    key: Annotated[
        str | None, typer.Option(metavar=KEY_NOTATION, help="The key to test, read from the service in its order.")
    ] = None,
    rows: Annotated[int | None, typer.Option(min=1, metavar="N", help="Stop the test after so many rows.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Print up to three keys that occur more than once.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Propose a key for every GetConnector, and write the file of keys.")
    ] = False,
    keys: KeysOption = Path(NAME),
    as_json: AsJson = False,
    simulator: OwnSimulator = False,
) -> int:
    """List the fields of a connector, and test a key on its rows, or propose some.

    With --all it looks at a sample of every connector, and writes the likeliest keys into a file that the other
    commands read. Keys that stand in it already stay.
    """
    if (connector is None) != everything:
        raise typer.BadParameter("give the name of a connector, or --all")
    if (rows or show) and not key:
        raise typer.BadParameter("--rows and --show go with --key")
    if as_json and not everything:
        raise typer.BadParameter("--json goes with --all; `fields NAME --json` has the fields of one")

    async def one(name: str) -> int:
        async with client(simulator=simulator) as afas:
            holds = await inspect(
                afas,
                name,
                key=key_fields(key),
                limit=rows,
                show=show,
                command=inspect_command(name, simulator=simulator),
            )
            return 0 if holds else NOT_ALL

    async def each() -> int:
        async with client(simulator=simulator) as afas:
            return await inspect_all(afas, keys, as_json=as_json)

    return completed(each() if connector is None else one(connector))
