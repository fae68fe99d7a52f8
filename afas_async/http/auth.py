"""The credentials of requests: which one a request carries, and when a new one is needed.

One job of the session fetches a credential at a time. All requests that need it wait for that job, and a request that
is cancelled does not stop it. A refusal (401) belongs to a connector and a credential. The reason: AFAS also responds
with 401 if the credential is right, but its app connector does not include the connector (AFAS, OpenAPI).
"""

from __future__ import annotations

import asyncio
import copy
import hmac
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Protocol

import anyio
import msgspec

from afas_async.errors import AfasError, AuthenticationError, ClientClosedError, ConfigurationError, RequestTimeoutError
from afas_async.http.clock import loop_time
from afas_async.http.host import Job
from afas_async.vocabulary.arguments import type_name
from afas_async.vocabulary.credentials import Credential, as_credential

REFUSED_SECONDS: Final = 60.0  # a refused credential is not sent again for this time
FETCH_SECONDS: Final = 60.0
PATIENCE_SECONDS: Final = 2.0  # a request with a valid credential waits at most this long for a new one
PAUSE_SECONDS: Final = 5.0  # after a failed renewal, a credential that is still valid is not renewed for this time


class Signer(Protocol):
    """Gives the engine the credential of each request."""

    async def ready(self, connector: str) -> Credential | None:
        """Return the credential for a request, or None for a request without one.

        Raises:
            AfasError: If the credential cannot be obtained.
        """
        ...

    def refused(self, connector: str, credential: Credential, failure: AuthenticationError, *, final: bool) -> bool:
        """Record a 401, and return whether to send the request again with a new result of `ready`.

        Args:
            connector: The connector of the request.
            credential: The credential of the request.
            failure: The error.
            final: Whether the request was already refused with another credential.
        """
        ...

    def forget(self) -> None:
        """Forget all refusals, so that the next request is sent."""
        ...


class NoSigner:
    """Signs nothing: for requests without an `Authorization` header, such as those for one-time passwords."""

    async def ready(self, connector: str) -> None:
        """Return None at once."""

    def refused(self, *_: object, **__: object) -> bool:
        """Return False: another attempt would be the same."""
        return False

    def forget(self) -> None:
        """Do nothing, as refusals are not recorded."""


class ConstantSigner:
    """Signs all requests with the same credential.

    Args:
        credential: The credential.
    """

    def __init__(self, credential: Credential) -> None:
        self._credential = credential
        self._refusals = _Refusals()

    async def ready(self, connector: str) -> Credential:
        """Return the credential, or raise the error if it was refused for this connector a moment ago."""
        if refusal := self._refusals.of(connector, self._credential):
            raise refusal.error()
        return self._credential

    def refused(self, connector: str, credential: Credential, failure: AuthenticationError, *, final: bool) -> bool:
        """Record the refusal, and return False: another credential does not exist."""
        self._refusals.note(connector, credential, failure, final=final)
        return False

    def forget(self) -> None:
        """Forget all refusals, so that the next request is sent with the same credential."""
        self._refusals = _Refusals()


class Grant(msgspec.Struct, frozen=True):
    """A credential with its validity. Both times count from the request for the credential.

    Args:
        credential: The credential.
        seconds: The time until it expires, in seconds.
        fresh_seconds: The time until it should be renewed, in seconds.
    """

    credential: Credential
    seconds: float = float("inf")
    fresh_seconds: float = float("inf")


class CredentialSource(Protocol):
    """Fetches credentials."""

    async def fetch(self) -> Grant | AfasError:
        """Return a credential or the error. It raises nothing, because a traceback may show its local variables."""
        ...

    def forget(self) -> None:
        """Forget all refusals."""
        ...


class RenewingSigner:
    """Signs with a credential that it fetches, and renews before it expires or when it is refused.

    While the credential is valid, a renewal that is slow or fails temporarily does not stop requests. A renewal that is
    refused does stop them: the service would refuse the next one, too.

    Args:
        source: Fetches the credential.
        start: Starts a job of the session.
    """

    def __init__(self, source: CredentialSource, start: Callable[[Coroutine[Any, Any, Any]], Job]) -> None:
        self._source = source
        self._start = start
        self._job: Job | None = None
        self._credential: Credential | None = None
        self._asked_at = 0.0
        self._renew_at = 0.0
        self._expires_at = 0.0
        self._ask_again_at = 0.0
        self._refusals = _Refusals()

    async def ready(self, connector: str) -> Credential:
        """Return the credential. Wait for a new one if it is due for renewal, or was refused for this connector.

        Raises:
            AfasError: If no credential can be obtained, or only the refused one.
        """
        credential = self._credential
        if credential is None or loop_time() >= self._expires_at:
            credential = await self._fetched()
        elif loop_time() >= self._renew_at:
            credential = await self._renewed(credential)
        refusal = self._refusals.of(connector, credential)
        if refusal is not None and not refusal.final and self._may_ask:
            credential = await self._fetched()
            refusal = self._refusals.of(connector, credential)
            if refusal is not None:  # the source returned the refused credential again
                self._ask_again_at = loop_time() + REFUSED_SECONDS
        if refusal is not None:
            raise refusal.error()
        return credential

    def refused(self, connector: str, credential: Credential, failure: AuthenticationError, *, final: bool) -> bool:
        """Record the refusal. After the first one, return whether the source may have another credential."""
        self._refusals.note(connector, credential, failure, final=final)
        return not final and self._may_ask

    def forget(self) -> None:
        """Forget all refusals, so that the next request is sent; fetch a new credential first if one was refused."""
        if self._refusals:
            self._credential, self._refusals = None, _Refusals()
        self._ask_again_at = 0.0
        self._source.forget()

    @property
    def _may_ask(self) -> bool:
        """Whether the source may have another credential than the refused one."""
        return loop_time() >= self._ask_again_at

    async def _renewed(self, valid: Credential) -> Credential:
        """Return the next credential, or the valid one if the next one is not available yet."""
        job = self._ask()
        with anyio.CancelScope(deadline=min(self._asked_at + PATIENCE_SECONDS, self._expires_at)):
            await asyncio.wait([job])
        if loop_time() < self._expires_at and (not job.done() or (not job.cancelled() and _is_temporary(job.result()))):
            return valid
        return await self._outcome(job)

    async def _fetched(self) -> Credential:
        return await self._outcome(self._ask())

    def _ask(self) -> Job:
        """Return the job that fetches a credential; start one if none is running."""
        if self._job is None or self._job.done():
            self._asked_at = loop_time()
            self._job = self._start(self._fetch())
        return self._job

    async def _outcome(self, job: Job) -> Credential:
        await asyncio.wait([job])
        if job.cancelled():
            raise ClientClosedError("the client was closed while it fetched a credential")
        result: Credential | AfasError = job.result()
        if not isinstance(result, AfasError):
            return result
        failure = copy.copy(result)  # each request raises a copy of its own
        failure.__cause__ = result.__cause__
        raise failure

    async def _fetch(self) -> Credential | AfasError:
        with anyio.move_on_after(FETCH_SECONDS):
            grant = await self._source.fetch()
            if isinstance(grant, AfasError):
                if _is_temporary(grant):
                    self._renew_at = max(self._renew_at, loop_time() + PAUSE_SECONDS)
                return grant
            self._credential = grant.credential
            self._renew_at, self._expires_at = self._asked_at + grant.fresh_seconds, self._asked_at + grant.seconds
            return grant.credential
        text = f"auth took longer than {FETCH_SECONDS:g} s; nothing was sent"
        failure = RequestTimeoutError(text, connector="auth", seconds=FETCH_SECONDS)
        failure.sent, failure.whose = "no", "service"
        return failure


def _is_temporary(found: Credential | AfasError) -> bool:
    """Whether fetching a credential failed for now, but may succeed soon. A refusal is not temporary."""
    return isinstance(found, AfasError) and not isinstance(found, AuthenticationError)


class FunctionSource:
    """Fetches credentials with the user's `auth` function.

    Args:
        function: An async function that returns an app connector's token or a credential.
    """

    def __init__(self, function: Callable[[], Awaitable[str | Credential]]) -> None:
        self._function = function

    async def fetch(self) -> Grant | AfasError:
        """Return the credential of the function. If the function raises, return a ConfigurationError.

        The message names only the class of the exception, which becomes the cause.
        """
        failure: AfasError
        try:
            pending = self._function()
            if not inspect.isawaitable(pending):
                # The message names only the type, because the value may be the token.
                return ConfigurationError(
                    f"auth: expected an async function (async def), got one that returns {type_name(pending)}"
                )
            return Grant(as_credential(await pending))
        except AfasError as error:
            failure = error.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - the user's function may raise anything
            failure = ConfigurationError(f"auth: your function raised {type(error).__name__}; nothing was sent")
            failure.__cause__ = error
        return failure

    def forget(self) -> None:
        """Do nothing, as refusals are not recorded."""


class _Refusal(msgspec.Struct, frozen=True):
    credential: Credential
    failure: AuthenticationError
    until: float
    final: bool

    def error(self) -> AuthenticationError:
        error = copy.copy(self.failure)
        error.attempts = 0
        error.message += f" (this credential was refused less than {REFUSED_SECONDS:g} s ago; nothing was sent)"
        return error


class _Refusals:
    """The recent refusals, by connector and credential."""

    def __init__(self) -> None:
        self._found: dict[str, _Refusal] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def note(self, connector: str, credential: Credential, failure: AuthenticationError, *, final: bool) -> None:
        now = loop_time()
        self._found = {name: refusal for name, refusal in self._found.items() if refusal.until > now}
        # A copy, because the error itself gets a traceback, and that keeps all local variables of its frames.
        self._found[connector] = _Refusal(credential, copy.copy(failure), now + REFUSED_SECONDS, final)

    def of(self, connector: str, credential: Credential) -> _Refusal | None:
        refusal = self._found.get(connector)
        if refusal is None or refusal.until <= loop_time():
            return None
        same = hmac.compare_digest(refusal.credential.header(), credential.header())
        return refusal if same else None
