"""However often a run is killed, the next one makes the copy equal to its source."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from afas_async.simulator import Simulator
from tests.support import canary
from tests.support.kill_syncer import connect
from tests.support.sample_connectors import truth
from tests.support.thoroughness import by_default, full_only

ROOT = Path(__file__).parents[2]
ROWS = 1_000
KILLS = int(os.environ.get("AFAS_KILLS", "1"))  # 20 in a night
KINDS = by_default(["duckdb"], ["duckdb", "postgres"]) if KILLS < 2 else ["duckdb", "postgres"]


@pytest.fixture(scope="module")
def source() -> Iterator[Simulator]:
    with Simulator.running(rows=ROWS, token=canary.TOKEN) as simulator:
        yield simulator


@pytest.fixture(params=KINDS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "duckdb":
        yield str(tmp_path / "copy.duckdb")
        return
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    yield request.getfixturevalue("server")
    with connect(request.getfixturevalue("server")) as connection:
        connection.execute('drop table "Profit_Wide", afas_async_sync')


def _run(source: Simulator, target: str, place: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.support.kill_syncer", source.base_url, target, str(place)]
    environment = os.environ | {"AFAS_TOKEN": source.token}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@full_only
@pytest.mark.timeout(300)
def test_a_killed_run_is_made_good_by_the_next(source: Simulator, target: str) -> None:
    """A run that is killed among the batches, or between the watermark and its commit, leaves nothing or everything."""
    places = random.Random(KILLS)  # noqa: S311 - the same places in each run
    for number in range(KILLS):
        killed = _run(source, target, 0 if number == 0 else places.randint(0, 6))
        assert killed.returncode == -9, killed.stderr
    done = _run(source, target, -1)
    assert done.stdout.split() == [str(ROWS), "0"], done.stderr  # the run found no watermark, and no row is doubled
    with connect(target) as connection:
        found = connection.cursor().execute('select "Id", "Name", "Quantity" from "Profit_Wide" order by 1').fetchall()
        ((watermarks,),) = connection.cursor().execute("select count(*) from afas_async_sync").fetchall()
    assert found == [(row["Id"], row["Name"], row["Quantity"]) for row in truth(source, "Profit_Wide")]
    assert watermarks == 1
