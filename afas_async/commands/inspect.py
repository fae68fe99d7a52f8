"""The command `inspect`: list the fields of a connector, and propose or test its key."""

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

EPILOG = "The exit status is 0 if the key holds or, without --key, if there are candidates; else 1.\n\n" + HIDDEN


async def inspect(
    afas: AfasClient, name: str, *, key: tuple[str, ...], limit: int | None, show: bool, command: str
) -> bool:
    """Print the fields of a connector, and test a key on its rows, or propose some.

    Values may be personal data, so they are printed only on request.

    Args:
        afas: An open client.
        name: The connector.
        key: The fields of the key to test; empty to propose keys.
        limit: Rows to read at most; None for all.
        show: Whether to print keys that occur more than once.
        command: The command as typed, without a key, to repeat in advice.

    Returns:
        Whether the key holds; without a key, whether there is any candidate.

    Raises:
        AfasError: If reading fails, or a name is not valid.
    """
    declared = GetConnector(name, key=key)
    fields = (await afas.get_metainfo(name)).fields
    _print_fields(name, fields)
    known = {field.id: field for field in fields}
    if unknown := [field for field in declared.key if field not in known]:
        raise UsageError(f"{name} has no field {' and no field '.join(unknown)}: use the ids exactly as listed")
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
    scope = "" if complete else f" in the first {limit:,} rows, where the test stopped"
    print(f"\nThe key holds{scope}. Declare the connector like this:\n\n  {declaration(name, declared.key)}")
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
        print(f"\nNo key can be proposed from {rows} rows.")
        return False
    if found:
        print("\nCandidates for the key, unique and never empty in a sample. To test one:\n")
        for key in found:
            print(f"  {command} --key {','.join(key)}")
        return True
    print(f"""
No candidate for a key: in a sample, no field of type {" or ".join(KEY_TYPES)} is unique and never empty, and no
combination of up to {MOST_FIELDS} fields named like identifiers. To test your own:

  {command} --key FIELD,FIELD""")
    return False


async def _test(
    afas: AfasClient, declared: GetConnector[Any], *, take: int, limit: int | None, show: bool
) -> tuple[list[str], bool]:
    """Read the connector sorted by the key, and print the findings.

    Returns:
        The faults of the key, and whether all rows were read.
    """
    check, complete = KeyCheck(declared.key), False
    pages, started = 0, perf_counter()
    connector = GetConnector(declared.name, key_row(declared.key))
    with ProgressLine() as line:
        # Single pages, because a stream relies on the key that is being tested.
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
            "sorted in reverse, the service does not begin with the last rows: it does not sort by this key, or rows"
            " changed meanwhile"
        )
    _print_check(declared.key, check, complete=complete, reverse=reverse, show=show)
    if not check.rows:
        faults.append("the connector has no rows to test it on")
    return faults, complete


async def _is_reversible(afas: AfasClient, connector: GetConnector[Any], key: tuple[str, ...], check: KeyCheck) -> bool:
    """Return whether the service begins with the last rows when it sorts in reverse.

    The order of texts depends on the database and cannot be checked. This checks that there is an order at all.
    """
    descending = [f"-{field}" for field in key]
    page = await afas.page(connector, take=TAIL, order_by=descending)
    first = [as_sorted(msgspec.structs.astuple(row)) for row in page.rows]
    return first == [as_sorted(values) for values in reversed(check.tail)]


def _print_check(key: tuple[str, ...], check: KeyCheck, *, complete: bool, reverse: bool | None, show: bool) -> None:
    order = {None: "not checked", True: "the same in reverse", False: "another one in reverse"}[reverse]
    print(f"""
  rows         {check.rows:,} read, {"all of them" if complete else "as many as you asked for"}
  empty        {check.nulls:,} with null, {check.blanks:,} with an empty text
  duplicates   {check.duplicates:,} (letter case and trailing spaces do not count)
  order        {order}""")
    if check.examples and not show:
        print("\nTo print up to three keys that occur more than once, add --show.")
    elif check.examples:
        print("\nKeys that occur more than once:")
        for found in check.examples:
            print(fitting("  " + ", ".join(f"{field}={value!r}" for field, value in zip(key, found, strict=True))))


def command(
    connector: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The connector's name; or --all.", show_default=False)
    ] = None,
    *,
    key: Annotated[str | None, typer.Option(metavar=KEY_NOTATION, help="The key to test.")] = None,
    rows: Annotated[int | None, typer.Option(min=1, metavar="N", help="Stop the test after N rows.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Print up to three keys that occur more than once.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Propose a key for each GetConnector, and write the file of keys.")
    ] = False,
    keys: KeysOption = Path(NAME),
    as_json: AsJson = False,
    simulator: OwnSimulator = False,
) -> int:
    """List the fields of a connector, and propose keys or test one.

    With --key you test a key on all rows. With --all you write the likeliest key of each connector, from a sample, to
    the file of keys that the other commands read. Keys that are already in it stay.
    """
    if (connector is None) != everything:
        raise typer.BadParameter("give the name of a connector, or --all")
    if (rows or show) and not key:
        raise typer.BadParameter("--rows and --show need --key")
    if as_json and not everything:
        raise typer.BadParameter("--json needs --all; for a single connector use `fields NAME --json`")

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
