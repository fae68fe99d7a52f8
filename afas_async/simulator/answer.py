"""What the service answers: a body in pieces, or a refusal in the service's own shape."""

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
# A whole string, so that nothing inside it is taken for a number; or the zero of a number below 1.
_STRING_OR_ZERO: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|(?<![0-9])0(?=\.)')


@dataclass(frozen=True, slots=True)
class Answer:
    """A success that is ready to be sent.

    Attributes:
        pieces: The body up to its end in pieces, each with the number of rows in it.
        end: The end of the body; nothing for an answer without a body.
        rows: The number of rows that the body will hold, for the latency.
        skip: The number of rows passed over, for the latency.
        seconds: How long the service has worked, if that is longer than the latency for the rows.
        status: The HTTP status.
        mimetype: What the body is, if it is neither JSON nor nothing.
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
        """The content type: an empty answer claims to be XML (AFAS's OpenAPI specification, headers of each 201)."""
        return self.mimetype or (f"{JSON}; charset=utf-8" if self.end else XML)


class RefusalError(Exception):
    """The service does not do what the request asks.

    Attributes:
        status: The HTTP status.
        body: The JSON text of the answer, or nothing.
        headers: The headers of this answer. An empty one claims to be XML, as an empty success does.
        seconds: How long the service has worked in vain, if that is longer than the latency.
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
    """The service refuses with a message for the user.

    Attributes:
        message: The message in all languages.
    """

    def __init__(self, message: Message, seconds: float = 0) -> None:
        super().__init__(HTTPStatus.INTERNAL_SERVER_ERROR, seconds=seconds)
        self.message: Message = message

    def spoken(self, rules: Rules, accepted: str) -> RefusalError:
        """Return the refusal as it is sent (docs.afas.help, "Troubleshooting": the body of a 500).

        Args:
            rules: What the answer looks like.
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
    """Answer with one JSON document."""
    return Answer([], msgspec.json.encode(content), status=status)


def empty_answer(status: HTTPStatus = HTTPStatus.OK) -> Answer:
    """Answer that it is done, and no more."""
    return Answer([], b"", status=status)


def metainfo_answer(content: Any, rules: Rules) -> Answer:
    """Answer with a description."""
    text = msgspec.json.encode(content)
    return Answer([], msgspec.json.format(text) if rules.profit < 7 else text)


def rows_answer(blocks: Iterable[Page], *, skip: int, take: int, rows: int, passed: int, rules: Rules) -> Answer:
    """Answer with rows.

    Args:
        blocks: The rows.
        skip: What the answer says as `skip`.
        take: What the answer says as `take`.
        rows: The number of rows.
        passed: The number of rows passed over.
        rules: What the answer looks like.
    """
    if rules.profit < 7:
        opening = b'{\n"skip":%d,\n"take":%d,\n"rows":[' % (skip, take)
        pieces = _opened(opening, (Page(block.rows, _without_zeros(block.json)) for block in blocks))
        return Answer(pieces, b"]\n}", rows, passed)
    return Answer(_opened(b'{"skip":%d,"take":%d,"rows":[' % (skip, take), blocks), b"]}", rows, passed)


def functional_error(message: Message, seconds: float = 0) -> MessageError:
    """Refuse with a message for the user, after so many seconds if that is longer than the latency."""
    return MessageError(message, seconds)


def unexpected_error() -> MessageError:
    """Refuse with the message that says nothing."""
    return MessageError(UNEXPECTED)


def invalid_json() -> RefusalError:
    """Refuse a body that is no JSON, as a client's author has recorded it."""
    return RefusalError(HTTPStatus.BAD_REQUEST, b'{"message":"Invalid json"}')


def _opened(opening: bytes, blocks: Iterable[Page]) -> Iterator[Page]:
    """The envelope with its rows, but without what closes it."""
    lead = opening
    for block in blocks:
        yield Page(block.rows, lead + block.json)
        lead = b","
    if lead == opening:
        yield Page(0, lead)


def _without_zeros(json: bytes) -> bytes:
    return _STRING_OR_ZERO.sub(lambda found: b"" if found[0] == b"0" else found[0], json)
