"""The asyncio client for the AFAS Profit REST API: connectors as typed, memory-bounded streams."""

from afas_async.client import AfasClient
from afas_async.connectors import GetConnector
from afas_async.credentials import AppToken
from afas_async.environment import Environment
from afas_async.errors import (
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
    InvalidFilterError,
    InvalidNameError,
    KeyOrderError,
    NonUniqueKeyError,
    NotFoundError,
    PagingError,
    PayloadTooLargeError,
    PermissionDeniedError,
    QueryTooLongError,
    RateLimitError,
    RequestTimeoutError,
    RowError,
    ServerError,
    SortKeyRequiredError,
    TransportError,
    UnavailableError,
    UnknownFieldError,
    UsageError,
)
from afas_async.filters import Condition, F
from afas_async.http.engine import Event, Statistics
from afas_async.metainfo import GetMetainfo, MetainfoField
from afas_async.read.changes import Changes
from afas_async.read.stream import Page, Pages, Progress, Rows

__version__ = "0.1.0"

__all__ = [
    "AfasClient",
    "AfasError",
    "AnswerError",
    "AnswerLostError",
    "ApiError",
    "AppToken",
    "AuthenticationError",
    "BadRequestError",
    "BusinessError",
    "Changes",
    "ClientClosedError",
    "Condition",
    "ConfigurationError",
    "ConnectError",
    "Environment",
    "Event",
    "F",
    "GetConnector",
    "GetMetainfo",
    "InvalidFilterError",
    "InvalidNameError",
    "KeyOrderError",
    "MetainfoField",
    "NonUniqueKeyError",
    "NotFoundError",
    "Page",
    "Pages",
    "PagingError",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "Progress",
    "QueryTooLongError",
    "RateLimitError",
    "RequestTimeoutError",
    "RowError",
    "Rows",
    "ServerError",
    "SortKeyRequiredError",
    "Statistics",
    "TransportError",
    "UnavailableError",
    "UnknownFieldError",
    "UsageError",
]
