"""Authentication with a private key instead of a client secret (AFAS, Authentication: `private_key_jwt`, RFC 7523)."""

from __future__ import annotations

import re
from typing import Any, Final, Literal
from urllib.parse import urlencode
from uuid import uuid4

from afas_async.errors import ConfigurationError
from afas_async.vocabulary.credentials import CLIENT, ClientCredentials

Algorithm = Literal["RS256", "PS256", "ES256"]

_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# An assertion may be valid for at most 5 minutes. The clock of the service decides, which differs from this computer's.
_BEFORE_SECONDS: Final = 60
_AFTER_SECONDS: Final = 180
_MALFORMED: Final = (
    "the client id or the private key is malformed: give the id as str, and the key in PEM without a password: an RSA"
    " key for RS256 and PS256, or one of the curve P-256 for ES256"
)


class PrivateKeyCredentials(ClientCredentials):
    """The client id and a private key of an app connector, which AFAS prefers to a client secret from Profit 9 on.

    The key never leaves your program, and does not expire as a secret does. For each token the client signs an
    assertion, which is valid once and for three minutes. The clock of your computer must therefore be right to a
    minute. Everything else works as with `ClientCredentials`.

    You need PyJWT for it: `pip install "afas_async[oauth]"`.

    Args:
        client_id: The id, in printable ASCII. White space around it is dropped.
        private_key: The key in PEM, without a password.
        algorithm: The signature algorithm. The default is RS256 for an RSA key, and ES256 for a key of the curve P-256.
        key_id: The id of the key (`kid`), if Profit gives it one.

    Raises:
        ConfigurationError: If the id or the key is malformed, or PyJWT is missing. The message repeats neither.

    Source:
        AFAS, Authentication: OAuth 2.1, client credentials (`private_key_jwt`); RFC 7523, 2.2 and 3.

    Example:
        >>> from pathlib import Path
        >>> PrivateKeyCredentials("5f0c2b1e", Path("/run/secrets/afas.pem").read_bytes())  # doctest: +SKIP
        PrivateKeyCredentials(***)
    """

    __slots__ = ("_algorithm", "_client_id", "_key", "_key_id")

    def __init__(
        self,
        client_id: str,
        private_key: str | bytes,
        *,
        algorithm: Algorithm | None = None,
        key_id: str | None = None,
    ) -> None:
        try:
            self._key: Any = _loaded(private_key)
        finally:
            del private_key
        fitting = _algorithms(self._key)
        chosen = algorithm or next(iter(fitting), None)
        named = isinstance(client_id, str) and re.fullmatch(CLIENT, client_id.strip())  # pyright: ignore[reportUnnecessaryIsInstance]
        if not named or chosen not in fitting:
            raise ConfigurationError(_MALFORMED)
        self._client_id = client_id.strip()
        self._algorithm = chosen
        self._key_id = key_id

    def form(self, url: str, now: float) -> bytes:
        """Return the body of the request for a token.

        Do not bind it to a variable, because a traceback may show local variables.
        """
        import jwt  # noqa: PLC0415 - from an extra

        claims = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": url,
            "iat": int(now) - _BEFORE_SECONDS,
            "exp": int(now) + _AFTER_SECONDS,
            "jti": uuid4().hex,
        }
        headers = {} if self._key_id is None else {"kid": self._key_id}
        return urlencode({
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_assertion_type": _ASSERTION_TYPE,
            "client_assertion": jwt.encode(claims, self._key, self._algorithm, headers),
        }).encode("ascii")


def _loaded(private_key: str | bytes) -> Any:
    """Return the key, or None if the text does not hold one."""
    try:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - from an extra

        __import__("jwt")
    except ImportError:
        raise ConfigurationError('PrivateKeyCredentials needs PyJWT: run `pip install "afas_async[oauth]"`') from None
    try:
        return load_pem_private_key(private_key.encode() if isinstance(private_key, str) else private_key, None)
    except Exception:  # noqa: BLE001 - any exception may quote the key
        return None
    finally:
        del private_key


def _algorithms(key: Any) -> tuple[Algorithm, ...]:
    """Return the algorithms that a key can sign with, the default first."""
    match type(key).__name__, getattr(getattr(key, "curve", None), "name", None):
        case "RSAPrivateKey", _:
            return "RS256", "PS256"
        case "ECPrivateKey", "secp256r1":
            return ("ES256",)
        case _:
            return ()
