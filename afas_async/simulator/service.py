"""The routes of the service, over HTTP.

Paths and parameter names are case-insensitive and doubled slashes harmless, because the service's own pages write
them in every way.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import hdrs, web

from afas_async.simulator.answer import Answer, RefusalError, functional_error, json_answer, unexpected_error
from afas_async.simulator.delivery import Delivery
from afas_async.simulator.question import Question, read_question
from afas_async.simulator.samples import Connector
from afas_async.simulator.store import Page, Store, UnknownFieldError
from afas_async.simulator.traffic import Traffic

API_ROOT: Final = "profitrestservices"
CONTROL_ROOT: Final = "simulator"
_BLOCK_ROWS: Final = 2000
_LONGEST_QUERY: Final = 2048
# Only 1 (text) and 5 (number) are known from metainfo samples.
_CONTROL_TYPES: Final = {"string": 1, "int": 5, "decimal": 5, "boolean": 1, "date": 1}


class Service:
    """Answers requests out of a store.

    Args:
        store: The rows.
        traffic: Where requests are logged and counted.
        token: The XML token that requests must carry.
        delivery: Sends the answers.
    """

    def __init__(self, store: Store, traffic: Traffic, delivery: Delivery, *, token: str) -> None:
        self._store = store
        self._traffic = traffic
        self._delivery = delivery
        self._authorization = authorization(token)
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
                return await self._delivery.refuse(request, record, refusal)
            return await self._delivery.send(request, record, answer)
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
