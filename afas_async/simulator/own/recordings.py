"""A recording of your environment: its connectors and the shapes of their rows, without any of their values.

You write one with `python -m afas_async simulate --record FILE`, and serve it with `--from FILE`. It is JSON, so you
can read it, and remove connectors or the shapes of fields:

    {"version": 1, "recorded": "2026-11-30",
     "get_connectors": [
       {"id": "My_Orders", "metainfo": {... as GET metainfo/get/My_Orders answers ...}, "rows": 48000,
        "key": ["OrderId"],
        "fields": {"OrderId": {"unique": true, "distinct": 10000, "digits": [5, 6]},
                   "Remark": {"nulls": 0.81, "distinct": 1650, "lengths": [3, 40, 1900]}}}],
     "update_connectors": [{"id": "FbSales", "metainfo": {... as GET metainfo/update/FbSales answers ...}}]}

Of values it has counts, lengths and ranges. The range of numbers is their number of digits, that of dates the decades.
You also find ids, labels, descriptions and code lists in it, because they are metainfo.
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
    """The shape of a field's values, in the rows that were read for the recording.

    Attributes:
        nulls: The share of rows without a value, 0 to 1.
        distinct: The number of different values; letter case does not count.
        unique: Whether all values are different.
        lengths: For texts: the smallest, average and largest number of characters.
        numeric: Whether all texts have only digits.
        digits: For numbers: the smallest and largest number of digits before the decimal point.
        decimals: The largest number of digits after the decimal point.
        negative: Whether some numbers are below 0.
        trues: The share of rows with true, 0 to 1.
        decades: For dates: the first year of the earliest decade and of the latest.
        times: Whether some dates have a time of day.
        past: Whether all dates are up to the day of the recording.
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
    """A recorded GetConnector.

    Attributes:
        id: Its name.
        metainfo: The JSON of `GET metainfo/get/X`.
        rows: The number of its rows: exact if all were read, otherwise an estimate.
        key: Fields whose values together are different in each row; empty if no such fields were found.
        fields: The shapes of its fields by id.
    """

    id: str
    metainfo: Mapping[str, Any]
    rows: int
    key: tuple[str, ...]
    fields: Mapping[str, RecordedField]


class RecordedUpdateConnector(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A recorded UpdateConnector.

    Attributes:
        id: Its name.
        metainfo: The JSON of `GET metainfo/update/X`.
    """

    id: str
    metainfo: Mapping[str, Any]


class Recording(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The connectors of your environment.

    Attributes:
        version: The version of the file format.
        recorded: The day of the recording.
        get_connectors: The GetConnectors.
        update_connectors: The UpdateConnectors.
    """

    version: int = VERSION
    recorded: date
    get_connectors: list[RecordedGetConnector]
    update_connectors: list[RecordedUpdateConnector]


class _Head(msgspec.Struct):
    """The part that all versions have."""

    version: int


def read_recording(path: str | os.PathLike[str]) -> Recording:
    """Read a recording.

    Raises:
        ValueError: The file is not a recording, or has a version that this library does not know.
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
