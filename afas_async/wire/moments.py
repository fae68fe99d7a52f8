"""Dates and moments of typed rows: they are wall time in Amsterdam, and the `Z` after them is false.

The service writes both alike, `"2024-01-31T00:00:00Z"` (AFAS, GET connector: date and time). msgspec reads that as a
`datetime` in UTC, and refuses it for a `date`. So moments lose their time zone after decoding, and dates lose their
time before.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from keyword import iskeyword
from typing import Any, Final, cast

import msgspec
from msgspec import inspect
from msgspec.structs import force_setattr

from afas_async.vocabulary.connectors import kinds_of, row_fields
from afas_async.vocabulary.values import MIDNIGHT

_MIDNIGHT: Final = f'{MIDNIGHT}"'.encode()
_DATE: Final = len('"2024-01-31')
_BLANK: Final = b'"'.ljust(len(_MIDNIGHT))
_NAME: Final = msgspec.json.Decoder(str)


@lru_cache(maxsize=256)
def zone_remover(row_type: Any) -> Callable[[list[Any]], None] | None:
    """Return a function that removes the time zone from the moments of rows, or None if the row type has no moments."""
    fields = row_fields(row_type) or {}
    names = [
        known.name
        for known in (msgspec.structs.fields(row_type) if fields else ())
        if any(isinstance(kind, inspect.DateTimeType) for kind in kinds_of(fields[known.encode_name]))
    ]
    if not names:
        return None
    # Generated as text, as dataclasses are, because it runs for every row. `combine` is the fastest way to drop a time
    # zone: it takes a seventh of the time of `replace`. The names are those of attributes of a class.
    lines = ["def remove_zones(rows):", "    for row in rows:"]
    for name in names:
        value = f"getattr(row, {name!r})" if iskeyword(name) else f"row.{name}"
        lines += [
            f"        if (moment := {value}).__class__ is datetime:",
            f"            set_field(row, {name!r}, combine(moment, moment.time()))",
        ]
    scope: dict[str, Any] = {"datetime": datetime, "combine": datetime.combine, "set_field": force_setattr}
    exec("\n".join(lines), scope)  # noqa: S102
    return cast("Callable[[list[Any]], None]", scope["remove_zones"])


@lru_cache(maxsize=256)
def date_fields(row_type: Any) -> frozenset[str]:
    """Return the fields of a row type, by the service's names, that hold dates without a time."""
    return frozenset(
        name
        for name, described in (row_fields(row_type) or {}).items()
        if any(isinstance(kind, inspect.DateType) for kind in kinds_of(described))
    )


def shorten_dates(text: bytearray, end: int, fields: frozenset[str]) -> None:
    """Overwrite the midnight after the dates of some fields with blanks.

    Args:
        text: Rows as JSON; its length does not change.
        end: Where the rows end.
        fields: The fields, by the service's names.
    """
    at = text.find(_MIDNIGHT, 0, end)
    while at >= 0:
        if _field_before(text, at - _DATE) in fields:
            text[at : at + len(_MIDNIGHT)] = _BLANK
        at = text.find(_MIDNIGHT, at + 1, end)


def _field_before(text: bytearray, value: int) -> str | None:
    """Return the name of the field whose value begins at a position, or None if no value begins there."""
    closing = text.rfind(b'"', 0, max(value, 0))
    opening = text.rfind(b'"', 0, max(closing, 0))
    # Inside a string, a quotation mark has a backslash before it, so more than a colon stands between.
    if opening < 0 or text[value] != ord('"') or bytes(text[closing + 1 : value]).strip() != b":":
        return None
    name = bytes(text[opening : closing + 1])
    return _NAME.decode(name) if b"\\" in name else name[1:-1].decode(errors="replace")
