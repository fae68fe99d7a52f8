"""One-time passwords: how the user of an app gets a token."""

from __future__ import annotations

import secrets
from http import HTTPStatus
from typing import Any, Final

import msgspec

from afas_async.simulator.answer import Answer, empty_answer, invalid_json, json_answer

_IDENTITY: Final = ("apikey", "apitoken", "userid")


class Otp:
    """Hands out codes, and the token for them.

    Args:
        token: The XML token that a code gives.

    Attributes:
        code: The code that the service would have sent by e-mail last; None before that, and when it has been used.
    """

    def __init__(self, token: str) -> None:
        self.code: str | None = None
        self._token = token
        self._asked_by: tuple[str, ...] = ()

    def request(self, body: bytes) -> Answer:
        """Make a new code for the user in a request.

        Every user is served, and the answer would be the same for wrong keys: it gives nothing away.

        Raises:
            RefusalError: The body is no JSON object.
        """
        self._asked_by, _ = _read(body)
        self.code = str(secrets.randbelow(90_000_000) + 10_000_000)  # never a leading zero: it may come as a number
        return empty_answer(HTTPStatus.CREATED)

    def validate(self, body: bytes) -> Answer:
        """Give the token for the code, once, to the user who asked for it; else nothing.

        Raises:
            RefusalError: The body is no JSON object.
        """
        asked_by, code = _read(body)
        if self.code is None or (asked_by, code) != (self._asked_by, self.code):
            return empty_answer(HTTPStatus.NO_CONTENT)
        self.code = None
        return json_answer({"token": f"{self._token}\r\n"})


def _read(body: bytes) -> tuple[tuple[str, ...], str]:
    """Read the keys and the user, and the code; clients write the names in any case of letters."""
    try:
        content = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise invalid_json() from None
    texts = {name.lower(): str(value) for name, value in content.items()}
    return tuple(texts.get(name, "") for name in _IDENTITY), texts.get("otp", "")
