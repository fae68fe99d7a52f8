"""One-time passwords: how the user of an app gets a token."""

from __future__ import annotations

import secrets
from http import HTTPStatus
from typing import Any, Final

import msgspec

from afas_async.simulator.answer import Answer, empty_answer, invalid_json, json_answer

_IDENTITY: Final = ("apikey", "apitoken", "userid")


class Otp:
    """Issues one-time passwords, and the token for them.

    Args:
        token: The XML token that a user gets for a code.

    Attributes:
        code: The last code that the service would have e-mailed; None before the first, and after its use.
    """

    def __init__(self, token: str) -> None:
        self.code: str | None = None
        self._token = token
        self._asked_by: tuple[str, ...] = ()

    def request(self, body: bytes) -> Answer:
        """Issue a new code for the user in a request.

        The response is the same for wrong keys and unknown users, so it reveals nothing about them.

        Raises:
            RefusalError: The body is not a JSON object.
        """
        self._asked_by, _ = _read(body)
        self.code = str(secrets.randbelow(90_000_000) + 10_000_000)  # no leading zero: clients may send it as a number
        return empty_answer(HTTPStatus.CREATED)

    def validate(self, body: bytes) -> Answer:
        """Return the token for a code, once, to the user who requested it; anyone else gets an empty response.

        Raises:
            RefusalError: The body is not a JSON object.
        """
        asked_by, code = _read(body)
        if self.code is None or (asked_by, code) != (self._asked_by, self.code):
            return empty_answer(HTTPStatus.NO_CONTENT)
        self.code = None
        return json_answer({"token": f"{self._token}\r\n"})


def _read(body: bytes) -> tuple[tuple[str, ...], str]:
    """Return the keys with the user, and the code. Letter case of the names does not count, as clients vary."""
    try:
        content = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise invalid_json() from None
    texts = {name.lower(): str(value) for name, value in content.items()}
    return tuple(texts.get(name, "") for name in _IDENTITY), texts.get("otp", "")
