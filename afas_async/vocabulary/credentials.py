"""Tokens and client credentials, kept out of reprs, logs and pickles."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Awaitable, Callable
from typing import TypeAlias
from urllib.parse import urlencode

from afas_async.vocabulary.arguments import check_type
from afas_async.vocabulary.hiding import Secret

BEARER = r"[0-9A-Za-z\-._~+/]{1,16384}={0,2}"  # RFC 6750, 2.1

# The length of the data is not checked: it is 64 characters on AFAS's REST page, and 60 in its samples.
_XML = re.compile(r"<token><version>([0-9]+)</version><data>([0-9A-Za-z]+)</data></token>", re.ASCII)
_LINE_BREAK = re.compile(r"\s*[\r\n]\s*")
_DATA = re.compile(r"[0-9A-Za-z]{20,128}", re.ASCII)
CLIENT = re.compile(r"[ -~]{1,1024}")  # RFC 6749, appendix A


class _Header(Secret):
    """A secret that is sent as the value of the `Authorization` header."""

    __slots__ = ()

    def header(self) -> str:
        """Return the value of the `Authorization` header.

        Do not bind it to a variable, because a traceback may show local variables.
        """
        return self._reveal()


class AppToken(_Header):
    """The token of an app connector, for `AfasClient(..., auth=...)`.

    You can give the token in three forms: the XML text `<token>...</token>`, only the data in it, or the base64 of the
    XML text. AFAS expects that base64 in the header (AFAS, REST API for developers). White space around the token is
    dropped, such as the line end that the one-time-password call adds. So are line breaks inside it, because AFAS's
    page prints the base64 with them.

    `repr()`, `str()` and formats never show the token, and you cannot pickle or copy it.

    Args:
        token: The token in one of the three forms.

    Raises:
        ConfigurationError: If the token has none of these forms. The message does not repeat it.

    Example:
        >>> AppToken("<token><version>1</version><data>" + "0" * 64 + "</data></token>")
        AppToken(***)
    """

    __slots__ = ()

    def __init__(self, token: str) -> None:
        xml = _xml(token) if isinstance(token, str) else None  # pyright: ignore[reportUnnecessaryIsInstance]
        malformed = f"the token is malformed: {_token_advice(token)}" if xml is None else ""
        del token  # a traceback may show local variables, and even a malformed token is secret
        super().__init__(None if xml is None else _app_header(xml), malformed)


class BearerToken(_Header):
    """An OAuth access token that you obtain yourself, for example when a user signs in.

    You do not need it for the client credentials of an app connector: give `ClientCredentials`, and the client requests
    tokens itself. To renew a token that expires, give `auth` an async function that returns a `BearerToken`.

    Like an `AppToken`, it is never shown, and you cannot pickle or copy it.

    Args:
        token: The access token, without the word `Bearer`. White space around it is dropped.

    Raises:
        ConfigurationError: If the text is not a token. The message does not repeat it.

    Source:
        AFAS, Authentication: OAuth 2.1.

    Example:
        >>> BearerToken("eyJhbGciOi.eyJzdWIiOi.SflKxwRJSM")
        BearerToken(***)
    """

    __slots__ = ()

    def __init__(self, token: str) -> None:
        header = _bearer(token) if isinstance(token, str) else None  # pyright: ignore[reportUnnecessaryIsInstance]
        del token
        super().__init__(header, "the access token is malformed: give it as str, without the word Bearer")


class ClientCredentials(Secret):
    """The client id and client secret of an app connector (OAuth 2.1), for `AfasClient(..., auth=...)`.

    The client exchanges them for access tokens, which expire. It requests a token with its first request, and uses it
    for all its requests. It requests the next token before the current one expires, or when the service refuses it.

    Like an `AppToken`, the credentials are never shown, and you cannot pickle or copy them. From Profit 9 on, AFAS
    prefers `PrivateKeyCredentials`.

    Args:
        client_id: The id, in printable ASCII. White space around it is dropped.
        client_secret: The secret, likewise.

    Raises:
        ConfigurationError: If one of them is empty or malformed. The message does not repeat it.

    Source:
        AFAS, Authentication: OAuth 2.1, client credentials.

    Example:
        >>> ClientCredentials("5f0c2b1e", "a7Qx-the-secret")
        ClientCredentials(***)
    """

    __slots__ = ()

    def __init__(self, client_id: str, client_secret: str) -> None:
        form = _form(client_id, client_secret)
        del client_id, client_secret
        super().__init__(form, "the client id or the client secret is malformed: give both as str")

    def form(self, url: str, now: float) -> bytes:  # noqa: ARG002 - for subclasses that sign
        """Return the body of the request for a token.

        Do not bind it to a variable, because a traceback may show local variables.

        Args:
            url: The URL that the request is sent to.
            now: The time in seconds since 1970.
        """
        return self._reveal().encode("ascii")


Credential: TypeAlias = AppToken | BearerToken
CheckedAuth: TypeAlias = Credential | ClientCredentials | Callable[[], Awaitable[str | Credential]]
Auth: TypeAlias = str | CheckedAuth


def checked_auth(given: Auth) -> CheckedAuth:
    """Return the `auth` argument of a client; a str becomes an `AppToken`.

    Raises:
        ConfigurationError: If it is malformed.
        UsageError: If it has another type.
    """
    try:
        if callable(given) and not isinstance(given, type):
            return given
        accepted = str | AppToken | BearerToken | ClientCredentials
        check_type("auth", given, accepted, "a token as str, AppToken, ClientCredentials or an async function")
        return given if isinstance(given, ClientCredentials) else as_credential(given)
    finally:
        del given  # keeps the secret out of tracebacks that show local variables


def as_credential(given: object) -> Credential:
    """Return a token to send; a str becomes an `AppToken`.

    Raises:
        ConfigurationError: If it is malformed.
    """
    try:
        return given if isinstance(given, (AppToken, BearerToken)) else AppToken(given)  # type: ignore[arg-type]
    finally:
        del given


def _bearer(token: str) -> str | None:
    text = token.strip()
    return f"Bearer {text}" if re.fullmatch(BEARER, text) else None


def _form(client_id: object, client_secret: object) -> str | None:
    if not isinstance(client_id, str) or not isinstance(client_secret, str):
        return None
    pair = client_id.strip(), client_secret.strip()
    if not all(map(CLIENT.fullmatch, pair)):
        return None
    fields = {"grant_type": "client_credentials", "client_id": pair[0], "client_secret": pair[1]}
    return urlencode(fields)


def _token_advice(token: object) -> str:
    """Return advice for a malformed token, without repeating any of it."""
    first = token.split(maxsplit=1)[:1] if isinstance(token, str) else []
    match [word.lower() for word in first]:
        case ["afastoken"]:
            return "this is the value of the Authorization header: give only the part after the word AfasToken"
        case ["bearer"]:
            return "this is an OAuth access token: give BearerToken(...) with the part after the word Bearer"
        case _:
            return "give the whole <token>...</token> as str, only its data, or its base64"


def _app_header(xml: str) -> str:
    return "AfasToken " + base64.b64encode(xml.encode("ascii")).decode("ascii")


def _xml(token: str) -> str | None:
    text = _LINE_BREAK.sub("", token.strip())
    if _XML.fullmatch(text):
        return text
    try:
        decoded = base64.b64decode(text, validate=True).decode("ascii").strip()
    except (binascii.Error, ValueError):
        decoded = ""
    if _XML.fullmatch(decoded):
        return decoded
    if _DATA.fullmatch(text):
        return f"<token><version>1</version><data>{text}</data></token>"
    return None
