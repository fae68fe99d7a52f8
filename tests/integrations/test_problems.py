"""Which problem document an error becomes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

import afas_async
from afas_async import (
    AfasError,
    AnswerError,
    AnswerLostError,
    ApiError,
    AuthenticationError,
    BadRequestError,
    BusinessError,
    ClientClosedError,
    ConfigurationError,
    ConnectError,
    InvalidElementError,
    InvalidFilterError,
    InvalidNameError,
    JournalError,
    KeyOrderError,
    LoadError,
    LoadReport,
    LockedError,
    NonUniqueKeyError,
    NotFoundError,
    Outcome,
    OutcomeUnknownError,
    PagingError,
    PayloadTooLargeError,
    PermissionDeniedError,
    QueryTooLongError,
    RateLimitError,
    RequestTimeoutError,
    RowError,
    SchemaDriftError,
    ServerError,
    SortKeyRequiredError,
    TransportError,
    UnavailableError,
    UnknownFieldError,
    UsageError,
)
from afas_async.integrations.problems import problem_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
UNKNOWN = OutcomeUnknownError(
    connector="KnSubject", sent_at=NOON, quiet_until=NOON, stage="sent", reason="the connection broke", trace_id="t1"
)


def api(kind: type[ApiError], status: int, **facts: Any) -> ApiError:
    return kind("what AFAS says", status=status, connector="Profit_X", **facts)


def load_error(status: Any, error: AfasError) -> LoadError:
    report = LoadReport(total=2)
    report.record(Outcome(0, "applied"))
    report.record(Outcome(1, status, error=error))
    return LoadError(report)


# The error, the status, and what else the document has.
CASES: list[tuple[AfasError, int, dict[str, Any]]] = [
    (api(AuthenticationError, 401), 502, {}),
    (api(PermissionDeniedError, 403, trace_id="t1"), 502, {"trace_id": "t1"}),
    (AuthenticationError("invalid_client", status=400, connector="oauth/token"), 502, {}),
    (
        api(BusinessError, 500, log_reference="L1"),
        422,
        {"detail": "what AFAS says", "log_reference": "L1"},
    ),
    (api(LockedError, 500, log_reference="L1"), 503, {"retryable": True, "log_reference": "L1", "retry_after": 5}),
    (api(UnavailableError, 503, retry_after=29.5), 503, {"retryable": True, "retry_after": 30}),
    (api(UnavailableError, 503), 503, {"retryable": True, "retry_after": 5}),
    (api(RateLimitError, 429, retry_after=2.0), 503, {"retryable": True, "retry_after": 2}),
    (RequestTimeoutError("late", connector="Profit_X", seconds=3), 504, {"retryable": True}),
    (UNKNOWN, 504, {"applied": "maybe", "quiet_until": "2026-01-01T12:00:00Z", "trace_id": "t1"}),
    (InvalidFilterError("F.X: no"), 422, {"detail": "F.X: no"}),
    (UnknownFieldError("X: no"), 422, {"detail": "X: no"}),
    (InvalidNameError("'..': no"), 422, {"detail": "'..': no"}),
    (QueryTooLongError("too long", length=3_000, limit=2_048), 422, {"detail": "too long"}),
    (InvalidElementError("no"), 422, {"detail": "no"}),
    (api(PayloadTooLargeError, 413), 422, {"detail": "Profit_X: HTTP 413: what AFAS says"}),
    (api(NotFoundError, 404), 404, {"detail": "Profit_X: HTTP 404: what AFAS says"}),
    (api(BadRequestError, 400), 500, {}),
    (UsageError("no"), 500, {}),
    (ClientClosedError("no"), 500, {}),
    (ConfigurationError("no"), 500, {}),
    (SortKeyRequiredError("no"), 500, {}),
    (RowError("no", connector="Profit_X", page=0, index=0, path="$"), 500, {}),
    (NonUniqueKeyError("no", connector="Profit_X"), 500, {}),
    (KeyOrderError("no", connector="Profit_X"), 500, {}),
    (SchemaDriftError("no", connector="Profit_X"), 500, {}),
    (JournalError("no"), 500, {}),
    (ConnectError("no", connector="Profit_X", permanent=True), 500, {}),
    (ConnectError("no", connector="Profit_X"), 502, {"retryable": True}),
    (AnswerLostError("no", connector="Profit_X"), 502, {"retryable": True}),
    (api(ServerError, 502), 502, {"retryable": True}),
    (AnswerError("no", connector="Profit_X", damaged=True), 502, {"retryable": True}),
    (PagingError("no", connector="Profit_X"), 502, {}),
    (load_error("unknown", UNKNOWN), 504, {"applied": "maybe"}),
    (load_error("rejected", api(BusinessError, 500)), 422, {"applied": "maybe", "detail": ...}),
    (load_error("not_sent", api(UnavailableError, 503)), 502, {"applied": "maybe"}),
]


@pytest.mark.parametrize(
    ("error", "status", "more"), CASES, ids=[f"{type(case[0]).__name__}-{case[1]}" for case in CASES]
)
def test_the_document_of_an_error(error: AfasError, status: int, more: dict[str, Any]) -> None:
    """Its status says who can mend the error, and it has only the facts that help."""
    problem = problem_of(error)
    document = json.loads(msgspec.json.encode(problem))
    assert document.pop("status") == status == problem.status
    assert document.pop("title")
    if more.get("detail") is ...:
        more = more | {"detail": document["detail"]}
    assert document == more
    assert problem.headers == ({"Retry-After": str(more["retry_after"])} if status == 503 else {})


def test_no_error_is_left_out() -> None:
    """Each class of the tree is a case, except classes that only group others."""
    kinds = {kind for kind in vars(afas_async).values() if isinstance(kind, type) and issubclass(kind, AfasError)}
    assert kinds - {type(error) for error, *_ in CASES} == {AfasError, ApiError, TransportError}
