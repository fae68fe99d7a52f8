"""Calls to paths that this library knows nothing about, by the same rules as all others."""

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

_LIST: Final = re.compile(rb'"Element"\s*:\s*\[')  # what the user has encoded may have spaces
ANSWER_LIMIT: Final = 256 << 20  # bytes


class RawAnswer(OwnRepr, msgspec.Struct, frozen=True):
    """What the service answered to a raw call, with a success.

    Args:
        path: The path that was called, with `...` in place of the values of keys and the ids of files.
        status: The HTTP status: 200, 201 or, for a write, 204.
        headers: The headers of the answer, by their names in lower case.
        data: The body, unpacked.
        result_lost: Whether the body of a write that succeeded is missing or cut off.
    """

    path: str
    status: int
    headers: dict[str, str]
    data: bytes
    result_lost: bool = False

    def json(self, kind: Any = Any) -> Any:
        """Return the body as JSON, decimals as `Decimal`.

        Args:
            kind: A type that msgspec decodes, such as a `msgspec.Struct`, in place of dicts and lists.

        Raises:
            AnswerError: If it is not JSON, or does not fit the type.
        """
        value = decode(self.data, msgspec.json.Decoder(kind, float_hook=Decimal))
        if isinstance(value, Unreadable):
            raise not_as_documented(self.path, "it does not fit the type" if value.well_formed else "it is not JSON")
        return value

    def __repr__(self) -> str:  # the body may be long, personal, or secret
        return f"RawAnswer(path={self.path!r}, status={self.status}, {len(self.data)} bytes)"


async def call(channel: Channel, request: Request) -> RawAnswer:
    """Send a raw call, and return the answer.

    Raises:
        OutcomeUnknownError: If it is a write that may have been applied or not.
        AfasError: If there is no answer, or it is no success.
    """
    if request.writes:
        write = _RawWrite(channel, request)
        result = await conclude(channel, write)
        return RawAnswer(request.connector, write.status, write.headers, result.raw, result.result_lost)
    document = Document(channel, request, limit=ANSWER_LIMIT)
    await document.run()
    return RawAnswer(request.connector, document.status, _plain(document.headers), bytes(document.data))


class _RawWrite(Write):
    """A raw call that may change something, on its way."""

    def __init__(self, channel: Channel, request: Request) -> None:
        # A refused list of elements may be applied in part, unless it says that it is one transaction.
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
