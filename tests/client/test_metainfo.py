"""What the service tells about a connector, as a client hands it out."""

from __future__ import annotations

import json

import pytest

from afas_async import AfasClient, AnswerError, BusinessError, GetMetainfo, InvalidNameError, MetainfoField
from afas_async.simulator import Simulator
from tests import canary
from tests.raw_server import Connection, RawServer, Received


async def told(body: bytes) -> GetMetainfo:
    """Return what a client makes of an answer."""

    async def answer(connection: Connection, _: Received) -> None:
        await connection.answer(body)

    async with (
        RawServer(answer) as server,
        AfasClient(base_url=server.base_url, auth=canary.TOKEN, max_retries=0) as afas,
    ):
        return await afas.get_metainfo("Profit_Article")


async def test_a_connector_is_described(afas: AfasClient, simulator: Simulator) -> None:
    """One request brings name, description and fields, in the order of the rows."""
    article = await afas.get_metainfo("Profit_Article")
    assert (article.name, article.description) == ("Profit_Article", "Articles (Profit)")
    assert article.fields[2] == MetainfoField("Price", "decimal", "Sales price", 15, 2)
    assert [field.id for field in article.fields] == list((await afas.page("Profit_Article", take=1)).rows[0])
    assert [request.path for request in simulator.requests][:1] == ["/profitrestservices/metainfo/get/Profit_Article"]


async def test_what_is_missing_or_unknown_does_no_harm() -> None:
    """Only the fields and their ids must be there; members that a later release adds are left out."""
    body = {"new": {}, "fields": [{"id": "A", "values": None, "new": [1]}, {"id": "B", "dataType": "moment"}]}
    assert await told(json.dumps(body).encode()) == GetMetainfo(
        fields=[MetainfoField("A"), MetainfoField("B", "moment")]
    )


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"<html></html>", b'{"fields":null}', b'{"fields":[{}]}', b'{"fields":[{"id":1}]}']
)
async def test_an_answer_that_is_no_description(body: bytes) -> None:
    """What is no list of fields with their ids is an error that names the connector."""
    with pytest.raises(AnswerError, match="Profit_Article: its metainfo is not as documented") as raised:
        await told(body)
    assert raised.value.connector == "Profit_Article"


async def test_an_unknown_connector(afas: AfasClient) -> None:
    """The service's own refusal reaches the caller."""
    with pytest.raises(BusinessError) as raised:
        await afas.get_metainfo("Profit_Nothing")
    assert (raised.value.status, raised.value.connector) == (500, "Profit_Nothing")


async def test_a_name_that_is_none(afas: AfasClient, simulator: Simulator) -> None:
    """A name that would change the request's target is refused before anything is sent."""
    with pytest.raises(InvalidNameError):
        await afas.get_metainfo("../update/KnSubject")
    assert simulator.counters.requests == 0
