"""Access tokens for client credentials (docs.afas.help, "Authentication": OAuth 2.1)."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from aiohttp import hdrs

from afas_async.simulator.answer import Answer, RefusalError, json_answer

_FORM: Final = "application/x-www-form-urlencoded"


class OAuth:
    """Hands out access tokens that expire by the event loop's clock.

    Each request gives a new token, and those given before stay valid until they expire. All attributes may be assigned
    at any time.

    Attributes:
        client_id: The client id that tokens are given for; a random one at first.
        client_secret: Its secret, likewise.
        expires_in: For how many seconds the next tokens are valid.
        issued: How many tokens were given.
    """

    def __init__(self) -> None:
        self.client_id: str = secrets.token_hex(8)
        self.client_secret: str = secrets.token_urlsafe(32)
        self.expires_in: float = 3600
        self.issued: int = 0
        self._valid_until: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<OAuth issued={self.issued} expires_in={self.expires_in:g}>"

    def revoke(self) -> None:
        """Make all tokens given so far invalid."""
        self._valid_until.clear()

    def answer(self, content_type: str, body: bytes) -> Answer:
        """Give a token.

        Args:
            content_type: The type of the request's body.
            body: The form.

        Raises:
            RefusalError: The form is not as documented (`invalid_request`, `unsupported_grant_type`), or its client id
                and secret are not these (`invalid_client`).
        """
        fields = dict(parse_qsl(body.decode("latin-1")))
        sent = [fields.get(name, "") for name in ("client_id", "client_secret")]
        if content_type != _FORM or "grant_type" not in fields or not all(sent):
            raise _refusal("invalid_request")
        if fields["grant_type"] != "client_credentials":
            raise _refusal("unsupported_grant_type")
        if not all(map(_same, sent, (self.client_id, self.client_secret))):
            raise _refusal("invalid_client")
        now = asyncio.get_running_loop().time()
        self._valid_until = {token: until for token, until in self._valid_until.items() if until > now}
        token = secrets.token_urlsafe(48)
        self._valid_until[token] = now + self.expires_in
        self.issued += 1
        return json_answer({"access_token": token, "token_type": "Bearer", "expires_in": self.expires_in})

    def check(self, token: str) -> None:
        """Refuse a token that was not given, is revoked, or has expired.

        Raises:
            RefusalError: It is one of these.
        """
        if self._valid_until.get(token, 0.0) <= asyncio.get_running_loop().time():
            raise RefusalError(HTTPStatus.UNAUTHORIZED, headers={hdrs.WWW_AUTHENTICATE: "Bearer"})


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _refusal(error: str) -> RefusalError:
    return RefusalError(HTTPStatus.BAD_REQUEST, msgspec.json.encode({"error": error}))
