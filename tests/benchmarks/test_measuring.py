"""The benchmarks measure what they say they measure."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Generator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import Request, urlopen

import msgspec
import pytest

from afas_async import AfasClient
from afas_async.simulator import Latency, Simulator
from afas_async.simulator.storage.store import Store
from afas_async.simulator.traffic import Counters
from benchmarks import __main__ as command
from benchmarks import contestants, figures, stage
from benchmarks.contestants import afas_async_stream, requests_json, wave
from benchmarks.contestants.requests_json import SAMPLE, sample
from benchmarks.figures import Figure, Scale, Section, Standing, interleave, ratios
from benchmarks.measures import columns, completeness, depth, latency, throughput
from benchmarks.measures.latency import ideal
from benchmarks.report import Results, summary, text_of, this_machine
from benchmarks.rows import WideRow
from benchmarks.task import Measurement, Tally, Task

TASK = Task("x", "http://127.0.0.1:1/profitrestservices", "", 5)


def measurement(seconds: float, rows: int = 100, **more: float) -> Measurement:
    return msgspec.convert(
        {"seconds": seconds, "cpu": 0.1, "memory": 1.0, "first_row": 0.01, "rows": rows} | more, Measurement
    )


# --- counting ---


@pytest.mark.parametrize(
    ("numbers", "missing", "doubled"), [([0, 1, 2, 3, 4], 0, 0), ([0, 1, 1, 4], 2, 1), ([], 5, 0), ([2] * 300, 4, 1)]
)
def test_missing_and_doubled_rows(numbers: list[int], missing: int, doubled: int) -> None:
    """A row that does not come is missing, and a row that comes more than once is doubled, in any form of the rows."""
    tally = Tally(msgspec.structs.replace(TASK, check=True))
    tally.add([{"Id": 3 * number + 1} for number in numbers])
    assert (tally.missing, tally.doubled) == (missing, doubled)
    assert tally.rows == len(numbers)


def test_rows_are_not_looked_at_while_time_is_measured() -> None:
    """Rows are not counted while time is measured, so that no contestant pays for the counting."""
    tally = Tally(TASK)
    tally.add([None, None])
    assert (tally.rows, tally.missing, tally.doubled) == (2, -1, -1)


def test_measurements_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order is A B A B, so that a noisy moment of the machine affects all contestants."""
    done: list[str] = []

    def read(task: Task) -> Measurement:
        done.append(task.contestant)
        return measurement(1.0)

    monkeypatch.setattr(stage, "read", read)
    tasks = {name: msgspec.structs.replace(TASK, contestant=name) for name in "AB"}
    runs = interleave(tasks, 3)
    assert "".join(done) == "ABABAB"
    assert [len(found) for found in runs.values()] == [3, 3]


def test_ratios_are_those_of_pairs() -> None:
    """A ratio compares the two measurements of one round: the median of the ratios, not the ratio of medians."""
    ours = [measurement(1.0), measurement(10.0), measurement(1.0)]
    theirs = [measurement(2.0), measurement(20.0), measurement(4.0)]
    assert ratios(ours, theirs) == (2.0, 2.0, 4.0)


def test_the_ideal() -> None:
    """A window of five that is never empty: 10 pages of 1,000 rows take two times 70 ms."""
    assert ideal(10_000, 1_000) == pytest.approx(0.14)


def stand_in(monkeypatch: pytest.MonkeyPatch, measured: Mapping[str, float]) -> None:
    """Measure nothing: a reading whose label begins with one of these takes that many seconds."""

    @contextmanager
    def server(rows: int, *_: object) -> Generator[stage.Server, None, None]:
        yield stage.Server("", rows)

    def take_turns(tasks: Mapping[str, Task], rounds: int) -> figures.Runs[str]:
        return {
            label: [measurement(next(measured[key] for key in measured if label.startswith(key)), task.rows)] * rounds
            for label, task in tasks.items()
        }

    for name in ("simulator", "bare_server"):
        monkeypatch.setattr(depth, name, server)
    monkeypatch.setattr(depth, "interleave", take_turns)
    monkeypatch.setattr(depth, "read", id)  # fills the table


def test_the_cost_of_a_row_in_a_long_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty times the rows in forty times the seconds is a growth of two; this library must not grow, others do."""
    stand_in(monkeypatch, {"1,000,000": 40.0, "50,000": 1.0})
    section = depth.depth(Scale(rounds=1))
    growth = [figure for figure in section.figures if figure.number == "P9"]
    assert [(figure.value, figure.target, figure.at_most) for figure in growth] == [(2, 1.2, True)] * 2 + [
        (2, 5, False)
    ]
    shares = [figure.value for figure in section.figures if figure.number == "P8"]
    assert shares == [ideal(1_000_000, take) / 40 for take in (latency.LARGEST_PAGE, 1_000)]
    assert {line.rate for line in section.standings} == {25_000, 50_000}


def test_the_price_of_verifying(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reading that takes half as long again has an excess of a half, which is too much."""
    stand_in(monkeypatch, {"joining pages": 3.0, "neither": 2.0})
    found = depth.overlap(Scale()).figures
    assert [(figure.number, figure.value, figure.met) for figure in found] == [("P12", 0.5, False)] * 6


# --- the servers and the readers ---


@pytest.fixture(scope="module")
def bare() -> Iterator[stage.Server]:
    with stage.bare_server(2_500, gzip=True) as server:
        yield server


def test_the_bare_server_serves_the_rows_of_the_store(bare: stage.Server) -> None:
    """Its pages hold exactly the rows that the simulator would send, also compressed, and also past the end."""
    store = Store(2_500, 1)
    for gzip in (False, True):
        for skip, take in ((0, 10), (1_990, 20), (2_499, 5), (2_500, 100), (9_999, 1), (0, 2_500), (-1, -1)):
            request = Request(f"{bare.base_url}/connectors/Profit_Wide?skip={skip}&take={take}")  # noqa: S310
            if gzip:
                request.add_header("Accept-Encoding", "gzip")
            with urlopen(request) as answer:  # noqa: S310 - our own server
                body = answer.read()
                assert (answer.headers["Content-Encoding"] == "gzip") is gzip
            text = zlib.decompress(body, 31) if gzip else body
            wanted = store.page("Profit_Wide", max(skip, 0), take, [("Id", False)])
            assert text == b'{"skip":%d,"take":%d,"rows":[%b]}' % (skip, take, wanted.json)
    store.close()


def test_the_bare_server_counts_from_an_anchor(bare: stage.Server) -> None:
    """It sends rows from a key on, as anchored pages request them, whether or not a row has that key."""
    store = Store(2_500, 1)
    url = f"{bare.base_url}/connectors/Profit_Wide"
    froms = ((-3, 0), (1, 0), (2, 1), (4, 1), (5, 2), (7_498, 2_499), (7_499, 2_500), (99_999, 2_500))
    afters = ((-3, 0), (0, 0), (1, 1), (2, 1), (4, 2), (7_498, 2_500))
    for operator, anchor, first in ((sign, *pair) for sign, pairs in ((2, froms), (4, afters)) for pair in pairs):
        for skip, take in ((0, 10), (3, 2_500)):
            query = f"skip={skip}&take={take}&filterfieldids=Id&filtervalues={anchor}&operatortypes={operator}"
            with urlopen(f"{url}?{query}") as answer:  # noqa: S310 - our own server
                text = answer.read()
            wanted = store.page("Profit_Wide", first + skip, take, [("Id", False)])
            assert text == b'{"skip":%d,"take":%d,"rows":[%b]}' % (skip, take, wanted.json)
    store.close()


def test_the_bare_server_answers_no_other_filter(bare: stage.Server) -> None:
    """With any other filter it would send other rows than the requested ones."""
    queries = ("filterfieldids=Id&filtervalues=4&operatortypes=3", "filterjson=%7B%7D", "filtervalues=4")
    for query in queries:
        url = f"{bare.base_url}/connectors/Profit_Wide?skip=0&take=5&{query}"
        with pytest.raises(OSError, match="closed connection"), urlopen(url):  # noqa: S310 - our own server
            pytest.fail(f"answered: {query}")


@pytest.mark.parametrize("verify", [True, False])
def test_a_reading_without_verification(
    verify: bool,  # noqa: FBT001
    bare: stage.Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The task's `verify` reaches the client, and all rows come."""
    asked: list[object] = []
    rows = AfasClient.rows

    def spy(client: Any, connector: Any, **options: Any) -> Any:
        asked.append(options["verify"])
        return rows(client, connector, **options)

    monkeypatch.setattr(AfasClient, "rows", spy)
    task = bare.task(throughput.OURS, take=500, verify=verify, check=True)
    tally = Tally(task)
    asyncio.run(afas_async_stream.read(task, tally))
    assert asked == [verify]
    assert (tally.rows, tally.missing, tally.doubled) == (2_500, 0, 0)


def test_a_sample_of_pages(bare: stage.Server) -> None:
    """The opponent reads a few pages of a long table, evenly spread."""
    task = bare.task("requests_json", take=50, variant="sample")
    tally = Tally(task)
    requests_json.read(task, tally)
    assert tally.rows == SAMPLE * 50


@pytest.mark.parametrize(("rows", "take"), [(1_000_000, 1_000), (50_000, 1_000), (7_700, 100), (3_000, 1_000)])
def test_a_sample_stands_for_all_pages(rows: int, take: int) -> None:
    """It skips as many rows on average as all pages do, to half a page, so that a row costs the same in both."""
    skips = sample(rows, take)
    pages = range(0, rows, take)
    assert len(set(skips)) == min(SAMPLE, len(pages))
    assert set(skips) <= set(pages)
    assert abs(sum(skips) / len(skips) - sum(pages) / len(pages)) <= take / 2


@pytest.mark.sampled(3)
@pytest.mark.parametrize("take", [None, 700, -1])
@pytest.mark.parametrize("variant", ["", "rows", "nested"])
def test_a_reading_in_a_process_of_its_own(take: int | None, variant: str, bare: stage.Server) -> None:
    """All rows come, and everything is measured."""
    found = stage.read(bare.task(throughput.OURS, take=take, variant=variant, ticker=True))
    assert found.rows == 2_500
    assert found.seconds > 0
    assert found.cpu > 0
    assert 0 < found.hold < 1
    assert (found.first_row > 0) is (not variant)


def test_who_does_not_sort_loses_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """An opponent that requests no order loses and doubles rows, and this library does not."""
    monkeypatch.setattr(wave, "TAKE", 8_000)
    with stage.simulator(10_000, Latency()) as server:
        task = server.task("", check=True)
        opponent, ours = Tally(task), Tally(task)
        asyncio.run(wave.read(task, opponent))
        asyncio.run(afas_async_stream.read(task, ours))
    assert opponent.missing > 1_000
    assert opponent.doubled > 1_000
    assert (ours.rows, ours.missing, ours.doubled) == (10_000, 0, 0)


def test_a_reader_that_fails_is_no_measurement() -> None:
    """A contestant that ends with an error ends the benchmark."""
    with pytest.raises(RuntimeError, match="wave failed"):
        stage.read(msgspec.structs.replace(TASK, contestant="wave"))


def test_every_contestant_is_a_file() -> None:
    """Each name leads to a module with `read`; they are not imported here, as their libraries are an extra."""
    folder = Path(contestants.__path__[0])
    for name in {*throughput.CONTESTANTS, *completeness.CONTESTANTS, *columns.CONTESTANTS.values(), columns.PIPELINE}:
        assert "def read(task: Task, tally: Tally) -> None:" in (folder / f"{name}.py").read_text()


def test_the_rows_have_all_fields() -> None:
    """No contestant is fast because it skips a field."""
    store = Store(1, 1)
    (row,) = msgspec.json.decode(b"[%b]" % store.page("Profit_Wide", 0, 1).json, type=list[dict[str, object]])
    store.close()
    assert [field.encode_name for field in msgspec.structs.fields(WideRow)] == list(row)


# --- reporting ---

FIGURES = [
    Figure("P1", "faster", 3.0, "x", 2.0, low=2.9, high=3.1),
    Figure("P5", "hold", 6.0, "ms", 5.0, at_most=True),
]
LOSER = Standing("pages of 10", "wave", 10.0, (2.0, 1.0, 3.0), 1.0, 1.0, 1.0, missing=7, doubled=8)
SECTION = Section("Title", FIGURES, [LOSER])


def test_what_is_printed() -> None:
    """Each figure stands beside its target, and contestants that lose rows are marked."""
    text = text_of(SECTION)
    assert "wave LOSES ROWS" in text
    assert "at least 2: met (2.90-3.10)" in text
    assert "at most 5: MISSED" in text


def test_a_target_is_met_only_in_all_runs() -> None:
    """The summary of several runs calls a target met if each of them has met it."""
    worse = Section("Title", [msgspec.structs.replace(FIGURES[0], value=1.0), FIGURES[1]])
    runs = [Results(this_machine(), [section]) for section in (SECTION, worse)]
    assert ">= 2: MISSED" in summary(runs)
    assert ">= 2: met" in summary([runs[0], runs[0]])


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Results are printed and kept as JSON. They decide on the exit status, except in a quick run."""
    scales: list[figures.Scale] = []

    def measure(scale: figures.Scale) -> Section:
        scales.append(scale)
        return SECTION

    monkeypatch.setitem(command.BENCHMARKS, "task", measure)
    kept = tmp_path / "results.json"
    assert command.main(["task", "--runs", "2", "--json", str(kept)]) == 1
    assert command.main(["task", "--quick"]) == 0
    assert [scale.quick for scale in scales] == [False, False, True]
    assert "2 consecutive runs" in capsys.readouterr().out
    assert [run.sections for run in msgspec.json.decode(kept.read_bytes(), type=list[Results])] == [[SECTION]] * 2


def test_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--plot` draws a picture of all rates, for light pages and for dark ones."""
    pytest.importorskip("matplotlib")
    monkeypatch.setitem(command.BENCHMARKS, "task", lambda _: SECTION)
    picture = tmp_path / "rates.svg"
    assert command.main(["task", "--quick", "--plot", str(picture)]) == 0
    light, dark = picture.read_text(), picture.with_stem("rates-dark").read_text()
    assert all(line.contestant in light and line.contestant in dark for line in SECTION.standings if line.rate)
    assert light != dark
    curves = Section("Growth", FIGURES, curves={"8 environments": {1: 10.0, 2: 20.0}})
    monkeypatch.setitem(command.BENCHMARKS, "task", lambda _: curves)
    assert command.main(["task", "--quick", "--plot", str(picture)]) == 0
    assert picture.read_text().count("8 environments")
    monkeypatch.setitem(command.BENCHMARKS, "task", lambda _: Section("Title", FIGURES))
    with pytest.raises(SystemExit) as ended:
        command.main(["task", "--quick", "--plot", str(picture)])
    assert ended.value.code == 1


async def test_requests_in_vain_are_counted_at_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of 50 rows costs one more request than its rows need: the one that proves its end."""

    @asynccontextmanager
    async def spawn(**options: Any) -> AsyncIterator[SimpleNamespace]:
        """Run the simulator in this loop, so that the order of events does not depend on the machine's speed."""
        async with Simulator(**options) as simulator:

            async def counters() -> Counters:
                return simulator.counters

            yield SimpleNamespace(base_url=simulator.base_url, token=simulator.token, counters=counters)

    monkeypatch.setattr(completeness, "spawn", spawn)
    counted = await completeness._wasted(50, Latency())
    assert counted == completeness.MOST_WASTED[50] == 1
    assert latency.WINDOW == 5
