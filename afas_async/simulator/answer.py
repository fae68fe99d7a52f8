"""The responses of the service: a body in pieces, or a refusal in the service's own form."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import hdrs

from afas_async.simulator.messages import UNEXPECTED, Message, preferred
from afas_async.simulator.rules import Rules
from afas_async.simulator.storage.store import Page

JSON: Final = "application/json"
XML: Final = "application/xml; charset=utf-8"
# Either a whole string, whose digits must stay; or the zero of a number below 1.
_STRING_OR_ZERO: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|(?<![0-9])0(?=\.)')


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful response, ready to be sent.

    Attributes:
        pieces: The body in pieces, without its end, each with the number of rows in it.
        end: The end of the body; empty for a response without a body.
        rows: The number of rows in the body, for the latency.
        skip: The number of skipped rows, for the latency.
        seconds: How long the service worked, in seconds, if longer than the latency for the rows.
        status: The HTTP status.
        mimetype: The type of the body, if it has one that is not JSON.
    """

    pieces: Iterable[Page]
    end: bytes
    rows: int = 0
    skip: int = 0
    seconds: float = 0
    status: HTTPStatus = HTTPStatus.OK
    mimetype: str | None = None

    @property
    def content_type(self) -> str:
        """The content type: an empty response claims to be XML (AFAS's OpenAPI specification, headers of each 201)."""
        return self.mimetype or (f"{JSON}; charset=utf-8" if self.end else XML)


class RefusalError(Exception):
    """The service refuses a request.

    Attributes:
        status: The HTTP status.
        body: The JSON text of the response; may be empty.
        headers: The headers of the response. An empty one claims to be XML, as an empty success does.
        seconds: How long the service worked before it refused, in seconds, if longer than the latency.
    """

    def __init__(
        self,
        status: int,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        seconds: float = 0,
    ) -> None:
        super().__init__(str(status))
        self.seconds: float = seconds
        self.status: int = status
        self.body: bytes = body
        self.headers: dict[str, str] = {hdrs.CONTENT_TYPE: JSON if body else XML} | dict(headers or {})


class MessageError(RefusalError):
    """The service refuses a request with a message for the user.

    Attributes:
        message: The message in all languages.
    """

    def __init__(self, message: Message, seconds: float = 0) -> None:
        super().__init__(HTTPStatus.INTERNAL_SERVER_ERROR, seconds=seconds)
        self.message: Message = message

    def spoken(self, rules: Rules, accepted: str) -> RefusalError:
        """Return the refusal as it is sent (docs.afas.help, "Troubleshooting": the body of a 500).

        Args:
            rules: The form of the response.
            accepted: The request's `Accept-Language`.
        """
        text = self.message.text(preferred(accepted, rules.language))
        headers: dict[str, str] = {hdrs.CONTENT_TYPE: JSON if rules.error_type == "json" else XML}
        if rules.profit_error:
            headers["X-Profit-Error"] = base64.b64encode(text.encode()).decode()
        body = {
            "externalMessage": text,
            "errorNumber": self.message.number,
            "profitLogReference": uuid.uuid4().hex.upper(),
        }
        return RefusalError(self.status, msgspec.json.encode(body), headers, self.seconds)


def json_answer(content: Any, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    """Return a response with one JSON document."""
    return Answer([], msgspec.json.encode(content), status=status)


def empty_answer(status: HTTPStatus = HTTPStatus.OK) -> Answer:
    """Return a response without a body."""
    return Answer([], b"", status=status)


def metainfo_answer(content: Any, rules: Rules) -> Answer:
    """Return a response with metainfo."""
    text = msgspec.json.encode(content)
    return Answer([], msgspec.json.format(text) if rules.profit < 7 else text)


def rows_answer(blocks: Iterable[Page], *, skip: int, take: int, rows: int, skipped: int, rules: Rules) -> Answer:
    """Return a response with rows.

    Args:
        blocks: The rows.
        skip: The `skip` that the response repeats.
        take: The `take` that the response repeats.
        rows: The number of rows.
        skipped: The number of rows that were skipped.
        rules: The form of the response.
    """
    if rules.profit < 7:
        opening = b'{\n"skip":%d,\n"take":%d,\n"rows":[' % (skip, take)
        pieces = _opened(opening, (Page(block.rows, _without_zeros(block.json)) for block in blocks))
        return Answer(pieces, b"]\n}", rows, skipped)
    return Answer(_opened(b'{"skip":%d,"take":%d,"rows":[' % (skip, take), blocks), b"]}", rows, skipped)


def functional_error(message: Message, seconds: float = 0) -> MessageError:
    """Return a refusal with a message for the user, sent after `seconds` if that is longer than the latency."""
    return MessageError(message, seconds)


def unexpected_error() -> MessageError:
    """Return a refusal with the service's general message."""
    return MessageError(UNEXPECTED)


def invalid_json() -> RefusalError:
    """Return the refusal of a body that is not JSON, as a client's author recorded it."""
    return RefusalError(HTTPStatus.BAD_REQUEST, b'{"message":"Invalid json"}')


def _opened(opening: bytes, blocks: Iterable[Page]) -> Iterator[Page]:
    """The envelope with its rows, without its end."""
    lead = opening
    for block in blocks:
        yield Page(block.rows, lead + block.json)
        lead = b","
    if lead == opening:
        yield Page(0, lead)


def _without_zeros(json: bytes) -> bytes:
    return _STRING_OR_ZERO.sub(lambda found: b"" if found[0] == b"0" else found[0], json)
