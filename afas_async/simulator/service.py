"""The routes of the service, over HTTP.

Paths and parameter names are case-insensitive and doubled slashes harmless, because the service's own pages write
them in every way.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, Literal
from urllib.parse import unquote

import msgspec
from aiohttp import hdrs, web

from afas_async.simulator.answer import (
    Answer,
    MessageError,
    RefusalError,
    functional_error,
    json_answer,
    metainfo_answer,
    rows_answer,
    unexpected_error,
)
from afas_async.simulator.changes import Changes
from afas_async.simulator.conditions import FILTER_PARAMETERS
from afas_async.simulator.delivery import Delivery
from afas_async.simulator.messages import OUT_OF_MEMORY, OUT_OF_TIME, field_not_found, not_supported
from afas_async.simulator.otp import Otp
from afas_async.simulator.question import read_question
from afas_async.simulator.rules import Rules
from afas_async.simulator.samples import Connector, UpdateConnector
from afas_async.simulator.store import Store, UnknownFieldError
from afas_async.simulator.traffic import TOKEN_PARAMETER, Traffic
from afas_async.simulator.updates import delete, write

API_ROOT: Final = "profitrestservices"
CONTROL_ROOT: Final = "simulator"
_BLOCK_ROWS: Final = 2000
_LONGEST_QUERY: Final = 2048
_LARGEST_BODY: Final = 75 * 1024 * 1024  # 75 MB with attachments (AFAS's notes on KnSubject)
# Only 1 (text) and 5 (number) are known from metainfo samples.
_CONTROL_TYPES: Final = {"string": 1, "int": 5, "decimal": 5, "boolean": 1, "date": 1}


class Service:
    """Answers requests out of a store.

    Args:
        store: The rows.
        traffic: Where requests are logged and counted.
        token: The XML token that requests must carry.
        delivery: Sends the answers.
        otp: Gives tokens for one-time passwords.
        rules: How the service behaves where that is not documented.

    Attributes:
        changes: What happens to the rows meanwhile.
    """

    def __init__(
        self, store: Store, traffic: Traffic, delivery: Delivery, *, token: str, otp: Otp, rules: Rules
    ) -> None:
        self.changes: Final = Changes(store)
        self._store = store
        self._traffic = traffic
        self._delivery = delivery
        self._rules = rules
        self._token = token
        self._otp = otp
        self._authorization = authorization(token)
        self._connectors = {name.lower(): connector for name, connector in store.connectors.items()}
        self._updates = {name.lower(): connector for name, connector in store.updates.items()}

    def application(self) -> web.Application:
        """Make the aiohttp application."""
        application = web.Application(client_max_size=_LARGEST_BODY)
        application.router.add_route("*", "/{path:.*}", self._handle)
        if self._rules.profit >= 7:
            application.on_response_prepare.append(_trace)
        return application

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        segments = _segments(request)
        if segments[:1] == [CONTROL_ROOT]:
            return await self._control(request, segments[1:])
        with self._traffic.watch(request) as record:
            if (response := await self._delivery.strike(request, record)) is not None:
                return response
            try:
                answer = self._answer(request, segments, await _body(request))
            except MessageError as error:
                refusal = error.spoken(self._rules, request.headers.get(hdrs.ACCEPT_LANGUAGE, ""))
                return await self._delivery.refuse(request, record, refusal)
            except RefusalError as refusal:
                return await self._delivery.refuse(request, record, refusal)
            return await self._delivery.send(request, record, answer)
        return web.Response()  # to a client that has gone

    def _answer(self, request: web.Request, segments: list[str], body: bytes) -> Answer:
        # Measured as sent, not as decoded (docs.afas.help, "GetConnector": the length of the query string).
        if max(map(len, request.raw_path.split("?", 1))) > _LONGEST_QUERY or segments[:1] != [API_ROOT]:
            raise RefusalError(HTTPStatus.NOT_FOUND)
        if request.method == hdrs.METH_OPTIONS:
            return Answer([], b"")  # a browser asks without a token whether it may ask with one
        match [request.method, *segments[1:]]:
            case ["POST", "otprequest"]:
                return self._otp.request(body)
            case ["POST", "otpvalidation"]:
                return self._otp.validate(body)
            case _:
                self._authorize(request)
                return self._authorized_answer(request, segments, body)

    def _authorized_answer(self, request: web.Request, segments: list[str], body: bytes) -> Answer:
        query = {parameter.lower(): value for parameter, value in request.query.items()}
        match [request.method, *segments[1:]]:
            case ["GET", "metainfo"]:
                return metainfo_answer(self._metainfo(), self._rules)
            case ["GET", "metainfo", "get", name]:
                return metainfo_answer(_description(self._connector(name)), self._rules)
            case ["GET", "metainfo", "update", name]:
                return metainfo_answer(_update_description(self._update_connector(name)), self._rules)
            case ["GET", "profitversion"]:
                return json_answer({"version": "22.22.5"})
            case ["GET", "connectors", name]:
                return self._rows(self._connector(name), query)
            case ["GET", "connectors", name, fields, values]:
                if not FILTER_PARAMETERS.isdisjoint(query):
                    raise unexpected_error()
                return self._rows(self._connector(name), query | {"filterfieldids": fields, "filtervalues": values})
            case ["POST" | "PUT" as method, "connectors", name]:
                return write(self._store, self._update_connector(name), method, body, self._rules)
            case ["DELETE", "connectors", name, element, fields, values]:
                return delete(self._store, self._update_connector(name), element, fields, values)
            case _:
                raise RefusalError(HTTPStatus.NOT_FOUND)

    def _authorize(self, request: web.Request) -> None:
        header = request.headers.get(hdrs.AUTHORIZATION)
        if header is None:
            # The address bar of a browser sends no such header. It also sends a plus, which means a space.
            header = next((value for name, value in request.query.items() if name.lower() == TOKEN_PARAMETER), "")
            header = header.replace(" ", "+")
            header = self._authorization if header == self._token else f"AfasToken {header}"
        # A token that is not in base64 is no 401 (docs.afas.help, news of Profit 6).
        if header.removeprefix("AfasToken ").startswith("<"):
            raise unexpected_error()
        if header != self._authorization:
            raise RefusalError(HTTPStatus.UNAUTHORIZED)

    def _connector(self, name: str) -> Connector:
        connector = self._connectors.get(name.lower())
        if connector is None:
            raise self._not_supported("GetConnector")
        return connector

    def _update_connector(self, name: str) -> UpdateConnector:
        connector = self._updates.get(name.lower())
        if connector is None:
            raise self._not_supported("UpdateConnector")
        return connector

    def _not_supported(self, kind: Literal["GetConnector", "UpdateConnector"]) -> RefusalError:
        if self._rules.unknown_connector == 500:
            return functional_error(not_supported(kind))
        return RefusalError(HTTPStatus(self._rules.unknown_connector))

    def _rows(self, connector: Connector, query: Mapping[str, str]) -> Answer:
        self.changes.pass_request(connector.name)
        question = read_question(query, connector, self._rules)
        first, limit = question.first, question.limit
        cap = self._rules.page_cap
        if cap is not None:
            limit = cap if limit < 0 else min(limit, cap)
        last = first + limit if limit >= 0 else -1
        left = max(self._store.count(connector.name, question.where, last) - first, 0)
        rows = left if limit < 0 else min(left, limit)
        most = self._rules.most_cells
        if most is not None and rows * len(connector.fields) > most:
            raise functional_error(OUT_OF_MEMORY)
        time_limit = self._rules.time_limit
        if time_limit is not None and self._delivery.latency.delay(rows, first) > time_limit:
            raise functional_error(OUT_OF_TIME, time_limit)
        try:
            blocks = self._store.blocks(connector.name, first, limit, question.order, question.where, size=_BLOCK_ROWS)
        except UnknownFieldError as error:
            raise functional_error(field_not_found(error.field)) from None
        return rows_answer(blocks, skip=question.skip, take=question.take, rows=rows, passed=first, rules=self._rules)

    def _metainfo(self) -> dict[str, Any]:
        return {
            "updateConnectors": [
                {"id": connector.name, "description": connector.description} for connector in self._updates.values()
            ],
            "getConnectors": [
                {"id": connector.name, "description": connector.description} for connector in self._connectors.values()
            ],
            "info": {"envid": "T12345AA", "appName": "Simulator", "group": "Simulator", "tokenExpiry": "0"},
        }

    async def _control(self, request: web.Request, segments: list[str]) -> web.Response:
        match [request.method, *segments]:
            case ["GET", "counters"]:
                content: Any = self._traffic.counters
            case ["GET", "checksum", name] if name in self._connectors:
                content = self._store.checksum(self._connectors[name].name)
            case ["GET" | "POST" | "DELETE" as method, "faults" | "changes" as what]:
                script = self._delivery.faults if what == "faults" else self.changes
                try:
                    if method == "POST":
                        script.add_json(await request.read())
                    elif method == "DELETE":
                        script.clear()
                except ValueError as error:
                    return web.Response(status=HTTPStatus.BAD_REQUEST, text=str(error))
                content = script.left
            case _:
                return web.Response(status=HTTPStatus.NOT_FOUND)
        return web.Response(body=msgspec.json.encode(content), content_type="application/json")


def authorization(token: str) -> str:
    """Return the `Authorization` header for an XML token."""
    return f"AfasToken {base64.b64encode(token.encode()).decode()}"


async def _trace(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["X-Trace-Identifier"] = uuid.uuid4().hex


async def _body(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise RefusalError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE) from None
    except web.RequestPayloadError:
        raise RefusalError(HTTPStatus.BAD_REQUEST) from None


def _segments(request: web.Request) -> list[str]:
    """The parts of the path; what stands in them is decoded apart, so that a `%2F` separates nothing."""
    parts = [unquote(part) for part in request.rel_url.raw_path.split("/") if part]
    # Names of routes and connectors, but not the names and values that may come after them.
    return [part.lower() for part in parts[:3]] + parts[3:]


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


def _update_description(connector: UpdateConnector) -> dict[str, Any]:
    return {
        "id": connector.name,
        "name": connector.root,
        "description": connector.description,
        "fields": [
            {
                "fieldId": field.id,
                "primaryKey": field in connector.key,
                "dataType": field.column.type,
                "label": field.column.label,
                "mandatory": field.mandatory,
                "length": field.column.length,
                "decimals": field.column.decimals,
                "decimalFieldId": "",
                "notzero": False,
                "controlType": _CONTROL_TYPES[field.column.type],
                "values": [{"id": code, "description": text} for code, text in field.codes.items()] or None,
            }
            for field in connector.fields.values()
        ],
        "objects": None,
    }
