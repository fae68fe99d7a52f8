"""This library, loading."""

from __future__ import annotations

from afas_async import AfasClient
from benchmarks.task import Tally, Task

TARGET_SECONDS = 1.0


async def read(task: Task, tally: Tally) -> None:
    """Load dossier items in batches, without a check as the opponent has none; fail unless every one is applied."""
    async with (
        AfasClient(base_url=task.base_url, auth=task.token, max_concurrency=task.window) as afas,
        afas.load("KnSubject", in_flight=task.window, target_seconds=TARGET_SECONDS, validate=False) as load,
    ):
        for number in range(task.rows):
            await load.add({"StId": 1, "Ds": f"Offerte {number}"})
    load.report.raise_for_failures()
    tally.rows = load.report.counts["applied"]
