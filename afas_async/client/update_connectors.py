"""Write through UpdateConnectors: insert, update and delete, one by one or in loads."""

from __future__ import annotations

__docformat__ = "google"

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
    """The options of `load` and `outcomes`, in full.

    A load stops by itself after a call that could not be sent with all its retries. It also stops after a credential
    was refused (401, 403), and after ten calls in a row with an unknown outcome. The records that are left are
    "not_sent".

    Attributes:
        max_elements: The most records in a call, 1,000 by default.
        max_bytes: The most bytes in a call of several records: 4,000,000 by default. The service accepts 75 MB. Each
            call in flight needs several times as much memory.
        target_seconds: How long a call should take: 60 seconds by default. Calls grow and shrink with what the service
            takes. A service that is suddenly ten times slower still ends a call of 60 seconds below its limit of 900.
        in_flight: The most calls at a time, 4 by default, below the limit of the client. A call is sent as soon as one
            of these slots is free, with the records that wait by then.
        on_reject: "continue" records a refused call and goes on. "stop" sends nothing more after a record that is not
            applied. "split" halves a refused call until its faulty records are alone, and sends the others.
        transaction: Whether a call of several records is tagged with `@Action`, so that the service treats it as one
            transaction (AFAS, UpdateConnector). If you turn it off, the records of a refused call of several are
            "unknown".
        validate: Whether records are checked before they are sent, as `AfasClient.validate` does. It takes one request
            at most.
        lookup: How to look up a record whose outcome is unknown. That happens once at the end, and whenever you call
            `load.resolve()`.
        reference: A free text field for a reference that the load writes into each inserted record, and by which
            `lookup` finds it. It replaces the idempotency key that AFAS does not have.
        journal: Path of the journal, on a local disk. Each call is noted in it before it is sent. After a crash, even
            `kill -9`, repeat the load with the same records in the same order. `python -m afas_async journal PATH`
            shows what it holds.
        nulls: What None means in a field: "refuse", "omit" or "clear". It overrides the `UpdateConnector`.
        load_id: Which load the journal belongs to, such as a date. With another `load_id`, a finished journal starts
            over. Without one, a finished journal raises JournalError until you delete it.
        max_rejected: How many records may be rejected before nothing more is sent. A float such as 0.1 is a share of
            the outcomes so far, once there are 100. None allows any number.
        failures: Path of a file for the records that are not applied: a JSON document on each line, with status and
            message. It is named `.part` until the load ends. `afas_async.failed_records(path)` reads the records that
            you can load again.
        on_outcome: Called with each `Outcome` as soon as it is known, in the event loop: it must not block. If a lookup
            corrects an outcome later, only the report shows it.
        must: "apply" makes the end of the block raise LoadError unless every record is applied. Without it, look at the
            `report`: if it has failures and you never look, a warning in the log says so.
    """

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
    """The methods of a client that write through UpdateConnectors."""

    _base_url: str

    @operation
    async def insert(self, connector: UpdateConnector | str, item: Item, *, sub: str | None = None) -> WriteResult:
        """Insert one record. With `sub`, insert a line of an object in an existing record.

        The record is sent once. It is sent again only where the first attempt provably had no effect: there was no
        connection, the service said that it did not process the call, or a record was locked.

        Args:
            connector: The connector, or its name.
            item: The record: an Element, a dict of fields, or a `msgspec.Struct`.
            sub: The object to insert a line of. The record itself is updated in the same call. The service has one such
                level.

        Returns:
            The result, with the keys that the service returned.

        Raises:
            InvalidElementError: If the record cannot be sent. Nothing was sent, as for every UsageError.
            OutcomeUnknownError: If nobody knows whether it was applied, mostly because the response was lost. If
                you cancel the call, a warning in the log reports that instead.
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
        """Update one record. With `sub`, update a line of an object in it.

        Fields that you leave out stay as they are, and an empty str clears a field. An update that fails is not simply
        sent again: it could insert a line twice, or overwrite a later update. It follows the rule of `insert`.

        Args:
            connector: The connector, or its name.
            item: The record with its key: an Element, a dict of fields, or a `msgspec.Struct`.
            sub: The object to update a line of.

        Returns:
            The result, with the keys that the service returned, if any.

        Raises:
            InvalidElementError: If the record cannot be sent. Nothing was sent, as for every UsageError.
            OutcomeUnknownError: If nobody knows whether it was applied; see `insert`.
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
        """Delete one record for good. With `sub` and `sub_key`, delete a line of an object in it.

        You cannot undo it. Whether a failed call is sent again follows the rule of `insert`.

        Args:
            connector: The connector, or its name.
            key: The values of the record's key by field id: str, int, Decimal or date.
            root: The name of the record's element, if your environment uses another one than AFAS documents.
            sub: The object to delete a line of.
            sub_key: The key of that line.

        Returns:
            An empty result.

        Raises:
            InvalidElementError: If a key is missing, or cannot be written in a URL. Nothing was sent.
            OutcomeUnknownError: If nobody knows whether it was applied; see `insert`.
            AfasError: Any other error, such as NotFoundError, means that nothing was deleted.

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
            raise InvalidElementError(f"{declared.name}: give sub and sub_key together, or neither")
        elements = [(root or declared.element_name, key)]
        if sub is not None and sub_key is not None:
            elements.append((sub, sub_key))
        return await self._send(delete_request(declared.name, *elements))

    @operation
    async def validate(
        self, connector: UpdateConnector | str, elements: Iterable[Item], *, action: Action = "insert"
    ) -> list[ElementFault]:
        """Check records against the metainfo of their connector, without writing anything.

        It sends at most one request, for the metainfo. Only the service knows the rest, such as whether a relation
        exists.

        Args:
            connector: The connector, or its name.
            elements: The records: Elements, dicts of fields or Structs.
            action: What you want to do with them: "insert", "update" or "delete". Only an insert needs the mandatory
                fields.

        Returns:
            One `ElementFault` for each fault, in the order of the records. Its `index` is the number of the record,
            from 0. The list is empty if you can send all of them.

        Raises:
            UsageError: If you give a single record, or an unknown action.
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
        """Load many records in batches, with exactly one outcome for each.

        An outcome is "applied", "rejected", "not_sent" or "unknown". The guide `afas_async.write` has the
        guarantees; `afas_async.client.update_connectors.LoadArguments` describes the options in full.

        Args:
            connector: The connector or its name.
            action: "insert", "update", or "delete" (one record in a call).
            max_elements: Records in a call at most.
            max_bytes: Bytes in a call at most.
            target_seconds: Seconds that a call should take.
            in_flight: Most calls at a time.
            on_reject: "continue", "stop", or "split" to find the faulty records of a refused call.
            transaction: Whether each call is one transaction.
            validate: Whether records are checked first.
            nulls: What None means: "refuse", "omit" or "clear".
            lookup: How to look up unknown records.
            reference: A text field that `lookup` finds them by.
            journal: Path of a journal, to repeat the load after a crash.
            load_id: Which load the journal belongs to.
            max_rejected: How many rejections to accept, or their share.
            failures: Path of a file for records not applied.
            on_outcome: Called with each outcome.
            must: "apply" raises unless all are applied.

        Returns:
            The load: `async with` it, `add` records, read its `report`.

        Raises:
            UsageError: If an option makes no sense.

        Source:
            AFAS, REST API for developers: spread large loads over calls.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         async with afas.load("KnSubject") as load:
            ...             await load.add({"StId": 1, "Ds": "Offerte"})
            ...         return load.report.counts
            >>> asyncio.run(main())
            {'applied': 1, 'rejected': 0, 'unknown': 0, 'not_sent': 0}
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
        """Load records, and stream their outcomes in the order of the records.

        Use it when you have the records as an iterable and want to act on each outcome. The records are taken in
        another task, a while before you read their outcomes.

        Args:
            connector: The connector, or its name.
            elements: The records, as an iterable or async iterable.
            action: "insert", "update" or "delete".
            options: See `load`.

        Returns:
            A stream of Outcome. Its `report` is complete after the end, and only there you see what `lookup` has found.

        Raises:
            UsageError: If an option makes no sense.
            AfasError: From the stream, if the load cannot be opened. What your iterable raises also comes from the
                stream.

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
