"""The description of a connector, as a client returns it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from afas_async import AfasClient, AnswerError, BusinessError, GetMetainfo, InvalidNameError, MetainfoField
from afas_async.calls.metainfo import update_metainfo
from afas_async.simulator import Simulator
from afas_async.vocabulary.metainfo import Code, UpdateField, UpdateMetainfo, UpdateObject
from tests.support import canary
from tests.support.raw_server import Connection, RawServer, Received


@asynccontextmanager
async def told(body: bytes) -> AsyncIterator[AfasClient]:
    """A client that gets this response."""

    async def answer(connection: Connection, _: Received) -> None:
        await connection.answer(body)

    async with (
        RawServer(answer) as server,
        AfasClient(base_url=server.base_url, auth=canary.TOKEN, max_retries=0) as afas,
    ):
        yield afas


async def described(afas: AfasClient, connector: str) -> UpdateMetainfo:
    return await update_metainfo(afas._channel, connector)


async def test_a_connector_is_described(afas: AfasClient, simulator: Simulator) -> None:
    """One request returns name, description and fields, in the order of the rows."""
    article = await afas.get_metainfo("Profit_Article")
    assert (article.name, article.description) == ("Profit_Article", "Articles (Profit)")
    assert article.fields[2] == MetainfoField("Price", "decimal", "Sales price", 15, 2)
    assert [field.id for field in article.fields] == list((await afas.page("Profit_Article", take=1)).rows[0])
    assert [request.path for request in simulator.requests][:1] == ["/profitrestservices/metainfo/get/Profit_Article"]


async def test_what_is_missing_or_unknown_does_no_harm() -> None:
    """Only the fields and their ids are required; members that a later release adds are ignored."""
    body = {"new": {}, "fields": [{"id": "A", "values": None, "new": [1]}, {"id": "B", "dataType": "moment"}]}
    async with told(json.dumps(body).encode()) as afas:
        assert await afas.get_metainfo("Profit_Article") == GetMetainfo(
            fields=[MetainfoField("A"), MetainfoField("B", "moment")]
        )


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"<html></html>", b'{"fields":null}', b'{"fields":[{}]}', b'{"fields":[{"id":1}]}']
)
async def test_an_answer_that_is_no_description(body: bytes) -> None:
    """A response without a list of fields with ids is an error that names the connector."""
    async with told(body) as afas:
        with pytest.raises(
            AnswerError, match="Profit_Article: the response is not as documented: it is not metainfo"
        ) as raised:
            await afas.get_metainfo("Profit_Article")
    assert raised.value.connector == "Profit_Article"


async def test_an_unknown_connector(afas: AfasClient) -> None:
    """The service's own refusal reaches the caller."""
    with pytest.raises(BusinessError) as raised:
        await afas.get_metainfo("Profit_Nothing")
    assert (raised.value.status, raised.value.connector) == (500, "Profit_Nothing")


async def test_a_name_that_is_none(afas: AfasClient, simulator: Simulator) -> None:
    """A name that would change the target of the request is refused before anything is sent."""
    with pytest.raises(InvalidNameError):
        await afas.get_metainfo("../update/KnSubject")
    assert simulator.counters.requests == 0


# --- UpdateConnectors ---


async def test_an_update_connector_is_described(afas: AfasClient, simulator: Simulator) -> None:
    """One request returns its names, its fields with key, type and values, and its objects."""
    subject = await described(afas, "KnSubject")
    assert (subject.id, subject.name, subject.description) == ("KnSubject", "KnSubject", "Dossier item")
    assert [inner.name for inner in subject.objects or ()] == ["KnSubjectLink", "KnSubjectAttachment"]
    fields = {field.id: field for field in subject.fields}
    assert fields["SbId"] == UpdateField(
        id="SbId", primary_key=True, data_type="int", label="Dossier item", length=9, control_type=5
    )
    assert (fields["StId"].mandatory, fields["StId"].primary_key) == (True, False)
    assert fields["St"].values == [Code("A", "Active"), Code("C", "Closed")]
    assert [request.path for request in simulator.requests] == ["/profitrestservices/metainfo/update/KnSubject"]


async def test_the_element_may_have_another_name(afas: AfasClient) -> None:
    """The result has the name for bodies beside the name for URLs."""
    employee = await described(afas, "KnEmployee")
    assert (employee.id, employee.name) == ("KnEmployee", "AfasEmployee")


async def test_objects_in_objects() -> None:
    """Objects have their own fields and objects. Missing or unknown members do no harm."""
    line = {"name": "B", "new": 1, "fields": [{"fieldId": "b", "decimalFieldId": "c", "notzero": True}]}
    body = {"fields": [{"fieldId": "a", "new": {}}], "objects": [{"name": "A", "fields": [], "objects": [line]}]}
    async with told(json.dumps(body).encode()) as afas:
        inner = UpdateObject(name="B", fields=[UpdateField(id="b", decimals_field="c", not_zero=True)])
        assert await described(afas, "KnSubject") == UpdateMetainfo(
            fields=[UpdateField(id="a")], objects=[UpdateObject(name="A", objects=[inner])]
        )


@pytest.mark.parametrize("body", [b"", b"{}", b'{"fields":[{"id":"a"}]}', b'{"fields":[],"objects":[{}]}'])
async def test_an_answer_that_describes_no_update_connector(body: bytes) -> None:
    """A response without a list of fields with ids is an error that names the connector."""
    async with told(body) as afas:
        with pytest.raises(
            AnswerError, match="KnSubject: the response is not as documented: it is not metainfo"
        ) as raised:
            await described(afas, "KnSubject")
    assert raised.value.connector == "KnSubject"


async def test_an_unknown_update_connector(afas: AfasClient, simulator: Simulator) -> None:
    """The service's own refusal reaches the caller. An invalid name is not sent at all."""
    with pytest.raises(BusinessError):
        await described(afas, "KnNothing")
    sent = simulator.counters.requests
    with pytest.raises(InvalidNameError):
        await described(afas, "../get/Profit_Article")
    assert simulator.counters.requests == sent


async def test_null_is_what_is_not_told() -> None:
    """AFAS sends null for many members: the connector is described all the same."""
    get_field: dict[str, Any] = {"id": "Id", "fieldId": "U1"}
    get_field |= dict.fromkeys(("dataType", "label", "length", "decimals", "decimalsFieldId", "values"))
    update_field: dict[str, Any] = {"fieldId": "Ds"}
    update_field |= dict.fromkeys((
        "primaryKey",
        "mandatory",
        "length",
        "decimals",
        "notzero",
        "decimalFieldId",
        "controlType",
        "values",
    ))
    bodies = {
        "metainfo/get/X": {"name": "X", "description": None, "fields": [get_field]},
        "metainfo/update/X": {"id": "X", "name": None, "fields": [update_field], "objects": None},
    }

    async def answer(connection: Connection, received: Received) -> None:
        await connection.answer(json.dumps(bodies[received.target.removeprefix("/rest/")]).encode())

    async with RawServer(answer) as server, AfasClient(base_url=server.base_url, auth=canary.TOKEN) as afas:
        assert (await afas.get_metainfo("X")).fields == [MetainfoField("Id")]
        described = await afas.update_metainfo("X")
        assert (described.name, described.objects, described.fields) == ("", None, [UpdateField(id="Ds")])
