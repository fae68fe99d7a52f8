"""A recording of an environment: what it has, and what it never has."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from afas_async import AfasClient
from afas_async.commands import record as recording
from afas_async.commands.record import record
from afas_async.simulator import Fault, OwnGetConnector, Rules, Simulator
from afas_async.simulator.own.recordings import Recording, read_recording
from afas_async.simulator.samples.connectors import SAMPLES
from tests.support import canary
from tests.support.command_line import environment, refused, run
from tests.support.own_metainfo import ORDERS, SALES

# Values that stand nowhere else, and have no part in common with each other.
CANARIES = [
    {"Name": "Aagje Kanarie", "Number": 48_151_623, "Amount": Decimal("31415.92"), "Born": "1987-06-05T04:03:02Z"},
    {"Name": "Vogel-O'Brien", "Number": -73_737_373, "Amount": Decimal("-27182.81"), "Born": "1964-12-13T00:00:00Z"},
    {"Name": "", "Number": None, "Amount": None, "Born": None},
]


async def recorded(simulator: Simulator, path: Path) -> Recording:
    async with AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas:
        assert await record(afas, path)
    return read_recording(path)


async def test_no_value_of_any_row(tmp_path: Path) -> None:
    """No value is in the file, nor a part of one; metainfo is, word for word."""
    path = tmp_path / "recording.json"
    orders = OwnGetConnector(ORDERS, [{"Order-nummer": "KANARIE-7", "Bedrag": "6666.55", "A_Toev_Huisnr.": "bis"}])
    async with Simulator(
        rows=60, token=canary.TOKEN, connectors={"My_People": CANARIES, "My_Orders": orders}, updates={"FbSales": SALES}
    ) as simulator:
        found = await recorded(simulator, path)
    text = path.read_text()
    for word in re.findall(r"[A-Za-z]{3,}|[0-9]{4,}", json.dumps([*CANARIES, orders.rows], default=str)):
        if word not in {"Name", "Number", "Amount", "Born", "Order", "nummer", "Bedrag", "Toev", "Huisnr", "null"}:
            assert word not in text, word
    assert not canary.leaks(text)
    by_name = {each.id: each for each in found.get_connectors}
    assert by_name["My_Orders"].metainfo == {**ORDERS, "name": "My_Orders"}
    assert {each.id: each.metainfo for each in found.update_connectors}["FbSales"] == SALES
    assert set(by_name) == {"My_People", "My_Orders", *(sample.connector.name for sample in SAMPLES)}


async def test_shapes(tmp_path: Path) -> None:
    """Counts, lengths, digits, decades and uniqueness are those of the rows."""
    rows = [{"Code": f"{number:03}", "Part": number % 3, "Open": number < 3} for number in range(12)]
    path = tmp_path / "recording.json"
    async with Simulator(rows=5, connectors={"My_People": CANARIES, "My_Rows": rows}) as simulator:
        found = {each.id: each for each in (await recorded(simulator, path)).get_connectors}
    people, rows_of_mine = found["My_People"], found["My_Rows"]
    assert (people.rows, people.key, rows_of_mine.rows, rows_of_mine.key) == (3, (), 12, ("Code",))
    name, number, amount, born = (people.fields[field] for field in ("Name", "Number", "Amount", "Born"))
    assert (name.lengths, name.nulls, name.distinct, name.unique) == ((0, 9, 13), 0, 3, True)
    assert (number.digits, number.negative, number.nulls) == ((8, 8), True, pytest.approx(1 / 3, abs=1e-4))
    assert (amount.digits, amount.decimals, amount.negative) == ((5, 5), 2, True)
    assert (born.decades, born.times, born.past) == ((1960, 1980), True, True)
    code, part, is_open = (rows_of_mine.fields[field] for field in ("Code", "Part", "Open"))
    assert (code.unique, code.numeric, code.lengths) == (True, True, (3, 3, 3))
    assert (part.unique, part.distinct, part.decimals, is_open.trues) == (False, 3, 0, 0.25)
    assert found["Profit_Empty"].rows == 0


@pytest.mark.parametrize("rows", [99, 100, 5_000])
async def test_many_rows(rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recording reads a bounded number of rows, in pages of any size. It counts more rows to within a twentieth."""
    monkeypatch.setattr(recording, "SAMPLE", 100)
    own = {"My_Rows": [{"Id": number} for number in range(rows)]}
    async with Simulator(rows=0, connectors=own, rules=Rules(page_cap=30)) as simulator:
        (found, *_) = (await recorded(simulator, tmp_path / "recording.json")).get_connectors
        requests = [request for request in simulator.requests if request.path.endswith("My_Rows")]
    assert rows * 0.95 <= found.rows <= rows
    assert found.fields["Id"].distinct == min(rows, 100)
    assert len(requests) < 25
    assert all(request.query["orderbyfieldids"] == "Id" for request in requests if "connectors" in request.path)


async def test_counting_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more rows are skipped than the service can skip in reasonable time."""
    monkeypatch.setattr(recording, "SAMPLE", 10)
    monkeypatch.setattr(recording, "_FARTHEST", 50)
    async with Simulator(rows=0, connectors={"My_Rows": [{"Id": number} for number in range(200)]}) as simulator:
        (found, *_) = (await recorded(simulator, tmp_path / "recording.json")).get_connectors
        assert max(int(request.query.get("skip", 0)) for request in simulator.requests) == 40
    assert found.rows == 40


async def test_what_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A refused connector is left out and named, and all others are in the file."""
    path = tmp_path / "recording.json"
    async with Simulator(rows=5) as simulator, AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas:
        simulator.faults.add(
            Fault(path="connectors/Profit_Debtor", status=401, times=None),
            Fault(path="metainfo/update/KnPerson", status=401, times=None),
        )
        assert not await record(afas, path)
    found: dict[str, list[dict[str, Any]]] = json.loads(path.read_text())
    assert "Profit_Debtor" not in {each["id"] for each in found["get_connectors"]}
    assert "KnPerson" not in {each["id"] for each in found["update_connectors"]}
    assert len(found["get_connectors"]) == 13
    out = capsys.readouterr().out
    assert "Profit_Debtor: left out: " in out
    assert "KnPerson: left out: " in out


def test_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The command takes the environment of the variables, and says how many connectors are in the file."""
    path = tmp_path / "recording.json"
    with environment(monkeypatch, rows=5) as simulator:
        ended = run(capsys, "simulate", "--record", str(path))
        assert (ended.status, ended.err) == (0, "")
        assert ended.out.endswith(f"{path}: GetConnectors: 14, UpdateConnectors: 6\n")
        before = len(simulator.requests)
        assert "nowhere" in refused(run(capsys, "simulate", f"--record={tmp_path / 'nowhere' / 'x.json'}"))
        assert len(simulator.requests) == before


def test_without_an_environment(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Without variables nothing is written, and together with other options it makes no sense."""
    path = tmp_path / "recording.json"
    assert "AFAS_" in refused(run(capsys, "simulate", "--record", str(path)))
    assert not path.exists()
    assert run(capsys, "simulate", "--record", str(path), "--gzip").status == 2
