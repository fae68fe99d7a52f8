"""Sends responses, with headers, latency, compression and scripted faults."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import sys
import uuid
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import Final

from aiohttp import hdrs, web

from afas_async.simulator.answer import Answer, RefusalError
from afas_async.simulator.faults import Cut, Faults
from afas_async.simulator.latency import Latency
from afas_async.simulator.storage.store import Page
from afas_async.simulator.traffic import RequestRecord, Traffic

_HEADERS: Final = {
    "Cache-Control": "no-store, no-cache",
    "Strict-Transport-Security": "max-age=31536000",
    "X-AFAS-Proxy-Stats": "init(0ms), before response(0ms), complete(0ms)",
    "X-AFAS-Proxy-Version": "4.3.0.0",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "deny",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "Content-Type, Accept, Authorization, OnlineSessionId, Accept-Language",
    "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE, OPTIONS",
    "Access-Control-Max-Age": "1728000",
}
_TRACE: Final = "X-Trace-Identifier"
_NEVER: Final = re.compile(r"q=0(\.0*)?")
_MOST_READY: Final = 8
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER, 0 seconds: closing drops the connection
_FLUSH_SECONDS: Final = 0.001  # between two checks that all bytes are sent, because a reset drops the others


class Delivery:
    """Sends responses.

    Args:
        traffic: Counts the bytes and rows that are sent.
        latency: How long each response takes.
        gzip: Whether to compress for clients that accept it.
        traced: Whether each response has an `X-Trace-Identifier`.

    Attributes:
        faults: The script of faults.
        latency: How long each response takes.
    """

    def __init__(self, traffic: Traffic, *, latency: Latency, gzip: bool, traced: bool) -> None:
        self.faults: Final = Faults()
        self._traffic = traffic
        self.latency: Latency = latency
        self._gzip = gzip
        self._traced = traced

    async def refuse(self, request: web.Request, record: RequestRecord, refusal: RefusalError) -> web.StreamResponse:
        """Send a refusal of the service or of a fault."""
        response = _response(refusal.status, refusal.headers, len(refusal.body))
        seconds = max(self.latency.base, refusal.seconds)
        return await self._deliver(request, record, response, Answer([], refusal.body), seconds)

    async def send(self, request: web.Request, record: RequestRecord, answer: Answer) -> web.StreamResponse:
        """Send a success."""
        response = _response(answer.status, {hdrs.CONTENT_TYPE: answer.content_type}, None if answer.end else 0)
        # Not aiohttp's own compression: it uses a thread, for which an event loop with a virtual clock does not wait.
        if self._gzip and answer.end and _takes_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, "")):
            response.headers[hdrs.CONTENT_ENCODING] = "gzip"
            answer = replace(answer, pieces=_compressed(answer.pieces, answer.end), end=b"")
        seconds = max(self.latency.delay(rows=answer.rows, skip=answer.skip), answer.seconds)
        return await self._deliver(request, record, response, answer, seconds)

    async def _deliver(
        self,
        request: web.Request,
        record: RequestRecord,
        response: web.StreamResponse,
        answer: Answer,
        seconds: float,
    ) -> web.StreamResponse:
        fault = record.fault
        cut, at = (fault.cut, fault.at) if fault else (None, None)
        pieces = iter(answer.pieces)
        ready = await _wait(pieces, record.started + seconds + (fault.delay if fault else 0))
        if cut is not None and at is None:
            return await _end_early(request, response, cut)
        if self._traced:
            response.headers[_TRACE] = uuid.uuid4().hex
        response.headers.update(fault.answer_headers() if fault else {})
        if cut == "end":
            response.content_length = None
        record.status = response.status
        record.trace_id = response.headers.get(_TRACE, "")
        await response.prepare(request)
        left = sys.maxsize if at is None else at
        for piece in chain(ready, pieces):
            if not left:
                break
            data = piece.json[:left]
            left -= len(data)
            await response.write(data)
            self._traffic.sent(record, rows=piece.rows if len(data) == len(piece.json) else 0, size=len(data))
        end = answer.end[:left]
        self._traffic.sent(record, rows=0, size=len(end))
        if cut in {"stall", "reset", "close"}:
            await response.write(end)
            return await _end_early(request, response, cut)
        # Before the client can see the end: when its next request arrives, this one must not count as in flight.
        self._traffic.answered(record)
        await response.write_eof(end)
        return response


def _response(status: int, headers: dict[str, str], length: int | None) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers=_HEADERS | headers)
    response.content_length = length
    return response


def _takes_gzip(accepted: str) -> bool:
    """Whether an `Accept-Encoding` has an entry for gzip with a weight above 0."""
    codings = (entry.partition(";") for entry in "".join(accepted.lower().split()).split(","))
    return any(coding == "gzip" and not _NEVER.fullmatch(weight) for coding, _, weight in codings)


async def _wait(pieces: Iterator[Page], due: float) -> list[Page]:
    """Wait until a response is due, and make its first pieces meanwhile, so that this work adds no time."""
    loop = asyncio.get_running_loop()
    ready: list[Page] = []
    for piece in islice(pieces, _MOST_READY):
        ready.append(piece)
        await asyncio.sleep(0)
        if loop.time() >= due:
            return ready
    await asyncio.sleep(due - loop.time())
    return ready


def _compressed(pieces: Iterable[Page], end: bytes) -> Iterator[Page]:
    gzip = zlib.compressobj(level=1, wbits=31)
    for piece in pieces:
        yield Page(piece.rows, gzip.compress(piece.json))
    yield Page(0, gzip.compress(end) + gzip.flush())


async def _end_early(request: web.Request, response: web.StreamResponse, cut: Cut) -> web.StreamResponse:
    """End a response early. On a connection that closes, aiohttp does not write the end of `response`."""
    transport = request.transport
    if cut == "stall":
        await asyncio.Event().wait()  # cancelled when the client leaves or the simulator stops
    elif transport is not None and cut == "reset":
        while transport.get_write_buffer_size():  # noqa: ASYNC110 (asyncio has no event for an empty buffer)
            await asyncio.sleep(_FLUSH_SECONDS)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()
    elif transport is not None:
        transport.close()
    return response
