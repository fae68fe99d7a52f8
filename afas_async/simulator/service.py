"""The routes of the service, over HTTP.

Paths and parameter names are case-insensitive and doubled slashes harmless, because the service's own pages write
them in every way.
"""

from __future__ import annotations

import asyncio
import base64
import zlib
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import hdrs, web

from afas_async.simulator.answer import Answer, RefusalError, functional_error, json_answer, unexpected_error
from afas_async.simulator.latency import Latency
from afas_async.simulator.question import Question, read_question
from afas_async.simulator.samples import Connector
from afas_async.simulator.store import Page, Store, UnknownFieldError
from afas_async.simulator.traffic import RequestRecord, Traffic

API_ROOT: Final = "profitrestservices"
CONTROL_ROOT: Final = "simulator"
_BLOCK_ROWS: Final = 2000
_LONGEST_QUERY: Final = 2048
_HEADERS: Final = {
    "Cache-Control": "no-store, no-cache",
    "X-AFAS-Proxy-Stats": "init(0ms), before response(0ms), complete(0ms)",
    "X-AFAS-Proxy-Version": "4.3.0.0",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "deny",
    "Access-Control-Allow-Origin": "*",
}
# Only 1 (text) and 5 (number) are known from metainfo samples.
_CONTROL_TYPES: Final = {"string": 1, "int": 5, "decimal": 5, "boolean": 1, "date": 1}


class Service:
    """Answers requests out of a store.

    Args:
        store: The rows.
        traffic: Where requests are logged and counted.
        token: The XML token that requests must carry.
        latency: How long each answer takes.
        gzip: Whether to compress for clients that accept it.
    """

    def __init__(self, store: Store, traffic: Traffic, *, token: str, latency: Latency, gzip: bool) -> None:
        self._store = store
        self._traffic = traffic
        self._authorization = authorization(token)
        self._latency = latency
        self._gzip = gzip
        self._connectors = {name.lower(): connector for name, connector in store.connectors.items()}

    def application(self) -> web.Application:
        """Make the aiohttp application."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._handle)
        return application

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        segments = [segment for segment in request.path.lower().split("/") if segment]
        if segments[:1] == [CONTROL_ROOT]:
            return self._control(segments[1:])
        with self._traffic.watch(request) as record:
            try:
                answer = self._answer(request, segments)
            except RefusalError as refusal:
                return await self._refuse(request, record, refusal)
            return await self._deliver(request, record, answer)
        return web.Response()  # to a client that has gone

    def _answer(self, request: web.Request, segments: list[str]) -> Answer:
        # Measured as sent, not as decoded (docs.afas.help, "GetConnector": the length of the query string).
        if len(request.raw_path.partition("?")[2]) > _LONGEST_QUERY:
            raise RefusalError(HTTPStatus.NOT_FOUND)
        if segments[:1] != [API_ROOT] or request.method != hdrs.METH_GET:
            raise RefusalError(HTTPStatus.NOT_FOUND)
        self._authorize(request)
        match segments[1:]:
            case ["metainfo"]:
                return json_answer(self._metainfo())
            case ["metainfo", "get", name]:
                return json_answer(_description(self._connector(name)))
            case ["profitversion"]:
                return json_answer({"version": "22.22.5"})
            case ["connectors", name]:
                query = {parameter.lower(): value for parameter, value in request.query.items()}
                return self._rows(self._connector(name), read_question(query))
            case _:
                raise RefusalError(HTTPStatus.NOT_FOUND)

    def _authorize(self, request: web.Request) -> None:
        header = request.headers.get(hdrs.AUTHORIZATION, "")
        # A token that is not in base64 is no 401 (docs.afas.help, news of Profit 6).
        if header.removeprefix("AfasToken ").startswith("<"):
            raise unexpected_error()
        if header != self._authorization:
            raise RefusalError(HTTPStatus.UNAUTHORIZED)

    def _connector(self, name: str) -> Connector:
        connector = self._connectors.get(name)
        if connector is None:
            raise functional_error("GetConnector not supported for this app or the user is not authorized")
        return connector

    def _rows(self, connector: Connector, question: Question) -> Answer:
        try:
            blocks = self._store.blocks(
                connector.name, question.first, question.limit, question.order, size=_BLOCK_ROWS
            )
        except UnknownFieldError as error:
            raise functional_error(f"Connector field '{error.field}' not found") from None
        left = max(self._store.count(connector.name) - question.first, 0)
        rows = left if question.limit < 0 else min(left, question.limit)
        return Answer(_opening(question, blocks), b"]}", rows=rows, skip=question.first)

    def _metainfo(self) -> dict[str, Any]:
        return {
            "updateConnectors": [],
            "getConnectors": [
                {"id": connector.name, "description": connector.description} for connector in self._connectors.values()
            ],
            "info": {"envid": "T12345AA", "appName": "Simulator", "group": "Simulator", "tokenExpiry": "0"},
        }

    def _control(self, segments: list[str]) -> web.Response:
        match segments:
            case ["counters"]:
                content: Any = self._traffic.counters
            case ["checksum", name] if name in self._connectors:
                content = self._store.checksum(self._connectors[name].name)
            case _:
                return web.Response(status=HTTPStatus.NOT_FOUND)
        return web.Response(body=msgspec.json.encode(content), content_type="application/json")

    async def _refuse(self, request: web.Request, record: RequestRecord, refusal: RefusalError) -> web.Response:
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

    async def _deliver(self, request: web.Request, record: RequestRecord, answer: Answer) -> web.StreamResponse:
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


def authorization(token: str) -> str:
    """Return the `Authorization` header for an XML token."""
    return f"AfasToken {base64.b64encode(token.encode()).decode()}"


def _description(connector: Connector) -> dict[str, Any]:
    return {
        "name": connector.name,
        "description": connector.description,
        "fields": [
            {
                "id": field.id,
                "fieldId": f"U{number:03}",
                "dataType": field.type,
                "label": field.label,
                "length": field.length,
                "controlType": _CONTROL_TYPES[field.type],
                "decimals": field.decimals,
                "decimalsFieldId": "",
            }
            for number, field in enumerate(connector.fields, 1)
        ],
    }


def _opening(question: Question, blocks: Iterable[Page]) -> Iterator[Page]:
    """The envelope with its rows, but without the closing brackets."""
    lead = b'{"skip":%d,"take":%d,"rows":[' % (question.skip, question.take)
    for block in blocks:
        yield Page(block.rows, lead + block.json)
        lead = b","
    if lead != b",":
        yield Page(0, lead)
