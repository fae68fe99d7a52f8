"""Which failed writes are sent again; `test_verdicts` has the other verdicts."""

from __future__ import annotations

import itertools

import pytest

from afas_async import errors
from afas_async.errors import AfasError
from afas_async.policy.retrying import WRITE_SECONDS, Retry, retry_write
from afas_async.policy.verdicts import LATE_SECONDS, Attempt, Reach, Scope, failed
from afas_async.vocabulary.outcomes import Status
from tests.policy.test_retrying import BROKEN, FULL, LOCKED, LOST, SLOW, UNREACHED, api, refused
from tests.support.each_case import each_case

C = "KnSubject"
ALL, SOME = Attempt(Reach.SERVICE, Scope.ALL), Attempt(Reach.SERVICE, Scope.SOME)
NOWHERE = Attempt(Reach.NOWHERE, Scope.ALL)

FOREVER = errors.ConnectError("certificate", connector=C, permanent=True)
TIMED_OUT = errors.RequestTimeoutError("x", connector=C, seconds=960)
ORDINARY = refused("Het veld is verplicht")
UNDER_SUCCESS = errors.LockedError("locked by another user", status=200, connector=C)
ODD = errors.BusinessError("Het veld is verplicht", status=502, connector=C)

# The failure, its verdict on a call of one element (or one transaction), on another call, and whether the call is
# sent again.
TABLE: list[tuple[str, AfasError, Status, Status, bool]] = [
    ("answer lost", LOST, "unknown", "unknown", False),
    ("time-out", TIMED_OUT, "unknown", "unknown", False),
    ("no HTTP, or no answer of the service's", BROKEN, "unknown", "unknown", False),
    ("a success that is not documented", errors.AnswerError("x", connector=C), "unknown", "unknown", False),
    ("closed after it was sent", errors.ClientClosedError("x"), "unknown", "unknown", False),
    ("refusal", ORDINARY, "rejected", "unknown", False),
    ("refusal without a message", refused(""), "rejected", "unknown", False),
    ("refusal within a success", UNDER_SUCCESS, "unknown", "unknown", False),
    ("refusal with a proxy's status", ODD, "unknown", "unknown", False),
    ("locked", LOCKED, "not_sent", "unknown", True),
    ("out of memory", FULL, "unknown", "unknown", False),
    ("out of string space", refused("Out of String space"), "unknown", "unknown", False),
    ("out of time", SLOW, "unknown", "unknown", False),
    ("out of time, in Dutch", refused("De maximale tijdsduur is verstreken"), "unknown", "unknown", False),
    ("command out of time", refused("Command timeout expired."), "unknown", "unknown", False),
    ("429", api(429), "not_sent", "not_sent", True),
    ("429 with a wait", api(429, wait=3), "not_sent", "not_sent", True),
    ("503", api(503), "unknown", "unknown", False),
    ("503 with a wait", api(503, wait=3), "not_sent", "not_sent", True),
    ("503 with a wait of nothing", api(503, wait=0), "not_sent", "not_sent", True),
    *((f"{status}", api(status), "unknown", "unknown", False) for status in (301, 302, 304, 307, 308, 408)),
    *((f"{status}", api(status), "unknown", "unknown", False) for status in (500, 502, 504, 506, 520, 599)),
    *((f"{status} with a wait", api(status, wait=3), "unknown", "unknown", False) for status in (408, 500, 502, 504)),
    ("500 about locks, not Profit's", api(500, "locked by another user"), "unknown", "unknown", False),
    *((f"{status}", api(status), "rejected", "rejected", False) for status in (400, 401, 402, 403, 404, 405, 406, 409)),
    *((f"{status}", api(status), "rejected", "rejected", False) for status in (411, 413, 414, 415, 418, 431, 451, 499)),
    *((f"{status}", api(status), "rejected", "rejected", False) for status in (501, 505)),
    ("400 about locks", api(400, "locked by another user"), "rejected", "rejected", False),
    ("401 with a wait", api(401, wait=3), "rejected", "rejected", False),
]
table = each_case("row", [row[1:] for row in TABLE])
Row = tuple[AfasError, Status, Status, bool]


def retry(
    *failures: AfasError, attempt: Attempt = ALL, max_retries: int = 3, jitter: float = 0.5, lock_retries: int = 8
) -> Retry | None:
    return retry_write(failures, attempt, max_retries=max_retries, jitter=jitter, lock_retries=lock_retries)


@table
def test_what_a_failure_tells(row: Row) -> None:
    """Once the service may have the write, only a clear denial denies it; and nothing that comes late does."""
    failure, alone, shared, _ = row
    assert failed(ALL, failure) == alone
    assert failed(SOME, failure) == shared
    for scope in Scope:
        assert failed(Attempt(Reach.SERVICE, scope, LATE_SECONDS), failure) == "unknown"
        assert failed(Attempt(Reach.SERVICE, scope, LATE_SECONDS - 1), failure) == (
            alone if scope is Scope.ALL else shared
        )


def test_before_a_connection_stands() -> None:
    """Nothing is sent without a connection, whatever failed."""
    for scope in Scope:
        assert {failed(Attempt(Reach.NOWHERE, scope), failure) for _, failure, *_ in TABLE} == {"not_sent"}


@table
def test_sent_again(row: Row) -> None:
    """A write is sent again only if it provably had no effect, and may have one the next time; it is then unchanged."""
    failure, alone, shared, again = row
    assert (retry(failure) is not None) == again
    assert (retry(failure, attempt=SOME) is not None) == (again and shared == "not_sent")
    assert retry(failure, attempt=Attempt(Reach.SERVICE, Scope.ALL, LATE_SECONDS)) is None
    if alone == "unknown":
        for history in itertools.product([UNREACHED, LOCKED, api(429)], repeat=2):
            assert retry(*history, failure, max_retries=100) is None
    decision = retry(failure)
    assert decision is None or not decision.smaller


@pytest.mark.parametrize("failure", [UNREACHED, FOREVER])
def test_no_connection(failure: errors.ConnectError) -> None:
    """A missing connection is retried, unless the next one must fail as well."""
    for scope in Scope:
        attempt = Attempt(Reach.NOWHERE, scope)
        assert failed(attempt, failure) == "not_sent"
        assert (retry(failure, attempt=attempt) is not None) == (failure is UNREACHED)


@pytest.mark.parametrize(
    "failure",
    [
        TIMED_OUT,
        errors.InvalidNameError("x"),
        errors.InvalidElementError("x"),
        errors.ClientClosedError("x"),
        errors.ConfigurationError("x"),
        errors.JournalError("x"),
    ],
)
def test_not_sent_and_final(failure: AfasError) -> None:
    """A write that cannot be sent, or has no time left, is not retried."""
    assert failed(NOWHERE, failure) == "not_sent"
    assert retry(failure, attempt=NOWHERE) is None


@pytest.mark.parametrize(
    ("failure", "attempt"), [(UNREACHED, NOWHERE), (api(429), ALL), (api(429, wait=1), ALL), (api(503, wait=1), ALL)]
)
@pytest.mark.parametrize("max_retries", [0, 1, 3, 7])
def test_attempts(failure: AfasError, max_retries: int, attempt: Attempt) -> None:
    """Such a write is retried as often as retries are permitted, after the first attempt."""
    decisions = [
        retry(*[failure] * count, attempt=attempt, max_retries=max_retries) for count in range(1, max_retries + 3)
    ]
    assert [decision is not None for decision in decisions] == [True] * max_retries + [False, False]


def test_different_faults_count_together() -> None:
    """Attempts are counted whatever made them fail."""
    assert retry(UNREACHED, api(429), api(503, wait=1)) is not None
    assert retry(UNREACHED, api(429), api(503, wait=1), api(429)) is None


@pytest.mark.parametrize("max_retries", [0, 3])
def test_locks(max_retries: int) -> None:
    """The client waits for a lock eight times, two to thirty seconds each, with a count of its own."""
    for jitter in (0.0, 0.5, 0.999):
        decisions = [retry(*[LOCKED] * count, max_retries=max_retries, jitter=jitter) for count in range(1, 10)]
        assert [decision is not None for decision in decisions] == [True] * 8 + [False]
        for decision in decisions[:8]:
            assert decision is not None
            assert 2.0 <= decision.wait <= 30.0
            assert (decision.smaller, decision.calmer) == (False, True)
    assert retry(*[LOCKED] * 5, api(429), max_retries=1) is not None
    assert retry(*[LOCKED] * 5, api(429), api(429), max_retries=1) is None
    assert retry(api(429), api(429), api(429), *[LOCKED] * 8, max_retries=3) is not None
    assert retry(api(429), api(429), api(429), *[LOCKED] * 9, max_retries=3) is None


def test_a_lock_of_some() -> None:
    """In a call of several elements without a transaction, some may be applied when another is locked."""
    assert retry(LOCKED, attempt=SOME) is None
    assert failed(SOME, LOCKED) == "unknown"


def test_a_lock_of_a_half() -> None:
    """Half of a locked call waits once more, as the whole call has waited already."""
    assert [retry(*[LOCKED] * count, lock_retries=1) is not None for count in (1, 2)] == [True, False]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("wait", [1.0, 7.5, 7_200.0])
def test_a_stated_wait(status: int, wait: float) -> None:
    """A wait that the service states is kept, and at most a tenth is added to it."""
    waits = [retry(api(status, wait=wait), jitter=jitter) for jitter in (0.0, 0.5, 1.0)]
    assert [decision.wait for decision in waits if decision] == pytest.approx([wait, 1.05 * wait, 1.1 * wait])


def test_backoff() -> None:
    """Without a stated wait, the longest wait doubles up to thirty seconds; the wait is random between 0 and that."""
    for failure, attempt in ((UNREACHED, NOWHERE), (api(429), ALL), (api(429, wait=0), ALL)):
        calm, spread = (
            [retry(*[failure] * count, attempt=attempt, max_retries=20, jitter=jitter) for count in range(1, 11)]
            for jitter in (0.0, 0.999999)
        )
        assert [decision.wait for decision in calm if decision] == [0.0] * 10
        longest = [round(decision.wait, 2) for decision in spread if decision]
        assert longest == sorted(longest)
        assert (longest[0] in {0.5, 1.0}, longest[-1]) == (True, 30.0)


def test_the_limit_exceeds_the_services_own() -> None:
    """The service ends a call after 900 seconds and says so: hanging up before would hide it."""
    assert WRITE_SECONDS == 960
