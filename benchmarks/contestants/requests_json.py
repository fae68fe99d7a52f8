"""Today's practice: one page after the other with requests, unsorted, into dicts."""

from __future__ import annotations

import requests

from afas_async import AppToken
from benchmarks.task import Tally, Task

SAMPLE = 20


def read(task: Task, tally: Tally) -> None:
    """Read until a page is empty; with the variant "sample" only twenty pages, spread evenly over the rows.

    On average they skip as many rows as all pages do, so a row costs as much as in the whole read, which takes long.
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
    """Return the skips of pages that stand for all: twenty from the middle of as many equal parts, or all if fewer."""
    pages = rows // take
    count = min(SAMPLE, pages)
    return [(2 * number + 1) * pages // (2 * count) * take for number in range(count)]
