"""The most common script: one POST for each record, one after the other."""

from __future__ import annotations

import requests

from afas_async import AppToken
from benchmarks.task import Tally, Task

SAMPLE = 40


def read(task: Task, tally: Tally) -> None:
    """Send the first records only: all of them would take half an hour."""
    url = f"{task.base_url}/connectors/KnSubject"
    with requests.Session() as session:
        session.headers["Authorization"] = AppToken(task.token).header()
        for number in range(min(SAMPLE, task.rows)):
            fields = {"StId": 1, "Ds": f"Offerte {number}"}
            session.post(url, json={"KnSubject": {"Element": {"Fields": fields}}}, timeout=960).raise_for_status()
            tally.rows += 1
