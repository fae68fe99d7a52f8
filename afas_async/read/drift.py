"""Schema drift: a row type declares a field that no row has.

Every row has every field of its connector; an empty one is null (AFAS, GET connector: example rows). So a field that no
row has was renamed or removed in Profit, or is misspelled. Without this check, an attribute with a default would
silently have that default in all rows.
"""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from typing import Final

from afas_async.errors import SchemaDriftError, SchemaDriftWarning
from afas_async.http.channel import Channel
from afas_async.wire.slices import Drift

_PACKAGE: Final = str(Path(__file__).parents[1])
_SHOWN: Final = 12


def report_drift(channel: Channel, connector: str, declared_by: str, drift: Drift) -> None:
    """Warn of drift once for each connector, or raise.

    Args:
        channel: What the rows came through.
        connector: The connector's name.
        declared_by: What declares the fields, such as the name of the row type.
        drift: How rows differ from that.

    Raises:
        SchemaDriftError: If the client's `drift` is "error".
    """
    text = _sentence(connector, declared_by, drift) if drift.absent else _added(connector, declared_by, drift.other)
    if channel.options.drift == "error":
        raise SchemaDriftError(text, connector=connector)
    known, place = channel.session.drifted, (connector, *(drift.absent or ("added", *drift.other)))
    if place not in known:
        known.add(place)
        warnings.warn(SchemaDriftWarning(text), stacklevel=_level_of_user())


def _sentence(name: str, row_type: str, drift: Drift) -> str:
    fields = ", ".join(map(repr, drift.absent))
    other = f"they have {', '.join(map(repr, drift.other[:_SHOWN]))}"
    if len(drift.other) > _SHOWN:
        other += f" and {len(drift.other) - _SHOWN} more"
    others = f" ({other} besides)" if drift.other else ""
    return (
        f"{name}: {row_type} declares {fields}, which no row has{others}: was it renamed or removed in Profit? Compare"
        f" the row type with `await afas.get_metainfo({name!r})`"
    )


def _added(name: str, declared_by: str, fields: list[str]) -> str:
    return (
        f"{name}: rows have {', '.join(map(repr, fields[:_SHOWN]))}, which {declared_by} does not list, so that it is"
        f" left out: was it added in Profit? Ask again with `await afas.get_metainfo({name!r}, refresh=True)`"
    )


def _level_of_user() -> int:
    """Return how far up the stack the calling code outside this library is, as seen by the caller."""
    # From Python 3.12 on, `warnings` itself can skip the frames of a package.
    level, frame = 0, inspect.currentframe()
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    return level
