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

_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LONGEST_ASSERTION: Final = 300  # seconds
_FORM: Final = "application/x-www-form-urlencoded"


class OAuth:
    """Issues access tokens that expire by the event loop's clock, as `simulator.oauth`.

    Your client gets a new token with each request; earlier ones stay valid until they expire. You can assign all
    attributes at any time.

    Attributes:
        client_id: The client id; random at first.
        client_secret: Its secret; random at first.
        public_key: The public key, in PEM, of your app if it signs with a private key (`PrivateKeyCredentials`); None
            at first.
        expires_in: How many seconds new tokens are valid.
        issued: The number of tokens that were issued.
    """

    def __init__(self) -> None:
        self.client_id: str = secrets.token_hex(8)
        self.client_secret: str = secrets.token_urlsafe(32)
        self.public_key: str | bytes | None = None
        self.expires_in: float = 3600
        self.issued: int = 0
        self._assertions = set[str]()
        self._valid_until: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<OAuth issued={self.issued} expires_in={self.expires_in:g}>"

    def revoke(self) -> None:
        """Make all tokens that were issued so far invalid."""
        self._valid_until.clear()

    def answer(self, content_type: str, body: bytes, url: str) -> Answer:
        """Issue a token.

        Args:
            content_type: The type of the request's body.
            body: The form.
            url: The URL of the request.

        Raises:
            RefusalError: The form is not as documented (`invalid_request`, `unsupported_grant_type`), or its client
                id, secret or assertion is wrong (`invalid_client`).
        """
        pairs = parse_qsl(body.decode("latin-1"))
        fields = dict(pairs)
        is_signed = fields.get("client_assertion_type") == _ASSERTION_TYPE
        proof = fields.get("client_assertion" if is_signed else "client_secret", "")
        known = fields.get("client_id", "")
        if content_type != _FORM or "grant_type" not in fields or not known or not proof or len(pairs) > len(fields):
            raise _refusal("invalid_request")
        if fields["grant_type"] != "client_credentials":
            raise _refusal("unsupported_grant_type")
        is_proved = self._is_assertion(proof, url) if is_signed else _same(proof, self.client_secret)
        if not _same(known, self.client_id) or not is_proved:
            raise _refusal("invalid_client")
        now = asyncio.get_running_loop().time()
        self._valid_until = {token: until for token, until in self._valid_until.items() if until > now}
        token = secrets.token_urlsafe(48)
        self._valid_until[token] = now + self.expires_in
        self.issued += 1
        return json_answer({"access_token": token, "token_type": "Bearer", "expires_in": self.expires_in})

    def _is_assertion(self, assertion: str, url: str) -> bool:
        """Whether the app signed this assertion for this URL, for 5 minutes at most, and uses it for the first time."""
        import jwt  # noqa: PLC0415 - of an extra

        if self.public_key is None:
            return False
        try:
            claims = jwt.decode(
                assertion,
                self.public_key,
                algorithms=["RS256", "PS256", "ES256"],
                audience=url,
                issuer=self.client_id,
                subject=self.client_id,
                options={"require": ["aud", "exp", "iat", "iss", "jti", "sub"]},
            )
        except jwt.PyJWTError:
            return False
        if claims["jti"] in self._assertions or claims["exp"] - claims["iat"] > _LONGEST_ASSERTION:
            return False
        self._assertions.add(claims["jti"])
        return True

    def check(self, token: str) -> None:
        """Check a token.

        Raises:
            RefusalError: The token is unknown, revoked or expired.
        """
        if self._valid_until.get(token, 0.0) <= asyncio.get_running_loop().time():
            raise RefusalError(HTTPStatus.UNAUTHORIZED, headers={hdrs.WWW_AUTHENTICATE: "Bearer"})


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _refusal(error: str) -> RefusalError:
    return RefusalError(HTTPStatus.BAD_REQUEST, msgspec.json.encode({"error": error}))
