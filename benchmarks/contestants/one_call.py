"""requests reads everything in one response, into a list."""

from __future__ import annotations

import requests

from afas_async import AppToken
from benchmarks.task import Tally, Task


def read(task: Task, tally: Tally) -> None:
    """Request skip=-1 and take=-1."""
    headers = {"Authorization": AppToken(task.token).header()}
    response = requests.get(task.url, params={"skip": -1, "take": -1}, headers=headers, timeout=900)
    response.raise_for_status()
    tally.add(response.json()["rows"])
