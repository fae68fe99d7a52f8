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

TOKEN_SECONDS: Final = 30.0  # for one token, including all retries
ANSWER_LIMIT: Final = 1 << 16
# A token is renewed this long before it expires, so that the last request with it arrives in time.
MARGIN_SECONDS: Final = 60.0
MARGIN_SHARE: Final = 0.1


class TokenEndpoint:
    """Fetches access tokens from the service.

    Args:
        credentials: The client credentials to exchange for tokens.
        engine: Sends the requests, without an `Authorization` header and with its own limiter.
        options: The options of the requests.
    """

    def __init__(self, credentials: ClientCredentials, engine: Engine, options: Options) -> None:
        self._credentials = credentials
        self._engine = engine
        self._options = options
        self._refusal: AuthenticationError | None = None
        self._refused_until = 0.0

    async def fetch(self) -> Grant | AfasError:
        """Return a token, or the failure. Refused credentials are not sent again for a minute."""
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
        """Allow refused credentials to be sent again."""
        self._refusal = None


class _Answer(OwnRepr, msgspec.Struct):
    # The pattern is checked during decoding, because no error may be raised where the token is a local variable.
    access_token: Annotated[str, msgspec.Meta(pattern=rf"\A{BEARER}\Z")]
    token_type: Annotated[str, msgspec.Meta(pattern=r"\A(?i:bearer)\Z")]
    expires_in: float | str | None = None

    @property
    def seconds(self) -> float:
        """The validity of the token in seconds; infinite without a valid number (optional by RFC 6749, 4.2.2)."""
        try:
            seconds = float(self.expires_in or 0)
        except ValueError:
            return inf
        return seconds if seconds > 0 else inf

    def __repr__(self) -> str:
        return "_Answer(***)"


_ANSWER: Final = msgspec.json.Decoder(_Answer)


class _TokenCall(Call):
    """A request for a token, as the engine sends it."""

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

    def begin(self, status: int, headers: Mapping[str, str]) -> None:  # noqa: ARG002 - every success is treated alike
        self._body = body_reader(headers.get("Content-Encoding", ""), connector=self.connector)

    def receive(self, data: bytes) -> None:
        assert self._body is not None  # noqa: S101 - `begin` comes first
        self._body.feed(data)
        while piece := self._body.read(ANSWER_LIMIT):
            self._text += piece
            if len(self._text) > ANSWER_LIMIT:
                text = f"{self.connector}: the response is longer than {ANSWER_LIMIT} bytes, too long for a token"
                raise AnswerError(text, connector=self.connector)

    def grant(self) -> Grant | AfasError:
        """Return the token in the response, or an error that describes what the response lacks."""
        try:
            assert self._body is not None  # noqa: S101 - the response has ended
            self._body.finish()
        except AfasError as error:
            return error.with_traceback(None)
        answer = decode(self._text, _ANSWER)
        if isinstance(answer, Unreadable):  # a response that is not JSON may be the error page of a proxy
            return not_as_documented(self.connector, "it has no token", damaged=not answer.well_formed)
        margin = min(MARGIN_SECONDS, MARGIN_SHARE * answer.seconds)
        return Grant(BearerToken(answer.access_token), answer.seconds, answer.seconds - margin)
