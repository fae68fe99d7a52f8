"""Writes that get an error status: rows 25 and 56 to 70 of the fault matrix."""

from __future__ import annotations

import base64
import gzip
from typing import Any

import pytest

from afas_async import (
    AfasError,
    ApiError,
    AuthenticationError,
    BadRequestError,
    BusinessError,
    LockedError,
    NotFoundError,
    OutcomeUnknownError,
    PayloadTooLargeError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    UnavailableError,
)
from tests.support.read_table import client, framed
from tests.support.write_table import (
    HTML,
    WRITES,
    Case,
    Desk,
    after,
    every_method,
    meets,
    mends,
    profit,
    replies,
    says,
    table_of,
    write,
)

MANDATORY = "Het veld is verplicht"
LOCKED = ["Het dossier is vergrendeld door JAN", "The record is LOCKED by user X", "Transaction was a Deadlock victim"]
OUT_OF_TIME = [
    "De maximale tijdsduur is verstreken",
    "The maximum duration has been exceeded",
    "Command timeout expired.",
]
OUT_OF_MEMORY = ["System.OutOfMemory: Out of memory", "Out of String space"]


def refused(name: str, status: int, error: type[AfasError], body: bytes = b"", *headers: str) -> Case:
    """Return the case of a response that says that nothing was applied."""
    return Case(f"{status}{name}", replies(status, body, *headers), "rejected", 1, error)


def vague(name: str, status: int, body: bytes = b"", *headers: str) -> Case:
    """Return the case of a response that leaves open whether anything was applied."""
    return Case(f"{status}{name}", replies(status, body, *headers), "unknown", 1, OutcomeUnknownError)


REFUSED = [
    *(refused("", status, BadRequestError) for status in (400, 405, 406, 411, 414, 415, 431)),
    refused(" with a body", 400, BadRequestError, b'{"message":"Invalid json"}'),
    refused("", 401, AuthenticationError),
    refused(" with a stated wait", 401, AuthenticationError, b"", "Retry-After: 1"),
    refused("", 403, PermissionDeniedError),
    refused("", 404, NotFoundError),
    refused(" HTML", 404, NotFoundError, HTML),
    refused("", 413, PayloadTooLargeError),
    *(refused("", status, ApiError) for status in (402, 409, 410, 418, 422, 451)),
    *(refused("", status, ServerError) for status in (501, 505)),
    refused(" business message", 500, BusinessError, profit(MANDATORY)),
    refused(" unlisted transient-looking", 500, BusinessError, profit("Try again later")),
    refused(" no message", 500, BusinessError, profit("")),
    refused(" message only", 500, BusinessError, b'{"externalMessage":"Het veld is verplicht"}'),
    refused(" reference only", 500, BusinessError, b'{"profitLogReference":"REF"}'),
    refused(" mark before the JSON", 500, BusinessError, b"\xef\xbb\xbf" + profit(MANDATORY)),
    refused(" stated wait in a refusal", 500, BusinessError, profit(MANDATORY), "Retry-After: 1"),
    refused(" text about locks in a 400", 400, BadRequestError, profit(LOCKED[0])),
]

VAGUE = [
    *(vague("", status) for status in (300, 301, 304, 399, 408, 502, 504, 520, 524, 599)),
    vague(" with a stated wait", 408, b"", "Retry-After: 1"),
    vague(" with a stated wait", 502, b"", "Retry-After: 1"),
    vague(" with a stated wait", 500, b"", "Retry-After: 1"),
    vague(" with Profit's JSON", 502, profit(MANDATORY)),
    vague(" HTML", 500, HTML),
    vague(" empty", 500),
    vague(" truncated JSON", 500, profit(MANDATORY)[:30]),
    vague(" other JSON", 500, b'{"message":"no"}'),
    vague(" JSON, no object", 500, b'["externalMessage"]'),
    vague(" text about locks, not Profit's", 500, b'{"message":"locked by another user"}'),
    vague(" HTML about locks", 500, b"<p>locked by another user</p>"),
    vague("", 503),
    vague(" HTML", 503, HTML),
    vague(" with Profit's JSON", 503, profit(MANDATORY)),
    *(vague(f" {message}", 500, profit(message)) for message in OUT_OF_TIME + OUT_OF_MEMORY),
]


@pytest.mark.sampled(4)
@table_of(REFUSED)
@every_method
async def test_refused(case: Case, method: str) -> None:
    """A refusal is the error of its status; the write reaches the server once."""
    found = await meets(case, method)
    assert (found.refusal.status, found.refusal.connector, found.refusal.attempts) == (
        int(case.name[:3]),
        "KnSubject",
        1,
    )
    assert found.seconds < 10


@pytest.mark.sampled(4)
@table_of(VAGUE)
@every_method
async def test_vague(case: Case, method: str) -> None:
    """A response from a proxy, or from outside Profit, leaves open what Profit did: unknown, and sent once."""
    found = await meets(case, method)
    assert found.unknown.stage == "answered"
    assert found.seconds < 10


async def test_facts_of_a_refusal() -> None:
    """A refusal carries what the service says: message, number, and the reference for the administrator."""
    found = await meets(refused("", 500, BusinessError, profit("Veld é is\x1b verplicht")))
    refusal = found.refusal
    assert (refusal.message, refusal.error_number, refusal.log_reference) == ("Veld é is\\u001b verplicht", 30, "REF")
    assert "REF" in str(refusal)


async def test_reason_of_an_unknown_outcome() -> None:
    """The error of an unknown outcome has the service's message too."""
    found = await meets(vague("", 500, profit(OUT_OF_TIME[1])))
    assert OUT_OF_TIME[1] in found.unknown.reason
    assert "REF" in found.unknown.reason


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("header", "message"),
    [
        (base64.b64encode("Veld é is verplicht".encode()).decode(), "Veld é is verplicht"),
        (base64.b64encode("Veld é is verplicht".encode("cp1252")).decode(), "Veld é is verplicht"),
        ("No base64 at all!", "No base64 at all!"),
        (base64.b64encode(b"x" * 9_000).decode(), "x" * 1_997 + "..."),
        (base64.b64encode(b"x" * 45_000).decode(), "x" * 1_997 + "..."),
    ],
    ids=["utf-8", "cp1252", "plain", "12 kB", "60 kB"],
)
@every_method
async def test_refusal_in_the_old_header(header: str, message: str, method: str) -> None:
    """Without a body, the obsolete error header states that and why Profit refused."""
    found = await meets(refused("", 500, BusinessError, b"", f"X-Profit-Error: {header}"), method)
    assert found.refusal.message == message


async def test_refusal_in_gzip() -> None:
    """A refusal is read from a gzip body too."""
    fault = says(framed(gzip.compress(profit(MANDATORY)), "Content-Encoding: gzip", status="500 Reason"))
    assert (await meets(Case("", fault, "rejected", 1, BusinessError))).refusal.log_reference == "REF"


@pytest.mark.parametrize("how", ["fin", "rst", "hold"])
async def test_refusal_cut_off(how: Any) -> None:
    """A refusal that was cut too short does not count, unless its status alone is enough."""
    body = profit(MANDATORY)
    for status, verdict in ((500, "unknown"), (401, "rejected"), (400, "rejected"), (502, "unknown")):
        found = await meets(Case("", says(framed(body, status=f"{status} Reason")[:-20], how), verdict))  # type: ignore[arg-type]
        assert found.seconds < 10


TARGETS = ["{base}/elsewhere", "/rest/x", "{other}/rest/connectors/X", "file:///etc/passwd", "//u:p@x.y/", ""]


@pytest.mark.sampled(3)
@every_method
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects(method: str, status: int) -> None:
    """A redirect is never followed: no other server gets the write, and no other response is taken for its own."""
    for target in TARGETS:
        async with Desk() as other, Desk() as server:
            location = target.format(base=server.base_url, other=other.base_url)
            server.fault = replies(status, b"", *([f"Location: {location}"] if location else []))
            found = await write(server, method)
            assert (found.verdict, len(found.requests), other.connections) == ("unknown", 1, 0), target
            assert "redirect" in found.unknown.reason


# --- locks ---


@pytest.mark.sampled(3)
@pytest.mark.parametrize("message", LOCKED)
@every_method
async def test_locked(message: str, method: str) -> None:
    """A lock is retried: three refusals, seconds apart, then the write is applied, once."""
    found = await mends(replies(500, profit(message)), times=3, method=method, max_retries=0)
    assert found.seconds >= 6


async def test_locked_for_ever() -> None:
    """A lock that stays is raised after nine requests, as a refusal."""
    found = await meets(Case("", replies(500, profit(LOCKED[0])), "rejected", 9, LockedError))
    assert (found.refusal.attempts, found.refusal.log_reference) == (9, "REF")


async def test_locked_for_longer_than_the_time_out() -> None:
    """The waits count towards the client's time-out; the service's own time does not."""
    async with Desk(after(100, replies(500, profit(LOCKED[0])))) as server:
        found = await write(server, timeout=10)
    assert found.verdict == "rejected"
    assert 2 <= len(found.requests) <= 5
    assert found.seconds < 10 + 100 * len(found.requests)


@pytest.mark.parametrize(
    ("second", "verdict"),
    [
        (says(b"", "rst"), "unknown"),
        (replies(500, HTML), "unknown"),
        (replies(401), "rejected"),
        (replies(503), "unknown"),
    ],
    ids=["reset", "500 HTML", "401", "503"],
)
async def test_the_last_attempt_counts(second: Any, verdict: str) -> None:
    """After a lock, the next attempt is a write like any other."""
    faults = iter([replies(500, profit(LOCKED[0])), second])

    async def next_fault(connection: Any, received: Any) -> None:
        await next(faults)(connection, received)

    async with Desk(next_fault) as server:
        found = await write(server)
    assert (found.verdict, len(found.requests)) == (verdict, 2)


# --- stated waits ---

HALF_A_MINUTE = ("Date: Wed, 21 Oct 2026 07:28:00 GMT", "Retry-After: Wed, 21 Oct 2026 07:28:30 GMT")
THE_PAST = ("Date: Wed, 21 Oct 2026 07:28:00 GMT", "Retry-After: Wed, 21 Oct 2026 07:27:30 GMT")
MAINTENANCE = b'{"error":{"code":"503","message":"Service temporarily unavailable"},"retry_after":20}'


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("headers", "body", "least", "most"),
    [
        (["Retry-After: 20"], b"", 20, 22.1),
        (["Retry-After: 0"], b"", 0, 1.1),
        (HALF_A_MINUTE, b"", 30, 33.1),
        (THE_PAST, b"", 0, 1.1),
        ([], b'{"retry_after": 1}', 1, 1.2),
        ([], MAINTENANCE, 20, 22.1),
    ],
)
async def test_stated_wait(status: int, headers: list[str], body: bytes, least: float, most: float) -> None:
    """A service that asks to wait did not process the write. After the wait it is sent again, and applied once."""
    found = await mends(replies(status, body, *headers))
    assert least <= found.seconds <= most


SENSELESS: list[tuple[list[str], bytes]] = [
    ([], b""),
    ([], b'{"retry_after": "x"}'),
    ([], b'{"retry_after": -1}'),
    (["Retry-After: soon"], b""),
    (["Retry-After: -5"], b""),
    (["Retry-After: 1e9"], b""),
]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("headers", "body"), SENSELESS)
@every_method
async def test_senseless_wait(headers: list[str], body: bytes, method: str) -> None:
    """429 alone means that nothing was processed. 503 means so only with a wait: it may come from a proxy."""
    found = await mends(replies(429, body, *headers), method=method)
    assert found.seconds < 1.1
    await meets(Case("", replies(503, body, *headers), "unknown"), method)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("status", "kind"), [(429, RateLimitError), (503, UnavailableError)])
@pytest.mark.parametrize("headers", [["Retry-After: 7200"], ["Retry-After: 300"], ["Retry-After: 1000000000"]])
@every_method
async def test_stated_wait_too_long(status: int, kind: type[ApiError], headers: list[str], method: str) -> None:
    """A stated wait that exceeds the remaining time raises at once: nothing was applied."""
    found = await meets(Case("", replies(status, b"", *headers), "not_sent", 1, kind), method)
    assert found.seconds < 1
    assert found.refusal.retry_after == float(headers[0].partition(": ")[2])


@pytest.mark.parametrize(("status", "kind"), [(429, RateLimitError), (503, UnavailableError)])
@pytest.mark.parametrize("max_retries", [0, 1, 3])
async def test_stated_wait_for_ever(status: int, kind: type[ApiError], max_retries: int) -> None:
    """A service that always asks to wait gets as many requests as the retries allow."""
    case = Case("", replies(status, b"", "Retry-After: 1"), "not_sent", max_retries + 1, kind)
    found = await meets(case, max_retries=max_retries)
    assert found.refusal.attempts == max_retries + 1


async def test_deleting_what_is_not_there() -> None:
    """Deleting a missing record raises its own error."""
    async with Desk(replies(404)) as server, client(server) as afas:
        with pytest.raises(NotFoundError):
            await WRITES["DELETE"](afas)
