"""How answers go out: headers, latency, compression."""

from __future__ import annotations

import asyncio
import zlib
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web

from afas_async.simulator.answer import Answer, RefusalError
from afas_async.simulator.latency import Latency
from afas_async.simulator.traffic import RequestRecord, Traffic

_HEADERS: Final = {
    "Cache-Control": "no-store, no-cache",
    "X-AFAS-Proxy-Stats": "init(0ms), before response(0ms), complete(0ms)",
    "X-AFAS-Proxy-Version": "4.3.0.0",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "deny",
    "Access-Control-Allow-Origin": "*",
}


class Delivery:
    """Sends answers.

    Args:
        traffic: Where what is sent is counted.
        latency: How long each answer takes.
        gzip: Whether to compress for clients that accept it.
    """

    def __init__(self, traffic: Traffic, *, latency: Latency, gzip: bool) -> None:
        self._traffic = traffic
        self._latency = latency
        self._gzip = gzip

    async def refuse(self, request: web.Request, record: RequestRecord, refusal: RefusalError) -> web.Response:
        """Send a refusal."""
        await asyncio.sleep(self._latency.delay(rows=0, skip=0))
        record.status = refusal.status
        response = web.Response(
            status=refusal.status, body=refusal.body, headers=_HEADERS | {hdrs.CONTENT_TYPE: refusal.content_type}
        )
        await response.prepare(request)
        self._traffic.sent(record, rows=0, size=len(refusal.body))
        self._traffic.answered(record)
        await response.write_eof()
        return response

    async def send(self, request: web.Request, record: RequestRecord, answer: Answer) -> web.StreamResponse:
        """Send a success."""
        await asyncio.sleep(self._latency.delay(answer.rows, answer.skip))
        record.status = HTTPStatus.OK
        response = web.StreamResponse(headers=_HEADERS | {hdrs.CONTENT_TYPE: "application/json; charset=utf-8"})
        # Not aiohttp's own compression: that moves to a thread, which a loop on virtual time does not wait for.
        gzip = None
        if self._gzip and "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, "").lower():
            gzip = zlib.compressobj(level=1, wbits=31)
            response.headers[hdrs.CONTENT_ENCODING] = "gzip"
        await response.prepare(request)
        for piece in answer.pieces:
            data = gzip.compress(piece.json) if gzip else piece.json
            await response.write(data)
            self._traffic.sent(record, rows=piece.rows, size=len(data))
        end = gzip.compress(answer.end) + gzip.flush() if gzip else answer.end
        self._traffic.sent(record, rows=0, size=len(end))
        # Before the client can see the end: its next request must not meet this one still under way.
        self._traffic.answered(record)
        await response.write_eof(end)
        return response
