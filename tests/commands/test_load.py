"""`load`: how it reads a file, what becomes of each line, and which lines are left to load again."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from afas_async.commands import line_load
from afas_async.commands.failed_lines import FailedLines
from afas_async.commands.line_load import LineLoad
from afas_async.commands.lines import LineFile, Numbered
from afas_async.commands.lookup import is_shown
from afas_async.errors import UsageError
from afas_async.simulator import Fault, Simulator
from afas_async.vocabulary.outcomes import LoadReport
from afas_async.write import lookups
from afas_async.write.loader import Load
from tests.support.command_line import environment, refused, run

ARTICLES = "ItCd;Description;SaPr;Bl\n900001;Café;1.234,56;ja\n000012;Bestaat al;2,50;nee\n900003;Bout;;\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Write a file, and return its path."""

    def make(name: str, content: str, encoding: str = "utf-8") -> str:
        (tmp_path / name).write_text(content, encoding, newline="")
        return str(tmp_path / name)

    return make


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


def writes(simulator: Simulator) -> int:
    return sum(request.method != "GET" for request in simulator.requests)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_a_dutch_file(
    encoding: str, write: Callable[..., str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Leading zeros, Dutch decimals, ja and é survive; dates too. A refused line does not stop the others."""
    with environment(monkeypatch) as simulator:
        path = write("a.csv", ARTICLES, encoding)
        ended = run(capsys, "load", "FbItemArticle", path, "--action", "insert", "--dutch")
        subjects = write("s.csv", "StId,Ds,DtFr,St,Dn\n1,0012,31-01-2024,closed,ja\n", encoding)
        dates = run(capsys, "load", "KnSubject", subjects, "--action", "insert", "--dutch", "--language", "en-us")
        written = simulator.written("FbItemArticle"), simulator.written("KnSubject")
    assert (ended.status, dates.status) == (1, 0)
    assert "FbItemArticle: 3 lines: 2 applied, 1 rejected, 0 unknown, 0 not sent, in " in ended.out
    assert "1  rejected  HTTP 500: " in ended.out
    assert ended.err == ""
    assert [{name: each[name] for name in each if name != "@Action"} for each in written[0]] == [
        {"@ItCd": "900001", "Ds": "Café", "SaPr": Decimal("1234.56"), "Bl": True},
        {"@ItCd": "900003", "Ds": "Bout"},
    ]
    assert {name: written[1][0][name] for name in ("Ds", "DtFr", "St", "Dn")} == {
        "Ds": "0012",
        "DtFr": "2024-01-31",
        "St": "C",
        "Dn": True,
    }


def test_a_map_with_objects_and_constants(
    write: Callable[..., str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A TOML file says which column is which field."""
    path = write("p.csv", "Nr,Naam,Weg,Postcode\n77001,Peeters,x,9000\n77002,Jansen,y,\n")
    mapping = write(
        "map.toml",
        'Nr = "@BcCo"\nNaam = "LaNm"\nWeg = ""\nPostcode = "KnBasicAddressAdr.ZpCd"\n[constants]\n"FiNm" = "Jan"\n',
    )
    with environment(monkeypatch) as simulator:
        ended = run(capsys, "load", "KnPerson", path, "--action", "insert", "--map", mapping)
        written = simulator.written("KnPerson")
    assert "2 lines: 1 applied" in ended.out  # an address needs its country
    assert [(each["@BcCo"], each["LaNm"], each["FiNm"]) for each in written] == [(77002, "Jansen", "Jan")]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Nr = 5\n", 'Nr must be a field as text, such as "@ItCd", or "" to leave it out'),
        ("Nr = \n", "Invalid value"),
        ('Nr = "Nothing"\n', "the map has 'Nothing', which is not a field"),
    ],
)
def test_a_map_that_makes_no_sense(
    content: str,
    text: str,
    write: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line says why."""
    with environment(monkeypatch):
        path, mapping = write("a.csv", "Nr\n1\n"), write("m.toml", content)
        assert text in refused(run(capsys, "load", "FbItemArticle", path, "--action", "insert", "--map", mapping))


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", "ItCd,Descripton\n1,x\n"), ("a.ndjson", '{"ItCd": "1"}\n{"ItCd": "2", "Descripton": "x"}\n')],
)
def test_an_unknown_column_is_an_error_before_anything_is_sent(
    name: str,
    content: str,
    write: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The error suggests a similar name."""
    with environment(monkeypatch) as simulator:
        line = refused(run(capsys, "load", "FbItemArticle", write(name, content), "--action", "insert"))
        assert writes(simulator) == 0
    assert "'Descripton' is not the id or label of a field" in line
    assert "did you mean Ds?" in line


def test_failed_lines_are_loaded_again(
    write: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file of failed lines has each line as it was, with status, error and number. Corrected, it can be loaded."""
    failed = tmp_path / "failed.csv"
    with environment(monkeypatch):
        content = ARTICLES + "900004;Duur;duur;nee\n900005\n"
        arguments = ("--action", "insert", "--dutch", "--failed", str(failed))
        ended = run(capsys, "load", "FbItemArticle", write("a.csv", content), *arguments)
        assert (ended.status, f"{failed} has the lines that are not applied: correct them" in ended.out) == (1, True)
        found = sorted((row for row in rows(failed) if row["_line"]), key=lambda row: row["_line"])
        assert [(row["ItCd"], row["SaPr"], row["_status"], row["_line"]) for row in found] == [
            ("000012", "2,50", "rejected", "3"),
            ("900004", "duur", "not_sent", "5"),
        ]
        assert "bestaat al" in found[0]["_error"]
        assert found[1]["_error"] == "SaPr (Sales price): is not a number such as 1.234,56"
        assert "900005;not_sent;the line has 1 cells, but the header has 4;6\n" in failed.read_text("utf-8-sig")
        corrected = failed.read_text("utf-8-sig").replace("000012", "900012").replace(";duur;", ";3,5;")
        failed.write_text(corrected, "utf-8-sig")
        again = run(capsys, "load", "FbItemArticle", str(failed), *arguments)
        assert "FbItemArticle: 3 lines: 2 applied, 0 rejected, 0 unknown, 1 not sent" in again.out
        assert failed.read_text("utf-8-sig").splitlines()[1].startswith("900005;not_sent;")
        assert list(tmp_path.glob("*.part")) == []


class TestAFileThatIsItsOwnSource:
    """A load of failed lines onto themselves loses none, however it ends."""

    COMMAND = ("load", "KnSubject", "f.csv", "--action", "insert", "--failed", "f.csv")
    HEAD = "StId,Ds,_status,_error,_line\n"

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    def test_interrupted(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        """After an interruption the file has the lines that were not applied and those that were not sent."""
        Path("f.csv").write_text(self.HEAD + "".join(f"1,Regel {n},not_sent,,{n}\n" for n in range(3_000)))
        make, made = Load.add, list[object]()

        async def add(self: Load, item: object) -> None:
            made.append(item)
            if len(made) == 1_500:
                os.kill(os.getpid(), signal.SIGINT)
            await make(self, item)

        monkeypatch.setattr(Load, "add", add)
        with environment(monkeypatch) as simulator:
            ended = run(capsys, *self.COMMAND)
            applied = {each["Ds"] for each in simulator.written("KnSubject")}
        left = [line.split(",")[1] for line in Path("f.csv").read_text("utf-8-sig").splitlines()[1:]]
        assert (ended.status, "f.csv has the lines that are not applied" in ended.out) == (1, True)
        assert len(left) == 3_000 - len(applied) >= 1_500
        assert {*left, *applied} == {f"Regel {n}" for n in range(3_000)}
        assert list(Path().glob("*.part")) == []

    def test_broken_off(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        """The file stays as it was, a file beside it has the failed lines so far, and the report is printed."""
        content = self.HEAD + "".join(f"{'x' if n == 7 else 1},Regel {n},not_sent,,{n}\n" for n in range(1_500))
        Path("f.csv").write_text(content)
        chunks = LineFile.chunks

        def break_off(self: LineFile) -> Iterator[list[Numbered]]:
            yield next(chunks(self))
            raise UsageError("f.csv: it breaks off")

        monkeypatch.setattr(LineLoad, "_feed", _feeding(break_off))
        with environment(monkeypatch):
            ended = run(capsys, *self.COMMAND)
        assert ended.status == 1
        assert "KnSubject: 1,000 lines: " in ended.out
        assert "The load ended early, or its file of failed lines is incomplete: f.csv: it breaks off" in ended.out
        assert "f.csv.part has the failed lines so far, but no lines that were not read" in ended.out
        assert Path("f.csv").read_text() == content
        assert ",Regel 7,not_sent," in Path("f.csv.part").read_text("utf-8-sig")


@pytest.mark.parametrize("fault", [',"3/4" bolt\n', ',"3/4\n'])
def test_a_lone_quotation_mark_is_found_before_anything_is_sent(
    fault: str, write: Callable[..., str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would swallow the lines after it, or a character of its cell."""
    with environment(monkeypatch) as simulator:
        path = write("s.csv", "StId,Ds\n" + "1,x\n" * 1_100 + "1" + fault + "1,y\n")
        line = refused(run(capsys, "load", "KnSubject", path, "--action", "insert"))
        assert writes(simulator) == 0
    assert "s.csv, line 1102: " in line


def _feeding(chunks: Callable[[LineFile], Iterator[list[Numbered]]]) -> Callable[[LineLoad, Load], Awaitable[None]]:
    """Return what feeds a load from a file that is read through first, and is another one by then."""
    feed = LineLoad._feed

    async def changed(self: LineLoad, load: Load) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(LineFile, "chunks", chunks)
            await feed(self, load)

    return changed


def test_lines_of_json(
    write: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Objects in objects become records. Failed lines are written as JSON, and a line that is not JSON as text."""
    lines = [
        {"BcCo": 77001, "Last name": "Peeters", "KnBasicAddressAdr": {"CoId": "Belgium", "ZpCd": "9000"}},
        {"BcCo": 77002, "LaNm": 12},
    ]
    path = write("p.ndjson", "".join(json.dumps(line) + "\n" for line in lines) + "{\n[1]\n")
    failed = tmp_path / "failed.ndjson"
    with environment(monkeypatch) as simulator:
        arguments = ("--action", "insert", "--language", "en-us", "--failed", str(failed))
        ended = run(capsys, "load", "KnPerson", path, *arguments)
        assert simulator.written("KnPerson")[0]["KnBasicAddressAdr"]["CoId"] == "BE"
        assert run(capsys, "load", "KnPerson", str(failed), *arguments, "--check").status == 1
    assert (ended.status, "4 lines: 1 applied, 0 rejected, 0 unknown, 3 not sent" in ended.out) == (1, True)
    found = [json.loads(line) for line in failed.read_text().splitlines()]
    assert [(each["_line"], each["_status"]) for each in found] == [(2, "not_sent"), (3, "not_sent"), (4, "not_sent")]
    assert "is a number in the file, but a text in Profit" in found[0]["_error"]
    assert (found[0]["LaNm"], found[1]["_text"], found[2]["_value"]) == (12, "{", [1])


def test_a_table_with_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Parquet has numbers and dates of its own; a number for a text is refused, as its zeros are lost."""
    table = pa.table({
        "ItCd": pa.array(["000900", "000901"]),
        "Ds": pa.array(["x", None]),
        "SaPr": pa.array([Decimal("1.10"), Decimal("2.20")]),
    })
    pq.write_table(table, tmp_path / "a.parquet")
    pq.write_table(pa.table({"ItCd": [900]}), tmp_path / "b.parquet")
    pq.write_table(pa.table({"StId": [1], "DtFr": [date(2024, 1, 31)]}), tmp_path / "s.parquet")
    failed = tmp_path / "failed.csv"
    with environment(monkeypatch, rows=500) as simulator:
        arguments = ("--action", "insert", "--failed", str(failed))
        ended = run(capsys, "load", "FbItemArticle", str(tmp_path / "a.parquet"), *arguments)
        assert simulator.written("FbItemArticle")[0]["SaPr"] == Decimal("1.10")
        numbers = run(capsys, "load", "FbItemArticle", str(tmp_path / "b.parquet"), "--action", "insert")
        dates = run(capsys, "load", "KnSubject", str(tmp_path / "s.parquet"), "--action", "insert")
    assert "2 lines: 1 applied, 0 rejected, 0 unknown, 1 not sent" in ended.out
    assert failed.read_text("utf-8-sig").startswith("ItCd,Ds,SaPr,_status,_error,_line\n000901,,2.20,not_sent,")
    assert "no leading zeros" in numbers.out
    assert dates.status == 0


def test_updates_and_deletes(
    write: Callable[..., str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An update says what an empty cell means; a delete takes the key."""
    with environment(monkeypatch, rows=500) as simulator:
        path = write("a.csv", "Item code,Ds,BiUn\n000001,Bout,\n")
        command = ("load", "FbItemArticle", path, "--action", "update", "--language", "en-us")
        unsaid = run(capsys, *command)
        assert (unsaid.status, "--empty omit or --empty clear" in unsaid.err) == (2, True)
        assert [run(capsys, *command, "--empty", each).status for each in ("omit", "clear")] == [0, 0]
        assert [each.get("BiUn", "kept") for each in simulator.written("FbItemArticle")] == ["kept", ""]
        deleted = run(capsys, "load", "FbItemArticle", write("d.csv", "@ItCd\n000001\n"), "--action", "delete")
        assert deleted.status == 0
        assert simulator.store.count("Profit_Article") == 499


def test_check(write: Callable[..., str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`--check` reads the whole file, shows the first 20 faults by line, counts each kind, and writes nothing."""
    content = "".join(f"9{n:05};{'x' * (n % 2)};{'a' if n % 3 == 0 else '1'}\n" for n in range(60))
    with environment(monkeypatch) as simulator:
        path = write("a.csv", "ItCd;Ds;SaPr\n" + content)
        ended = run(capsys, "load", "FbItemArticle", path, "--action", "insert", "--check")
        fine = run(capsys, "load", "FbItemArticle", write("b.csv", "ItCd,Ds\n1,x\n"), "--action", "insert", "--check")
        broken = run(capsys, "load", "FbItemArticle", write("c.ndjson", "{\n"), "--action", "insert", "--check")
        assert writes(simulator) == 0
    assert (ended.status, fine.status, broken.status) == (1, 0, 1)
    first, kinds, total = ended.out.split("\n\n")
    assert len(first.splitlines()) == 21
    assert first.splitlines()[1] == "   2  SaPr (Sales price): is not a number such as 1234.56"
    assert [line.split()[:2] for line in kinds.splitlines()[1:]] == [["20", "SaPr"], ["20", "Ds"]]
    assert total == "60 lines: 20 can be sent, 40 cannot\n"
    assert fine.out == "1 lines: 1 can be sent, 0 cannot\n"
    assert "the line is not JSON" in broken.out


def test_dry_run(
    write: Callable[..., str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--dry-run` says how many calls a load takes, and how long."""
    content = "".join(f"{n},x\n" for n in range(900_000, 903_500))
    with environment(monkeypatch) as simulator:
        command = ("load", "FbItemArticle", write("a.csv", "@ItCd,Ds\n" + content), "--dry-run", "--action")
        inserted, deleted = run(capsys, *command, "insert"), run(capsys, *command, "delete")
        assert writes(simulator) == 0
    assert "at least 4 calls of up to 1,000 records, 4 at a time;" in inserted.out
    assert "at least 3,500 calls of up to 1 records" in deleted.out
    assert "Nothing was sent." in inserted.out


def test_too_many_errors(
    write: Callable[..., str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After that many refusals nothing more is sent, and many reasons are counted."""
    content = "".join(f"{n:06},x\n" for n in range(1, 200))
    with environment(monkeypatch) as simulator:
        path = write("a.csv", "ItCd,Ds\n" + content)
        ended = run(capsys, "load", "FbItemArticle", path, "--action", "insert", "--max-errors", "3")
        assert simulator.written("FbItemArticle") == []
    assert ended.status == 1
    assert "not sent" in ended.out


class TestJournal:
    """A load that continues, and one that is finished."""

    def test_it_goes_on_where_it_was(
        self,
        write: Callable[..., str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        with environment(monkeypatch) as simulator:
            journal, failed = str(tmp_path / "j"), tmp_path / "f.csv"
            command = ("load", "KnSubject", write("s.csv", "StId,Ds\n" + "1,x\n" * 50), "--action", "insert")
            command += ("--journal", journal, "--failed", str(failed))
            simulator.faults.add(Fault(method="POST", cut="reset", connector="KnSubject"))
            ended = run(capsys, *command)
            assert ended.status == 3
            assert f"Unknown lines may have been applied or not: python -m afas_async journal {journal}" in ended.out
            unknown = [row for row in failed.read_text("utf-8-sig").splitlines() if ",unknown," in row]
            assert run(capsys, *command).status == 3
            assert [row for row in failed.read_text("utf-8-sig").splitlines() if ",unknown," in row] == unknown
            again = run(capsys, "load", "KnSubject", str(failed), "--action", "insert", "--failed", str(failed))
            assert again.status == 3
            assert again.out.endswith(
                f"{len(unknown)} lines were left out: the file marks them as unknown, so they may have been applied.\n"
            )
            assert failed.read_text("utf-8-sig").splitlines()[1:] == unknown
            assert run(capsys, "journal", journal, "--applied", "all").status == 0
            assert run(capsys, *command).status == 0
            assert simulator.store.count("Profit_Subjects") >= 50
            assert "its load was finished" in refused(run(capsys, *command))
            assert run(capsys, *command, "--load-id", "2").status == 0

    def test_a_shorter_file(
        self,
        write: Callable[..., str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Lines that are in the journal but no longer in the file are reported."""
        with environment(monkeypatch):
            path, journal = write("s.csv", "StId,Ds\n1,x\n1,y\nx,z\n"), str(tmp_path / "j")
            command = ("load", "KnSubject", path, "--action", "insert", "--journal", journal)
            assert run(capsys, *command).status == 1
            write("s.csv", "StId,Ds\n1,x\n")
            ended = run(capsys, *command)
        assert (ended.status, "The journal has 1 more lines than the file" in ended.out) == (1, True)


class TestLookup:
    """The load finds out by itself what became of a line whose response was lost."""

    COMMAND = ("--action", "insert", "--lookup", "Profit_Subjects:Subject=Ds")

    @pytest.mark.parametrize("reference", [False, True])
    def test_what_was_applied_is_found(
        self,
        reference: bool,  # noqa: FBT001
        write: Callable[..., str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        failed = tmp_path / "f.csv"
        with environment(monkeypatch) as simulator:
            simulator.faults.add(Fault(method="POST", cut="reset", connector="KnSubject", works_after=0))
            path = write("s.csv", "StId,Ds\n" + "".join(f"1,Offerte {n}\n" for n in range(9)))
            command = self.COMMAND
            if reference:
                command = ("--action", "insert", "--lookup", "Profit_Subjects:Explanation=SbTx", "--reference", "SbTx")
            ended = run(capsys, "load", "KnSubject", path, *command, "--failed", str(failed))
            assert len(simulator.written("KnSubject")) == 9
        assert (ended.status, ended.out.count("9 applied")) == (0, 1)
        assert failed.read_text("utf-8-sig") == "StId,Ds,_status,_error,_line\n"

    def test_waiting(
        self,
        write: Callable[..., str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """`--wait` waits for the end of the quiet period. Lines that are absent then are in the file as not sent."""
        slept = list[float]()

        async def sleep(seconds: float, _: asyncio.Event) -> None:
            slept.append(seconds)
            monkeypatch.setattr(lookups, "is_quiet", lambda *_: True)
            await real(0)

        real = asyncio.sleep
        monkeypatch.setattr(line_load, "_sleep", sleep)
        failed = tmp_path / "f.csv"
        with environment(monkeypatch) as simulator:
            simulator.faults.add(Fault(method="POST", status=503, cut="reset", connector="KnSubject", after=1))
            path = write("s.csv", "StId,Ds\n" + "".join(f"1,Offerte {n}\n" for n in range(40)))
            ended = run(capsys, "load", "KnSubject", path, *self.COMMAND, "--wait", "--failed", str(failed))
            applied = len(simulator.written("KnSubject"))
        assert 900 < slept[0] < 1_100
        assert (ended.status, f"{applied} applied" in ended.out, 0 < applied < 40) == (1, True, True)
        lines = failed.read_text("utf-8-sig").splitlines()[1:]
        assert len(lines) == 40 - applied
        assert all(",not_sent," in line for line in lines)

    def test_waiting_is_interrupted(
        self, write: Callable[..., str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Ctrl+C ends only the wait: the report still says what became of the lines."""
        real = line_load._sleep

        async def sleep(seconds: float, interrupted: asyncio.Event) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            await real(seconds, interrupted)

        monkeypatch.setattr(line_load, "_sleep", sleep)
        with environment(monkeypatch) as simulator:
            simulator.faults.add(Fault(method="POST", status=503, cut="reset", connector="KnSubject"))
            path = write("s.csv", "StId,Ds\n1,Offerte\n")
            ended = run(capsys, "load", "KnSubject", path, *self.COMMAND, "--wait")
        assert ended.status == 3
        assert "KnSubject: 1 lines: 0 applied, 0 rejected, 1 unknown" in ended.out
        assert "Interrupted: " in ended.out

    @pytest.mark.parametrize(
        "case",
        [
            ("update", "ItCd,Ds\n000001,Bout\n", "Profit_Article:ItemCode=@ItCd,Description=Ds", 0),
            ("update", "ItCd,Ds\n000001,Bout\n", "Profit_Article:ItemCode=@ItCd,Unit=Ds", 3),
            ("delete", "ItCd\n000001\n", "Profit_Article:ItemCode=@ItCd", 0),
        ],
    )
    def test_updates_and_deletes(
        self,
        case: tuple[str, str, str, int],
        write: Callable[..., str],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """An update is recognized by its changed fields, a delete by the absent row."""
        action, line, lookup, status = case
        with environment(monkeypatch, rows=500) as simulator:
            simulator.faults.add(Fault(connector="FbItemArticle", cut="reset", works_after=0))
            simulator.faults.add(Fault(connector="FbItemArticle", method="GET", status=503, retry_after=0))
            monkeypatch.setattr("afas_async.policy.retrying.BACKOFF_BASE", 0.0)
            command = ("load", "FbItemArticle", write("a.csv", line), "--action", action, "--lookup", lookup)
            ended = run(capsys, *command, "--empty", "omit")
        assert ended.status == status, ended.out

    @pytest.mark.parametrize("lookup", ["Profit_Article:ItemCode=@ItCd", "Profit_Article:Description=Ds"])
    def test_an_update_needs_a_key_and_a_changed_field(
        self, lookup: str, write: Callable[..., str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        command = ("load", "X", write("a.csv", "a\n1\n"), "--action", "update", "--empty", "omit", "--lookup", lookup)
        assert "an update needs a field of the key" in refused(run(capsys, *command))

    @pytest.mark.parametrize(
        ("written", "shown", "same"),
        [
            ("", None, True),
            ("x", None, False),
            (True, True, True),
            ("true", False, False),
            ("1.50", Decimal("1.5"), True),
            ("x", 1, False),
            (date(2024, 1, 31), "2024-01-31T00:00:00Z", True),
            ("2024-01-31T09:30:00", "2024-01-31T09:30:00Z", True),
            ("a", "b", False),
        ],
    )
    def test_values_as_rows_show_them(self, written: object, shown: object, same: bool) -> None:  # noqa: FBT001
        assert is_shown(written, shown) is same


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--wait"], "--wait looks up unknown records: give --lookup too"),
        (["--load-id", "x"], "--load-id names the load in a --journal: give both"),
        (["--format", "xml"], "--format is csv, ndjson, xlsx, parquet"),
        (["--action", "upsert"], "Invalid value for '--action'"),
    ],
)
def test_arguments_that_make_no_sense(
    arguments: list[str], text: str, write: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    """They are refused with status 2, before anything is requested."""
    ended = run(capsys, "load", "KnSubject", write("s.csv", "StId\n1\n"), "--action", "insert", *arguments)
    assert (ended.status, ended.out) == (2, "")
    assert text in ended.err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--lookup", "Profit_Subjects"], "'Profit_Subjects' is not NAME:ROW=FIELD[,...]"),
        (["--failed", "f.xlsx"], "--failed needs a .csv or an .ndjson file"),
        (["--map", "nothing.toml"], "nothing.toml"),
    ],
)
def test_what_cannot_be_used(
    arguments: list[str],
    text: str,
    write: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line says why, and nothing is sent."""
    with environment(monkeypatch) as simulator:
        path = write("s.csv", "StId\n1\n")
        assert text in refused(run(capsys, "load", "KnSubject", path, "--action", "insert", *arguments))
        assert writes(simulator) == 0


def test_json_does_not_fit_into_csv(
    write: Callable[..., str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines of JSON have no columns."""
    with environment(monkeypatch):
        path = write("s.ndjson", '{"StId": 1}\n')
        line = refused(run(capsys, "load", "KnSubject", path, "--action", "insert", "--failed", "f.csv"))
    assert "give --failed a name that ends in .ndjson" in line


def test_the_log(
    write: Callable[..., str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--log-json` writes requests and the end as lines of JSON to standard error, without a value of a row."""
    with environment(monkeypatch):
        path = write("s.csv", "StId,Ds\n1,Geheim\n")
        ended = run(capsys, "--log-json", "load", "KnSubject", path, "--action", "insert")
    told = [json.loads(line) for line in ended.err.splitlines()]
    assert {each["event"] for each in told} >= {"answered", "loaded"}
    assert told[-1] | {"applied": 1, "lines": 1} == told[-1]
    assert "Geheim" not in ended.err


def test_nobody_may_have_the_file(
    write: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing folder is reported before anything is sent."""
    with environment(monkeypatch) as simulator:
        path = write("s.csv", "StId\n1\n")
        failed = str(tmp_path / "nothing" / "f.csv")
        line = refused(run(capsys, "load", "KnSubject", path, "--action", "insert", "--failed", failed))
        assert writes(simulator) == 0
    assert "No such file or directory" in line


def test_a_disk_that_fills_up(
    write: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report still says what became of the lines."""

    close = FailedLines.close

    async def refuse(self: FailedLines, report: LoadReport, *, is_whole: bool) -> None:
        await close(self, report, is_whole=is_whole)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FailedLines, "close", refuse)
    with environment(monkeypatch):
        path = write("s.csv", "StId,Ds\n1,x\nx,y\n")
        ended = run(capsys, "load", "KnSubject", path, "--action", "insert", "--failed", str(tmp_path / "f.csv"))
    assert (ended.status, "2 lines: 1 applied" in ended.out) == (1, True)
    assert "its file of failed lines is incomplete: [Errno 28] No space left on device" in ended.out
