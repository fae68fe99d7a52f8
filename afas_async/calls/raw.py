"""Calls to paths that this library does not know, by the same rules as all other calls."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from afas_async.calls.document import Document
from afas_async.calls.write import Write, conclude
from afas_async.http.channel import Channel
from afas_async.policy.verdicts import Scope, applied
from afas_async.vocabulary.hiding import OwnRepr
from afas_async.wire.error_answers import clean
from afas_async.wire.json_documents import Unreadable, decode, not_as_documented
from afas_async.wire.requests import Request
from afas_async.wire.write_answers import Answer, Body, Ending

_LIST: Final = re.compile(rb'"Element"\s*:\s*\[')  # a body that the user encoded may have spaces
ANSWER_LIMIT: Final = 256 << 20  # bytes


class RawAnswer(OwnRepr, msgspec.Struct, frozen=True):
    """The successful response to a raw call.

    `AfasClient.request` returns it. If the service does not report success, the call raises an error instead.

    Args:
        path: The path of the call, with `...` in place of key values and file ids.
        status: The HTTP status: 200, 201 or, for a write, 204.
        headers: The headers of the response, by their names in lower case.
        data: The body as bytes, decompressed.
        result_lost: Whether the body of a successful write is missing or cut off.

    Example:
        >>> async def main():
        ...     async with Simulator() as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         return await afas.request("GET", "metainfo/get/Profit_Article")
        >>> asyncio.run(main()).json()["name"]
        'Profit_Article'
    """

    path: str
    status: int
    headers: dict[str, str]
    data: bytes
    result_lost: bool = False

    def json(self, kind: Any = Any) -> Any:
        """Decode the body as JSON, with decimals as `Decimal`.

        Args:
            kind: The type to decode to, such as a `msgspec.Struct` class. Without it you get dicts and lists.

        Returns:
            The decoded value.

        Raises:
            AnswerError: If the body is not JSON, or does not fit the type.

        Example:
            >>> RawAnswer("metainfo", 200, {}, b'{"price": 1.50}').json()
            {'price': Decimal('1.50')}
        """
        value = decode(self.data, msgspec.json.Decoder(kind, float_hook=Decimal))
        if isinstance(value, Unreadable):
            raise not_as_documented(self.path, "it does not fit the type" if value.well_formed else "it is not JSON")
        return value

    def __repr__(self) -> str:  # without the body, which may be long, personal or secret
        return f"RawAnswer(path={self.path!r}, status={self.status}, {len(self.data)} bytes)"


async def call(channel: Channel, request: Request) -> RawAnswer:
    """Send a raw call, and return the response.

    Raises:
        OutcomeUnknownError: If the call is a write that may have been applied or not.
        AfasError: If the response is missing, or does not report success.
    """
    if request.writes:
        write = _RawWrite(channel, request)
        result = await conclude(channel, write)
        return RawAnswer(request.connector, write.status, write.headers, result.raw, result.result_lost)
    document = Document(channel, request, limit=ANSWER_LIMIT)
    await document.run()
    return RawAnswer(request.connector, document.status, _plain(document.headers), bytes(document.data))


class _RawWrite(Write):
    """A raw call that may change data."""

    def __init__(self, channel: Channel, request: Request) -> None:
        # A refused list of elements may be applied in part, unless `@Action` makes it one transaction.
        several = _LIST.search(request.body) is not None and b'"@Action"' not in request.body
        super().__init__(channel, request, scope=Scope.SOME if several else Scope.ALL)
        self.status: int = 0
        self.headers: dict[str, str] = {}

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        super().begin(status, headers)
        self.status, self.headers = status, _plain(headers)

    def _applied(self, answer: Answer, ending: Ending) -> int:
        return applied(answer.body, ending, elements=1, keys=len(answer.keys), known_path=False)

    def _is_lost(self, answer: Answer, ending: Ending) -> bool:
        return answer.body is Body.FOREIGN and ending is not Ending.MARKED


def _plain(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): clean(value) for name, value in headers.items()}
