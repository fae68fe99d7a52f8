"""The public names of `afas_async`, from the packages that define them. They are imported when you first use one."""

from afas_async.calls.file import File
from afas_async.calls.raw import RawAnswer
from afas_async.client.client import AfasClient
from afas_async.client.pool import ClientPool, PoolStatistics
from afas_async.client.verification import Verification
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
    InvalidElementError,
    InvalidFilterError,
    InvalidNameError,
    JournalError,
    KeyOrderError,
    LockedError,
    NonUniqueKeyError,
    NotFoundError,
    OutcomeUnknownError,
    PagingError,
    PayloadTooLargeError,
    PermissionDeniedError,
    QueryTooLongError,
    RateLimitError,
    RequestTimeoutError,
    RowError,
    SchemaDriftError,
    SchemaDriftWarning,
    ServerError,
    SortKeyRequiredError,
    TransportError,
    UnavailableError,
    UnknownFieldError,
    UsageError,
)
from afas_async.http.events import Event
from afas_async.http.limiter import Limiter
from afas_async.http.shared_limiter import FileLimiter, SharedLimiter
from afas_async.http.statistics import Statistics
from afas_async.read.changes import Changes
from afas_async.read.stream import Page, Pages, Progress, Rows, RowStream, Stream
from afas_async.vocabulary.connectors import GetConnector, UpdateConnector
from afas_async.vocabulary.credentials import AppToken, BearerToken, ClientCredentials
from afas_async.vocabulary.elements import Element, ElementFault
from afas_async.vocabulary.environment import Environment
from afas_async.vocabulary.filters import Condition, F
from afas_async.vocabulary.metainfo import (
    Code,
    GetMetainfo,
    ListedConnector,
    Metainfo,
    MetainfoField,
    TokenInfo,
    UpdateField,
    UpdateMetainfo,
    UpdateObject,
)
from afas_async.vocabulary.outcomes import LoadError, LoadReport, Outcome, WriteResult
from afas_async.vocabulary.private_keys import PrivateKeyCredentials
from afas_async.write.failures import failed_records
from afas_async.write.loader import Load
from afas_async.write.lookups import Lookup
from afas_async.write.ordered import Outcomes
from afas_async.write.settings import LoadProgress

__all__ = [
    "AfasClient",
    "AfasError",
    "AnswerError",
    "AnswerLostError",
    "ApiError",
    "AppToken",
    "AuthenticationError",
    "BadRequestError",
    "BearerToken",
    "BusinessError",
    "Changes",
    "ClientClosedError",
    "ClientCredentials",
    "ClientPool",
    "Code",
    "Condition",
    "ConfigurationError",
    "ConnectError",
    "Element",
    "ElementFault",
    "Environment",
    "Event",
    "F",
    "File",
    "FileLimiter",
    "GetConnector",
    "GetMetainfo",
    "InvalidElementError",
    "InvalidFilterError",
    "InvalidNameError",
    "JournalError",
    "KeyOrderError",
    "Limiter",
    "ListedConnector",
    "Load",
    "LoadError",
    "LoadProgress",
    "LoadReport",
    "LockedError",
    "Lookup",
    "Metainfo",
    "MetainfoField",
    "NonUniqueKeyError",
    "NotFoundError",
    "Outcome",
    "OutcomeUnknownError",
    "Outcomes",
    "Page",
    "Pages",
    "PagingError",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "PoolStatistics",
    "PrivateKeyCredentials",
    "Progress",
    "QueryTooLongError",
    "RateLimitError",
    "RawAnswer",
    "RequestTimeoutError",
    "RowError",
    "RowStream",
    "Rows",
    "SchemaDriftError",
    "SchemaDriftWarning",
    "ServerError",
    "SharedLimiter",
    "SortKeyRequiredError",
    "Statistics",
    "Stream",
    "TokenInfo",
    "TransportError",
    "UnavailableError",
    "UnknownFieldError",
    "UpdateConnector",
    "UpdateField",
    "UpdateMetainfo",
    "UpdateObject",
    "UsageError",
    "Verification",
    "WriteResult",
    "failed_records",
]
