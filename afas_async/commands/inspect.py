"""What a connector is made of, and whether a key holds on its rows: `python -m afas_async inspect`."""

from __future__ import annotations

from time import perf_counter
from typing import Annotated, Any

import msgspec
import typer

from afas_async.client.client import AfasClient
from afas_async.commands.environment import HIDDEN, client, completed
from afas_async.commands.key_check import KEY_TYPES, TAIL, KeyCheck, as_sorted, candidates, declaration, type_fault
from afas_async.commands.options import KEY_NOTATION, ConnectorName, OwnSimulator, inspect_command, key_fields
from afas_async.commands.terminal import ProgressLine, fitting
from afas_async.errors import UsageError
from afas_async.policy.sizing import CELL_LIMIT
from afas_async.vocabulary.connectors import GetConnector
from afas_async.vocabulary.metainfo import MetainfoField

SAMPLE = 1_000
TAKE = 10_000
MOST_FIELDS = 3  # of a key that is proposed
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
    take = min(TAKE, (CELL_LIMIT - 1) // max(1, len(fields)))
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
    page = await afas.page(name, take=min(SAMPLE, take))
    if len(page.rows) < 2:
        print(f"\nNo key can be proposed: there are {len(page.rows)} rows to judge by.")
        return False
    for size in range(1, MOST_FIELDS + 1):
        found = [key for key in candidates(fields, page.rows, size) if await _may_be_key(afas, name, key, take)]
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


async def _may_be_key(afas: AfasClient, name: str, key: tuple[str, ...], take: int) -> bool:
    """Look at the first rows in the candidate's own order, where empty ones come first and equal ones are neighbours.

    Rows in another order mislead: within the first administration, say, each entry number occurs once.
    """
    check = KeyCheck(key)
    page = await afas.page(GetConnector(name, _key_row(key)), take=min(SAMPLE, take), order_by=key)
    check.feed(map(msgspec.structs.astuple, page.rows))
    return not check.faults()


async def _test(
    afas: AfasClient, declared: GetConnector[Any], *, take: int, limit: int | None, show: bool
) -> tuple[list[str], bool]:
    """Read the connector sorted by the key, and print what the rows tell about it.

    Returns:
        Why it is no key, and whether all rows were read.
    """
    check, complete = KeyCheck(declared.key), False
    pages, started = 0, perf_counter()
    connector = GetConnector(declared.name, _key_row(declared.key))
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


def _key_row(key: tuple[str, ...]) -> type[msgspec.Struct]:
    """Return a row type with the fields of the key alone, so that nothing else is decoded or kept."""
    names = [f"field_{number}" for number in range(len(key))]
    return msgspec.defstruct("KeyRow", [(name, Any) for name in names], rename=dict(zip(names, key, strict=True)))


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
    connector: ConnectorName,
    *,
    key: Annotated[
        str | None, typer.Option(metavar=KEY_NOTATION, help="The key to test, read from the service in its order.")
    ] = None,
    rows: Annotated[int | None, typer.Option(min=1, metavar="N", help="Stop the test after so many rows.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Print up to three keys that occur more than once.")] = False,
    simulator: OwnSimulator = False,
) -> int:
    """List the fields of a connector, and test a key on its rows, or propose some."""
    if (rows or show) and not key:
        raise typer.BadParameter("--rows and --show go with --key")

    async def work() -> bool:
        async with client(simulator=simulator) as afas:
            return await inspect(
                afas,
                connector,
                key=key_fields(key),
                limit=rows,
                show=show,
                command=inspect_command(connector, simulator=simulator),
            )

    return 0 if completed(work()) else 1
