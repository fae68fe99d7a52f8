"""Which failed reads are sent again, how often, and after which wait."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from afas_async import errors
from afas_async.errors import AfasError
from afas_async.policy.retrying import Retry, retry_read
from afas_async.wire.error_answers import error_for
from tests.support.each_case import each_case

C = "Profit_Article"


def api(status: int, message: str = "no message", *, wait: float | None = None) -> errors.ApiError:
    """Return the error of a status, as it is without Profit's shape."""
    kinds: dict[int, type[errors.ApiError]] = {
        400: errors.BadRequestError,
        401: errors.AuthenticationError,
        403: errors.PermissionDeniedError,
        404: errors.NotFoundError,
        413: errors.PayloadTooLargeError,
        429: errors.RateLimitError,
        503: errors.UnavailableError,
    }
    kind = kinds.get(status, errors.ServerError if status >= 500 else errors.ApiError)
    return kind(message, status=status, connector=C, retry_after=wait)


def refused(message: str) -> errors.ApiError:
    """Return the error that stands for Profit's own refusal."""
    body = json.dumps({"externalMessage": message, "profitLogReference": "AB"}).encode()
    return error_for(500, {}, body, connector=C)


LOST = errors.AnswerLostError("cut", connector=C)
UNREACHED = errors.ConnectError("refused", connector=C)
BROKEN = errors.AnswerError("HTML", connector=C, damaged=True)
BAD_GATEWAY = api(502)
LOCKED = refused("The record is locked by another user.")
FULL = refused("Out of memory")
SLOW = refused("The maximum duration for performing the assignment has been exceeded.")


def retry(*failures: AfasError, max_retries: int = 3, jitter: float = 0.5) -> Retry | None:
    return retry_read(failures, max_retries=max_retries, jitter=jitter)


# --- final failures ---


@each_case(
    "failure",
    [
        pytest.param(errors.QueryTooLongError("x", length=3_000, limit=2_048), id="query too long"),
        pytest.param(errors.InvalidNameError("x"), id="bad name"),
        pytest.param(errors.ClientClosedError("x"), id="closed"),
        pytest.param(errors.ConfigurationError("x"), id="configuration"),
        pytest.param(errors.ConnectError("x", connector=C, permanent=True), id="certificate, proxy authentication"),
        pytest.param(errors.RequestTimeoutError("x", connector=C, seconds=300), id="whole time-out"),
        pytest.param(errors.RowError("x", connector=C, page=0, index=0, path="$"), id="row"),
        pytest.param(errors.PagingError("x", connector=C, page=0), id="paging"),
        pytest.param(errors.AnswerError("x", connector=C), id="not as documented"),
        pytest.param(api(301), id="301"),
        pytest.param(api(302), id="302"),
        pytest.param(api(304), id="304"),
        pytest.param(api(307), id="307"),
        pytest.param(api(308), id="308"),
        pytest.param(api(400), id="400"),
        pytest.param(api(401), id="401"),
        pytest.param(api(403), id="403"),
        pytest.param(api(404), id="404"),
        pytest.param(api(405), id="405"),
        pytest.param(api(418), id="418"),
        pytest.param(api(501), id="501"),
        pytest.param(api(505), id="505"),
        pytest.param(refused("Connector field 'X' not found"), id="ordinary refusal"),
        pytest.param(refused(""), id="refusal without a message"),
        pytest.param(refused("This GetConnector (definition) is blocked"), id="blocked connector"),
    ],
)
def test_final(failure: AfasError) -> None:
    """A failure that a retry cannot fix, or could make worse, is final at once."""
    assert retry(failure) is None


# --- retried failures ---

TRANSIENT = [
    pytest.param(UNREACHED, id="no connection"),
    pytest.param(LOST, id="answer lost"),
    pytest.param(api(408), id="408"),
    pytest.param(api(429), id="429"),
    pytest.param(api(500), id="500 without Profit's shape"),
    pytest.param(BAD_GATEWAY, id="502"),
    pytest.param(api(503), id="503"),
    pytest.param(api(504), id="504"),
    pytest.param(api(520), id="520"),
]


@each_case("failure", TRANSIENT)
@each_case("max_retries", [0, 1, 3, 7])
def test_attempts(failure: AfasError, max_retries: int) -> None:
    """A transient fault is retried as often as retries are permitted, after the first attempt, and no more."""
    decisions = [retry(*[failure] * count, max_retries=max_retries) for count in range(1, max_retries + 3)]
    assert [decision is not None for decision in decisions] == [True] * max_retries + [False, False]


@pytest.mark.parametrize("failure", TRANSIENT)
def test_nothing_smaller_or_calmer(failure: AfasError) -> None:
    """After a transient fault the same request is sent again."""
    decision = retry(failure)
    assert decision is not None
    assert (decision.smaller, decision.calmer) == (False, False)


def test_different_faults_count_together() -> None:
    """Attempts are counted whatever made them fail."""
    assert retry(UNREACHED, LOST, BAD_GATEWAY) is not None
    assert retry(UNREACHED, LOST, BAD_GATEWAY, LOST) is None


def test_the_last_failure_decides() -> None:
    """The first final failure ends the retries, whatever transient failures came before."""
    assert retry(LOST, api(401)) is None
    assert retry(BAD_GATEWAY, refused("does not exist")) is None


@pytest.mark.parametrize(("max_retries", "again"), [(0, 0), (1, 1), (2, 2), (3, 2), (10, 2)])
def test_an_answer_that_is_none(max_retries: int, again: int) -> None:
    """HTML under status 200, or broken JSON, is requested again twice at most."""
    decisions = [retry(*[BROKEN] * count, max_retries=max_retries) for count in range(1, 6)]
    assert [decision is not None for decision in decisions] == [True] * again + [False] * (5 - again)


# --- waits ---


@pytest.mark.parametrize("failure", [UNREACHED, LOST, BROKEN, BAD_GATEWAY, api(503), api(429), api(408)])
def test_backoff(failure: AfasError) -> None:
    """Full jitter over a span that doubles from half a second to thirty: no wait at 0, never beyond the cap."""
    calm, spread = [], []
    for count in range(1, 11):
        failures = [*[LOST] * (count - 1), failure]
        calm.append(retry_read(failures, max_retries=20, jitter=0.0))
        spread.append(retry_read(failures, max_retries=20, jitter=0.999999))
    assert [decision.wait for decision in calm if decision] == [0.0] * 10
    longest = [round(decision.wait, 2) for decision in spread if decision]
    assert longest[0] in {0.5, 1.0}
    assert [later / sooner for sooner, later in pairwise(longest) if later < 30.0] == [2.0] * (
        len([wait for wait in longest if wait < 30.0]) - 1
    )
    assert longest[-1] == 30.0


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("wait", [1.0, 7.5, 7_200.0])
def test_a_stated_wait(status: int, wait: float) -> None:
    """A wait that the service states is kept, and at most a tenth is added to it."""
    waits = [retry(api(status, wait=wait), jitter=jitter) for jitter in (0.0, 0.5, 1.0)]
    assert [decision.wait for decision in waits if decision] == pytest.approx([wait, 1.05 * wait, 1.1 * wait])
    assert all(decision.calmer and decision.for_all for decision in waits if decision)
    assert retry(*[api(status, wait=wait)] * 4) is None


@pytest.mark.parametrize("status", [429, 503])
def test_a_stated_wait_of_nothing(status: int) -> None:
    """A service in trouble that states a wait of 0 is still not called without a wait."""
    assert retry(api(status, wait=0.0), jitter=1.0) == retry(api(status), jitter=1.0)


@pytest.mark.parametrize("message", ["Out of memory", "Out of String space"])
def test_halving_uses_up_no_retries(message: str) -> None:
    """A response that was too large says nothing about the connection."""
    too_large = [refused(message)] * 6
    assert retry(*too_large, LOST) is not None
    assert retry(*too_large, LOST, LOST, LOST, LOST) is None


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_wait_stated_elsewhere(status: int) -> None:
    """Only 429 and 503 say how long to wait."""
    assert retry(api(status, wait=100.0), jitter=0.0) == Retry(0.0)


# --- locks, memory, time ---


@pytest.mark.parametrize(
    "message",
    [
        "The record is locked by another user.",
        "LOCKED BY user X",
        "Blocked by another user",
        "Transaction was deadlocked on lock resources: deadlock victim",
        "Het record is vergrendeld door gebruiker X.",
        "Geblokkeerd door een andere gebruiker",
        "Deze gegevens zijn in gebruik door een andere gebruiker",
    ],
)
def test_locks(message: str) -> None:
    """The client waits for a lock: eight times, two to thirty seconds each, with fewer requests in flight."""
    for jitter in (0.0, 0.5, 0.999):
        decisions = [retry(*[refused(message)] * count, max_retries=3, jitter=jitter) for count in range(1, 10)]
        assert [decision is not None for decision in decisions] == [True] * 8 + [False]
        for decision in decisions[:8]:
            assert decision is not None
            assert 2.0 <= decision.wait <= 30.0
            assert (decision.smaller, decision.calmer) == (False, True)


def test_locks_are_jittered() -> None:
    """Clients that met the same lock do not return together."""
    waits = {jitter: retry(LOCKED, LOCKED, jitter=jitter) for jitter in (0.1, 0.5, 0.9)}
    assert len({decision.wait for decision in waits.values() if decision}) == 3


@pytest.mark.parametrize("fault", [LOST, UNREACHED, BAD_GATEWAY, BROKEN])
def test_locks_have_a_count_of_their_own(fault: AfasError) -> None:
    """Waiting for a lock does not use up the retries for transport faults and unavailability."""
    assert retry(*[LOCKED] * 5, fault, max_retries=3) is not None


def test_faults_do_not_use_up_the_locks() -> None:
    """Retries for faults do not use up those for locks either."""
    assert retry(LOST, LOST, LOST, *[LOCKED] * 8, max_retries=3) is not None
    assert retry(LOST, LOST, LOST, *[LOCKED] * 9, max_retries=3) is None


@pytest.mark.parametrize("message", ["Out of memory", "Out of String space", "Er is onvoldoende geheugen beschikbaar"])
@pytest.mark.parametrize("times", [1, 5, 15])
def test_out_of_memory(message: str, times: int) -> None:
    """Too much data is halved as often as there are rows to halve, with fewer requests in flight."""
    decision = retry(*[refused(message)] * times)
    assert decision is not None
    assert (decision.smaller, decision.calmer) == (True, True)
    assert 0.0 <= decision.wait <= 30.0


@pytest.mark.parametrize(
    "message",
    [
        "The maximum duration for performing the assignment has been exceeded.",
        "Command timeout expired.",
        "De maximale tijdsduur voor het uitvoeren van de opdracht is verstreken.",
    ],
)
def test_out_of_time(message: str) -> None:
    """A call that took the service too long is retried with half of the rows, and again with half of those."""
    for times in (1, 2, 9):
        decision = retry(*[refused(message)] * times)
        assert decision is not None
        assert (decision.smaller, decision.calmer) == (True, True)


@pytest.mark.parametrize("times", [1, 5, 15])
def test_too_large(times: int) -> None:
    """A 413 halves, too."""
    decision = retry(*[api(413)] * times)
    assert decision is not None
    assert (decision.smaller, decision.wait) == (True, 0)


@pytest.mark.parametrize("message", ["Locked by", "out of memory", "maximum duration"])
@pytest.mark.parametrize(
    "make", [api, lambda status, message: errors.BusinessError(message, status=status, connector=C)]
)
def test_texts_count_in_profits_errors_only(message: str, make: Any) -> None:
    """A proxy's 500 with such a text is an ordinary fault; a 400 is final whatever it says."""
    assert retry(api(500, message)) == retry(api(500))
    assert retry(api(400, message)) is None
    assert make(500, message).message == message


def test_numbers_are_not_looked_at() -> None:
    """AFAS says that its error number is not suitable to branch on."""
    odd = errors.BusinessError("does not exist", status=500, connector=C, error_number=-2147180999)
    assert retry(odd) is None
