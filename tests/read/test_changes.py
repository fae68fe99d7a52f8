"""Incremental reading: no version of a row is missed from run to run, and no key comes twice in a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from afas_async import AfasClient, AnswerError, F, GetConnector, SortKeyRequiredError, UsageError
from afas_async.read import changes as changes_module
from afas_async.simulator import Simulator
from tests.support.thoroughness import by_default

COUNT = by_default(100, 300)
ARTICLES = GetConnector("Profit_Article", key="ItemCode")
MODIFIED = "ModifiedOn"
NOON = datetime(2026, 3, 4, 12)  # noqa: DTZ001 - wall time in Amsterdam


def stamp(simulator: Simulator, code: str, moment: datetime | None) -> None:
    """Write a row's moment of modification."""
    text = None if moment is None else f"{moment.isoformat()}Z"
    simulator.store.execute("UPDATE Profit_Article SET ModifiedOn = ? WHERE ItemCode = ?", (text, code))


def stamp_all(simulator: Simulator, moment: datetime) -> None:
    """Give all rows the same moment."""
    simulator.store.execute("UPDATE Profit_Article SET ModifiedOn = ?", (f"{moment.isoformat()}Z",))


async def run(afas: AfasClient, since: str | datetime | None = None) -> tuple[list[str], str]:
    """Read all changes, and return their keys and the watermark."""
    async with afas.changes(ARTICLES, modified=MODIFIED, since=since) as changes:
        codes = [row["ItemCode"] async for row in changes]
        return codes, changes.watermark


async def test_the_first_run_gives_everything() -> None:
    """Without a watermark all rows come in key order, including those without a moment."""
    async with Simulator(rows=300) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        stamp_all(sim, NOON)
        stamp(sim, "000007", None)
        codes, _ = await run(afas)
    assert codes == [f"{number:06}" for number in range(1, 301)]


async def test_a_run_gives_what_changed_since_the_last() -> None:
    """Rows modified after the last run come; rows before the slack do not."""
    async with Simulator(rows=300) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        stamp_all(sim, NOON - timedelta(days=9))
        stamp(sim, "000100", NOON)
        _, mark = await run(afas)
        stamp(sim, "000200", NOON + timedelta(minutes=5))
        codes, later = await run(afas, mark)
        assert codes == ["000100", "000200"]
        stamp(sim, "000300", NOON + timedelta(hours=9))
        assert (await run(afas, later))[0] == ["000100", "000200", "000300"]


async def test_the_slack_covers_late_commits_and_the_hour_of_october() -> None:
    """Rows stamped up to 76 minutes before the watermark come in the next run. Others see such rows only later."""
    async with Simulator(rows=300) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        stamp_all(sim, NOON - timedelta(days=9))
        stamp(sim, "000001", NOON)
        _, mark = await run(afas)
        stamp(sim, "000002", NOON - timedelta(minutes=14, seconds=59))  # begun before, committed after the run
        stamp(sim, "000003", NOON - timedelta(minutes=74))  # both, in the hour that is repeated
        stamp(sim, "000004", NOON - timedelta(seconds=4_560))
        stamp(sim, "000005", NOON - timedelta(seconds=4_561))
        codes, _ = await run(afas, mark)
    assert codes == ["000001", "000002", "000003", "000004"]


async def test_what_changes_during_a_run_belongs_to_the_next() -> None:
    """The watermark is that of the beginning: a row modified after it was read comes next time."""
    async with Simulator(rows=3_000) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        stamp_all(sim, NOON)
        async with afas.changes(ARTICLES, modified=MODIFIED) as changes:
            async for row in changes:
                if row["ItemCode"] == "000050":
                    stamp(sim, "000001", NOON + timedelta(hours=5))  # long after the beginning, already yielded
                    stamp(sim, "002999", NOON + timedelta(hours=9))  # yielded in its new version
            mark = changes.watermark
        stamp_all_but = "UPDATE Profit_Article SET ModifiedOn = ? WHERE ItemCode NOT IN ('000001', '002999')"
        sim.store.execute(stamp_all_but, (f"{(NOON - timedelta(days=1)).isoformat()}Z",))
        codes, _ = await run(afas, mark)
    assert codes == ["000001", "002999"]


async def test_a_row_from_the_future_hides_nothing() -> None:
    """One wrong moment in the data must not keep out all changes until then."""
    now = datetime.now(UTC)
    async with Simulator(rows=300) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        stamp_all(sim, NOON)
        stamp(sim, "000001", datetime(2199, 1, 1))  # noqa: DTZ001 - as the service shows it
        _, mark = await run(afas)
        stamp(sim, "000002", now.replace(tzinfo=None, microsecond=0) + timedelta(hours=3))
        codes, _ = await run(afas, mark)
    assert codes == ["000001", "000002"]


async def test_nothing_is_lost_over_many_runs() -> None:
    """Every change committed up to 15 minutes after its stamp is seen; with too little slack some are missed."""
    assert await _lost(changes_module.SLACK) == 0
    assert await _lost(timedelta(seconds=60)) > 0  # the negative control


async def _lost(slack: timedelta) -> int:
    """Return how many versions of rows are missed in runs every ten minutes, while rows are stamped and committed."""
    random = Random(4)  # noqa: S311 - the same changes each time
    before, changes_module.SLACK = changes_module.SLACK, slack
    try:
        async with Simulator(rows=120) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            stamp_all(sim, NOON - timedelta(days=1))
            copy: dict[str, str] = {}
            mark = None
            pending = list[tuple[datetime, datetime, str]]()
            for minute in range(0, by_default(160, 300), 10):
                now = NOON + timedelta(minutes=minute)
                for _ in range(8):
                    begun = now - timedelta(seconds=random.randrange(600))
                    pending.append((
                        begun + timedelta(seconds=random.randrange(900)),
                        begun,
                        f"{random.randint(1, 120):06}",
                    ))
                for commit, begun, code in sorted(pending):
                    if commit <= now:
                        stamp(sim, code, begun)
                pending = [each for each in pending if each[0] > now]
                async with afas.changes(ARTICLES, modified=MODIFIED, since=mark) as changes:
                    copy |= {row["ItemCode"]: row[MODIFIED] async for row in changes}
                    mark = changes.watermark
            truth = dict(sim.store.execute("SELECT ItemCode, ModifiedOn FROM Profit_Article"))
    finally:
        changes_module.SLACK = before
    return sum(copy[code] != moment for code, moment in truth.items())


async def test_a_datetime_as_beginning() -> None:
    """A naive moment is wall time in Amsterdam; one with a time zone is converted; fractions are dropped."""
    async with Simulator(rows=10) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        stamp_all(sim, NOON)
        for since in (NOON + timedelta(seconds=4_560, milliseconds=5), datetime(2026, 3, 4, 12, 16, tzinfo=UTC)):
            assert len((await run(afas, since))[0]) == 10
            assert (await run(afas, since + timedelta(seconds=1)))[0] == []


async def test_the_watermark_comes_with_the_end() -> None:
    """There is no watermark before the end. An unfinished run is repeated, or resumed from its cursor."""
    async with Simulator(rows=300) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        async with afas.changes(ARTICLES, modified=MODIFIED) as changes:
            with pytest.raises(UsageError, match="watermark"):
                _ = changes.watermark
            await anext(changes)
            with pytest.raises(UsageError, match="watermark"):
                _ = changes.watermark
            assert "until" in changes.cursor
        with pytest.raises(UsageError, match="watermark"):
            _ = changes.watermark


async def test_a_connector_without_changes_keeps_its_watermark() -> None:
    """Without a row, or without a newer one, the next run begins where this one did."""
    async with Simulator(rows=10) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        stamp_all(sim, NOON)
        _, mark = await run(afas)
        sim.store.execute("DELETE FROM Profit_Article WHERE ItemCode < '000009'")
        stamp_all(sim, NOON - timedelta(days=1))
        assert await run(afas, mark) == ([], mark)
        sim.store.execute("DELETE FROM Profit_Article")
        assert await run(afas, mark) == ([], mark)
        codes, nothing_yet = await run(afas)
        assert codes == []
        sim.store.execute("INSERT INTO Profit_Article (ItemCode) VALUES ('1')")
        assert (await run(afas, nothing_yet))[0] == ["1"]


async def test_watermarks_of_other_changes() -> None:
    """A watermark of another connector, condition or field is refused, and so is anything else; nothing is sent."""
    async with Simulator(rows=10) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        _, mark = await run(afas)
        sent = len(sim.requests)
        for connector, modified, where, since in (
            (GetConnector("Profit_Wide", key="Id"), MODIFIED, None, mark),
            (ARTICLES, "CreatedOn", None, mark),
            (ARTICLES, MODIFIED, F.Stock > 1, mark),
            (ARTICLES, MODIFIED, None, "2026-03-04"),
            (ARTICLES, MODIFIED, None, afas.rows(ARTICLES).cursor),
            (ARTICLES, MODIFIED, None, mark.replace("1", "2", 1)),
        ):
            with pytest.raises(UsageError, match="since"):
                afas.changes(connector, modified=modified, since=since, where=where)
        assert len(sim.requests) == sent


async def test_changes_need_a_key_and_a_moment() -> None:
    """Without a key no rows are requested, and a field without moments is named."""
    async with Simulator(rows=10) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        with pytest.raises(SortKeyRequiredError):
            await afas.changes(GetConnector("Profit_Article"), modified=MODIFIED).to_list()
        with pytest.raises(AnswerError, match=r"Stock is .*not a moment"):
            await afas.changes(ARTICLES, modified="Stock").to_list()


async def test_moments_of_other_shapes() -> None:
    """A fraction of a second, or a time zone that the service does not send today, does not spoil the watermark."""
    for moment in ("2026-03-04T12:00:00.500Z", "2026-03-04T11:00:00+00:00"):
        async with (
            Simulator(connectors={"T": [{"Id": 1, MODIFIED: moment}]}) as sim,
            AfasClient(base_url=sim.base_url, auth=sim.token) as afas,
        ):
            changes = afas.changes(GetConnector("T", key="Id"), modified=MODIFIED)
            await changes.to_list()
            assert '"2026-03-04T12:00:00"' in changes.watermark


async def test_any_condition_and_any_beginning() -> None:
    """Split conditions, conditions that no row meets, and the earliest moment work like any other."""
    async with Simulator(rows=COUNT + 200) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        codes = [f"{number:06}" for number in range(1, COUNT + 1)]
        changes = afas.changes(ARTICLES, modified=MODIFIED, where=F.ItemCode.in_(codes))
        assert len(await changes.to_list()) == COUNT
        again = afas.changes(ARTICLES, modified=MODIFIED, where=F.ItemCode.in_(codes), since=changes.watermark)
        assert len(await again.to_list()) < COUNT
        assert await afas.changes(ARTICLES, modified=MODIFIED, where=F.ItemCode.in_([])).to_list() == []
        assert len((await run(afas, datetime.min))[0]) == COUNT + 200  # noqa: DTZ901


@pytest.mark.parametrize("since", [None, NOON])
async def test_a_run_goes_on_from_its_cursor(since: datetime | None) -> None:
    """A run resumes from its cursor, even a first one of millions of rows.

    Each row comes once, and the watermark is that of the beginning.
    """
    async with Simulator(rows=400) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        stamp_all(sim, NOON)
        async with afas.changes(ARTICLES, modified=MODIFIED, since=since) as broken:
            with pytest.raises(UsageError, match="no cursor yet"):
                _ = broken.cursor
            first = [await anext(broken) for _ in range(150)]
            cursor = broken.cursor
        # Changes made meanwhile belong to the next run, whatever this run reads of them.
        stamp_all(sim, NOON + timedelta(hours=5))
        resumed = afas.changes(ARTICLES, modified=MODIFIED, after=cursor)
        rest = await resumed.to_list()
        codes = [row["ItemCode"] for row in [*first, *rest]]
        assert codes == sorted(set(codes))
        assert len(codes) == 400
        assert NOON.isoformat() in resumed.watermark
        again = await afas.changes(ARTICLES, modified=MODIFIED, since=resumed.watermark).to_list()
        assert len(again) == 400


async def test_a_cursor_of_other_changes(afas: AfasClient) -> None:
    async with afas.changes(ARTICLES, modified=MODIFIED) as changes:
        await anext(changes)
        cursor = changes.cursor
    for options, text in (
        ({"after": cursor, "where": F.ItemCode > "000002"}, "belongs to other changes"),
        ({"after": cursor, "since": NOON}, "leave since= out"),
        ({"after": afas.rows(ARTICLES).cursor}, "expected the text of `changes.cursor`, got another text"),
        ({"after": 5}, "got int"),
    ):
        with pytest.raises(UsageError, match=text):
            afas.changes(ARTICLES, modified=MODIFIED, **options)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
