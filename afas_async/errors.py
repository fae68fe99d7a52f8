"""The errors that you can catch, in one tree, and how you answer your own callers.

Catch `AfasError` for all of them, or a class of this tree:

    AfasError
    |- UsageError               wrong use, found before anything is sent
    |  |- ClientClosedError     the client is not open, or not any more
    |  |- SortKeyRequiredError  a read of several pages needs a unique key to sort by
    |  |- QueryTooLongError     the query string exceeds the service's 2,048 characters
    |  |- InvalidFilterError    a condition or value that no filter can express
    |  |- InvalidElementError   a record that cannot be sent
    |  |- InvalidNameError      a connector or field name that must not enter a URL
    |  |- UnknownFieldError     a field that the row type does not have
    |  `- ConfigurationError    the environment or the credentials are malformed
    |- TransportError           no usable response; `sent` is "no" or "maybe"
    |  |- ConnectError          no connection, so nothing was sent
    |  |- AnswerLostError       the connection broke after the request may have been sent
    |  `- RequestTimeoutError   the time-out passed (also a TimeoutError)
    |- ApiError                 the response has an error status
    |  |- BadRequestError       400 and similar: the form of the request is refused
    |  |- AuthenticationError   401, or no token for the client credentials
    |  |- PermissionDeniedError 403
    |  |- NotFoundError         404
    |  |- PayloadTooLargeError  413
    |  |- RateLimitError        429
    |  |- BusinessError         500 in Profit's own form
    |  |  `- LockedError        another user has the record open
    |  |- UnavailableError      503
    |  `- ServerError           every other 5xx
    |- AnswerError              the response is not as documented
    |  |- RowError              a row that does not fit the row type
    |  |- PagingError           a page other than the requested one
    |  |- KeyOrderError         the service filters by the key in another order than it sorts
    |  `- NonUniqueKeyError     two rows have the same key, or a row has no key
    |- SchemaDriftError         a field that the row type declares and no row has
    |- JournalError             the journal of a load cannot be used, so nothing more is sent
    |- OutcomeUnknownError      a write that may have been applied or not, whatever the cause
    `- LoadError                elements of a load that are not known to be applied

You find the facts in attributes, so you need not parse a message. You can pickle every error. It never holds a
credential, a request header or an exception of the HTTP library; its message may hold a value of your data. You never
have to catch an error of the HTTP library or an exception group.

What your own service responds
------------------------------

When you pass an error on to your callers, four attributes help you. `retryable`: does it help to try again? `applied`:
may the service have done something? `whose`: who can correct it? `trace_id`: how does AFAS find the call?

    whose      retryable  applied  errors
    caller     no         no       InvalidFilterError, UnknownFieldError, InvalidNameError, QueryTooLongError,
                                   InvalidElementError, BusinessError, NotFoundError, PayloadTooLargeError
    service    no         no       other UsageErrors, AuthenticationError, PermissionDeniedError, BadRequestError,
                                   RowError, NonUniqueKeyError, KeyOrderError, SchemaDriftError, JournalError,
                                   a ConnectError that is `permanent`
    afas       yes        no       LockedError, UnavailableError, RateLimitError, ServerError (but 501 and 505), 408,
                                   ConnectError, AnswerLostError, RequestTimeoutError, an AnswerError that is `damaged`
    afas       no         no       other AnswerErrors and ApiErrors
    afas       no         maybe    OutcomeUnknownError: look it up after `quiet_until`, before you send it again

"caller" is the person or program that chose the arguments, such as a filter or a record. "service" is your program: its
code, configuration or credentials. A LoadError has the `whose` of the first record that failed.

    >>> try:
    ...     raise UnavailableError("maintenance", status=503, connector="Profit_Article", retry_after=30.0)
    ... except AfasError as error:
    ...     print(error.retryable, error.applied, error.whose)
    True no afas
"""

from __future__ import annotations

__docformat__ = "google"

from datetime import datetime
from typing import Any, Literal, TypeAlias

Applied: TypeAlias = Literal["no", "maybe"]
Whose: TypeAlias = Literal["caller", "service", "afas"]


class AfasError(Exception):
    """The base of all errors of this library: catch it to catch them all.

    The guide `afas_async.errors` has the tree of errors, and a table of these attributes.

    Attributes:
        retryable: Whether the same call may succeed later, and is safe to repeat. The client has already made the
            retries that its rules and your time-out allow.
        applied: "no" if the service has applied nothing of your call, as for each read; otherwise "maybe".
        whose: Who can correct it: "caller", who chose the arguments; "service", your program with its configuration and
            credentials; or "afas", the service and the connection to it.
        trace_id: The id that you can give AFAS to find the call: `X-Trace-Identifier` of the response (Profit 7 and
            later), or `x-request-id`, at most 100 characters. Empty without a response or an id.

    Example:
        >>> async def main():
        ...     async with Simulator() as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         await afas.page("Profit_Articel")
        >>> try:
        ...     asyncio.run(main())
        ... except AfasError as error:
        ...     print(type(error).__name__, error.retryable, error.applied, error.whose)
        BusinessError False no caller
    """

    retryable: bool = False
    applied: Applied = "no"
    whose: Whose = "service"
    trace_id: str = ""

    def __init_subclass__(
        cls, *, retryable: bool | None = None, applied: Applied | None = None, whose: Whose | None = None
    ) -> None:
        facts = {"retryable": retryable, "applied": applied, "whose": whose}
        for name, fact in facts.items():
            if fact is not None:
                setattr(cls, name, fact)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[AfasError], args: tuple[Any, ...], facts: dict[str, Any]) -> AfasError:
    error = kind.__new__(kind, *args)
    error.args = args  # OSError, a base of TimeoutError, sets them in its constructor, which does not run here
    error.__dict__.update(facts)
    return error


class UsageError(AfasError):
    """Your call cannot work, for example because an argument has the wrong type. Nothing was sent."""


class ClientClosedError(UsageError):
    """The client is not open: you have not opened it yet, or it is closed. Use it inside `async with`."""


class SortKeyRequiredError(UsageError):
    """A read of several pages has no unique key, so you could miss rows or get them twice.

    Give the connector its key, as in `GetConnector("Profit_Article", key="ItemCode")`.
    """


class QueryTooLongError(UsageError, whose="caller"):
    """The query string of your request is longer than the service accepts.

    Attributes:
        length: The number of characters in your encoded query string.
        limit: The number of characters that the service accepts.
    """

    def __init__(self, message: str, *, length: int, limit: int) -> None:
        super().__init__(message)
        self.length = length
        self.limit = limit


class InvalidFilterError(UsageError, whose="caller"):
    """A filter cannot express your condition or its value, or you combined conditions other than with `& | ~`."""


class InvalidElementError(UsageError, whose="caller"):
    """Your record cannot be sent: its form or a value is wrong, or the check against metainfo found a fault."""


class InvalidNameError(UsageError, whose="caller"):
    """A name that you gave could change the target of the request, so it may not enter a URL."""


class UnknownFieldError(UsageError, whose="caller"):
    """You named a field that your row type does not have."""


class ConfigurationError(UsageError):
    """The environment, the base URL, the credentials or an option of your client is missing or malformed."""


class TransportError(AfasError, retryable=True, whose="afas"):
    """You got no usable response.

    Attributes:
        sent: "no" if the server certainly never had the complete request; otherwise "maybe".
        connector: The connector or path that was called.
    """

    sent: Literal["no", "maybe"] = "maybe"

    def __init__(self, message: str, *, connector: str) -> None:
        super().__init__(message)
        self.connector = connector


class ConnectError(TransportError):
    """There was no connection, so nothing was sent.

    Attributes:
        permanent: True if it does not help to try again, for example because the certificate is not trusted.
    """

    sent: Literal["no", "maybe"] = "no"

    def __init__(self, message: str, *, connector: str, permanent: bool = False) -> None:
        super().__init__(message, connector=connector)
        self.permanent = permanent
        if permanent:
            self.retryable: bool = False
            self.whose: Whose = "service"


class AnswerLostError(TransportError):
    """The connection broke, or the response ended early. The server may have received your request."""


class RequestTimeoutError(TransportError, TimeoutError):
    """Your time-out passed before the response was complete.

    You can catch it as a `TimeoutError` too.

    Attributes:
        seconds: The time-out that passed, in seconds.
    """

    def __init__(self, message: str, *, connector: str, seconds: float) -> None:
        super().__init__(message, connector=connector)
        self.seconds = seconds


class ApiError(AfasError, whose="afas"):
    """The service responded with an error.

    Attributes:
        status: The HTTP status.
        message: The service's own text without control characters, at most 2,000 characters.
        error_number: Profit's error number, if any. Do not rely on it in your code (AFAS, Troubleshooting).
        log_reference: Profit's log reference, if any. Give it to your administrator.
        retry_after: The seconds that the service asks you to wait, if it does.
        connector: The connector or path that you called.
        attempts: The number of times that the request was sent.
        hint: A hint of this library, such as connectors with a similar name; usually empty.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        connector: str,
        error_number: int | None = None,
        log_reference: str | None = None,
        trace_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.connector = connector
        self.error_number = error_number
        self.log_reference = log_reference
        self.trace_id: str = trace_id
        self.retry_after = retry_after
        self.attempts = 1
        self.hint = ""
        if status in {408, 501, 505}:  # a 408 may pass; what the service does not implement stays missing
            self.retryable: bool = status == 408

    def __str__(self) -> str:
        text = f"{self.connector}: HTTP {self.status}: {self.message}"
        references = {"Profit log reference": self.log_reference, "trace identifier": self.trace_id}
        if named := ", ".join(f"{name} {reference}" for name, reference in references.items() if reference):
            text += f" ({named})"
        if self.retry_after is not None:
            text += f" (the service asks to wait {self.retry_after:g} s)"
        if self.attempts > 1:
            text += f" (after {self.attempts} attempts)"
        return f"{text}: {self.hint}" if self.hint else text


class BadRequestError(ApiError, whose="service"):
    """400 and similar: the service refuses the form of your request."""


class AuthenticationError(ApiError, whose="service"):
    """401: your token is invalid or expired, or its app connector does not include this connector.

    You also get it, with any `status`, if the service refuses a token for your client credentials; `connector` is
    "oauth/token" then. For a minute after a refusal, requests to the same connector fail in the same way without being
    sent, unless there is another token. After a refused token, requests to all connectors do.
    """


class PermissionDeniedError(ApiError, whose="service"):
    """403: you may not do this. Usually the app connector does not allow your IP address."""


class NotFoundError(ApiError, whose="caller"):
    """404: the URL does not exist, or you asked for something that is absent or not permitted."""


class PayloadTooLargeError(ApiError, whose="caller"):
    """413: your request, with its attachments, is larger than 75 MB."""


class RateLimitError(ApiError, retryable=True):
    """429: you sent too many requests."""


class BusinessError(ApiError, whose="caller"):
    """500 in Profit's own form: Profit understood your request and refused it."""


class LockedError(BusinessError, retryable=True, whose="afas"):
    """Another user or process has the record open. Nothing was applied: try again later."""


class UnavailableError(ApiError, retryable=True):
    """503: maintenance or a disruption of the service."""


class ServerError(ApiError, retryable=True):
    """Any other 5xx, or a 500 that is not in Profit's own form."""


class AnswerError(AfasError, whose="afas"):
    """The response is not as documented.

    Attributes:
        connector: The connector or path that you called.
        page: The number of the page, from 0; None outside a read of pages.
        damaged: Whether the whole response was unreadable, like the error page of a proxy. If so, you can try again.
    """

    def __init__(self, message: str, *, connector: str, page: int | None = None, damaged: bool = False) -> None:
        super().__init__(message)
        self.connector = connector
        self.page = page
        self.damaged = damaged
        self.retryable: bool = damaged


class RowError(AnswerError, whose="service"):
    """A row is malformed, or does not fit your row type.

    Attributes:
        index: The index of the row in its response, from 0. In a read with a key, every response but the first begins
            with the last row of the page before. In `columns`, where `page` is None, it counts the rows of your read.
        path: The place in the response, as a JSON path such as `$.rows[3].Price`.
    """

    def __init__(self, message: str, *, connector: str, page: int | None, index: int, path: str) -> None:
        super().__init__(message, connector=connector, page=page)
        self.index = index
        self.path = path


class PagingError(AnswerError):
    """The service returned another page than the requested one, so you could miss rows or get them twice."""


class KeyOrderError(AnswerError, whose="service"):
    """The service filters rows by the key in another order than it sorts them, so you cannot read by this key."""


class NonUniqueKeyError(AnswerError, whose="service"):
    """Two rows have the same key, or a row has an empty one, so you could miss rows or get them twice."""


class SchemaDriftError(AfasError):
    """Your row type declares a field that no row has: it was renamed or removed in Profit, or you misspelled it.

    Attributes:
        connector: The connector that you read.
    """

    def __init__(self, message: str, *, connector: str) -> None:
        super().__init__(message)
        self.connector = connector


class SchemaDriftWarning(UserWarning):
    """A SchemaDriftError as a warning: you get it unless your client has `drift="error"`."""


class JournalError(AfasError):
    """The journal of your load is damaged, belongs to another load, or cannot be written. Nothing more is sent."""


class OutcomeUnknownError(AfasError, applied="maybe", whose="afas"):
    """Your write may have been applied or not. The service continues with a write even if you disconnect.

    Look it up before you send it again. If you do not find it, do not conclude before `quiet_until` that
    it was not applied.

    Attributes:
        connector: The connector that you called.
        sent_at: The moment when the last attempt was sent, in UTC.
        quiet_until: The moment when the service must have ended it, in UTC: 960 seconds later (AFAS, Troubleshooting: a
            limit of 900 seconds).
        stage: "sent" if you got no response, "answered" if the response does not show the outcome.
        reason: The reason why the outcome is unknown.
    """

    def __init__(
        self,
        *,
        connector: str,
        sent_at: datetime,
        quiet_until: datetime,
        stage: Literal["sent", "answered"],
        reason: str,
        trace_id: str = "",
    ) -> None:
        super().__init__(
            f"{connector}: it is unknown whether this was applied: {reason}. Look it up before you send it again; the"
            f" service may be at work on it until {quiet_until:%Y-%m-%d %H:%M:%S} UTC"
        )
        self.connector = connector
        self.sent_at = sent_at
        self.quiet_until = quiet_until
        self.stage = stage
        self.reason = reason
        self.trace_id: str = trace_id
