"""What a client can ask of UpdateConnectors: to insert, update and delete, one by one or in loads."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import Any, TypedDict, Unpack, cast

from msgspec import Struct

from afas_async.calls.metainfo import explain, known_root, update_metainfo
from afas_async.calls.write import send_one
from afas_async.errors import BusinessError, InvalidElementError, UsageError
from afas_async.http.channel import Caller, operation
from afas_async.policy.element_check import Checker
from afas_async.vocabulary.arguments import check_type, type_name
from afas_async.vocabulary.connectors import UpdateConnector
from afas_async.vocabulary.elements import Action, ElementFault, Item, Nulls, check_action, with_nulls
from afas_async.vocabulary.outcomes import Outcome, WriteResult
from afas_async.wire.element_bodies import body_of, encode_element
from afas_async.wire.requests import Request
from afas_async.wire.write_requests import delete_request, write_request
from afas_async.write.loader import Load
from afas_async.write.lookups import Lookup
from afas_async.write.ordered import Outcomes
from afas_async.write.settings import LoadOptions, Must, OnReject


class LoadArguments(TypedDict, total=False):
    """The options of `load` and `outcomes`; `load` describes them."""

    max_elements: int
    max_bytes: int
    target_seconds: float
    in_flight: int
    on_reject: OnReject
    transaction: bool
    validate: bool
    lookup: Lookup[Any] | None
    reference: str | None
    journal: str | os.PathLike[str] | None
    nulls: Nulls | None
    load_id: str | None
    max_rejected: float | None
    failures: str | os.PathLike[str] | None
    on_outcome: Callable[[Outcome], None] | None
    must: Must | None


class UpdateConnectors(Caller):
    """The part of a client that writes through UpdateConnectors."""

    _base_url: str

    @operation
    async def insert(self, connector: UpdateConnector | str, item: Item, *, sub: str | None = None) -> WriteResult:
        """Insert one record; or, with `sub`, update a record and insert a line of an object in it.

        It is sent once. It is sent again only where it provably had no effect: no connection stood, the service said
        that it did not process it, or refused it because a record was locked.

        Args:
            connector: The connector, or its name.
            item: The record: an Element, a dict of fields, or a `msgspec.Struct`.
            sub: The object of the record to insert a line of; the service has one such level.

        Returns:
            The keys that the service answered.

        Raises:
            InvalidElementError: If the record cannot be sent. Nothing was sent, as for every UsageError.
            OutcomeUnknownError: If it may have been applied or not. A caller who is cancelled does not learn it either;
                that is logged as a warning.
            AfasError: Any other error means that nothing was applied.

        Source:
            AFAS, UpdateConnector; Troubleshooting: a request goes on when its client has gone.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         return (await afas.insert("KnSubject", {"StId": 1, "Ds": "Offerte"})).keys
            >>> asyncio.run(main())
            ({'SbId': '201'},)
        """
        return await self._write("POST", connector, item, sub)

    @operation
    async def update(self, connector: UpdateConnector | str, item: Item, *, sub: str | None = None) -> WriteResult:
        """Update one record; or, with `sub`, a line of an object in it.

        A field that is not given stays as it is, and an empty str clears one. An update that fails is not simply sent
        again either: it can insert lines, and overtake a later update. See `insert` for when it is.

        Args:
            connector: The connector, or its name.
            item: The record, with its key: an Element, a dict of fields, or a `msgspec.Struct`.
            sub: The object of the record to update a line of.

        Returns:
            The keys that the service answered, if any.

        Raises:
            InvalidElementError: See `insert`, as for the others.
            OutcomeUnknownError: See `insert`.
            AfasError: Any other error means that nothing was applied.

        Source:
            AFAS, UpdateConnector: an update changes all fields in the request.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         await afas.update("FbItemArticle", {"@ItCd": "000001", "Ds": "Bolt M8"})
            ...         page = await afas.page("Profit_Article", take=1, where=F.ItemCode == "000001")
            ...         return page.rows[0]["Description"]
            >>> asyncio.run(main())
            'Bolt M8'
        """
        return await self._write("PUT", connector, item, sub)

    @operation
    async def delete(
        self,
        connector: UpdateConnector | str,
        *,
        key: Mapping[str, Any],
        root: str | None = None,
        sub: str | None = None,
        sub_key: Mapping[str, Any] | None = None,
    ) -> WriteResult:
        """Delete one record for ever; or, with `sub` and `sub_key`, a line of an object in it.

        Args:
            connector: The connector, or its name.
            key: The values of its key by field id: str, int, Decimal or date.
            root: The name of its element, where that differs from the one that AFAS documents.
            sub: The object of the record to delete a line of.
            sub_key: The key of the line.

        Returns:
            An empty result.

        Raises:
            InvalidElementError: If a key is missing, or cannot stand in a URL. Nothing was sent.
            OutcomeUnknownError: See `insert`.
            AfasError: Any other error means that nothing was deleted; NotFoundError among them.

        Source:
            AFAS, UpdateConnector: delete.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         await afas.delete("FbItemArticle", key={"ItCd": "000001"})
            ...         return (await afas.page("Profit_Article", take=1, where=F.ItemCode == "000001")).rows
            >>> asyncio.run(main())
            []
        """
        declared = _declared(connector)
        check_type("key", key, Mapping, 'a dict such as {"ItCd": "000001"}', connector=declared.name)
        check_type("root", root, str | None, "the name of the element", connector=declared.name)
        check_type("sub", sub, str | None, "the name of an object", connector=declared.name)
        check_type("sub_key", sub_key, Mapping | None, 'a dict such as {"GuLi": 1}', connector=declared.name)
        if (sub is None) != (sub_key is None):
            raise InvalidElementError(f"{declared.name}: sub and sub_key go together")
        elements = [(root or declared.element_name, key)]
        if sub is not None and sub_key is not None:
            elements.append((sub, sub_key))
        return await self._send(delete_request(declared.name, *elements))

    @operation
    async def validate(
        self, connector: UpdateConnector | str, elements: Iterable[Item], *, action: Action = "insert"
    ) -> list[ElementFault]:
        """Check records against the metainfo of their connector, with at most one request and no write.

        Args:
            connector: The connector, or its name.
            elements: The records.
            action: What you want to do with them: only an insert needs the mandatory fields.

        Returns:
            One `ElementFault` for everything that is wrong, in the order of the records: `index` is the number of the
            record. An empty list if nothing is. Only the service knows what lies beyond its metainfo, such as whether a
            relation exists.

        Raises:
            AfasError: If the metainfo of the connector cannot be read.

        Source:
            AFAS, REST API for developers: metainfo.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         for fault in await afas.validate("KnSubject", [{"StId": 1}, {"StId": "one"}]):
            ...             print(fault.index, fault.field, fault.message)
            >>> asyncio.run(main())
            1 StId is not a number
        """
        declared = _declared(connector)
        check_action(action, declared.name)
        _check_records(elements, Iterable, declared.name)
        metainfo = await update_metainfo(self._channel, declared.name)
        checker = Checker(metainfo, action, allow_none=declared.allow_none)
        found = list[ElementFault]()
        for index, item in enumerate(elements):
            try:
                element = with_nulls(item, declared.nulls)
                faults = checker.faults(element, index)
                if not faults:
                    encode_element(element, allow_none=declared.allow_none)
            except InvalidElementError as error:
                faults = [ElementFault(index, "", str(error))]
            found += faults
        return found

    def load(
        self, connector: UpdateConnector | str, *, action: Action = "insert", **options: Unpack[LoadArguments]
    ) -> Load:
        """Return a load of many records, which are sent in batches.

        *Outcomes.* Each record ends with exactly one outcome: "applied", "rejected", "not_sent", or "unknown" where the
        answer was lost. An unknown one is never sent again, as the service goes on with what it was sent. A refused
        call rejects all of its records, for nothing tells which one was at fault: `on_reject="split"` finds it.

        *Batches.* A call grows with what the service takes, so that it lasts about `target_seconds`: a service that is
        suddenly ten times slower still ends a call of 60 seconds below its limit of 900. A call goes out as soon as one
        of the `in_flight` is free, with the records that are there. Records with the same key are never in flight
        together, and keep their order; after one that is not applied, the later ones with its key are not sent.

        *When it stops.* The rest is "not_sent" after a call that could not be sent with all its retries, after a
        credential is refused (401, 403), and after ten unknown calls in a row.

        *Journal.* With `journal`, each call is noted on disk before it is sent. After a crash, even `kill -9`, repeat
        the load with the same records in the same order: those that were never in flight are sent, and those that were
        are "unknown", unless `lookup` finds them; what was refused is sent again. `python -m afas_async journal PATH`
        shows it. Delete it in the end, or give each load a `load_id`: a finished journal is not used again.

        Args:
            connector: The connector, or its name.
            action: "insert" (POST), "update" (PUT), or "delete" (DELETE, one record in a call).
            max_elements: The most records in a call.
            max_bytes: The most bytes in a call of several records; the service takes 75 MB. Each call in flight needs
                several times as much memory.
            target_seconds: How long a call should take, in seconds.
            in_flight: The most calls at a time, under the limit of the client.
            on_reject: "continue": record a refused call and go on. "stop": send nothing more after a record that is not
                applied. "split": halve a refused call until its faulty records are alone, and send the others.
            transaction: Whether a call of several records is tagged with `@Action`, with which the service treats it as
                one transaction. Without, records of a refused call of several are "unknown".
            validate: Whether records are checked before they are sent; see `validate`. It takes one request at most.
            nulls: What None means in a field, "refuse", "omit" or "clear": in place of what the `UpdateConnector` says.
            lookup: How to look up a record whose outcome is unknown, once at the end and by `resolve`.
            reference: A free text field into which the load writes a reference of its own for each inserted record, by
                which `lookup` finds it: the stand-in for the idempotency key that AFAS does not have.
            journal: Path of the journal, on a local disk.
            load_id: Which load the journal belongs to, such as a date: with another one, a journal that is finished
                begins anew. Without, a finished journal raises JournalError until you delete it.
            max_rejected: How many records may be rejected before nothing more is sent; a float such as 0.1 is a share
                of at least 100 outcomes. None for any number.
            failures: Path of a file to which each record that is not applied is written, a JSON document a line with
                its status and message; `afas_async.failed_records(path)` reads those to load again. It is complete when
                the load ends, and has the name `path` then; `.part` is added until then.
            on_outcome: Called with each `Outcome` as soon as it is known, in the event loop: it must not block. What a
                lookup corrects later stands in the report only.
            must: "apply" to have the end of the block raise a LoadError unless every record is applied. Without it,
                look at the `report`: if it has failures and nobody looks at it, a warning in the log says so.

        Returns:
            The load: `async with` it, `add` records, and look at its `report` afterwards.

        Raises:
            UsageError: If an option makes no sense.

        Source:
            AFAS, REST API for developers: spread large loads over calls; UpdateConnector: `@Action`, one transaction.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         async with afas.load("KnSubject", must="apply") as load:
            ...             for number in range(1_000):
            ...                 await load.add({"StId": 1, "Ds": f"Offerte {number}"})
            ...         return load.report.counts
            >>> asyncio.run(main())
            {'applied': 1000, 'rejected': 0, 'unknown': 0, 'not_sent': 0}
        """
        return self._load(connector, action, _settings(connector, options))

    def outcomes(
        self,
        connector: UpdateConnector | str,
        elements: Iterable[Item] | AsyncIterable[Item],
        *,
        action: Action = "insert",
        **options: Unpack[LoadArguments],
    ) -> Outcomes:
        """Load records, and return what becomes of each as a stream, in the order of the records.

        Args:
            connector: The connector, or its name.
            elements: The records. They are taken in another task, a while ahead of the outcomes that are read.
            action: See `load`.
            options: See `load`.

        Returns:
            A stream of Outcome. Its `report` is complete after the end; only there it has what `lookup` has found.

        Raises:
            UsageError: If an option makes no sense.
            AfasError: From the stream, if the load cannot be opened; what the source raises comes out of it as well.

        Source:
            See `load`.

        Example:
            >>> async def main():
            ...     records = [{"StId": 1, "Ds": "Offerte"}, {"StId": "one"}]
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         async with afas.outcomes("KnSubject", records) as outcomes:
            ...             return [(outcome.index, outcome.status) async for outcome in outcomes]
            >>> asyncio.run(main())
            [(0, 'applied'), (1, 'not_sent')]
        """
        settings = _settings(connector, options)
        _check_records(elements, Iterable | AsyncIterable, _declared(connector).name)
        return Outcomes(
            self._channel, elements, lambda listener: self._load(connector, action, settings, listener=listener)
        )

    def _load(
        self,
        connector: UpdateConnector | str,
        action: Action,
        settings: LoadOptions,
        *,
        listener: Callable[[Outcome], None] | None = None,
    ) -> Load:
        declared = _declared(connector)
        service = self._base_url
        return Load(self._begin("load").bulk, declared, action, settings, service=service, listener=listener)

    async def _write(self, method: Any, connector: UpdateConnector | str, item: object, sub: str | None) -> WriteResult:
        declared = _declared(connector)
        check_type("sub", sub, str | None, "the name of an object", connector=declared.name)
        try:
            element = encode_element(with_nulls(item, declared.nulls), allow_none=declared.allow_none)
        except InvalidElementError as error:
            raise InvalidElementError(f"{declared.name}: {error}") from None
        root = declared.element_name if declared.root else known_root(self._channel, declared.name)
        request = write_request(method, declared.name, body_of(root or declared.element_name, [element]), sub=sub)
        return await self._send(request)

    async def _send(self, request: Request) -> WriteResult:
        try:
            return await send_one(self._channel, request)
        except BusinessError as error:
            await explain(self._channel, error, request.connector, kind="UpdateConnector")
            raise


def _settings(connector: UpdateConnector | str, options: LoadArguments) -> LoadOptions:
    try:
        return LoadOptions(**options)
    except UsageError as error:
        raise UsageError(f"{_declared(connector).name}: {error}") from None


def _check_records(elements: object, types: Any, connector: str) -> None:
    if isinstance(elements, (str, Mapping, Struct)):
        given = type_name(cast("object", elements))
        raise UsageError(f"{connector}: elements: expected several records, got one {given}: use [...]")
    check_type("elements", elements, types, "several records, such as a list", connector=connector)


def _declared(connector: UpdateConnector | str) -> UpdateConnector:
    check_type("connector", connector, UpdateConnector | str, "an UpdateConnector or its name")
    return UpdateConnector(connector) if isinstance(connector, str) else connector
