"""The routes of the service, over HTTP.

Letter case in paths and parameter names does not count, and doubled slashes are accepted: AFAS's own pages write them
in all these ways.
"""

from __future__ import annotations

import asyncio
import base64
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
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
from afas_async.simulator.control import CONTROL_ROOT, Control, UnknownConnectorError
from afas_async.simulator.delivery import Delivery
from afas_async.simulator.faults import Fault
from afas_async.simulator.files.files import Files
from afas_async.simulator.files.routes import BINARY_HEADER, FileRoutes
from afas_async.simulator.messages import LOCKED, OUT_OF_MEMORY, OUT_OF_TIME, field_not_found, not_supported
from afas_async.simulator.metainfo import describe, describe_update
from afas_async.simulator.oauth import OAuth
from afas_async.simulator.otp import Otp
from afas_async.simulator.read.conditions import FILTER_PARAMETERS
from afas_async.simulator.read.question import read_question
from afas_async.simulator.rules import Rules
from afas_async.simulator.samples.connectors import Connector
from afas_async.simulator.samples.update_connectors import UpdateConnector
from afas_async.simulator.storage.store import Checksum, Store, UnknownFieldError
from afas_async.simulator.traffic import TOKEN_PARAMETER, RequestRecord, Traffic
from afas_async.simulator.write.pending import PendingWork
from afas_async.simulator.write.updates import Updates, Work

API_ROOT: Final = "profitrestservices"
_BLOCK_ROWS: Final = 2000
_LONGEST_QUERY: Final = 2048
_LARGEST_BODY: Final = 75 * 1024 * 1024  # 75 MB with attachments (AFAS's notes on KnSubject)
_REFUSALS: Final = {"locked": LOCKED, "out of memory": OUT_OF_MEMORY, "out of time": OUT_OF_TIME}


class Service:
    """Responds to requests from the rows of a store.

    Args:
        store: The rows.
        traffic: Logs and counts requests.
        token: The XML token that requests must have.
        delivery: Sends the responses.
        otp: Issues tokens for one-time passwords.
        oauth: Issues and checks access tokens.
        files: The files.
        rules: How the service behaves where AFAS does not document it.

    Attributes:
        changes: The script of changes to the rows.
        updates: Carries out writes.
    """

    def __init__(
        self,
        store: Store,
        traffic: Traffic,
        delivery: Delivery,
        *,
        token: str,
        otp: Otp,
        oauth: OAuth,
        files: Files,
        rules: Rules,
    ) -> None:
        self.changes: Final = Changes(store)
        self.updates: Final = Updates(store, rules)
        self._store = store
        self._traffic = traffic
        self._delivery = delivery
        self._rules = rules
        self._token = token
        self._otp = otp
        self._oauth = oauth
        self._files = files
        self._file_routes = FileRoutes(files, self._report_lines)
        self._first_latency = delivery.latency
        self._authorization = authorization(token)
        self._pending = PendingWork()
        self._filling = defaultdict[str, asyncio.Lock](asyncio.Lock)
        self.learn_connectors()
        self._control = Control(
            traffic=traffic,
            delivery=delivery,
            changes=self.changes,
            otp=otp,
            oauth=oauth,
            files=files,
            checksum=self._checksum,
            written=self.written,
            reset=self.reset,
        )

    def application(self) -> web.Application:
        """Make the aiohttp application."""
        application = web.Application(client_max_size=_LARGEST_BODY)
        application.router.add_route("*", "/{path:.*}", self._handle)
        return application

    def learn_connectors(self) -> None:
        """Serve the connectors that are in the store now."""
        self._connectors = {name.lower(): connector for name, connector in self._store.connectors.items()}
        self._update_connectors = {name.lower(): connector for name, connector in self._store.updates.items()}

    def written(self, name: str) -> list[dict[str, Any]]:
        """Return the elements that an UpdateConnector wrote.

        Raises:
            UnknownConnectorError: The connector does not exist.
        """
        connector = self._update_connectors.get(name.lower())
        if connector is None:
            raise UnknownConnectorError(f"there is no UpdateConnector {name!r}")
        return self.updates.written.of(connector.name)

    def reset(self) -> None:
        """Restore rows, files, scripts, latency, clock, log and counters to those of the start."""
        self._pending.abandon()
        self._store.reset()
        self.learn_connectors()
        self._files.reset()
        self.updates.reset()
        self.changes.clear()
        self._delivery.faults.clear()
        self._delivery.latency = self._first_latency
        self._traffic.reset()
        self._otp.code = None

    async def stop(self) -> None:
        """Abandon pending writes."""
        await self._pending.stop()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        segments = _segments(request)
        if segments[:1] == [CONTROL_ROOT]:
            return await self._control.answer(request.method, segments[1:], await request.read())
        with self._traffic.watch(request) as record:
            record.fault = self._delivery.faults.take(record.method, record.path)
            try:
                answer = await self._outcome(request, segments, record)
            except MessageError as error:
                refusal = error.spoken(self._rules, request.headers.get(hdrs.ACCEPT_LANGUAGE, ""))
                return await self._delivery.refuse(request, record, refusal)
            except RefusalError as refusal:
                return await self._delivery.refuse(request, record, refusal)
            return await self._delivery.send(request, record, answer)
        return web.Response()  # the client has gone

    async def _outcome(self, request: web.Request, segments: list[str], record: RequestRecord) -> Answer:
        """Carry out a request; return its response, or raise the refusal of the service or of a fault."""
        fault = record.fault
        refusal = _refusal(fault)
        if refusal is not None and _work_delay(fault) is None:
            raise refusal
        try:
            answer = await self._answer(request, segments, await _body(request))
        except RefusalError as own:
            raise refusal or own from None
        return await self._worked(answer, record, refusal) if isinstance(answer, Work) else answer

    async def _worked(self, work: Work, record: RequestRecord, refusal: RefusalError | None) -> Answer:
        """Carry out a write when it is due; raise the `refusal` of a fault, if it has one."""
        record.elements = work.elements
        latency, limit = self._delivery.latency, self._rules.time_limit
        seconds = latency.delay(elements=work.elements)
        end = record.started + seconds
        if (delay := _work_delay(record.fault)) is not None:
            self._pending.begin(work, delay + (end if refusal is None else record.started + latency.base))
            if refusal is not None:
                raise refusal
            return Answer([], b"", seconds=seconds)  # the fault cuts before any of it is sent
        if limit is not None and seconds > limit:
            if self._rules.finish_late:
                self._pending.begin(work, end)
            raise functional_error(OUT_OF_TIME, limit)
        try:
            return replace(await self._pending.outcome(work, end), seconds=seconds)
        except RefusalError as own:
            own.seconds = seconds
            raise

    async def _answer(self, request: web.Request, segments: list[str], body: bytes) -> Answer | Work:
        # The limit counts characters as sent, not decoded (docs.afas.help, "GetConnector": length of the query string).
        if max(map(len, request.raw_path.split("?", 1))) > _LONGEST_QUERY or segments[:1] != [API_ROOT]:
            raise RefusalError(HTTPStatus.NOT_FOUND)
        if request.method == hdrs.METH_OPTIONS:
            return Answer([], b"")  # a browser sends this without a token, before the real request
        match [request.method, *segments[1:]]:
            case ["POST", "otprequest"]:
                return self._otp.request(body)
            case ["POST", "otpvalidation"]:
                return self._otp.validate(body)
            case ["POST", "oauth", "token"]:
                return self._oauth.answer(request.content_type, body, str(request.url))
            case _:
                self._authorize(request)
                await self._fill(self._tables(segments[1:]))
                return self._authorized_answer(request, segments, body)

    def _tables(self, segments: list[str]) -> Iterable[str]:
        """The GetConnectors whose rows a request needs."""
        match segments:
            case ["connectors", name, *_] if name in self._connectors:
                return [self._connectors[name].name]
            case ["connectors", name, *_] if name in self._update_connectors:
                return self._update_connectors[name].root.tables()
            case ["reportconnector", guid, *_] if (report := self._files.report(guid)) is not None:
                return [report.connector]
            case _:
                return []

    async def _checksum(self, name: str) -> Checksum:
        connector = self._connectors.get(name.lower())
        if connector is None:
            raise UnknownConnectorError(f"there is no GetConnector {name!r}")
        await self._fill([connector.name])
        return self._store.checksum(connector.name)

    async def _fill(self, names: Iterable[str]) -> None:
        """Make the rows of connectors that were not used yet, and let other requests run in between."""
        for name in names:
            async with self._filling[name]:  # in the order of arrival
                while self._store.fill_piece(name):  # noqa: ASYNC110 (each turn makes rows)
                    await asyncio.sleep(0)

    def _authorized_answer(self, request: web.Request, segments: list[str], body: bytes) -> Answer | Work:
        query = {parameter.lower(): value for parameter, value in request.query.items()}
        match [request.method, *segments[1:]]:
            case ["GET", "metainfo"]:
                return metainfo_answer(self._metainfo(), self._rules)
            case ["GET", "metainfo", "get", name]:
                return metainfo_answer(describe(self._connector(name)), self._rules)
            case ["GET", "metainfo", "update", name]:
                return metainfo_answer(describe_update(self._update_connector(name)), self._rules)
            case ["GET", "profitversion"]:
                return json_answer({"version": "22.22.5"})
            case ["GET", "fileconnector" | "subjectconnector" | "imageconnector" | "reportconnector", *_]:
                binary = request.headers.get(BINARY_HEADER, "") == "1"
                return self._file_routes.answer(segments[1:], query, binary=binary)
            case ["GET", "connectors", name]:
                return self._rows(self._connector(name), query)
            case ["GET", "connectors", name, fields, values]:
                if not FILTER_PARAMETERS.isdisjoint(query):
                    raise unexpected_error()
                return self._rows(self._connector(name), query | {"filterfieldids": fields, "filtervalues": values})
            case ["POST" | "PUT" as method, "connectors", name]:
                return self.updates.write(self._update_connector(name), method, body)
            case ["POST" | "PUT" as method, "connectors", name, sub]:
                return self.updates.write(self._update_connector(name), method, body, sub)
            case ["DELETE", "connectors", name, *path] if len(path) in {3, 6}:
                return self.updates.delete(self._update_connector(name), path)
            case _:
                raise RefusalError(HTTPStatus.NOT_FOUND)

    def _authorize(self, request: web.Request) -> None:
        header = request.headers.get(hdrs.AUTHORIZATION)
        if header is None:
            # The address bar of a browser cannot send a header, and its plus in a query means a space.
            header = next((value for name, value in request.query.items() if name.lower() == TOKEN_PARAMETER), "")
            header = header.replace(" ", "+")
            header = self._authorization if header == self._token else f"AfasToken {header}"
        if header.startswith("Bearer "):
            self._oauth.check(header.removeprefix("Bearer "))
            return
        # A token that is not in base64 gets an error, not a 401 (docs.afas.help, news of Profit 6).
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
        connector = self._update_connectors.get(name.lower())
        if connector is None:
            raise self._not_supported("UpdateConnector")
        return connector

    def _not_supported(self, kind: Literal["GetConnector", "UpdateConnector"]) -> RefusalError:
        if self._rules.unknown_connector == 500:
            return functional_error(not_supported(kind))
        return RefusalError(HTTPStatus(self._rules.unknown_connector))

    def _rows(self, connector: Connector, query: Mapping[str, str]) -> Answer:
        self.changes.count_request(connector.name)
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
        if time_limit is not None and self._delivery.latency.delay(rows=rows, skip=first) > time_limit:
            raise functional_error(OUT_OF_TIME, time_limit)
        try:
            blocks = self._store.blocks(connector.name, first, limit, question.order, question.where, size=_BLOCK_ROWS)
        except UnknownFieldError as error:
            raise functional_error(field_not_found(error.field)) from None
        return rows_answer(blocks, skip=question.skip, take=question.take, rows=rows, skipped=first, rules=self._rules)

    def _report_lines(self, name: str, query: Mapping[str, str], most: int) -> tuple[int, list[str]]:
        connector = self._connector(name)
        where = read_question(query, connector, self._rules).where
        page = self._store.page(connector.name, 0, most, [(field, False) for field in connector.key], where)
        rows: list[dict[str, Any]] = msgspec.json.decode(b"[" + page.json + b"]")
        texts = ["  ".join(str(value) for value in row.values()) for row in rows]
        return self._store.count(connector.name, where), texts

    def _metainfo(self) -> dict[str, Any]:
        return {
            "updateConnectors": [
                {"id": connector.name, "description": connector.description}
                for connector in self._update_connectors.values()
            ],
            "getConnectors": [
                {"id": connector.name, "description": connector.description} for connector in self._connectors.values()
            ],
            "info": {"envid": "T12345AA", "appName": "Simulator", "group": "Simulator", "tokenExpiry": "0"},
        }


def authorization(token: str) -> str:
    """Return the `Authorization` header for an XML token."""
    return f"AfasToken {base64.b64encode(token.encode()).decode()}"


def _refusal(fault: Fault | None) -> RefusalError | None:
    """The refusal of a fault, or None if the service itself responds."""
    if fault is None:
        return None
    if fault.refusal is not None:
        return functional_error(_REFUSALS[fault.refusal])
    return RefusalError(fault.status, fault.answer_body()) if fault.status is not None else None


def _work_delay(fault: Fault | None) -> float | None:
    """The seconds from the response to the work, for a fault with `works_after`; otherwise None."""
    return None if fault is None or fault.works_after is None else fault.delay + fault.works_after


async def _body(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise RefusalError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE) from None
    except web.RequestPayloadError:
        raise RefusalError(HTTPStatus.BAD_REQUEST) from None


def _segments(request: web.Request) -> list[str]:
    """The parts of the path. They are decoded after the split, so a `%2F` does not separate parts."""
    parts = [unquote(part) for part in request.rel_url.raw_path.split("/") if part]
    # Only names of routes and connectors: after them come names and values whose case counts.
    return [part.lower() for part in parts[:3]] + parts[3:]
