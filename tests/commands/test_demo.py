"""The demo: against a simulator with its checks, and against an environment that nobody can check."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from afas_async.simulator.remote import SimulatorProcess
from afas_async.simulator.samples.connectors import SAMPLES, Sample
from afas_async.simulator.storage.store import Checksum
from tests.support.command_line import environment, refused, run

COMPLETE = "check        complete and in order: number and checksum equal the database's"
QUICK = ("--latency", "0")
ARTICLES = ("demo", "--connector", "Profit_Article", "--key", "ItemCode")


def test_the_demo_reads_everything_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """The demo reads a connector from a simulator in another process, and compares it with the database."""
    ended = run(capsys, "demo", "--rows", "2000")  # on real time: the other process knows no other
    assert ended.status == 0
    assert "rows         2,000 in " in ended.out
    assert COMPLETE in ended.out
    for fact in (r"2,000 of 2,000 rows", r"rows/s", r"\d pages in \d+ requests", r"after \d+ ms", r"\d+ MB more"):
        assert re.search(fact, ended.out), fact
    assert "plain loop" not in ended.out


@pytest.mark.usefixtures("within")
def test_the_demo_notices_a_difference(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """If the rows differ from those of the database, the demo says so and fails."""

    async def lie(_: object, __: str) -> Checksum:
        await asyncio.sleep(0)
        return Checksum(2_000, 0, 0)

    monkeypatch.setattr("afas_async.simulator.remote.SimulatorProcess.checksum", lie)
    ended = run(capsys, "demo", "--rows", "2000", *QUICK)
    assert ended.status == 1
    assert "check        NOT equal to the database" in ended.out


@pytest.mark.usefixtures("within")
def test_window_and_latency(capsys: pytest.CaptureFixture[str]) -> None:
    """One page at a time never has two requests in flight, and a response takes as long as `--latency` says."""
    ended = run(capsys, "demo", "--rows", "300", "--window", "1", "--latency", "0.05,0.05")
    assert ended.status == 0
    assert "at most 1 in flight" in ended.out
    first = re.search(r"first row    after (\d+) ms", ended.out)
    assert first is not None
    assert int(first[1]) >= 55  # 0.05 s, and a tenth of that for the first 100 rows


@pytest.mark.usefixtures("within")
def test_compare(capsys: pytest.CaptureFixture[str]) -> None:
    """`--compare` reads it again, 1,000 rows at a time and nothing beside it, and prints both."""
    ended = run(capsys, "demo", "--rows", "3000", "--compare", *QUICK)
    assert ended.status == 0
    assert COMPLETE in ended.out
    assert ended.out.count("3,000 of 3,000 rows") == 2
    columns = {
        line.split()[0]: line.split()[1:] for line in ended.out.partition("plain loop\n")[2].splitlines() if line
    }
    assert columns["requests"][1] == "5"  # three pages, and two that prove the end, as the last one is full
    assert {"seconds", "rows/s", "first", "ratio"} <= columns.keys()


@pytest.mark.usefixtures("within")
def test_a_drawing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """`--svg` draws the comparison as bars, for a colleague."""
    path = tmp_path / "demo.svg"
    ended = run(capsys, "demo", "--rows", "2000", "--compare", "--svg", str(path), *QUICK)
    assert (ended.status, ended.out.count("█") > 10) == (0, True)
    root = ET.parse(path).getroot()  # noqa: S314 - we have just drawn it
    assert [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")][::2] == ["afas_async", "plain loop"]
    assert len([*root.iter("{http://www.w3.org/2000/svg}rect")]) == 2
    assert "--svg draws the comparison: give --compare too" in run(capsys, "demo", "--svg", str(path)).err


@pytest.mark.usefixtures("within")
@pytest.mark.sampled(3)
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.connector.name)
def test_each_connector_of_the_simulator(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    """As dicts too, each value comes through as the database has it."""
    connector = sample.connector
    ended = run(
        capsys,
        "demo",
        "--simulator",
        "--rows",
        "900",
        "--connector",
        connector.name,
        "--key",
        ",".join(connector.key),
        *QUICK,
    )
    assert ended.status == 0
    assert COMPLETE in ended.out


@pytest.mark.usefixtures("within")
def test_another_order(capsys: pytest.CaptureFixture[str]) -> None:
    """By another key the rows come in another order, so they are compared without their order, and that is said."""
    ended = run(capsys, "demo", "--simulator", "--rows", "500", "--connector", "Profit_Wide", "--key", "Name", *QUICK)
    assert ended.status == 0
    assert "check        complete, each row once, in another order than that of Id" in ended.out


@pytest.mark.usefixtures("within")
@pytest.mark.parametrize(
    ("key", "why"), [("Unit", "two rows have the same Unit"), ("Price", "Price, a field of the key, is empty")]
)
def test_a_key_that_is_none(key: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With a key that is not unique, or empty in a row, the demo vouches for nothing, and suggests a key that works."""
    ended = run(capsys, "demo", "--simulator", "--rows", "2000", "--connector", "Profit_Article", "--key", key, *QUICK)
    assert why in refused(ended)
    assert "check" not in ended.out
    advised = ended.out.splitlines()[-1].split()
    assert advised[:4] == ["python", "-m", "afas_async", "demo"]
    assert run(capsys, *advised[3:]).status == 0


@pytest.mark.usefixtures("within")
def test_its_own_key_in_another_order(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """By the connector's own key the rows must come in its order too."""
    checksum = SimulatorProcess.checksum

    async def of_another_order(self: SimulatorProcess, name: str) -> Checksum:
        return dataclasses.replace(await checksum(self, name), crc32=0)

    monkeypatch.setattr(SimulatorProcess, "checksum", of_another_order)
    ended = run(capsys, "demo", "--rows", "500", *QUICK)
    assert ended.status == 1
    assert "NOT equal to the database" in ended.out


def test_a_connector_that_the_simulator_does_not_have(capsys: pytest.CaptureFixture[str]) -> None:
    """A connector of your own is not in the simulator, and the refusal names those that it has."""
    line = refused(run(capsys, "demo", "--connector", "Own_Articles", "--key", "Id", "--simulator"))
    assert "Profit_Article" in line
    assert "without --simulator" in line


class TestEnvironment:
    """A service that the AFAS_* variables name."""

    def test_all_is_told_but_the_values(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with environment(monkeypatch) as simulator:
            ended = run(capsys, *ARTICLES)
            assert simulator.base_url in ended.out
        assert ended.status == 0
        assert "rows         3,000 in " in ended.out
        assert "the end is proved by a response without new rows" in ended.out
        for fact in (r"3,000 rows", r"rows/s", r"\d pages in \d+ requests", r"after \d+ ms", r"\d+ MB more"):
            assert re.search(fact, ended.out), fact
        assert "ItemCode'" not in ended.out
        assert "--show" in ended.out

    def test_values_are_shown_on_request(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with environment(monkeypatch):
            ended = run(capsys, *ARTICLES, "--show")
        rows = [line for line in ended.out.splitlines() if "ItemCode'" in line]
        assert len(rows) == 3
        assert rows[0].startswith("  {'ItemCode': '000001'")
        assert all(row.endswith("Z'}") for row in rows)

    def test_it_stops_as_asked(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        with environment(monkeypatch, rows=20_000) as simulator:
            ended = run(capsys, *ARTICLES, "--rows", "150")
            assert simulator.counters.rows < 20_000
        assert ended.status == 0
        assert "rows         150 in " in ended.out
        assert "stopped at --rows, so neither the end nor the values could be checked" in ended.out

    def test_compare_and_window(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        with environment(monkeypatch) as simulator:
            ended = run(capsys, *ARTICLES, "--compare", "--window", "2")
            assert 6_000 <= simulator.counters.rows <= 6_000 + simulator.counters.requests  # a row in common each
            assert simulator.counters.peak_in_flight <= 2
        assert ended.status == 0
        assert "ratio" in ended.out

    @pytest.mark.usefixtures("within")
    def test_without_a_connector_it_is_the_simulator(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The variables alone do not make the demo read an environment."""
        with environment(monkeypatch) as simulator:
            ended = run(capsys, "demo", "--rows", "500", *QUICK)
            assert simulator.counters.requests == 0
        assert COMPLETE in ended.out
