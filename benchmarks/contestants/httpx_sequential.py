"""httpx, one page after the other."""

from __future__ import annotations

import httpx

from afas_async import AppToken
from benchmarks.task import Tally, Task


def read(task: Task, tally: Tally) -> None:
    """Read until a page is empty."""
    with httpx.Client(headers={"Authorization": AppToken(task.token).header()}, timeout=300) as client:
        skip = 0
        while True:
            response = client.get(task.url, params={"skip": skip, "take": task.take or 1_000})
            response.raise_for_status()
            rows = response.json()["rows"]
            if not rows:
                break
            tally.add(rows)
            skip += len(rows)
