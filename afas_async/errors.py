"""Every error that the library raises, in one tree.

    AfasError
    |- UsageError               misuse, noticed before anything is sent
    |  |- ClientClosedError     the client is not open (yet, or any more)
    |  |- SortKeyRequiredError  a read of several pages needs a unique key to sort by
    |  |- QueryTooLongError     the query string exceeds the service's 2,048 characters
    |  |- InvalidFilterError    a condition or value that no filter can express
    |  |- InvalidElementError   a record that cannot be sent
    |  |- InvalidNameError      a connector or field name that must not enter a URL
    |  |- UnknownFieldError     a field that the row type does not have
    |  `- ConfigurationError    environment or credentials are malformed
    |- TransportError           no usable answer; `sent` is "no" or "maybe"
    |  |- ConnectError          no connection, so nothing was sent
    |  |- AnswerLostError       the connection broke after the request may have been sent
    |  `- RequestTimeoutError   the time-out passed (also a TimeoutError)
    |- ApiError                 the service answered with an error status
    |  |- BadRequestError       400 and other refusals of the request's form
    |  |- AuthenticationError   401, or no token for the client credentials
    |  |- PermissionDeniedError 403
    |  |- NotFoundError         404
    |  |- PayloadTooLargeError  413
    |  |- RateLimitError        429
    |  |- BusinessError         500 in Profit's own shape
    |  |  `- LockedError        another user has the record open
    |  |- UnavailableError      503
    |  `- ServerError           every other 5xx
    |- AnswerError              the answer is not as documented
    |  |- RowError              a row that does not fit the row type
    |  |- PagingError           a page that is not the one asked for
    |  |- KeyOrderError         rows are filtered by their key in another order than they are sorted
    |  `- NonUniqueKeyError     two rows have the same key, or a row has none
    |- SchemaDriftError         a field that the row type declares and no row has
    |- JournalError             the journal of a load cannot be used, so nothing (more) is sent
    |- OutcomeUnknownError      a write that may or may not have happened, whatever the cause
    `- LoadError                elements of a load that are not known to be applied

Facts are attributes, so that you need not parse a text. Every error can be pickled. None ever holds a credential, a
request header or an exception of the HTTP library. No error of the HTTP library and no exception group reaches you.

What a service answers for you
------------------------------

Each error says whether a repetition may help (`retryable`), whether the service may have done something (`applied`),
who can mend it (`whose`), and how AFAS finds the call (`trace_id`):

    whose      retryable  applied  errors
    caller     no         no       InvalidFilterError, UnknownFieldError, InvalidNameError, QueryTooLongError,
                                   InvalidElementError, BusinessError, NotFoundError, PayloadTooLargeError
    service    no         no       other UsageErrors, AuthenticationError, PermissionDeniedError, BadRequestError,
                                   RowError, NonUniqueKeyError, KeyOrderError, SchemaDriftError, JournalError,
                                   a ConnectError that is `permanent`
    afas       yes        no       LockedError, UnavailableError, RateLimitError, ServerError (but 501 and 505), 408,
                                   ConnectError, AnswerLostError, RequestTimeoutError, an AnswerError that is `damaged`
    afas       no         no       other AnswerErrors and ApiErrors
    afas       no         maybe    OutcomeUnknownError: look before you send again, and wait until `quiet_until`

"caller" is whoever chose the arguments of the call, such as a filter or a record. "service" is your own program: its
code, configuration or credentials. A LoadError says it for the first of its records that failed.

    >>> try:
    ...     raise UnavailableError("maintenance", status=503, connector="Profit_Article", retry_after=30.0)
    ... except AfasError as error:
    ...     print(error.retryable, error.applied, error.whose)
    True no afas
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias

Applied: TypeAlias = Literal["no", "maybe"]
Whose: TypeAlias = Literal["caller", "service", "afas"]


class AfasError(Exception):
    """The root of all errors of this library.

    Attributes:
        retryable: Whether the same call may succeed later, and does no harm if it is made again. The client has already
            made as many attempts as its rules allow.
        applied: "no" if the service has applied nothing of the call, as for each read; else "maybe".
        whose: Who can mend it: "caller", who chose the arguments; "service", your program with its configuration and
            credentials; or "afas", the service and the line to it.
        trace_id: What the answer's `X-Trace-Identifier` says (Profit 7 and later), or else its `x-request-id`, at most
            100 characters; empty if no answer came or it has neither. AFAS finds the call by it.
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
    error.args = args  # OSError, a base of TimeoutError, leaves them to a constructor that is not run here
    error.__dict__.update(facts)
    return error


class UsageError(AfasError):
    """The library was called in a way that cannot work, such as an argument of a wrong type; nothing was sent."""


class ClientClosedError(UsageError):
    """The client is not open: it was never opened, or it has been closed."""


class SortKeyRequiredError(UsageError):
    """A read of several pages needs a unique key, or pages lose and double rows."""


class QueryTooLongError(UsageError, whose="caller"):
    """The query string is longer than the service accepts.

    Attributes:
        length: Characters of the encoded query string.
        limit: Characters that the service accepts.
    """

    def __init__(self, message: str, *, length: int, limit: int) -> None:
        super().__init__(message)
        self.length = length
        self.limit = limit


class InvalidFilterError(UsageError, whose="caller"):
    """A condition that is combined by other means than `& | ~`, or holds what no filter can express."""


class InvalidElementError(UsageError, whose="caller"):
    """A record that cannot be sent: of another form, with a value that no field can have, or refused by a check."""


class InvalidNameError(UsageError, whose="caller"):
    """A name that may not enter a URL, because it could change the request's target."""


class UnknownFieldError(UsageError, whose="caller"):
    """A field that the row type does not have."""


class ConfigurationError(UsageError):
    """The environment, the base URL or the credentials are malformed or missing."""


class TransportError(AfasError, retryable=True, whose="afas"):
    """No usable answer came back.

    Attributes:
        sent: "no" if it is certain that the server never held a complete request, else "maybe".
        connector: The connector or path that was called.
    """

    sent: Literal["no", "maybe"] = "maybe"

    def __init__(self, message: str, *, connector: str) -> None:
        super().__init__(message)
        self.connector = connector


class ConnectError(TransportError):
    """No connection could be made, so nothing was sent.

    Attributes:
        permanent: True if trying again cannot help, for example because the certificate is not trusted.
    """

    sent: Literal["no", "maybe"] = "no"

    def __init__(self, message: str, *, connector: str, permanent: bool = False) -> None:
        super().__init__(message, connector=connector)
        self.permanent = permanent
        if permanent:
            self.retryable: bool = False
            self.whose: Whose = "service"


class AnswerLostError(TransportError):
    """The connection broke, or the body ended early, after the request may have been sent."""


class RequestTimeoutError(TransportError, TimeoutError):
    """The client's time-out passed before the answer was complete.

    Attributes:
        seconds: The time-out that passed, in seconds.
    """

    def __init__(self, message: str, *, connector: str, seconds: float) -> None:
        super().__init__(message, connector=connector)
        self.seconds = seconds


class ApiError(AfasError, whose="afas"):
    """The service answered with an error.

    Attributes:
        status: The HTTP status.
        message: The service's own text, cleaned of control characters, at most 2,000 characters.
        error_number: Profit's number, if any. It is not suitable to branch on (AFAS, Troubleshooting).
        log_reference: Profit's log reference, if any: quote it to the administrator.
        retry_after: Seconds that the service asked to wait, if it did.
        connector: The connector or path that was called.
        attempts: How often the request was sent.
        hint: What the library has found out about it, such as which connectors have a similar name; mostly empty.
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
        if status in {408, 501, 505}:  # a time-out passes; what the service has not implemented does not come
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
    """400 and its relatives: the service refuses the form of the request."""


class AuthenticationError(ApiError, whose="service"):
    """401: the token is invalid or expired, or its app connector does not include this connector.

    Also a token that the service refuses to give for client credentials, whatever the `status`; `connector` is
    "oauth/token" then. For a minute after that the next such requests fail in the same way without being sent, unless
    there is another token.
    """


class PermissionDeniedError(ApiError, whose="service"):
    """403: usually the IP restriction of the app connector."""


class NotFoundError(ApiError, whose="caller"):
    """404: the URL does not exist, or what it names is absent or not permitted."""


class PayloadTooLargeError(ApiError, whose="caller"):
    """413: the request, with its attachments, exceeds 75 MB."""


class RateLimitError(ApiError, retryable=True):
    """429: too many requests."""


class BusinessError(ApiError, whose="caller"):
    """500 in Profit's own shape: Profit understood the request and refused it."""


class LockedError(BusinessError, retryable=True, whose="afas"):
    """Another user or process has the record open: nothing was applied, and it may be free later."""


class UnavailableError(ApiError, retryable=True):
    """503: maintenance or a disturbance."""


class ServerError(ApiError, retryable=True):
    """Any other 5xx, or a 500 that is not in Profit's shape."""


class AnswerError(AfasError, whose="afas"):
    """The answer is not as documented.

    Attributes:
        connector: The connector or path that was called.
        page: Number of the page, counted from 0, or None outside a read of pages.
        damaged: Whether the answer was unreadable as a whole, as a proxy's error page is: the next one may be better.
    """

    def __init__(self, message: str, *, connector: str, page: int | None = None, damaged: bool = False) -> None:
        super().__init__(message)
        self.connector = connector
        self.page = page
        self.damaged = damaged
        self.retryable: bool = damaged


class RowError(AnswerError, whose="service"):
    """A row that is not well-formed or does not fit the row type.

    Attributes:
        index: Index of the row in its answer, counted from 0. With a key, every answer but the first begins with the
            last row of the page before. From `columns`, where `page` is None, it counts the rows of the read.
        path: Where in the answer, as a JSON path such as `$.rows[3].Price`.
    """

    def __init__(self, message: str, *, connector: str, page: int | None, index: int, path: str) -> None:
        super().__init__(message, connector=connector, page=page)
        self.index = index
        self.path = path


class PagingError(AnswerError):
    """A page that is not the one asked for, so that rows could be lost or doubled."""


class KeyOrderError(AnswerError, whose="service"):
    """Rows are filtered by their key in another order than they are sorted, so that no read can go on by key."""


class NonUniqueKeyError(AnswerError, whose="service"):
    """Two rows have the same key, or a row has an empty one, so that rows could be lost or doubled."""


class SchemaDriftError(AfasError):
    """A field that the row type declares and no row has: renamed or removed in Profit, or misspelled.

    Attributes:
        connector: The connector that was read.
    """

    def __init__(self, message: str, *, connector: str) -> None:
        super().__init__(message)
        self.connector = connector


class SchemaDriftWarning(UserWarning):
    """The same as a warning, unless the client has `drift="error"`."""


class JournalError(AfasError):
    """The journal of a load cannot be written, is another load's, or is damaged: without it nothing is sent."""


class OutcomeUnknownError(AfasError, applied="maybe", whose="afas"):
    """A write that may or may not have happened: the service goes on with what it was sent, whoever has hung up.

    Look up whether it happened before sending it again, and believe that it did not only after `quiet_until`.

    Attributes:
        connector: The connector.
        sent_at: When the last attempt was sent, in UTC.
        quiet_until: When the service must have ended it, in UTC: 960 seconds later (AFAS, Troubleshooting: a limit of
            900 seconds).
        stage: "sent" if no answer came, "answered" if the answer does not tell.
        reason: Why nothing is known, in words.
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
            f"{connector}: it is unknown whether this was applied: {reason}. Look before you send it again; the service"
            f" may be at work on it until {quiet_until:%Y-%m-%d %H:%M:%S} UTC"
        )
        self.connector = connector
        self.sent_at = sent_at
        self.quiet_until = quiet_until
        self.stage = stage
        self.reason = reason
        self.trace_id: str = trace_id
