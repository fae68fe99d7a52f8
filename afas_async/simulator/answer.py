"""What the service answers: a body in pieces, or a refusal in the service's own shape."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import msgspec

from afas_async.simulator.store import Page

_UNEXPECTED: Final = -2_147_180_999
_GENERAL: Final = -2_147_180_996


@dataclass(frozen=True, slots=True)
class Answer:
    """A success that is ready to be sent.

    Attributes:
        pieces: The body up to its end in pieces, each with the number of rows in it.
        end: The end of the body.
        rows: The number of rows that the body will hold, for the latency.
        skip: The number of rows passed over, for the latency.
    """

    pieces: Iterable[Page]
    end: bytes
    rows: int = 0
    skip: int = 0


class RefusalError(Exception):
    """The service does not do what the request asks.

    Attributes:
        status: The HTTP status.
        body: The JSON text of the answer, or nothing.
    """

    def __init__(self, status: HTTPStatus, body: bytes = b"") -> None:
        super().__init__(status.phrase)
        self.status = status
        self.body = body

    @property
    def content_type(self) -> str:
        """The content type: an empty answer claims to be XML (AFAS's OpenAPI specification, headers of each 4xx)."""
        return "application/json" if self.body else "application/xml; charset=utf-8"


def json_answer(content: Any) -> Answer:
    """Answer with one JSON document."""
    return Answer([], msgspec.json.encode(content))


def functional_error(message: str) -> RefusalError:
    """Refuse with a message for the user (docs.afas.help, "Troubleshooting": the body of a 500)."""
    return _error(message, _GENERAL)


def unexpected_error() -> RefusalError:
    """Refuse with the message that says nothing."""
    return _error("An unexpected error has occurred.", _UNEXPECTED)


def _error(message: str, number: int) -> RefusalError:
    body = {"externalMessage": message, "errorNumber": number, "profitLogReference": uuid.uuid4().hex.upper()}
    return RefusalError(HTTPStatus.INTERNAL_SERVER_ERROR, msgspec.json.encode(body))
