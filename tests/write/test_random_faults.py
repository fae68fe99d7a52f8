"""Thousands of writes under random faults: each reported outcome agrees with what the service did."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import os
import random
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from afas_async import (
    AfasClient,
    AfasError,
    ApiError,
    OutcomeUnknownError,
    RateLimitError,
    TransportError,
    UnavailableError,
)
from afas_async.errors import AnswerLostError
from afas_async.policy.retrying import Retry, retry_write
from afas_async.policy.verdicts import Attempt
from afas_async.wire.write_answers import Answer, Body
from tests.support import canary
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.read_table import End, Fault, chunk, client, end, framed, head
from tests.support.thoroughness import by_default
from tests.support.write_table import HTML, RESULT, profit, replies, says

WRITES = int(os.environ.get("AFAS_FAULT_WRITES", by_default("200", "500")))
CONTROLS = by_default(60, 300)
WORKERS = 8
QUIET = 2_000.0  # seconds after which nothing is under way any more


def late(seconds: float, fault: Fault) -> Fault:
    async def answer(connection: Connection, received: Received) -> None:
        await asyncio.sleep(seconds)
        await fault(connection, received)

    return answer


CUT: list[tuple[str, bytes, End]] = [
    (f"{what}, {how}", sent, how)
    for how in ("fin", "rst")
    for what, sent in {
        "no answer": b"",
        "100 continue": b"HTTP/1.1 100 Continue\r\n\r\n",
        "half a head": b"HTTP/1.1 201 Created\r\nConte",
        "garbage": b"\x00\x01garbage\r\n\r\n",
    }.items()
]
LOCKED = replies(500, profit("Vergrendeld door een andere gebruiker"))

# Faults that leave the outcome open: the write may have been applied, or be applied much later.
VAGUE: dict[str, Fault] = {
    **{name: says(sent, how) for name, sent, how in CUT},
    "silence": late(QUIET, says(b"", "fin")),
    "silence within the head": says(b"HTTP/1.1 201 Created\r\n", "hold"),
    "too late": late(961, says(framed(RESULT))),
    "500 HTML": replies(500, HTML),
    "500 empty": replies(500),
    "500 cut": says(framed(profit("no"), status="500 Reason")[:-9], "fin"),
    "out of time": late(900, replies(500, profit("The maximum duration has been exceeded"))),
    "out of memory": replies(500, profit("Out of memory")),
    "200 HTML": replies(200, HTML),
    "200 with a refusal": replies(200, profit("Het veld is verplicht")),
    "202": replies(202, RESULT),
    "302": replies(302, b"", "Location: /rest/connectors/X"),
    "408": replies(408),
    "502": replies(502, HTML),
    "504": replies(504),
    "503 bare": replies(503),
    "503 with a senseless wait": replies(503, b'{"retry_after":"x"}'),
}
# Responses after the work.
DONE: dict[str, Fault] = {
    "201 cut": says(framed(RESULT)[:-9], "fin"),
    "201 reset": says(framed(RESULT)[:-9], "rst"),
    "201 without its body": says(head("Content-Length: 40"), "fin"),
    "201 without an end": says(head("Transfer-Encoding: chunked") + chunk(RESULT), "hold"),
    "201 cut in gzip": says(framed(gzip.compress(RESULT)[:-5], "Content-Encoding: gzip")),
    "201 in an unasked encoding": says(framed(RESULT, "Content-Encoding: br")),
    "201 late": late(600, says(framed(RESULT))),
    "201 empty": replies(201),
    "204": says(b"HTTP/1.1 204 No Content\r\n\r\n"),
}
# Responses in place of the work.
REFUSED: dict[str, Fault] = {
    "refused": replies(500, profit("Het veld is verplicht")),
    "refused late": late(800, replies(500, profit("Het veld is verplicht"))),
    "locked": LOCKED,
    "locked, in English": replies(500, profit("The record is locked by user X")),
    "400": replies(400, b'{"message":"Invalid json"}'),
    "401": replies(401),
    "404": replies(404),
    "413": replies(413),
    "429": replies(429),
    "429 with a wait": replies(429, b"", "Retry-After: 3"),
    "503 with a wait": replies(503, b'{"retry_after":5}'),
    "503 with a long wait": replies(503, b"", "Retry-After: 7200"),
}
FAULTS = {"vague": VAGUE, "done": DONE, "refused": REFUSED}
BEFORE = [
    "connection refused",
    "no answer to the connection",
    "closed when accepted",
    "reset when accepted",
    "reset within the request",
]


class Service(RawServer):
    """Counts the writes that it applies, and has faults.

    Args:
        chance: Draws them.
        kinds: What there is to be drawn for a write that arrived.

    Attributes:
        applied: How often each write was applied.
        faults: How many of each kind there were.
    """

    def __init__(self, chance: random.Random, kinds: Sequence[str]) -> None:
        super().__init__(self._serve_one, on_connect=self._accept)
        self.applied: Counter[int] = Counter()
        self.faults: Counter[str] = Counter()
        self._chance = chance
        self._due: dict[str, float] = {}
        self._kinds = kinds
        self._decks: dict[str, list[str]] = {kind: [] for kind in FAULTS}

    def is_to_fail(self, name: str, share: float) -> bool:
        """Decide whether a fault of this kind happens, and count it: as often as its share, from a random start."""
        due = self._due.get(name, self._chance.random()) + share
        happens = due >= 1
        self._due[name] = due - happens
        self.faults[name] += happens
        return happens

    async def _accept(self, connection: Connection) -> None:
        if self.is_to_fail("closed when accepted", 0.02):
            await end(connection, "fin")
        elif self.is_to_fail("reset when accepted", 0.02):
            await end(connection, "rst")
        elif self.is_to_fail("reset within the request", 0.02):
            await connection.reader.read(self._chance.randrange(1, 300))
            await end(connection, "rst")
        else:
            return
        raise ConnectionAbortedError

    async def _serve_one(self, connection: Connection, received: Received) -> None:
        number = _number(received)
        await asyncio.sleep(self._chance.choice([0, 0, 0.1, 5]))
        kind = self._chance.choice(self._kinds)
        if kind == "fine":
            self.applied[number] += 1
            await connection.answer(RESULT, status=201)
            return
        deck = self._decks[kind]  # so that each fault comes as often as the others of its kind
        if not deck:
            deck += self._chance.sample(list(FAULTS[kind]), len(FAULTS[kind]))
        name = deck.pop()
        self.faults[name] += 1
        when = self._chance.choice(["before", "after", "never"]) if kind == "vague" else kind
        if when in {"before", "done"}:
            self.applied[number] += 1
        await FAULTS[kind][name](connection, received)
        if when == "after":
            await asyncio.sleep(self._chance.uniform(0, 900))
            self.applied[number] += 1


def _number(received: Received) -> int:
    if received.method == "DELETE":
        return int(received.target.rpartition("/")[2])
    element = json.loads(received.body)["KnSubject"]["Element"]
    return int(element["Fields"]["Nr"] if received.method == "POST" else element["@Nr"])


async def _write(afas: AfasClient, chance: random.Random, number: int) -> str:
    """Write once, and return the outcome that a caller sees."""
    match chance.randrange(3):
        case 0:
            write = afas.insert("KnSubject", {"Nr": number, "Ds": "x" * chance.choice([1, 1_000])})
        case 1:
            write = afas.update("KnSubject", {"@Nr": str(number), "Ds": "x"})
        case _:
            write = afas.delete("KnSubject", key={"Nr": number})
    patience = chance.choice([*[None] * 30, 0.05, 4, 100])
    try:
        async with asyncio.timeout(patience):
            result = await write
    except OutcomeUnknownError:
        return "unknown"
    except TransportError as error:
        return "not_sent" if error.sent == "no" else "nothing, against the promise"
    except (RateLimitError, UnavailableError):
        return "not_sent"
    except AfasError:
        return "rejected"
    except TimeoutError:
        return "cancelled"
    return "result lost" if result.result_lost else "applied"


async def run(monkeypatch: pytest.MonkeyPatch, writes: int, kinds: Sequence[str]) -> tuple[Service, dict[int, str]]:
    """Write so many times under random faults, and return the actual and the reported outcomes."""
    chance = random.Random(5)  # noqa: S311
    said: dict[int, str] = {}
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect

    async def sock_connect(*address: Any) -> None:
        if service.is_to_fail("connection refused", 0.05):
            raise ConnectionRefusedError
        if service.is_to_fail("no answer to the connection", 0.02):
            await asyncio.sleep(QUIET)
        await connect(*address)

    async def work(afas: AfasClient) -> None:
        while (number := len(said)) < writes:
            said[number] = "under way"
            view = afas.with_options(timeout=chance.choice([1, 30, 300]), max_retries=chance.choice([0, 3]))
            said[number] = await _write(view, chance, number)

    async with Service(chance, kinds) as service:
        with monkeypatch.context() as patch:
            patch.setattr(loop, "sock_connect", sock_connect)
            patch.setattr("afas_async.http.auth.REFUSED_SECONDS", 0)  # or nothing is sent for a minute after a 401
            async with client(service, max_concurrency=WORKERS) as afas:
                await asyncio.gather(*(work(afas) for _ in range(WORKERS)))
        await asyncio.sleep(QUIET)
    return service, said


def contradictions(service: Service, said: dict[int, str]) -> list[str]:
    """Return the differences between reported and actual outcomes."""
    allowed = {
        "applied": {1},
        "result lost": {1},
        "rejected": {0},
        "not_sent": {0},
        "unknown": {0, 1},
        "cancelled": {0, 1},
    }
    return [
        f"write {number} was {verdict}, and applied {service.applied[number]} times"
        for number, verdict in said.items()
        if service.applied[number] not in allowed.get(verdict, ())
    ]


@pytest.fixture(autouse=True)
def short_of_words(watch: canary.Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the canary from collecting the logs of thousands of writes."""
    for name in ("afas_async", "asyncio"):
        monkeypatch.setattr(logging.getLogger(name), "disabled", True)
    monkeypatch.setattr(watch, "errors", deque[AfasError](maxlen=1_000))


@pytest.mark.timeout(3_600)
async def test_verdicts_agree_with_the_service(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Applied is there once; rejected and not sent are absent; unknown is either; nothing is ever there twice."""
    service, said = await run(monkeypatch, WRITES, ["fine", "fine", "vague", "done", "refused"])
    verdicts, injected = Counter(said.values()), service.faults.total()
    with capsys.disabled():
        print(f"\n{WRITES:,} writes, {len(service.requests):,} requests, {injected:,} faults: {dict(verdicts)}")  # noqa: T201
    assert contradictions(service, said) == []
    assert len(said) == verdicts.total() == WRITES
    assert injected > WRITES / 2
    assert {name for name, count in service.faults.items() if count} == {*VAGUE, *DONE, *REFUSED, *BEFORE}
    assert (
        min(verdicts[verdict] for verdict in ("applied", "result lost", "rejected", "not_sent", "unknown"))
        > WRITES / 200
    )


# --- the harness finds wrong designs ---


def _believes_lost_answers(failures: list[AfasError], attempt: Attempt, **options: Any) -> Retry | None:
    return Retry(1.0) if isinstance(failures[-1], AnswerLostError) else retry_write(failures, attempt, **options)


def _believes_every_503(failures: list[AfasError], attempt: Attempt, **options: Any) -> Retry | None:
    last = failures[-1]
    is_503 = isinstance(last, ApiError) and last.status == 503
    return Retry(1.0) if is_503 else retry_write(failures, attempt, **options)


def _believes_every_2xx(_: bytes, **__: Any) -> Answer:
    return Answer(Body.EMPTY)


def _believes_that_it_failed(_: Attempt, __: AfasError) -> str:
    return "rejected"


def _believes_that_it_was_not_sent(_: Attempt, __: AfasError) -> str:
    return "not_sent"


WRONG: dict[str, Callable[..., Any]] = {
    "retry_write": _believes_lost_answers,
    "retry_write ": _believes_every_503,
    "failed": _believes_that_it_failed,
    "failed ": _believes_that_it_was_not_sent,
    "read_answer": _believes_every_2xx,
}


@pytest.mark.sampled(3)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", WRONG)
async def test_wrong_designs_are_found(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The same harness contradicts designs that believe too much."""
    monkeypatch.setattr(f"afas_async.calls.write.{name.strip()}", WRONG[name])
    service, said = await run(monkeypatch, CONTROLS, ["vague"])
    assert contradictions(service, said)
