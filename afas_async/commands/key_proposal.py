"""Propose keys for a connector, from its fields and a sample of its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from afas_async.commands.key_check import KeyCheck, candidates
from afas_async.policy.sizing import CELL_LIMIT
from afas_async.vocabulary.connectors import GetConnector
from afas_async.vocabulary.metainfo import MetainfoField

if TYPE_CHECKING:
    from afas_async.client.client import AfasClient

SAMPLE: Final = 1_000
TAKE = 10_000
MOST_FIELDS: Final = 3  # in a proposed key


def page_size(fields: list[MetainfoField]) -> int:
    """Return how many rows a page may have."""
    return min(TAKE, (CELL_LIMIT - 1) // max(1, len(fields)))


async def proposed_keys(
    afas: AfasClient, name: str, fields: list[MetainfoField], take: int
) -> tuple[int, list[tuple[str, ...]]]:
    """Return the number of rows in the sample, and candidates for the key: the likeliest first.

    Raises:
        AfasError: If the rows cannot be read.
    """
    page = await afas.page(name, take=min(SAMPLE, take))
    if len(page.rows) < 2:
        return len(page.rows), []
    for size in range(1, MOST_FIELDS + 1):
        found = [key for key in candidates(fields, page.rows, size) if await _may_be_key(afas, name, key, take)]
        if found:
            return len(page.rows), found
    return len(page.rows), []


async def _may_be_key(afas: AfasClient, name: str, key: tuple[str, ...], take: int) -> bool:
    """Look at the first rows sorted by the candidate: empty keys come first, and equal keys are neighbours.

    Rows in another order mislead. Within the first administration, for example, each entry number occurs once.
    """
    check = KeyCheck(key)
    page = await afas.page(GetConnector(name, key_row(key)), take=min(SAMPLE, take), order_by=key)
    check.feed(map(msgspec.structs.astuple, page.rows))
    return not check.faults()


def key_row(key: tuple[str, ...]) -> type[msgspec.Struct]:
    """Return a row type with only the fields of the key, so that nothing else is decoded or kept."""
    names = [f"field_{number}" for number in range(len(key))]
    return msgspec.defstruct("KeyRow", [(name, Any) for name in names], rename=dict(zip(names, key, strict=True)))
