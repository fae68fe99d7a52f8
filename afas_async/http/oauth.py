"""Access tokens for client credentials (AFAS, Authentication: OAuth 2.1)."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Annotated, Final

import msgspec

from afas_async.errors import AfasError, AnswerError, AuthenticationError
from afas_async.http.auth import REFUSED_SECONDS, Grant
from afas_async.http.call import Call
from afas_async.http.clock import loop_time
from afas_async.http.engine import Engine
from afas_async.http.options import Options
from afas_async.policy.retrying import Retry, retry_read
from afas_async.vocabulary.credentials import BEARER, BearerToken, ClientCredentials
from afas_async.vocabulary.hiding import OwnRepr
from afas_async.wire.decompression import BodyReader, body_reader
from afas_async.wire.json_documents import Unreadable, decode, not_as_documented
from afas_async.wire.requests import TOKEN_PATH, Request, token_request

TOKEN_SECONDS: Final = 30.0  # for a token, with all retries
ANSWER_LIMIT: Final = 1 << 16
# A token is renewed so long before it expires that the last request with it arrives in time.
MARGIN_SECONDS: Final = 60.0
MARGIN_SHARE: Final = 0.1


class TokenEndpoint:
    """Gives access tokens, each for a request of its own.

    Args:
        credentials: What it gives them for.
        engine: Sends the requests, unsigned and in slots of its own.
        options: Of the requests.
    """

    def __init__(self, credentials: ClientCredentials, engine: Engine, options: Options) -> None:
        self._credentials = credentials
        self._engine = engine
        self._options = options
        self._refusal: AuthenticationError | None = None
        self._refused_until = 0.0

    async def fetch(self) -> Grant | AfasError:
        """Return a token, or the failure; credentials that were refused are not sent again for a minute."""
        if self._refusal is not None and loop_time() < self._refused_until:
            return self._refusal
        call = _TokenCall(self._credentials, self._options)
        failure: AfasError | None = None
        while True:
            failure = await self._engine.send(call, self._options, failure)
            if isinstance(failure, AuthenticationError):
                self._refusal, self._refused_until = failure, loop_time() + REFUSED_SECONDS
            if failure is not None:
                return failure
            grant = call.grant()
            if isinstance(grant, Grant):
                return grant
            failure = grant

    def forget(self) -> None:
        """Send credentials again that were refused."""
        self._refusal = None


class _Answer(OwnRepr, msgspec.Struct):
    # Checked here, because no error may be raised where the token is a local variable.
    access_token: Annotated[str, msgspec.Meta(pattern=rf"\A{BEARER}\Z")]
    token_type: Annotated[str, msgspec.Meta(pattern=r"\A(?i:bearer)\Z")]
    expires_in: float | str | None = None

    @property
    def seconds(self) -> float:
        """How long the token is valid; for ever if that is not a number of seconds (RFC 6749, 4.2.2: recommended)."""
        try:
            seconds = float(self.expires_in or 0)
        except ValueError:
            return inf
        return seconds if seconds > 0 else inf

    def __repr__(self) -> str:
        return "_Answer(***)"


_ANSWER: Final = msgspec.json.Decoder(_Answer)


class _TokenCall(Call):
    """The engine's view of a request for a token."""

    def __init__(self, credentials: ClientCredentials, options: Options) -> None:
        super().__init__(TOKEN_PATH, options.timeout)
        self._credentials = credentials
        self._body: BodyReader | None = None
        self._text = bytearray()

    def retry(self, *, max_retries: int, jitter: float) -> Retry | None:
        return retry_read(self.failures, max_retries=max_retries, jitter=jitter)

    def request(self) -> Request:
        self._text.clear()
        return token_request(self._credentials)

    def begin(self, status: int, headers: Mapping[str, str]) -> None:  # noqa: ARG002 - all are alike
        self._body = body_reader(headers.get("Content-Encoding", ""), connector=self.connector)

    def receive(self, data: bytes) -> None:
        assert self._body is not None  # noqa: S101 - an answer begins first
        self._body.feed(data)
        while piece := self._body.read(ANSWER_LIMIT):
            self._text += piece
            if len(self._text) > ANSWER_LIMIT:
                raise AnswerError(f"{self.connector}: the answer is too long for a token", connector=self.connector)

    def grant(self) -> Grant | AfasError:
        """Return what the answer holds, or what is wrong with it."""
        try:
            assert self._body is not None  # noqa: S101 - it was answered
            self._body.finish()
        except AfasError as error:
            return error.with_traceback(None)
        answer = decode(self._text, _ANSWER)
        if isinstance(answer, Unreadable):  # if it is not even JSON, it is something like a proxy's error page
            return not_as_documented(self.connector, "it holds no token", damaged=not answer.well_formed)
        margin = min(MARGIN_SECONDS, MARGIN_SHARE * answer.seconds)
        return Grant(BearerToken(answer.access_token), answer.seconds, answer.seconds - margin)
