"""The tree of errors: as it is drawn, with its facts, and fit to travel between processes."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

import afas_async
from afas_async import errors
from afas_async.errors import AfasError, ApiError
from afas_async.vocabulary import outcomes
from afas_async.wire.error_answers import error_for, refusal_in
from tests.support.each_case import each_case


def walk(kind: type[AfasError], depth: int = 0) -> Iterator[tuple[int, type[AfasError]]]:
    yield depth, kind
    for child in kind.__subclasses__():
        if child.__module__ in {errors.__name__, outcomes.__name__}:
            yield from walk(child, depth + 1)


KINDS = [kind for _, kind in walk(AfasError)]
# Facts that the constructors need; a class that needs another one fails the tests until it is added here.
FACTS = {
    "status": 500,
    "connector": "Profit_Article",
    "error_number": -2147220469,
    "log_reference": "B8213AF1",
    "trace_id": "0f6c1d52",
    "retry_after": 7.5,
    "seconds": 300.0,
    "permanent": True,
    "length": 2_049,
    "limit": 2_048,
    "page": 3,
    "index": 17,
    "path": "$.rows[17].Price",
    "damaged": True,
    "sent_at": datetime(2024, 2, 29, 12, tzinfo=UTC),
    "quiet_until": datetime(2024, 2, 29, 12, 16, tzinfo=UTC),
    "stage": "sent",
    "reason": "the connection broke",
    "report": outcomes.LoadReport(total=3),
}
WORDED = {errors.OutcomeUnknownError, outcomes.LoadError}  # from their facts
every_kind = each_case("kind", KINDS)


def make(kind: type[AfasError]) -> AfasError:
    wanted = inspect.signature(kind).parameters
    error = kind(
        *([] if kind in WORDED else ["it went wrong"]), **{name: fact for name, fact in FACTS.items() if name in wanted}
    )
    if isinstance(error, ApiError):
        error.attempts = 4
    return error


def drawn() -> list[tuple[int, str]]:
    """Return the tree at the head of the module: depth and name of each line."""
    tree = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"    ((?:\|  |   )*)(?:\|- |`- )?([A-Z][A-Za-z]+Error)\b", line):
            indent = line.index(match[2]) - 4
            tree.append((indent // 3, match[2]))
    return tree


def test_the_tree_is_drawn() -> None:
    """The tree at the head of the file has every class, once, at its place."""
    assert drawn() == [(depth, kind.__name__) for depth, kind in walk(AfasError)]


def test_every_error_is_exported() -> None:
    """Every error can be imported from the package itself."""
    assert [kind for kind in KINDS if getattr(afas_async, kind.__name__, None) is not kind] == []


@every_kind
def test_every_error_says_what_it_is(kind: type[AfasError]) -> None:
    """Every class has a docstring of its own and one root."""
    assert kind.__doc__ is not None
    assert kind.__doc__ != (kind.__base__.__doc__ if kind.__base__ else None)
    assert issubclass(kind, AfasError)


def again(error: AfasError, protocol: int) -> AfasError:
    made: AfasError = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own
    return made


@each_case(
    "send",
    [
        lambda error: again(error, 2),
        lambda error: again(error, pickle.HIGHEST_PROTOCOL),
        copy.copy,
        copy.deepcopy,
    ],
)
@each_case("kind", KINDS)
def test_every_error_travels(kind: type[AfasError], send: Callable[[AfasError], AfasError]) -> None:
    """Pickled or copied, an error keeps class, text, arguments, notes and every fact."""
    error = make(kind)
    error.add_note("while copying articles")
    twin = send(error)
    assert type(twin) is kind
    assert twin is not error
    assert (str(twin), twin.args) == (str(error), error.args)
    assert vars(twin) == vars(error)
    assert twin.__notes__ == ["while copying articles"]


@every_kind
def test_facts_are_attributes(kind: type[AfasError]) -> None:
    """You can read the arguments of the constructor without parsing the text."""
    error = make(kind)
    for name in inspect.signature(kind).parameters:
        if name in FACTS:
            assert getattr(error, name) == FACTS[name]
    assert (
        "connection broke"
        if kind is errors.OutcomeUnknownError
        else "3 elements"
        if kind in WORDED
        else "it went wrong"
    ) in str(error)


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({}, "Profit_Article: HTTP 500: no"),
        ({"log_reference": "AB"}, "Profit_Article: HTTP 500: no (Profit log reference AB)"),
        ({"trace_id": "T"}, "Profit_Article: HTTP 500: no (trace identifier T)"),
        (
            {"trace_id": "T", "log_reference": "AB"},
            "Profit_Article: HTTP 500: no (Profit log reference AB, trace identifier T)",
        ),
        ({"retry_after": 7200.0}, "Profit_Article: HTTP 500: no (the service asks to wait 7200 s)"),
        ({"retry_after": 0.0}, "Profit_Article: HTTP 500: no (the service asks to wait 0 s)"),
        ({"retry_after": 1.5}, "Profit_Article: HTTP 500: no (the service asks to wait 1.5 s)"),
        ({"error_number": -5}, "Profit_Article: HTTP 500: no"),
    ],
)
def test_text_of_an_api_error(facts: dict[str, object], text: str) -> None:
    """The text has the facts that an administrator needs: connector, status, message, references and wait."""
    error = ApiError("no", status=500, connector="Profit_Article", **facts)  # type: ignore[arg-type]
    assert str(error) == text
    error.attempts = 4
    assert str(error) == text + " (after 4 attempts)"


# How a web service maps an error: "caller" to 422, "service" to 500, and "afas" to 502 to 504.
MENDED: dict[tuple[str, bool], set[type[AfasError]]] = {
    ("caller", False): {
        errors.QueryTooLongError,
        errors.InvalidFilterError,
        errors.InvalidElementError,
        errors.InvalidNameError,
        errors.UnknownFieldError,
        errors.BusinessError,
        errors.NotFoundError,
        errors.PayloadTooLargeError,
    },
    ("service", False): {
        errors.AfasError,
        errors.UsageError,
        errors.ClientClosedError,
        errors.SortKeyRequiredError,
        errors.ConfigurationError,
        errors.ConnectError,  # a permanent one
        errors.BadRequestError,
        errors.AuthenticationError,
        errors.PermissionDeniedError,
        errors.RowError,
        errors.KeyOrderError,
        errors.NonUniqueKeyError,
        errors.SchemaDriftError,
        errors.JournalError,
        outcomes.LoadError,
    },
    ("afas", True): {
        errors.TransportError,
        errors.AnswerLostError,
        errors.RequestTimeoutError,
        errors.LockedError,
        errors.RateLimitError,
        errors.UnavailableError,
        errors.ServerError,
    },
    ("afas", False): {errors.ApiError, errors.AnswerError, errors.PagingError, errors.OutcomeUnknownError},
}


def test_every_error_says_who_mends_it_and_whether_to_call_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each class of the tree is in the table, and keeps its facts when it travels."""
    monkeypatch.setitem(FACTS, "damaged", value=False)
    found: dict[tuple[str, bool], set[type[AfasError]]] = {}
    for kind in KINDS:
        error = pickle.loads(pickle.dumps(make(kind)))  # noqa: S301 - our own
        found.setdefault((error.whose, error.retryable), set()).add(kind)
        assert error.applied == ("maybe" if kind is errors.OutcomeUnknownError else "no")
    assert {key: kinds ^ MENDED[key] for key, kinds in found.items()} == {key: set() for key in MENDED}


def test_errors_that_know_better_than_their_class() -> None:
    """A refused certificate is the program's own fault, and waiting does not make a missing feature available."""
    lost = errors.ConnectError("x", connector="X")
    assert (lost.whose, lost.retryable) == ("afas", True)
    assert errors.AnswerError("x", connector="X", damaged=True).retryable
    retryable = {
        status: error_for(status, {}, b"", connector="X").retryable
        for status in (302, 400, 401, 403, 404, 408, 413, 418, 429, 500, 501, 502, 503, 505)
    }
    assert {status for status, again in retryable.items() if again} == {408, 429, 500, 502, 503}


def test_a_lock_is_an_error_of_its_own() -> None:
    """If somebody else has the record open, the refusal is a LockedError, so that nobody parses a text."""
    for text, kind in (
        ("Het dossier is vergrendeld door JAN", errors.LockedError),
        ("The record is LOCKED by user X", errors.LockedError),
        ("Het veld is verplicht", errors.BusinessError),
    ):
        body = json.dumps({"externalMessage": text}).encode()
        assert type(error_for(500, {}, body, connector="X")) is kind
        assert type(refusal_in(body, connector="X")) is kind
        assert type(error_for(500, {}, json.dumps({"message": text}).encode(), connector="X")) is errors.ServerError


def test_a_failed_load_says_it_for_its_first_failure() -> None:
    """The error of a failed load says who can fix its first failure; some of the load may be applied."""
    report = outcomes.LoadReport(total=2)
    report.record(outcomes.Outcome(1, "not_sent", error=errors.ClientClosedError("x")))
    report.record(outcomes.Outcome(0, "rejected", error=errors.BusinessError("x", status=500, connector="X")))
    error = outcomes.LoadError(report)
    assert (error.whose, error.applied, error.retryable) == ("caller", "no", False)
    report.record(outcomes.Outcome(2, "applied"))
    assert outcomes.LoadError(report).applied == "maybe"


def test_what_was_sent() -> None:
    """Only a connection that was never made is certain to have sent nothing."""
    sent = {kind.__name__: kind.sent for kind in KINDS if issubclass(kind, errors.TransportError)}
    assert sent == {
        "TransportError": "maybe",
        "ConnectError": "no",
        "AnswerLostError": "maybe",
        "RequestTimeoutError": "maybe",
    }


def test_a_time_out_is_a_timeout_error() -> None:
    """Code that catches Python's TimeoutError catches ours. Code that catches OSError for files is warned here."""
    assert issubclass(errors.RequestTimeoutError, TimeoutError)
    assert [kind for kind in KINDS if issubclass(kind, TimeoutError)] == [errors.RequestTimeoutError]
