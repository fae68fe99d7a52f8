"""`rows`, `changes` and `export`: which rows they write, in which form, and what an interruption leaves."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from afas_async.commands import row_output
from afas_async.simulator import Fault, Simulator
from tests.support.command_line import environment, refused, run

ROWS = ("rows", "Profit_Article", "--key", "ItemCode")


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Simulator]:
    """A service of 500 articles, with a folder to work in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("afas_async.policy.retrying.BACKOFF_BASE", 0.0)
    with environment(monkeypatch, rows=500) as running:
        yield running


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.usefixtures("simulator")
class TestStandardOutput:
    """Only data goes to standard output."""

    def test_lines_of_json(self, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        from afas_async.commands import cli  # noqa: PLC0415 - `run` wants another capture

        assert cli.run([*ROWS]) == 0
        shown = capfdbinary.readouterr()
        found = lines(shown.out.decode())
        assert (len(found), found[0]["ItemCode"], shown.err) == (500, "000001", b"")
        assert cli.run([*ROWS, "--limit", "3", "--select", "ItemCode,Price", "--order-by", "-ItemCode"]) == 0
        chosen = lines(capfdbinary.readouterr().out.decode())
        assert [[*each] for each in chosen] == [["ItemCode", "Price"]] * 3
        assert chosen[0]["ItemCode"] == "000500"
        assert cli.run([*ROWS, "--where", 'ItemCode <= "000002"', "--format", "csv", "--select", "ItemCode,Stock"]) == 0
        table = [*csv.reader(io.StringIO(capfdbinary.readouterr().out.decode()))]
        assert [row[0] for row in table] == ["ItemCode", "000001", "000002"]

    def test_a_table_on_a_terminal(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True)
        monkeypatch.setenv("COLUMNS", "60")
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("NO_COLOR", "1")
        ended = run(capsys, "rows", "Profit_Article", "--limit", "2")
        assert "ItemCode" in ended.out
        assert "Article " in ended.out
        assert "the first 2 rows; --limit N shows more" in ended.err
        assert "more fields do not fit" in ended.err
        assert max(map(len, re.sub(r"\x1b\[\d*m", "", ended.out).splitlines())) <= 60
        nothing = run(capsys, "rows", "Profit_Empty")
        assert (nothing.out, "no rows" in nothing.err) == ("", True)


class TestFiles:
    """A file under its final name is complete, or it does not exist."""

    @pytest.mark.parametrize("name", ["a.ndjson", "a.ndjson.gz", "a.ndjson.zst", "a.csv", "a.csv.gz", "a.parquet"])
    @pytest.mark.parametrize("limit", [None, 120])
    @pytest.mark.usefixtures("simulator")
    def test_each_form(self, name: str, limit: int | None, capsys: pytest.CaptureFixture[str]) -> None:
        ended = run(capsys, *ROWS, "-o", name, *([] if limit is None else ["--limit", str(limit)]))
        assert ended.out.startswith(f"{name}: {limit or 500} rows, ")
        assert _codes(Path(name)) == [f"{number:06}" for number in range(1, (limit or 500) + 1)]
        assert [path.name for path in Path().iterdir()] == [name]

    @pytest.mark.parametrize("name", ["a.ndjson", "a.csv.gz"])
    def test_it_goes_on(
        self, name: str, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The rows so far stay in a file beside it, and only the rest is read."""
        monkeypatch.setattr(row_output, "_FULL", 1)
        simulator.faults.add(Fault(connector="Profit_Article", status=401, after=2, times=None))
        assert run(capsys, *ROWS, "-o", name).status == 1
        assert {path.name for path in Path().iterdir()} == {f"{name}.part", f"{name}.cursor"}
        assert "another read" in refused(run(capsys, *ROWS, "-o", name, "--resume", "--where", "Stock > 1"))
        with Path(f"{name}.part").open("ab") as file:
            file.write(b"what was not noted")
        simulator.reset()
        before = simulator.counters.rows
        assert run(capsys, *ROWS, "-o", name, "--resume").out.startswith(f"{name}: 500 rows, ")
        assert simulator.counters.rows - before < 450
        assert _codes(Path(name)) == [f"{number:06}" for number in range(1, 501)]
        assert [path.name for path in Path().iterdir()] == [name]

    def test_nothing_to_go_on_with(self, simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
        """`--resume` without an interrupted file starts at the beginning. An error before any row leaves nothing."""
        simulator.faults.add(Fault(connector="Profit_Article", status=403, times=2))
        assert run(capsys, *ROWS, "-o", "a.ndjson", "--resume").status == 1
        assert [*Path().iterdir()] == []
        simulator.reset()
        assert run(capsys, *ROWS, "-o", "a.ndjson", "--resume").status == 0

    @pytest.mark.usefixtures("simulator")
    def test_a_note_that_is_none(self, capsys: pytest.CaptureFixture[str]) -> None:
        Path("a.ndjson.part").touch()
        Path("a.ndjson.cursor").write_text("x")
        assert "is not a cursor file" in refused(run(capsys, *ROWS, "-o", "a.ndjson", "--resume"))

    @pytest.mark.usefixtures("simulator")
    def test_no_rows(self, capsys: pytest.CaptureFixture[str]) -> None:
        """An empty table still has its header."""
        assert run(capsys, "rows", "Profit_Empty", "--key", "Id", "-o", "a.csv").status == 0
        assert Path("a.csv").read_text().startswith('"Id"')


def _codes(path: Path) -> list[str]:
    """Return the codes of the articles in a file."""
    if path.suffix == ".parquet":
        found: list[str] = pq.read_table(path)["ItemCode"].to_pylist()
        return found
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    elif path.suffix == ".zst":
        data = pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()
    if ".csv" in path.name:
        return [row["ItemCode"] for row in csv.DictReader(io.StringIO(data.decode()))]
    return [row["ItemCode"] for row in lines(data.decode())]


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["rows", "Profit_Article"], 1, "give its --key FIELD[,FIELD], which `python -m afas_async inspect Profit_Art"),
        ([*ROWS, "--resume"], 2, "--resume continues the file of -o"),
        ([*ROWS, "-o", "a.parquet", "--resume"], 2, "--resume continues the file of -o"),
        ([*ROWS, "--format", "parquet"], 1, "Parquet needs a file"),
        ([*ROWS, "--format", "xml"], 1, "unknown format 'xml': give ndjson, csv, parquet"),
        ([*ROWS, "-o", "a.data"], 1, "its suffix does not show the format"),
        ([*ROWS, "--where", "Price <"], 2, "\n\n  Price <\n  ^"),
        ([*ROWS, "--select", "Nothing", "-o", "a.ndjson"], 1, "rows have no field 'Nothing'"),
        ([*ROWS, "--where", "Prize < 1", "-o", "a.ndjson"], 1, "did you mean Price?"),
        (["changes", "Profit_Article", "--key", "ItemCode", "--state", "s", "-o", "a.csv"], 2, "changes are lines of"),
        (["export", "-o", "x"], 2, "give the names of connectors, or --all"),
        (["export", "--all", "-o", "x"], 1, "afas-keys.json is missing or empty"),
        (["export", "--all", "-o", "x", "--format", "xml"], 2, "--format must be one of ndjson, csv, parquet"),
        (["inspect"], 2, "give the name of a connector, or --all"),
        (["inspect", "X", "--json"], 2, "--json needs --all"),
    ],
)
@pytest.mark.usefixtures("simulator")
def test_what_makes_no_sense(arguments: list[str], status: int, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused with a sentence, and nothing is left."""
    ended = run(capsys, *arguments)
    assert (ended.status, ended.out, text in ended.err) == (status, "", True), ended.err
    assert [*Path().iterdir()] == []


@pytest.mark.usefixtures("simulator")
def test_without_pyarrow(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines of JSON need no further library, and what needs one says so."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert run(capsys, *ROWS, "-o", "a.ndjson").status == 0
    for name in ("a.csv", "a.parquet", "a.ndjson.zst"):
        assert 'pip install "afas-async[columns]"' in refused(run(capsys, *ROWS, "-o", name))


class TestKeys:
    """The file of keys, which `inspect --all` writes for the others."""

    @pytest.mark.usefixtures("simulator")
    def test_it_is_written_and_read(self, capsys: pytest.CaptureFixture[str]) -> None:
        Path("afas-keys.json").write_text('{"Profit_Wide": ["Code"], "Own": "Id"}')
        ended = run(capsys, "inspect", "--all")
        keys = json.loads(Path("afas-keys.json").read_text())
        assert (ended.status, "only 0 rows to judge by" in ended.out) == (1, True)
        assert (keys["Profit_Wide"], keys["Own"], keys["Profit_Article"]) == ("Code", "Id", "ItemCode")
        assert keys["Profit_DimensionCodes"] == ["AxisId", "Code"]
        told = json.loads(run(capsys, "inspect", "--all", "--json").out)
        assert {each["remark"] for each in told if each["key"]} == {"already in the file"}
        assert run(capsys, "rows", "Profit_DimensionCodes", "-o", "a.ndjson").status == 0

    @pytest.mark.usefixtures("simulator")
    def test_a_file_that_is_none(self, capsys: pytest.CaptureFixture[str]) -> None:
        Path("keys").write_text("[]")
        assert "expected {" in refused(run(capsys, "rows", "Profit_Article", "--keys", "keys"))

    def test_a_connector_that_cannot_be_read(self, simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
        """It does not stop the command from reading the others."""
        simulator.faults.add(Fault(path="metainfo/get/Profit_Wide", status=403, times=None))
        ended = run(capsys, "inspect", "--all")
        assert "HTTP 403" in next(line for line in ended.out.splitlines() if line.startswith("Profit_Wide"))
        assert "Profit_Article" in Path("afas-keys.json").read_text()


class TestChanges:
    """Each run gives the rows modified since the run before."""

    def test_runs(self, simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
        command = ("changes", "Profit_Article", "--key", "ItemCode", "--state", "state.json")
        assert run(capsys, *command, "-o", "all.ndjson").out.startswith("all.ndjson: 500 rows")
        simulator.store.execute(
            "UPDATE Profit_Article SET ModifiedOn = '2030-01-01T00:00:00Z' WHERE ItemCode = '000007'"
        )
        assert run(capsys, *command, "-o", "next.ndjson.gz").status == 0
        found = lines(gzip.decompress(Path("next.ndjson.gz").read_bytes()).decode())
        assert "000007" in {row["ItemCode"] for row in found}
        assert len(found) < 10

    def test_a_run_that_fails_is_repeated(self, simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
        simulator.faults.add(Fault(connector="Profit_Article", status=403, after=2, times=None))
        command = ("changes", "Profit_Article", "--key", "ItemCode", "--state", "state.json", "-o", "a.ndjson")
        assert run(capsys, *command).status == 1
        assert [*Path().iterdir()] == []

    @pytest.mark.usefixtures("simulator")
    @pytest.mark.parametrize(
        ("content", "text"),
        [("x", "is not a state of this command"), ('{"connector":"Y","watermark":"","at":""}', "is the state of Y")],
    )
    def test_another_state(self, content: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
        Path("s").write_text(content)
        assert text in refused(run(capsys, "changes", "Profit_Article", "--key", "ItemCode", "--state", "s"))


class TestSync:
    """A copy in a database, kept up to date."""

    def test_runs(self, simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
        command = ("sync", "Profit_Article", "--key", "ItemCode", "--into", "afas.duckdb", "--table", "articles")
        assert run(capsys, *command).out == "articles: 500 rows inserted or updated\n"
        simulator.store.execute("DELETE FROM Profit_Article WHERE ItemCode = '000007'")
        assert run(capsys, *command, "--deletions").out.endswith(" rows inserted or updated, 1 deleted\n")
        with duckdb.connect("afas.duckdb") as database:
            assert database.sql("SELECT count(*) FROM articles").fetchall() == [(499,)]

    @pytest.mark.usefixtures("simulator")
    def test_databases_that_cannot_be_used(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = ("sync", "Profit_Article", "--key", "ItemCode", "--into")
        for url in ("postgresql://user:secret@host/database", "postgresql://host/database?user=x&password=secret"):
            line = refused(run(capsys, *command, url))
            assert "leave the password out of the URL" in line
            assert "secret" not in line.replace("not secret", "")
        assert "--into: " in refused(run(capsys, *command, "postgresql://127.0.0.1:1/database"))
        assert "--into: " in refused(run(capsys, *command, "no/such/folder/afas.duckdb"))
        with monkeypatch.context() as without:
            without.setitem(sys.modules, "psycopg", None)
            assert "needs psycopg" in refused(run(capsys, *command, "postgresql://host/database"))


class TestExport:
    """Many connectors are read side by side. One that fails does not stop the others, and the status says so."""

    @pytest.mark.parametrize("form", ["parquet", "ndjson"])
    def test_all(self, form: str, simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
        Path("afas-keys.json").write_text(
            '{"Profit_Article": "ItemCode", "Profit_Wide": "Id", "Profit_Debtor": "DebtorId"}'
        )
        simulator.faults.add(Fault(connector="Profit_Wide", status=403, times=None))
        ended = run(capsys, "export", "--all", "-o", "out", "--format", form)
        assert ended.status == 1
        results = {line.split()[0]: line for line in ended.out.splitlines()[1:]}
        assert ["complete" in results[name] for name in ("Profit_Article", "Profit_Wide", "Profit_Debtor")] == [
            True,
            False,
            True,
        ]
        assert "HTTP 403" in results["Profit_Wide"]
        assert {path.name for path in Path("out").iterdir()} == {f"Profit_Article.{form}", f"Profit_Debtor.{form}"}
        simulator.reset()
        assert run(capsys, "export", "Profit_Wide", "-o", "out", "--format", form).status == 0
