"""A GetConnector as columns: exact Arrow batches, tables and files."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from afas_async.columns.manifest import Manifest, PartFile, check_tiling, part_files
from afas_async.columns.ndjson import to_ndjson
from afas_async.columns.new_file import Written

if TYPE_CHECKING:
    from afas_async.columns.csv import to_csv
    from afas_async.columns.parquet import to_parquet
    from afas_async.columns.part_folder import manifests_of, sweep, write_part
    from afas_async.columns.stream import Batches, batches, changes, to_table

__all__ = [
    "Batches",
    "Manifest",
    "PartFile",
    "Written",
    "batches",
    "changes",
    "check_tiling",
    "manifests_of",
    "part_files",
    "sweep",
    "to_csv",
    "to_ndjson",
    "to_parquet",
    "to_table",
    "write_part",
]

# What needs pyarrow or fsspec is imported when it is used.
_HOMES: Final = {
    "Batches": "stream",
    "batches": "stream",
    "changes": "stream",
    "manifests_of": "part_folder",
    "sweep": "part_folder",
    "to_csv": "csv",
    "to_parquet": "parquet",
    "to_table": "stream",
    "write_part": "part_folder",
}
_EXTRAS: Final = {"pyarrow": "columns", "fsspec": "dask"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        raise ModuleNotFoundError(
            f'columns.{name} needs {package}: run `pip install "afas-async[{_EXTRAS[package]}]"`', name=package
        ) from None


def __dir__() -> list[str]:
    return __all__
