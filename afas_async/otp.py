"""One-time passwords: get a token for a user of your app.

Call `request` with the keys of your app connector: the service sends the user a password by e-mail. When the user has
typed it into your app, call `validate`: it returns the user's token. You need no `AfasClient` for this, because you
have no token yet.
"""

from __future__ import annotations

__docformat__ = "google"

import re
import ssl
from typing import Final, TypedDict, Unpack

import msgspec

from afas_async.calls.raw import RawAnswer, call
from afas_async.errors import AnswerError, AuthenticationError, ConfigurationError
from afas_async.http.channel import Channel
from afas_async.http.engine import Sender
from afas_async.http.limiter import Limiter
from afas_async.http.options import Options
from afas_async.http.session import Session
from afas_async.http.transport import AiohttpTransport
from afas_async.vocabulary.credentials import AppToken
from afas_async.vocabulary.environment import Environment, Proxy, base_url_of, checked_integration_id, checked_proxy
from afas_async.vocabulary.hiding import OwnRepr
from afas_async.wire.error_answers import trace_of
from afas_async.wire.requests import Request

_REQUEST: Final = "otprequest"
_VALIDATION: Final = "otpvalidation"
_RETRIES: Final = 3
_KEY: Final = re.compile(r"[0-9A-Za-z]{32}", re.ASCII)
_TEXT: Final = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,255}")


class Connection(TypedDict, total=False):
    """The options of `request` and `validate`, with the same meaning as in `AfasClient`.

    Args:
        base_url: An explicit base URL instead of `environment`, such as that of a simulator.
        timeout: The time until the request is sent, in seconds: 60 by default.
        proxy: The URL of an HTTP proxy.
        ssl_context: An SSL context instead of the default one.
        integration_id: The id that AFAS partners send.
        language: The language of the service's messages: "nl-nl" by default.
    """

    base_url: str | None
    timeout: float
    proxy: str | None
    ssl_context: ssl.SSLContext | None
    integration_id: str | None
    language: str


class _TokenAnswer(OwnRepr, msgspec.Struct, frozen=True):
    token: str

    def __repr__(self) -> str:
        return "_TokenAnswer(***)"


async def request(
    environment: str | Environment | None = None,
    *,
    api_key: str,
    api_token: str,
    user_id: str,
    **connection: Unpack[Connection],
) -> None:
    """Ask the service to send a one-time password to a user, by e-mail.

    The request is sent once. The service always reports success: it does not report wrong keys or unknown users.

    Args:
        environment: The participant number, or an `Environment`.
        api_key: The key of the app connector, 32 letters and digits.
        api_token: The key of the environment, 32 letters and digits. AFAS also calls it the environment key.
        user_id: The user, such as "12345.user", or the e-mail address.
        connection: The options of the connection: see `Connection`.

    Raises:
        ConfigurationError: If an argument is malformed. The message does not repeat it, and nothing was sent.
        OutcomeUnknownError: If the password may have been sent or not.
        AfasError: Any other error means that no password was sent.

    Source:
        AFAS, OpenAPI: POST /otprequest.

    Example:
        >>> from afas_async import otp
        >>> async def main():
        ...     keys = {"api_key": "A" * 32, "api_token": "E" * 32, "user_id": "12345.user"}
        ...     async with Simulator() as sim:
        ...         await otp.request(base_url=sim.base_url, **keys)
        ...         return await otp.validate(base_url=sim.base_url, **keys, otp=sim.otp_code)
        >>> asyncio.run(main())
        AppToken(***)
    """
    try:
        proxy = checked_proxy(connection.pop("proxy", None))
        asked = _request(_REQUEST, api_key, api_token, user_id)
    finally:
        del api_key, api_token, user_id  # keeps them out of tracebacks that show local variables
    await _ask(asked, environment, proxy, connection)


async def validate(
    environment: str | Environment | None = None,
    *,
    api_key: str,
    api_token: str,
    user_id: str,
    otp: str,
    **connection: Unpack[Connection],
) -> AppToken:
    """Exchange a one-time password for the user's token.

    A password works once. Call it with the keys and the user that you gave to `request`.

    Args:
        environment: The participant number, or an `Environment`.
        api_key: The key of the app connector, 32 letters and digits.
        api_token: The key of the environment, 32 letters and digits.
        user_id: The user, such as "12345.user", or the e-mail address.
        otp: The password as the user typed it. White space around it is dropped.
        connection: The options of the connection: see `Connection`.

    Returns:
        The token, for `AfasClient(..., auth=token)`. To keep it for later, store
        `token.header().removeprefix("AfasToken ")` where you keep secrets: `AppToken` accepts that text.

    Raises:
        ConfigurationError: If an argument is malformed. The message does not repeat it, and nothing was sent.
        AuthenticationError: If the service has no token for the password (status 204). The password is wrong, used,
            replaced by a later one, or was requested with other keys.
        OutcomeUnknownError: If no response came. The password may be used up.
        AnswerError: If the response has no token. The password is used up.
        AfasError: Any other error means that the password was not used.

    Source:
        AFAS, OpenAPI: POST /otpvalidation.

    Example:
        See `request`.
    """
    try:
        proxy = checked_proxy(connection.pop("proxy", None))
        asked = _request(_VALIDATION, api_key, api_token, user_id, otp)
    finally:
        del api_key, api_token, user_id, otp
    return _token(await _ask(asked, environment, proxy, connection))


def _request(path: str, api_key: object, api_token: object, user_id: object, otp: object = None) -> Request:
    """Return the request, whose body is JSON; its repr does not show the body."""
    texts = [("apiKey", api_key, _KEY), ("apiToken", api_token, _KEY), ("userId", user_id, _TEXT)]
    if path == _VALIDATION:
        texts.append(("otp", otp, _TEXT))
    found = {name: text.strip() for name, text, _ in texts if isinstance(text, str)}
    wrong = [name for name, _, pattern in texts if not pattern.fullmatch(found.get(name, ""))]
    body = b"" if wrong else msgspec.json.encode(found)
    del api_key, api_token, user_id, otp, texts, found
    if wrong:
        raise ConfigurationError(
            f"{path}: malformed {', '.join(wrong)}: both keys have 32 letters and digits, user and password at most 255"
            " characters without white space"
        )
    return Request("POST", path, "", path, body)


async def _ask(
    request: Request, environment: str | Environment | None, proxy: Proxy | None, connection: Connection
) -> RawAnswer:
    options = Options(
        timeout=connection.get("timeout", 60.0),
        max_retries=_RETRIES,
        language=connection.get("language", "nl-nl"),
        on_event=None,
    )
    transport = AiohttpTransport(
        base_url_of(environment, connection.get("base_url")),
        proxy=proxy,
        ssl_context=connection.get("ssl_context"),
    )
    session = Session(
        transport,
        limiter=Limiter(1),
        sender=Sender(integration_id=checked_integration_id(connection.get("integration_id"))),
    )
    await session.open()
    try:
        return await call(Channel(session, options), request)
    finally:
        await session.aclose()


def _token(answer: RawAnswer) -> AppToken:
    if answer.status == 204:
        raise AuthenticationError(
            "the one-time password is wrong, used, replaced by a later one, or was requested with other keys:"
            " request a new one",
            status=answer.status,
            connector=_VALIDATION,
            trace_id=trace_of(answer.headers),
        )
    try:
        return AppToken(answer.json(_TokenAnswer).token)
    except (AnswerError, ConfigurationError):
        pass
    raise AnswerError(f"{_VALIDATION}: the response has no token: request a new password", connector=_VALIDATION)
