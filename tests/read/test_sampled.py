"""Sampled reads through the whole stream, over a table that changes between the responses."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections import Counter, deque
from collections.abc import Callable, Mapping

import pytest

from afas_async import AfasError, PagingError, UsageError
from tests.support import canary
from tests.support.memory_loop import run
from tests.support.sampled_read import Outcome, draw, read
from tests.support.table_service import Service
from tests.support.thoroughness import by_default
from tests.support.universe import KINDS, Kind, universe

RUNS = int(os.environ.get("AFAS_SAMPLED_RUNS", by_default("32", "100")))
PARTS = 4
CONTROLS = by_default(30, 60)
KIND_OF: Mapping[tuple[str, ...], Kind] = {universe(kind).key: kind for kind in KINDS}

pytestmark = pytest.mark.filterwarnings("ignore:.*strongly discourages")


@pytest.fixture(autouse=True)
def short_of_words(watch: canary.Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the canary from collecting the logs of thousands of reads."""
    monkeypatch.setattr(logging.getLogger("afas_async"), "disabled", True)
    monkeypatch.setattr(logging.getLogger("asyncio"), "disabled", True)
    monkeypatch.setattr(watch, "errors", deque[AfasError](maxlen=100))


class RefusedError(Exception):
    """A condition that leaves no room for a key, and whose rows cannot be read in another way."""


def sample(seed: int, *, verify: bool = True) -> tuple[Outcome, Service]:
    """Do one read that depends on nothing but the seed."""
    chance = random.Random(seed)  # noqa: S311
    query = draw(chance, verify=verify)
    service = Service(
        universe(KIND_OF[query.connector.key]),
        chance,
        cap=chance.choice([None, None, None, 2 if query.options["where"] is not None else 1, 2, 3, 7]),
        memory=chance.choice([None, None, None, 4, 9]) if query.options["take"] != -1 else None,
        faults=chance.choice([0, 0, 3, 6]),
        changes=chance.choice([0, 10, 40, 200]),
    )
    try:
        return run(read(chance, query, service)), service
    except (UsageError, PagingError) as error:
        order_lost = query.refusable and "cannot be brought into the order" in str(error)
        if not (order_lost or (service.cap == 1 and "one row at a time" in str(error))):
            raise
        raise RefusedError from None


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
def test_complete_once_in_order(part: int, record_property: Callable[[str, object], None]) -> None:
    """Every stable row comes exactly once, no key twice, in the promised order, and every read ends."""
    wrong: list[str] = []
    seen: Counter[str] = Counter()
    for seed in range(part, RUNS, PARTS):
        try:
            outcome, service = sample(seed)
        except RefusedError:
            seen["refused"] += 1
            continue
        except Exception as error:  # noqa: BLE001 - said with its seed
            wrong.append(f"seed {seed}: {error!r}")
            continue
        seen["requests"] += service.requests
        seen["rows"] += len(outcome.keys)
        seen["resumed"] += outcome.legs > 1
        assert service.peak <= 5
        if not outcome.right:
            wrong.append(f"seed {seed}: {outcome}")
    record_property("seen", dict(seen))
    assert wrong[:3] == []
    assert min(seen["requests"], seen["rows"]) > RUNS / PARTS
    assert seen["refused"] < RUNS / PARTS / 2


def test_plain_skip_and_take_fails() -> None:
    """The same harness finds fault with `verify=False`."""
    wrong = Counter[str]()
    for seed in range(CONTROLS):
        outcome, _ = sample(seed, verify=False)
        wrong["lost"] += bool(outcome.lost)
        wrong["doubled"] += bool(outcome.doubled)
    assert wrong["lost"] > CONTROLS / 20
    assert wrong["doubled"] > CONTROLS / 20


def test_a_hanging_read_is_noticed() -> None:
    """The harness does notice hanging reads: its loop raises an error for a wait that cannot end."""

    with pytest.raises(RuntimeError, match="hangs"):
        run(asyncio.Event().wait())
