"""Files of columns: a file is complete or absent, and has the same rows whatever reads it."""

from __future__ import annotations

import asyncio
import csv
import errno
import io
import json
import os
import pydoc
import subprocess
import sys
from collections.abc import Awaitable, Callable
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from afas_async import AfasClient, F, UsageError, columns
from afas_async.columns import new_file, parquet
from afas_async.columns.new_file import Written
from afas_async.simulator import Simulator
from tests.columns.test_batches import exact
from tests.support.column_server import field, served
from tests.support.sample_connectors import NAMES, WIDE, connector_of, truth
from tests.support.thoroughness import by_default

ROOT = Path(__file__).parents[2]
Write = Callable[..., Awaitable[Written]]
FORMATS: list[Write] = [columns.to_parquet, columns.to_csv, columns.to_ndjson]


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))  # noqa: PTH208 - in async tests


@pytest.fixture(params=FORMATS, ids=["parquet", "csv", "ndjson"])
def write(request: pytest.FixtureRequest) -> Write:
    found: Write = request.param
    return found


@pytest.mark.parametrize("name", NAMES)
async def test_parquet_holds_what_the_service_says(
    name: str, simulator: Simulator, afas: AfasClient, tmp_path: Path
) -> None:
    """Value by value, in pyarrow, polars and DuckDB."""
    path = tmp_path / "rows.parquet"
    written = await columns.to_parquet(afas, connector_of(simulator, name, dict), path)
    schema = pq.read_schema(path)
    meant = [
        {key: exact(schema.field(key).type, value) for key, value in row.items()} for row in truth(simulator, name)
    ]
    assert (written.rows, written.bytes) == (len(meant), path.stat().st_size)
    assert pq.read_table(path).to_pylist() == meant
    assert pl.read_parquet(path).rows(named=True) == meant
    found = duckdb.sql(f"from '{path}'")
    assert [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()] == meant
    assert names(tmp_path) == ["rows.parquet"]


async def test_row_groups_are_large(afas: AfasClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the last have the same number of rows, however the batches are cut. The labels are in the file."""
    monkeypatch.setattr(parquet, "ROW_GROUP", 400)
    path = tmp_path / "rows.parquet"
    written = await columns.to_parquet(afas, WIDE, path)
    file = pq.ParquetFile(path)
    assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [400, 400, 400, 100]
    assert file.schema_arrow.field("Name").metadata[b"afas.label"] == b"Name"
    assert written.cursor is not None
    assert (await columns.to_table(afas, WIDE, after=written.cursor)).num_rows == 0


@pytest.mark.usefixtures("small_groups")
async def test_parts_are_files_of_a_folder(afas: AfasClient, tmp_path: Path) -> None:
    """They hold each row once; the folder must be new or empty."""
    folder = tmp_path / "wide"
    written = await columns.to_parquet(afas, WIDE, folder, parts=4, where=F.Quantity < 500)
    assert names(folder) == [f"part-{number:05}.parquet" for number in range(4)]
    numbers = pq.read_table(folder).column("Id").to_pylist()
    assert len(numbers) == len(set(numbers)) == written.rows > 400
    assert written.bytes == sum((folder / name).stat().st_size for name in names(folder))
    with pytest.raises(FileExistsError):
        await columns.to_parquet(afas, WIDE, folder, parts=4)
    with pytest.raises(UsageError, match="use it without part= and after="):
        await columns.to_parquet(afas, WIDE, tmp_path / "other", parts=4, after="")
    with pytest.raises(UsageError, match="parts"):
        await columns.to_parquet(afas, WIDE, tmp_path / "other", parts="4")  # type: ignore[arg-type]
    assert names(tmp_path) == ["wide"]


async def test_an_unknown_compression_is_refused(afas: AfasClient, simulator: Simulator, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="compression: expected one of zstd, snappy, gzip, lz4, none"):
        await columns.to_parquet(afas, WIDE, tmp_path / "rows.parquet", compression="zipp")  # type: ignore[arg-type]
    assert simulator.counters.requests == 0


async def test_a_part_that_fails_leaves_no_folder(tmp_path: Path) -> None:
    rows = [b'"Price":1'] * 50 + [b'"Price":"free"'] * 50
    async with served(rows, field("Price", "decimal", decimals=2)) as afas:
        with pytest.raises(Exception, match="Price"):
            await columns.to_parquet(afas, "T", tmp_path / "T", key="Id", parts=1)
    assert names(tmp_path) == []


async def test_csv_tells_no_value_from_an_empty_one(tmp_path: Path) -> None:
    rows = [
        rb'"Text":"say \"hi\", you","Price":1.5,"Since":"2024-01-31T09:30:00Z"',
        b'"Text":"","Price":null,"Since":null',
        rb'"Text":"two\nlines","Price":-0.05,"Since":"0001-01-01T00:00:00Z"',
    ]
    path = tmp_path / "rows.csv"
    fields = (field("Text", "string"), field("Price", "decimal", decimals=2), field("Since", "date"))
    async with served(rows, *fields) as afas:
        written = await columns.to_csv(afas, "T", path, key="Id", delimiter=";")
    assert written.rows == 3
    assert '\n1;"";;\n' in path.read_text()
    assert [*csv.reader(io.StringIO(path.read_text(), newline=""), delimiter=";")] == [
        ["Id", "Text", "Price", "Since"],
        ["0", 'say "hi", you', "1.50", "2024-01-31 09:30:00"],
        ["1", "", "", ""],
        ["2", "two\nlines", "-0.05", "0001-01-01 00:00:00"],
    ]


async def test_csv_has_all_digits_of_a_decimal(tmp_path: Path) -> None:
    """Without an exponent, also of zero and of the smallest; a text that looks like one stays as it is."""
    rows = [
        b'"Rate":0,"Name":"0E-10"',
        rb'"Rate":0.0000000012,"Name":"\",1.2E-9"',
        b'"Rate":-0.00000025,"Name":"c"',
        b'"Rate":1234.5,"Name":null',
    ]
    path = tmp_path / "rates.csv"
    async with served(rows, field("Rate", "decimal"), field("Name", "string")) as afas:
        await columns.to_csv(afas, "T", path, key="Id", types={"Rate": pa.decimal128(38, 10)})
    assert path.read_text().splitlines()[1:] == [
        '0,0.0000000000,"0E-10"',
        '1,0.0000000012,""",1.2E-9"',
        '2,-0.0000002500,"c"',
        "3,1234.5000000000,",
    ]


async def test_ndjson_is_what_the_service_wrote(tmp_path: Path) -> None:
    """The file has a line for each row, also where a row has several lines. Nothing is decoded."""
    rows = [b'"Price":5385.6000000000', b'\n"Price":\r\n1e-99', rb'"Price":"a\nb"']
    path = tmp_path / "rows.ndjson"
    async with served(rows) as afas:
        written = await columns.to_ndjson(afas, "T", path, key="Id")
    lines = path.read_bytes().splitlines()
    assert lines[0] == b'{"Id":0,"Price":5385.6000000000}'
    assert [json.loads(line, parse_float=Decimal)["Price"] for line in lines[1:]] == [Decimal("1e-99"), "a\nb"]
    assert written == Written(3, path.stat().st_size, written.cursor)


@pytest.mark.usefixtures("small_groups")
async def test_ndjson_of_a_sample(simulator: Simulator, afas: AfasClient, tmp_path: Path) -> None:
    path = tmp_path / "rows.ndjson"
    written = await columns.to_ndjson(afas, WIDE, path, where=F.Id > 30)
    assert [json.loads(line) for line in path.read_bytes().splitlines()] == truth(simulator, "Profit_Wide")[10:]
    assert written.rows == 1_290


async def test_a_file_is_replaced_only_by_a_whole_one(write: Write, tmp_path: Path, afas: AfasClient) -> None:
    """An error in the middle keeps the old file, and leaves no other file."""
    path = tmp_path / "rows"
    path.write_text("the old one")
    broken = b'{"skip":0,"take":1,"rows":[{"Id":7,"Price":}]}'
    rows = [b'"Price":1'] * 2_500
    async with served(rows, field("Price", "int"), broken={1_100: (200, broken), 1_099: (200, broken)}) as other:
        with pytest.raises(Exception, match="T: page"):
            await write(other, "T", path, key="Id")
    assert path.read_text() == "the old one"
    await write(afas, WIDE, path)
    assert path.read_bytes()[:11] != b"the old one"
    assert names(tmp_path) == ["rows"]


@pytest.mark.usefixtures("small_groups")
async def test_a_cancelled_writer_leaves_nothing(write: Write, tmp_path: Path, afas: AfasClient) -> None:
    """A cancelled writer leaves nothing, wherever it is cancelled, also while a thread writes."""
    cancelled, sizes = 0, set[int]()
    for turns in range(0, 400, by_default(31, 7)):
        task = asyncio.ensure_future(write(afas, WIDE, tmp_path / "rows"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        left = names(tmp_path)
        if left:  # it was renamed when the cancellation came
            assert left == ["rows"]
            sizes.add((tmp_path / "rows").stat().st_size)
            (tmp_path / "rows").unlink()
        cancelled += task.cancelled()
    assert cancelled > 2
    assert len(sizes) < 2


class _FullDisk:
    def __init__(self, fails: str) -> None:
        self._fails = fails

    def __call__(self, path: Path) -> _FullDisk:
        path.touch()
        self._do("open")
        return self

    def _do(self, what: str) -> None:
        if what == self._fails:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write(self, _: object) -> None:
        self._do("write")

    def finish(self) -> None:
        self._do("finish")

    def abandon(self) -> None:
        raise OSError(errno.ENOSPC, "once more")


@pytest.mark.parametrize("step", ["open", "write", "finish"])
async def test_a_full_disk_leaves_nothing(step: str, tmp_path: Path) -> None:
    async def pieces() -> Any:
        yield b""

    with pytest.raises(OSError, match="No space left"):
        await new_file.write_file(tmp_path / "rows", _FullDisk(step), pieces())
    assert names(tmp_path) == []


async def test_a_folder_or_a_missing_one_is_refused(write: Write, tmp_path: Path, afas: AfasClient) -> None:
    with pytest.raises(IsADirectoryError):
        await write(afas, WIDE, tmp_path)
    with pytest.raises(FileNotFoundError):
        await write(afas, WIDE, tmp_path / "missing" / "rows")
    assert names(tmp_path) == []


KILLED = """
import asyncio, os, sys
from pathlib import Path
import pyarrow as pa
from afas_async.columns import new_file, parquet
async def pieces():
    for number in range(3):
        yield pa.record_batch([pa.array(range(200_000))], names=["x"])
    os.kill(os.getpid(), 9)
path = Path(sys.argv[1])
schema = pa.schema([("x", pa.int64())])
asyncio.run(new_file.write_file(path, lambda part: parquet.ParquetFile(part, schema, "zstd"), pieces()))
"""


def test_a_killed_writer_leaves_nothing_under_the_name(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "rows.parquet")], cwd=ROOT, check=False)
    assert ended.returncode == -9
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]


def _without_pyarrow(code: str) -> str:
    lines = "import sys\nsys.modules['pyarrow'] = None\n"
    done = subprocess.run([sys.executable, "-c", lines + code], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_without_pyarrow_one_sentence_says_what_to_install() -> None:
    """Only NDJSON works without pyarrow."""
    text = _without_pyarrow("from afas_async import columns\nprint(columns.to_ndjson.__name__)\ncolumns.to_parquet")
    assert text.splitlines()[0] == "to_ndjson"
    assert text.splitlines()[-1] == (
        'ModuleNotFoundError: columns.to_parquet needs pyarrow: run `pip install "afas-async[columns]"`'
    )


def test_another_missing_module_is_not_called_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=missing_name)

    monkeypatch.setattr(columns, "import_module", missing)
    monkeypatch.delitem(vars(columns), "to_table", raising=False)
    missing_name = "pyarrow.json"
    with pytest.raises(ModuleNotFoundError, match="to_table needs pyarrow"):
        _ = columns.to_table
    missing_name = "zoneinfo"
    with pytest.raises(ModuleNotFoundError, match="No module named"):
        _ = columns.to_table


def test_help_works_without_what_an_extra_brings(monkeypatch: pytest.MonkeyPatch) -> None:
    """`help(columns)` prints the guide and the available names."""

    def only_pyarrow(name: str) -> object:
        if name.endswith(".part_folder"):
            raise ModuleNotFoundError("No module named 'fsspec'", name="fsspec")
        return import_module(name)

    monkeypatch.setattr(columns, "import_module", only_pyarrow)
    for name in ("manifests_of", "sweep", "write_part"):
        monkeypatch.delitem(vars(columns), name, raising=False)
    text = pydoc.plain(pydoc.render_doc(columns))
    assert "Guarantees" in text
    assert "to_parquet(" in text
    assert {"sweep", "to_parquet"} & set(dir(columns)) == {"to_parquet"}


def test_the_public_names_are_there() -> None:
    assert dir(columns) == sorted(columns.__all__, key=str)
    assert all(getattr(columns, name) is not None for name in columns.__all__)
    with pytest.raises(AttributeError, match="no attribute 'to_excel'"):
        _ = columns.to_excel
