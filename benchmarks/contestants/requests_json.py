"""Today's practice: one page after the other with requests, unsorted, into dicts."""

from __future__ import annotations

import requests

from afas_async import AppToken
from benchmarks.task import Tally, Task


def read(task: Task, tally: Tally) -> None:
    """Read until a page is empty."""
    with requests.Session() as session:
        session.headers["Authorization"] = AppToken(task.token).header()
        skip = 0
        while True:
            response = session.get(task.url, params={"skip": skip, "take": task.take})
            response.raise_for_status()
            rows = response.json()["rows"]
            if not rows:
                break
            tally.add(rows)
            skip += len(rows)
