"""This library loads elements."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from afas_async import AfasClient
from benchmarks.task import Tally, Task

TARGET_SECONDS = 1.0


async def read(task: Task, tally: Tally) -> None:
    """Load dossier items in batches, and fail unless all are applied. Like the opponent, it does not validate them.

    The variant "journal" records each call on disk.
    """
    with TemporaryDirectory() as folder:
        journal = Path(folder) / "journal" if task.variant == "journal" else None
        options: dict[str, Any] = {"in_flight": task.window, "target_seconds": TARGET_SECONDS, "journal": journal}
        async with (
            AfasClient(base_url=task.base_url, auth=task.token, max_concurrency=task.window) as afas,
            afas.load("KnSubject", validate=False, **options) as load,
        ):
            for number in range(task.rows):
                await load.add({"StId": 1, "Ds": f"Offerte {number}"})
    load.report.raise_for_failures()
    tally.rows = load.report.counts["applied"]
