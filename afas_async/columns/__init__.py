"""A GetConnector as columns: exact Arrow batches, tables and files."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from afas_async.columns.ndjson import to_ndjson
from afas_async.columns.new_file import Written

if TYPE_CHECKING:
    from afas_async.columns.csv import to_csv
    from afas_async.columns.parquet import to_parquet
    from afas_async.columns.stream import Batches, batches, changes, to_table

__all__ = ["Batches", "Written", "batches", "changes", "to_csv", "to_ndjson", "to_parquet", "to_table"]

# What needs pyarrow is imported when it is used.
_HOMES: Final = {
    "Batches": "stream",
    "batches": "stream",
    "changes": "stream",
    "to_csv": "csv",
    "to_parquet": "parquet",
    "to_table": "stream",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] != "pyarrow":
            raise
        raise ModuleNotFoundError(
            f'columns.{name} needs pyarrow: run `pip install "afas-async[columns]"`', name="pyarrow"
        ) from None


def __dir__() -> list[str]:
    return __all__
