"""The rows of a connector as a stream."""

from __future__ import annotations

from afas_async import AfasClient, GetConnector
from afas_async.simulator import Simulator

ARTICLES = GetConnector("Profit_Article", key="ItemCode")


async def test_all_rows_arrive_in_key_order(afas: AfasClient, simulator: Simulator) -> None:
    """A read delivers every row of the table exactly once, in the order of the key."""
    codes = [row["ItemCode"] async for row in afas.rows(ARTICLES)]
    assert codes == [code for (code,) in simulator.store.execute("SELECT ItemCode FROM Profit_Article ORDER BY 1")]
