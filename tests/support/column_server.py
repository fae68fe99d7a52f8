"""A server that describes a connector, and sends rows that a test writes byte by byte."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

import msgspec

from afas_async import AfasClient
from tests.support import canary
from tests.support.paged_server import PagedServer
from tests.support.raw_server import Connection, Received


def field(name: str, kind: str, length: int = 15, decimals: int = 0, decimals_field: str = "") -> dict[str, Any]:
    """Describe a field of a GetConnector as the service does."""
    return {
        "id": name,
        "fieldId": "U001",
        "dataType": kind,
        "label": f"Label of {name}",
        "length": length,
        "controlType": 5,
        "decimals": decimals,
        "decimalsFieldId": decimals_field,
    }


class ColumnServer(PagedServer):
    """Serves one connector, whatever its name.

    Args:
        rows: The members of each row as JSON, beside its `Id`, which is its number.
        fields: What metainfo lists beside the `Id`; None to refuse it.
    """

    def __init__(self, rows: Sequence[bytes], *fields: dict[str, Any], refused: bool = False, **options: Any) -> None:
        numbered = [b'{"Id":%d%b%b}' % (number, b"," * bool(row), row) for number, row in enumerate(rows)]
        super().__init__(numbered, **options)
        self._metainfo = {"name": "T", "description": "", "fields": [field("Id", "int", 9), *fields]}
        self._refused = refused

    async def _answer(self, connection: Connection, request: Received) -> None:
        if "/metainfo/get/" not in request.target:
            await super()._answer(connection, request)
        elif self._refused:
            await connection.answer(b"", status=403)
        else:
            await connection.answer(msgspec.json.encode(self._metainfo))


@asynccontextmanager
async def served(
    rows: Sequence[bytes],
    *fields: dict[str, Any],
    refused: bool = False,
    drift: Literal["warn", "error"] = "warn",
    **options: Any,
) -> AsyncIterator[AfasClient]:
    """Run a `ColumnServer`, and a client of it."""
    async with (
        ColumnServer(rows, *fields, refused=refused, **options) as server,
        AfasClient(base_url=server.base_url, auth=canary.TOKEN, drift=drift) as afas,
    ):
        yield afas
