"""The forms that the response to a write takes, the moment that a row shows for it, and the cost of many writes."""

from __future__ import annotations

import json
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from afas_async.simulator import Rules, Simulator
from afas_async.simulator.storage.store import Store
from afas_async.simulator.write.updates import Updates
from tests.support.raw_writes import ARTICLE, elements, send
from tests.support.thoroughness import by_default

SUBJECT = "connectors/KnSubject"
ONE = elements("KnSubject", {"StId": 1})
TWO = elements("KnSubject", {"StId": 1}, {"StId": 2})
FIRST, SECOND = {"SbId": "6"}, {"SbId": "7"}


@pytest.mark.parametrize(
    ("rules", "body", "answer"),
    [
        (Rules(), ONE, {"results": {"KnSubject": FIRST}}),
        (Rules(), TWO, {"results": {"KnSubject": [FIRST, SECOND]}}),
        (Rules(list_of_one="list"), ONE, {"results": {"KnSubject": [FIRST]}}),
        (Rules(list_of_one="list"), TWO, {"results": {"KnSubject": [FIRST, SECOND]}}),
        (Rules(results="bare"), ONE, {"KnSubject": FIRST}),
        (Rules(results="bare"), TWO, {"KnSubject": [FIRST, SECOND]}),
        (Rules(results="first", list_of_one="list"), TWO, {"results": {"KnSubject": FIRST}}),
        (Rules(results="empty"), TWO, None),
    ],
    ids=str,
)
@pytest.mark.parametrize("status", [200, 201])
async def test_answers(rules: Rules, body: bytes, answer: Any, status: Any) -> None:
    """A response has all keys, the first or none, in a wrapper or bare, with either status of a success."""
    rules = Rules(results=rules.results, list_of_one=rules.list_of_one, written=status)
    async with Simulator(rows=5, rules=rules) as simulator:
        reply = await send(simulator, "POST", SUBJECT, body)
        assert reply.status == status
        assert (reply.json if reply.body else None) == answer
        assert simulator.store.count("Profit_Subjects") == 5 + body.count(b"StId")
        reply = await send(simulator, "PUT", SUBJECT, elements("KnSubject", {"SbId": 6}))
        assert (reply.status, reply.body == b"") == (status, answer is None)
        delete = await send(simulator, "DELETE", f"{SUBJECT}/KnSubject/@SbId/6")
        assert (delete.status, delete.body) == (200, b"")


async def test_a_connector_that_returns_no_key_can_be_told_to() -> None:
    """The rule holds for all connectors, whatever each of them does by default."""
    async with Simulator(rows=5, rules=Rules(results="wrapped")) as simulator:
        reply = await send(simulator, "PUT", ARTICLE, elements("FbItemArticle", {"ItCd": "000001"}))
        assert reply.json == {"results": {"FbItemArticle": {"ItCd": "000001"}}}


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        (datetime(2026, 1, 31, 23, 30, 15, 999, tzinfo=UTC), "2026-02-01T00:30:15Z"),
        (datetime(2026, 7, 1, 12, tzinfo=UTC), "2026-07-01T14:00:00Z"),
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "2026-10-25T02:30:00Z"),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "2026-10-25T02:30:00Z"),
        (datetime(2026, 10, 25, 2, 30), "2026-10-25T02:30:00Z"),  # noqa: DTZ001 (wall time)
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_the_moment_of_a_write(simulator: Simulator, moment: datetime, shown: str, method: str) -> None:
    """A row that is written has the time of the simulator's clock as the wall clock in Amsterdam shows it."""
    simulator.clock = lambda: moment
    code = "000007" if method == "PUT" else "N1"
    assert (await send(simulator, method, ARTICLE, elements("FbItemArticle", {"ItCd": code, "Ds": "x"}))).status == 201
    row = (await send(simulator, "GET", f"connectors/Profit_Article/ItemCode/{code}")).rows[0]
    assert row["ModifiedOn"] == shown
    others = "SELECT count(*) FROM Profit_Article WHERE ModifiedOn = ?"
    assert simulator.store.execute(others, (shown,)) == [(1,)]


async def test_the_clock_is_the_real_one(simulator: Simulator) -> None:
    """By default the moment is now."""
    moment = simulator.clock()
    assert moment.tzinfo is None
    assert timedelta(hours=0.9) < moment - datetime.now(UTC).replace(tzinfo=None) < timedelta(hours=2.1)
    await send(simulator, "PUT", "connectors/KnEmployee", elements("AfasEmployee", {"EmId": "E00002"}))
    (shown,) = simulator.store.execute("SELECT ModifiedOn FROM Profit_Employees WHERE EmployeeId = 'E00002'")[0]
    assert timedelta() <= datetime.fromisoformat(shown).replace(tzinfo=None) + timedelta(seconds=1) - moment


def test_large_loads() -> None:
    """Writing takes no longer for the last of many elements: a load of 100,000 is a matter of seconds."""
    with closing(Store(0, 1)) as store:
        updates = Updates(store, Rules())
        subjects, entries = store.updates["KnSubject"], store.updates["FiEntries"]
        line = {"Fields": {"AcNr": "01000", "AmDe": "1.00"}}
        entry = {"Fields": {"UnId": 1, "JoCo": "70"}, "Objects": {"FiEntries": {"Element": [line] * 20}}}
        started = time.process_time()
        subject_calls, entry_calls = by_default((10, 3), (40, 10))
        for _ in range(subject_calls):
            updates.write(subjects, "POST", elements("KnSubject", *[{"StId": 1, "Ds": "x"}] * 500)).carry_out()
        body = json.dumps({"FiEntryPar": {"Element": [entry] * 100}}).encode()
        for _ in range(entry_calls):
            updates.write(entries, "POST", body).carry_out()
        assert time.process_time() - started < by_default(3, 12)  # about a tenth of that
        counts = store.count("Profit_Subjects"), store.count("Profit_JournalLines")
        assert counts == (500 * subject_calls, 2_000 * entry_calls)
