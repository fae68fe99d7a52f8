"""The parts of a plan: each is a key range as plain data, with everything needed to read it here or elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from afas_async.errors import UsageError
from afas_async.read.query import Query
from afas_async.vocabulary.arguments import type_name
from afas_async.vocabulary.filters import Group
from afas_async.vocabulary.names import field_id

VERSION: Final = 1


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a plan.

    Args:
        connector: The name of the connector.
        key: The fields of its key.
        where: The condition of the plan.
        range: The additional tests on the key that rows of this part meet.
        rows: About how many rows it holds at most; None if nothing was looked at.
        version: The version of this format.
    """

    connector: str
    key: tuple[str, ...]
    where: tuple[Group, ...]
    range: Group
    rows: int | None
    version: int = VERSION

    def data(self) -> dict[str, Any]:
        """Return the part as plain data."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return data

    def of(self, query: Query[Any]) -> Query[Any]:
        """Return the query for the rows of this part.

        Raises:
            UsageError: If the part was planned for another connector or key.
        """
        connector = query.connector
        if (self.connector, self.key) != (connector.name, connector.key):
            raise UsageError(
                f"{connector.name}: this part was planned for {self.connector} with the key {', '.join(self.key)}"
            )
        return replace(query, where=self.where).within(self.range)


def part_of(name: str, data: Mapping[str, Any]) -> Part:
    """Return the part that plain data describe.

    Args:
        name: The connector to read, for errors.
        data: One of the dicts that `plan` returned.

    Raises:
        UsageError: If `data` is not a part of a plan, or comes from another version of this library.
    """
    try:
        part = msgspec.convert(dict(data), Part)
    except (msgspec.ValidationError, TypeError, ValueError):
        given = "another dict" if isinstance(data, Mapping) else type_name(data)  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(f"{name}: part: expected one of the parts that plan() returned, got {given}") from None
    if part.version != VERSION:
        raise UsageError(f"{name}: part: another version of afas_async made this plan: call plan() again")
    for test in (test for group in (*part.where, part.range) for test in group):
        field_id(test.field)
    return part
