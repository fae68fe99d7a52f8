"""Keys that a user knows: which of them are gone. The read that brings the rows can find out too."""

from __future__ import annotations

import pytest

from afas_async import AfasClient, F, GetConnector, SortKeyRequiredError, UsageError
from afas_async.simulator import Simulator
from tests.support.own_connectors import ARTICLES, LINES


async def test_deleted_keys() -> None:
    """Keys without a row come in the given order; a key with a row never comes."""
    async with Simulator(rows=3_000) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        known = [f"{number:06}" for number in range(3_000, 0, -1)]
        assert await afas.deleted_keys(ARTICLES, known) == []
        sim.store.execute("DELETE FROM Profit_Article WHERE ItemCode IN ('000001', '001000', '003000')")
        assert await afas.deleted_keys(ARTICLES, iter([*known, "x"])) == ["003000", "001000", "000001", "x"]
        lines = GetConnector("Profit_JournalLines", key=("UnitId", "EntryNo", "LineNo"))
        rows = await afas.rows(lines).to_list()
        keys = [(row["UnitId"], row["EntryNo"], row["LineNo"]) for row in rows]
        assert await afas.deleted_keys(lines, [(0, 0, 0), *keys]) == [(0, 0, 0)]
        where = F.ItemCode <= "000003"
        assert await afas.deleted_keys(ARTICLES, ["000003", "000004"], where=where) == ["000004"]


async def test_known_keys_of_another_type() -> None:
    """Keys of a type that never matches are refused: all of them would be reported as deleted."""
    async with Simulator(rows=300) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        for known in ([1, 2], ["000001", 2], [("000001",)]):
            with pytest.raises(UsageError, match="like those of the rows, such as '000001'"):
                await afas.deleted_keys(ARTICLES, known)
        assert await afas.deleted_keys(ARTICLES, []) == []


async def test_known_keys_that_are_none() -> None:
    """A single text is refused, as each of its letters would be a key; lists have to be tuples."""
    async with Simulator(rows=300) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        for known in ("000001", [["000001"]]):
            with pytest.raises(UsageError, match="known"):
                await afas.deleted_keys(ARTICLES, known)  # type: ignore[arg-type]


async def test_rows_and_what_is_gone_in_one_read() -> None:
    """One pass brings the rows, and at its end the keys without a row; before the end those are unknown."""
    async with Simulator(rows=3_000) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        sent = len(sim.requests)
        async with afas.rows(ARTICLES, known_keys=["000001", "x", "003000", "003001"]) as rows:
            assert (await anext(rows))["ItemCode"] == "000001"
            with pytest.raises(UsageError, match="read all rows first"):
                _ = rows.deleted_keys
            assert len(await rows.to_list()) == 2_999
        assert rows.deleted_keys == ["x", "003001"]
        both = len(sim.requests) - sent
        await afas.rows(ARTICLES).to_list()
        assert len(sim.requests) - sent - both >= both - 1
        lines = afas.rows(LINES, known_keys=[(0, 0, 0)])
        assert await lines.to_list()
        assert lines.deleted_keys == [(0, 0, 0)]


async def test_reads_that_cannot_tell_what_is_gone() -> None:
    """A read that leaves rows out would report them as deleted: it is refused before a request."""
    async with Simulator(rows=30) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        rows = afas.rows(ARTICLES)
        await anext(rows)
        part = (await afas.plan(ARTICLES, parts=2))[0]
        sent = len(sim.requests)
        for options in (
            {"after": rows.cursor},
            {"part": part},
            {"order_by": "-ItemCode"},
            {"verify": False},
            {"take": -1},
        ):
            with pytest.raises(UsageError, match="known_keys= needs a whole read"):
                afas.rows(ARTICLES, known_keys=["1"], **options)
        with pytest.raises(UsageError, match="give rows"):
            _ = afas.rows(ARTICLES).deleted_keys
        assert len(sim.requests) == sent
        with pytest.raises(SortKeyRequiredError, match="it has ItemCode"):
            await afas.deleted_keys(GetConnector("Profit_Article"), ["1"])
