"""A recording of a real environment: what its connectors are, and the shapes of their rows, but none of their values.

`python -m afas_async simulate --record FILE` writes one, and `--from FILE` serves it. It is JSON:

    {"version": 1, "recorded": "2026-11-30",
     "get_connectors": [
       {"id": "My_Orders", "metainfo": {... as GET metainfo/get/My_Orders answers ...}, "rows": 48000,
        "key": ["OrderId"],
        "fields": {"OrderId": {"unique": true, "distinct": 10000, "digits": [5, 6]},
                   "Remark": {"nulls": 0.81, "distinct": 1650, "lengths": [3, 40, 1900]}}}],
     "update_connectors": [{"id": "FbSales", "metainfo": {... as GET metainfo/update/FbSales answers ...}}]}

Of values it has counts, lengths and ranges: those of numbers as numbers of digits, those of dates as decades. Ids,
labels, descriptions and code lists are part of metainfo, and stay.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

VERSION: Final = 1
Content = TypeVar("Content")


class RecordedField(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The shape of a field's values in the rows that were looked at.

    Attributes:
        nulls: The share of rows without a value, 0 to 1.
        distinct: How many different values there are; letter case does not count.
        unique: Whether no two rows have the same value.
        lengths: Of texts the least, the average and the greatest number of characters.
        numeric: Whether all texts have digits only.
        digits: Of numbers the least and the greatest number of digits before the point.
        decimals: The greatest number of digits after the point.
        negative: Whether there are numbers below 0.
        trues: The share of rows with true, 0 to 1.
        decades: Of dates the first years of the earliest and of the latest decade.
        times: Whether there are dates with a time of day.
        past: Whether no date is later than the day of the recording.
    """

    nulls: float = 0.0
    distinct: int = 0
    unique: bool = False
    lengths: tuple[int, int, int] | None = None
    numeric: bool = False
    digits: tuple[int, int] | None = None
    decimals: int = 0
    negative: bool = False
    trues: float = 0.0
    decades: tuple[int, int] | None = None
    times: bool = False
    past: bool = False


class RecordedGetConnector(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A GetConnector.

    Attributes:
        id: Its name.
        metainfo: The JSON of `GET metainfo/get/X`.
        rows: How many rows it has: exact as far as they were looked at, else roughly.
        key: Fields whose values together are different in each row; none if no such fields were found.
        fields: The shapes of its fields by id.
    """

    id: str
    metainfo: Mapping[str, Any]
    rows: int
    key: tuple[str, ...]
    fields: Mapping[str, RecordedField]


class RecordedUpdateConnector(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An UpdateConnector.

    Attributes:
        id: Its name.
        metainfo: The JSON of `GET metainfo/update/X`.
    """

    id: str
    metainfo: Mapping[str, Any]


class Recording(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The connectors of an environment.

    Attributes:
        version: The version of the document.
        recorded: The day on which it was made.
        get_connectors: The GetConnectors.
        update_connectors: The UpdateConnectors.
    """

    version: int = VERSION
    recorded: date
    get_connectors: list[RecordedGetConnector]
    update_connectors: list[RecordedUpdateConnector]


class _Head(msgspec.Struct):
    """What every version has."""

    version: int


def read_recording(path: str | os.PathLike[str]) -> Recording:
    """Read a recording.

    Raises:
        ValueError: The file is not a recording, or one of a version that this library does not know.
        OSError: The file cannot be read.
    """
    content = Path(path).read_bytes()
    version = _decoded(path, content, _Head).version
    if version != VERSION:
        raise ValueError(f"{os.fspath(path)} is a recording of version {version}; this library reads version {VERSION}")
    return _decoded(path, content, Recording)


def _decoded(path: str | os.PathLike[str], content: bytes, kind: type[Content]) -> Content:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{os.fspath(path)} is not a recording: {error}") from None
