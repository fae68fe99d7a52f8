"""Plans: key ranges as plain data, each to be read alone, here or elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from afas_async.errors import UsageError
from afas_async.policy.spans import KeyValue
from afas_async.read.cuts import key_ranges
from afas_async.read.position import KeyRange
from afas_async.read.source import MOST_GROUPS, ROOM, Source, refuse_without_key
from afas_async.vocabulary.arguments import check_type, type_name
from afas_async.wire.row_requests import EVERY_ROW


class _PlannedPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    connector: str
    field: str
    lower: KeyValue | None
    upper: KeyValue | None


async def plan(source: Source[Any], parts: int) -> list[dict[str, Any]]:
    """Return the parts of a read as plain data."""
    check_type("parts", parts, int, "a whole number such as 4", connector=source.connector.name)
    if parts < 1:
        raise UsageError(f"parts must be 1 or more, not {parts}")
    if not source.connector.key:
        await refuse_without_key(source)
    name, field = source.connector.name, source.connector.key[0]
    if not source.where:  # no row can meet it
        parts = 1
    elif len(source.where) > MOST_GROUPS or source.room < ROOM * len(source.order.fields):
        source = replace(source, where=EVERY_ROW)  # any cuts will do
    return [
        msgspec.to_builtins(_PlannedPart(name, field, each.lower, each.upper))
        for each in await key_ranges(source, parts)
    ]


def restrict(source: Source[Any], part: Mapping[str, Any]) -> Source[Any]:
    """Return what is to be read of a part of a plan.

    Raises:
        UsageError: If it is no part of a plan for this connector and key.
    """
    name, key = source.connector.name, source.connector.key
    try:
        planned = msgspec.convert(dict(part), _PlannedPart)
    except (msgspec.ValidationError, TypeError, ValueError):
        given = "another dict" if isinstance(part, Mapping) else type_name(part)  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(f"{name}: part: expected one of the parts that plan() returned, got {given}") from None
    if not key or (planned.connector, planned.field) != (name, key[0]):
        raise UsageError(
            f"{name}: this part was planned for {planned.connector} with {planned.field} as the first field of its key"
        )
    return source.within(KeyRange(planned.lower, planned.upper))
