"""Common practice: requests, one page after the other, unsorted, into dicts."""

from __future__ import annotations

import requests

from afas_async import AppToken
from benchmarks.task import Tally, Task

SAMPLE = 20


def read(task: Task, tally: Tally) -> None:
    """Read until a page is empty. The variant "sample" reads only twenty pages, spread evenly over the rows.

    On average they skip as many rows as all pages, so a row costs as much as in the whole read, which takes long.
    """
    with requests.Session() as session:
        session.headers["Authorization"] = AppToken(task.token).header()

        def page(skip: int) -> int:
            response = session.get(task.url, params={"skip": skip, "take": task.take})
            response.raise_for_status()
            rows = response.json()["rows"]
            tally.add(rows)
            return len(rows)

        if task.variant == "sample":
            for skip in sample(task.rows, task.take or 1):
                page(skip)
            return
        skip = 0
        while rows := page(skip):
            skip += rows


def sample(rows: int, take: int) -> list[int]:
    """Return the skips of twenty representative pages: the middle of each twentieth. Fewer pages are all returned."""
    pages = rows // take
    count = min(SAMPLE, pages)
    return [(2 * number + 1) * pages // (2 * count) * take for number in range(count)]
