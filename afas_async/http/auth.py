"""The one place that knows which credential a request carries, and when another one is needed.

A credential is fetched by one job of the session at a time, and all requests that need it wait for that job; one that
is cancelled meanwhile leaves it alone. A refusal (401) belongs to a connector and a credential, because AFAS also
answers 401 where the credential is right but its app connector does not include the connector (AFAS, OpenAPI).
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

REFUSED_SECONDS: Final = 60.0  # how long what was refused is not tried again
FETCH_SECONDS: Final = 60.0
PATIENCE_SECONDS: Final = 2.0  # how long a request with a valid credential waits for the next one
PAUSE_SECONDS: Final = 5.0  # after a failure, until a credential that is still valid is renewed again


class Signer(Protocol):
    """What the engine asks."""

    async def ready(self, connector: str) -> Credential | None:
        """Return what a request for a connector is signed with, or None for nothing; raise AfasError if it fails."""
        ...

    def refused(self, connector: str, credential: Credential, failure: AuthenticationError, *, final: bool) -> bool:
        """Take note of a 401, and return whether the request may be sent again with what `ready` gives then.

        Args:
            connector: What was asked for.
            credential: What it was signed with.
            failure: The error.
            final: Whether the request had been refused before, with another credential.
        """
        ...

    def forget(self) -> None:
        """Forget which credentials were refused, so that the next request is sent."""
        ...


class NoSigner:
    """Signs nothing: for requests without an `Authorization` header, such as those for one-time passwords."""

    async def ready(self, connector: str) -> None:
        """Return at once."""

    def refused(self, *_: object, **__: object) -> bool:
        """Know of nothing better."""
        return False

    def forget(self) -> None:
        """Have nothing to forget."""


class ConstantSigner:
    """Signs with one credential.

    Args:
        credential: The credential.
    """

    def __init__(self, credential: Credential) -> None:
        self._credential = credential
        self._refusals = _Refusals()

    async def ready(self, connector: str) -> Credential:
        """Return the credential, unless it was refused for this connector a moment ago."""
        if refusal := self._refusals.of(connector, self._credential):
            raise refusal.error()
        return self._credential

    def refused(self, connector: str, credential: Credential, failure: AuthenticationError, *, final: bool) -> bool:
        """Remember it; there is no other credential."""
        self._refusals.note(connector, credential, failure, final=final)
        return False

    def forget(self) -> None:
        """Have the next request sent with the same credential."""
        self._refusals = _Refusals()


class Grant(msgspec.Struct, frozen=True):
    """A credential, and how long it lasts.

    Args:
        credential: The credential.
        seconds: For how many seconds from when it was asked for it is valid.
        fresh_seconds: After how many of them it is to be renewed.
    """

    credential: Credential
    seconds: float = float("inf")
    fresh_seconds: float = float("inf")


class CredentialSource(Protocol):
    """Where credentials come from."""

    async def fetch(self) -> Grant | AfasError:
        """Return a credential, or why there is none; nothing is raised, so that no traceback has its locals."""
        ...

    def forget(self) -> None:
        """Forget what was refused."""
        ...


class RenewingSigner:
    """Signs with a credential that is fetched, and fetched anew before it expires or when it is refused.

    A renewal that fails for a moment, or takes long, stops no request while the credential is valid. One that is
    refused does: the service would refuse the next one, too.

    Args:
        source: Where it comes from.
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
        """Return the credential; wait for another one if it is to be renewed, or was refused for this connector.

        Raises:
            AfasError: If there is none, or none but the refused one.
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
            if refusal is not None:  # the same again
                self._ask_again_at = loop_time() + REFUSED_SECONDS
        if refusal is not None:
            raise refusal.error()
        return credential

    def refused(self, connector: str, credential: Credential, failure: AuthenticationError, *, final: bool) -> bool:
        """Remember it; the first time there may be another one."""
        self._refusals.note(connector, credential, failure, final=final)
        return not final and self._may_ask

    def forget(self) -> None:
        """Have the next request sent, with a credential that is fetched anew if one was refused."""
        if self._refusals:
            self._credential, self._refusals = None, _Refusals()
        self._ask_again_at = 0.0
        self._source.forget()

    @property
    def _may_ask(self) -> bool:
        """Whether the source may have something other than what was refused."""
        return loop_time() >= self._ask_again_at

    async def _renewed(self, valid: Credential) -> Credential:
        """Return the next credential, or the one that is still valid while no other can be had."""
        job = self._ask()
        with anyio.CancelScope(deadline=min(self._asked_at + PATIENCE_SECONDS, self._expires_at)):
            await asyncio.wait([job])
        if loop_time() < self._expires_at and (not job.done() or (not job.cancelled() and _may_pass(job.result()))):
            return valid
        return await self._outcome(job)

    async def _fetched(self) -> Credential:
        return await self._outcome(self._ask())

    def _ask(self) -> Job:
        """Return the job that fetches a credential, the one under way if there is one."""
        if self._job is None or self._job.done():
            self._asked_at = loop_time()
            self._job = self._start(self._fetch())
        return self._job

    async def _outcome(self, job: Job) -> Credential:
        await asyncio.wait([job])
        if job.cancelled():
            raise ClientClosedError("closed while the credential was fetched")
        result: Credential | AfasError = job.result()
        if not isinstance(result, AfasError):
            return result
        failure = copy.copy(result)  # each request has its own
        failure.__cause__ = result.__cause__
        raise failure

    async def _fetch(self) -> Credential | AfasError:
        with anyio.move_on_after(FETCH_SECONDS):
            grant = await self._source.fetch()
            if isinstance(grant, AfasError):
                if _may_pass(grant):
                    self._renew_at = max(self._renew_at, loop_time() + PAUSE_SECONDS)
                return grant
            self._credential = grant.credential
            self._renew_at, self._expires_at = self._asked_at + grant.fresh_seconds, self._asked_at + grant.seconds
            return grant.credential
        text = f"auth: no credential within {FETCH_SECONDS:g} s, so that nothing was sent"
        failure = RequestTimeoutError(text, connector="auth", seconds=FETCH_SECONDS)
        failure.sent, failure.whose = "no", "service"
        return failure


def _may_pass(found: Credential | AfasError) -> bool:
    """Whether a credential cannot be had now but may be soon; one that is refused stays refused."""
    return isinstance(found, AfasError) and not isinstance(found, AuthenticationError)


class FunctionSource:
    """Credentials that a function of the user gives.

    Args:
        function: An async function that returns an app connector's token or a credential.
    """

    def __init__(self, function: Callable[[], Awaitable[str | Credential]]) -> None:
        self._function = function

    async def fetch(self) -> Grant | AfasError:
        """Return what the function returns; if it raises, a ConfigurationError that names but the class of that."""
        failure: AfasError
        try:
            pending = self._function()
            if not inspect.isawaitable(pending):
                # Its value may be the token, so only its type is named.
                return ConfigurationError(
                    f"auth: expected an async function (async def), got one that returns {type_name(pending)}"
                )
            return Grant(as_credential(await pending))
        except AfasError as error:
            failure = error.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - whatever it raises
            failure = ConfigurationError(f"the callable given as auth gave no credential: {type(error).__name__}")
            failure.__cause__ = error
        return failure

    def forget(self) -> None:
        """Have nothing to forget."""


class _Refusal(msgspec.Struct, frozen=True):
    credential: Credential
    failure: AuthenticationError
    until: float
    final: bool

    def error(self) -> AuthenticationError:
        error = copy.copy(self.failure)
        error.attempts = 0
        error.message += f" (refused before, and not sent again for {REFUSED_SECONDS:g} s)"
        return error


class _Refusals:
    """Which connector has refused which credential lately."""

    def __init__(self) -> None:
        self._found: dict[str, _Refusal] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def note(self, connector: str, credential: Credential, failure: AuthenticationError, *, final: bool) -> None:
        now = loop_time()
        self._found = {name: refusal for name, refusal in self._found.items() if refusal.until > now}
        # A copy, as the error itself gets a traceback, with all that its frames hold.
        self._found[connector] = _Refusal(credential, copy.copy(failure), now + REFUSED_SECONDS, final)

    def of(self, connector: str, credential: Credential) -> _Refusal | None:
        refusal = self._found.get(connector)
        if refusal is None or refusal.until <= loop_time():
            return None
        same = hmac.compare_digest(refusal.credential.header(), credential.header())
        return refusal if same else None
