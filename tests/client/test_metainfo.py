"""Metainfo of many connectors: which ones the token may use, caching, unknown names, all at the same time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest

from afas_async import (
    AfasClient,
    AnswerError,
    ApiError,
    AuthenticationError,
    BusinessError,
    ClientClosedError,
    F,
    GetMetainfo,
    InvalidNameError,
    ListedConnector,
    Metainfo,
    MetainfoField,
    NotFoundError,
    RequestTimeoutError,
    TokenInfo,
    UpdateField,
)
from afas_async.simulator import Fault, Latency, Rules, Simulator
from afas_async.vocabulary.metainfo import Code
from tests.support import canary
from tests.support.raw_server import Connection, RawServer, Received

LIST = "/profitrestservices/metainfo"
ARTICLE = f"{LIST}/get/Profit_Article"


@asynccontextmanager
async def told(*bodies: bytes) -> AsyncGenerator[AfasClient, None]:
    """A client that gets these responses in turn."""
    ahead = iter(bodies)

    async def answer(connection: Connection, _: Received) -> None:
        await connection.answer(next(ahead))

    async with (
        RawServer(answer) as server,
        AfasClient(base_url=server.base_url, auth=canary.TOKEN, max_retries=0) as afas,
    ):
        yield afas


def paths(simulator: Simulator) -> list[str]:
    return [request.path for request in simulator.requests]


# --- connectors that the token may use ---


async def test_what_the_token_may_use(afas: AfasClient, simulator: Simulator) -> None:
    """One request returns the connectors of both kinds, and what the token belongs to."""
    listed = await afas.metainfo()
    assert listed.info == TokenInfo(envid="T12345AA", app_name="Simulator", group="Simulator", token_expiry="0")
    assert listed.get_connectors[0] == ListedConnector("Profit_Article", "Articles (Profit)")
    assert [each.id for each in listed.get_connectors] == list(simulator.store.connectors)
    assert [each.id for each in listed.update_connectors] == list(simulator.store.updates)
    assert paths(simulator) == [LIST]


async def test_the_sample_of_the_documentation() -> None:
    """Unknown members do no harm. Custom connectors are those that are neither Get nor Update."""
    body: dict[str, Any] = {
        "updateConnectors": [{"id": "KnAddress", "description": "Adres", "new": 1}],
        "getConnectors": [{"id": "Profit_Functions"}],
        "customConnectors": [{"id": "My"}],
        "info": {"envid": "A123456AC", "appName": "OpenAPI Spec Example", "group": "G", "tokenExpiry": "0", "new": {}},
    }
    async with told(json.dumps(body).encode()) as afas:
        assert await afas.metainfo() == Metainfo(
            get_connectors=[ListedConnector("Profit_Functions")],
            update_connectors=[ListedConnector("KnAddress", "Adres")],
            custom_connectors=[ListedConnector("My")],
            info=TokenInfo(envid="A123456AC", app_name="OpenAPI Spec Example", group="G", token_expiry="0"),
        )


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"<html>", b'{"getConnectors":[],"updateConnectors":{}}'])
async def test_an_answer_that_is_no_list_of_connectors(body: bytes) -> None:
    """The error names the request, and the invalid response is not cached."""
    async with told(body, b'{"getConnectors":[],"updateConnectors":[]}') as afas:
        with pytest.raises(AnswerError, match="metainfo: the response is not as documented"):
            await afas.metainfo()
        assert await afas.metainfo() == Metainfo(get_connectors=[], update_connectors=[])


async def test_fields_have_their_codes(afas: AfasClient) -> None:
    """A field that is linked to a code list has its codes in metainfo of both kinds."""
    subjects = await afas.get_metainfo("Profit_Subjects")
    codes = {field.id: field.values for field in subjects.fields if field.values}
    assert codes == {"Status": [Code("A", "Active"), Code("C", "Closed")]}


@pytest.mark.parametrize("spelling", ["decimalsFieldId", "decimalFieldId"])
async def test_both_spellings_of_the_field_for_decimals(spelling: str) -> None:
    """AFAS uses one spelling for GetConnectors, another for UpdateConnectors. A text of that name is left alone."""
    label = f'the "{spelling}"'
    get = {"fields": [{"id": "A", "label": label, spelling: "B"}]}
    update = {"fields": [{"fieldId": "A", "label": label, spelling: "B"}]}
    async with told(json.dumps(get).encode(), json.dumps(update).encode()) as afas:
        assert (await afas.get_metainfo("A")).fields == [MetainfoField("A", label=label, decimals_field="B")]
        assert (await afas.update_metainfo("A")).fields == [UpdateField(id="A", label=label, decimals_field="B")]


# --- the cache ---


async def test_metainfo_is_asked_for_once(afas: AfasClient, simulator: Simulator) -> None:
    """Metainfo is cached, for views too, and requested again only when you ask for it."""
    first = await afas.get_metainfo("Profit_Article")
    assert await afas.with_options(timeout=5).get_metainfo("Profit_Article") is first
    assert paths(simulator) == [ARTICLE]
    assert await afas.get_metainfo("Profit_Article", refresh=True) == first
    assert await afas.update_metainfo("KnSubject") is await afas.update_metainfo("KnSubject")
    assert await afas.metainfo() is await afas.with_options(timeout=5).metainfo()
    assert await afas.metainfo(refresh=True) == await afas.metainfo()
    assert paths(simulator) == [ARTICLE, ARTICLE, f"{LIST}/update/KnSubject", LIST, LIST]


async def test_each_language_is_kept_apart() -> None:
    """Labels are in the language of the request."""
    bodies = [json.dumps({"fields": [{"id": "A", "label": label}]}).encode() for label in ("Naam", "Name")]
    async with told(*bodies) as afas:
        english = afas.with_options(language="en-us")
        for _ in range(2):
            assert (await afas.get_metainfo("A")).fields[0].label == "Naam"
            assert (await english.get_metainfo("A")).fields[0].label == "Name"
        assert await afas.with_options(language="EN-US").get_metainfo("A") == await english.get_metainfo("A")


async def test_reads_and_loads_use_what_is_kept(afas: AfasClient, simulator: Simulator) -> None:
    """A load that checks its elements asks once for all loads of a client; so does `check`."""
    for _ in range(2):
        assert await afas.validate("KnSubject", [{"StId": 1}]) == []
        async with afas.load("KnSubject") as load:
            await load.add({"StId": 1})
    assert paths(simulator).count(f"{LIST}/update/KnSubject") == 1


async def test_a_failure_is_not_kept(afas: AfasClient, simulator: Simulator) -> None:
    """After a failure, the next call asks again."""
    simulator.faults.add(Fault(status=400))
    with pytest.raises(ApiError):
        await afas.get_metainfo("Profit_Article")
    assert (await afas.get_metainfo("Profit_Article")).name == "Profit_Article"


async def test_a_refresh_that_fails_leaves_what_was_known(afas: AfasClient, simulator: Simulator) -> None:
    """A refresh that fails raises an error, and the last response stays in the cache."""
    first = await afas.get_metainfo("Profit_Article")
    simulator.faults.add(Fault(status=400))
    with pytest.raises(ApiError):
        await afas.get_metainfo("Profit_Article", refresh=True)
    assert await afas.get_metainfo("Profit_Article") is first


async def test_what_is_kept_needs_an_open_client(simulator: Simulator) -> None:
    """A closed client returns nothing, not even from its cache."""
    async with AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas:
        await afas.metainfo()
    with pytest.raises(ClientClosedError):
        await afas.metainfo()


# --- unknown names ---


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Profit_Articles", "did you mean Profit_Article?"),
        ("profit_debitor", "did you mean Profit_Debtor?"),
        ("Article", "did you mean Profit_Article?"),
        ("KnSubject", "KnSubject is an UpdateConnector"),
        ("kndimcode", "KnDimCode is an UpdateConnector"),
        ("zzz", "it is not one of the 14 GetConnectors of this token"),
    ],
)
async def test_an_unknown_get_connector(afas: AfasClient, simulator: Simulator, name: str, hint: str) -> None:
    """The refusal suggests a name, for one more request, and for no request the next time."""
    for _ in range(2):
        with pytest.raises(BusinessError) as raised:
            await afas.get_metainfo(name)
        assert raised.value.hint == hint
        assert str(raised.value).endswith(raised.value.hint)
        assert raised.value.message in str(raised.value)
        assert raised.value.connector == name
    assert paths(simulator).count(LIST) == 1


async def test_an_unknown_update_connector(afas: AfasClient) -> None:
    """The same holds for UpdateConnectors, and for a load, which asks for metainfo too."""
    with pytest.raises(BusinessError, match=r"did you mean KnSubject\?$"):
        await afas.update_metainfo("KnSubjects")
    with pytest.raises(BusinessError, match=r"Profit_Article is a GetConnector$"):
        async with afas.load("Profit_Article"):
            pass


@pytest.mark.parametrize("status", [404, 500])
async def test_every_way_to_say_unknown(status: Literal[404, 500]) -> None:
    """The hint appears for each status that the service uses for an unknown name."""
    async with (
        Simulator(rows=10, token=canary.TOKEN, rules=Rules(unknown_connector=status)) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ):
        with pytest.raises((NotFoundError, BusinessError), match=r"did you mean Profit_Article\?$"):
            await afas.get_metainfo("Profit_Articles")


async def test_a_refused_credential_is_not_used_again(afas: AfasClient, simulator: Simulator) -> None:
    """After a 401 no hint is looked up."""
    simulator.faults.add(Fault(status=401, times=2))
    with pytest.raises(AuthenticationError) as raised:
        await afas.get_metainfo("Profit_Article")
    assert raised.value.hint == ""
    assert LIST not in paths(simulator)


async def test_no_hint_for_a_name_that_is_known(afas: AfasClient, simulator: Simulator) -> None:
    """A known name gets no hint, as something else is wrong."""
    simulator.faults.add(Fault(refusal="locked", path="metainfo/get", times=9))
    with pytest.raises(BusinessError) as raised:
        await afas.with_options(max_retries=0).get_metainfo("Profit_Article")
    assert raised.value.hint == ""


@pytest.mark.parametrize("fault", [Fault(after=1, status=503), Fault(after=1, cut="reset"), Fault(after=1, delay=90)])
async def test_the_search_for_a_hint_hides_nothing(simulator: Simulator, fault: Fault) -> None:
    """If the list cannot be fetched, the refusal is raised unchanged, after one attempt."""
    simulator.faults.add(fault)
    async with AfasClient(base_url=simulator.base_url, auth=simulator.token, timeout=60) as afas:
        with pytest.raises(BusinessError) as raised:
            await afas.get_metainfo("Profit_Articles")
        assert (raised.value.hint, raised.value.__cause__) == ("", None)
    assert paths(simulator) == [f"{LIST}/get/Profit_Articles", LIST]


async def test_an_unknown_connector_of_a_read_or_write(afas: AfasClient, simulator: Simulator) -> None:
    """A refusal about the connector suggests a name, at the price of the list."""
    hint = r"did you mean Profit_Article\?$"
    with pytest.raises(BusinessError, match=hint):
        await afas.rows("Profit_Articles", key="ItemCode").to_list()
    with pytest.raises(BusinessError, match=hint):
        await afas.with_options(language="en-us").page("Profit_Articles")
    with pytest.raises(BusinessError, match=hint):
        await afas.rows("Profit_Articles", key="ItemCode").first()
    with pytest.raises(BusinessError, match=r"did you mean KnSubject\?$"):
        await afas.insert("KnSubjects", {"StId": 1})
    with pytest.raises(BusinessError, match=r"did you mean KnSubject\?$"):
        await afas.delete("KnSubjects", key={"SbId": 1})
    assert paths(simulator).count(LIST) == 2  # one for each language


@pytest.mark.parametrize("language", ["nl-nl", "en-us"])
async def test_an_unknown_field_of_a_read(afas: AfasClient, simulator: Simulator, language: str) -> None:
    """A refusal that names a field of the request suggests another field, at the price of the metainfo."""
    view = afas.with_options(language=language)
    with pytest.raises(BusinessError, match=r"did you mean Price\?$"):
        await view.page("Profit_Article", where=F.Prise > 5)
    with pytest.raises(BusinessError, match=r"did you mean ItemCode\?$"):
        await view.rows("Profit_Article", key="Itemcode_").to_list()
    with pytest.raises(BusinessError, match=r"did you mean Price\?$"):  # which has this label
        await view.page("Profit_Article", order_by="-Sales_price")
    with pytest.raises(BusinessError, match=r"it has no field Xyzzy$"):
        await view.page("Profit_Article", order_by="Xyzzy")
    assert paths(simulator).count(ARTICLE) == 1


async def test_what_is_refused_for_another_reason(afas: AfasClient, simulator: Simulator) -> None:
    """Nothing is looked up if the message names no field, or an existing one."""
    simulator.faults.add(Fault(status=500, body='{"externalMessage":"Het veld is verplicht"}'))
    simulator.faults.add(Fault(status=500, body='{"externalMessage":"ItemCode is too large"}'))
    for _ in range(2):
        with pytest.raises(BusinessError) as raised:
            await afas.page("Profit_Article", where=F.ItemCode > "1")
        assert raised.value.hint == ""
    assert paths(simulator) == ["/profitrestservices/connectors/Profit_Article"] * 2 + [ARTICLE]


async def test_no_field_is_named_if_metainfo_cannot_be_had(afas: AfasClient, simulator: Simulator) -> None:
    """Without metainfo the refusal is raised unchanged."""
    simulator.faults.add(Fault(path="metainfo", status=503))
    with pytest.raises(BusinessError) as raised:
        await afas.page("Profit_Article", where=F.Prise > 5)
    assert raised.value.hint == ""
    assert paths(simulator).count(ARTICLE) == 1


# --- all at the same time ---


async def test_all_of_them(afas: AfasClient, simulator: Simulator) -> None:
    """`all_metainfo` sends one request for the list and one for each connector, in the list's order."""
    listed = await afas.metainfo()
    metas = await afas.all_metainfo()
    named = [meta.name if isinstance(meta, GetMetainfo) else meta.id for meta in metas]
    assert named == [each.id for each in [*listed.get_connectors, *listed.update_connectors]]
    assert len(paths(simulator)) == len(metas) + 1
    assert await afas.all_metainfo() == metas
    assert len(paths(simulator)) == len(metas) + 1
    assert await afas.all_metainfo(refresh=True) == metas
    assert len(paths(simulator)) == 2 * (len(metas) + 1)


async def test_some_of_them(afas: AfasClient, simulator: Simulator) -> None:
    """Named connectors come in the given order, of either kind, ignoring case as the service does."""
    metas = await afas.all_metainfo(["KnSubject", "profit_article"])
    assert [meta.name for meta in metas] == ["KnSubject", "Profit_Article"]
    assert sorted(paths(simulator)) == [LIST, ARTICLE, f"{LIST}/update/KnSubject"]


async def test_they_are_asked_for_at_the_same_time() -> None:
    """20 descriptions, 5 at a time, take 4 times as long as one, and the list before them one: not 19 times."""
    async with (
        Simulator(rows=10, token=canary.TOKEN, latency=Latency(base=1)) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ):
        loop = asyncio.get_running_loop()
        start = loop.time()
        assert len(await afas.all_metainfo()) == 20
        assert 5 <= loop.time() - start < 10
        assert afas.statistics().peak_in_flight == 5


async def test_one_that_fails(simulator: Simulator) -> None:
    """A failure is raised unchanged, and nothing of the call is left."""
    simulator.faults.add(Fault(status=404, path="metainfo/get/Profit_Wide"))
    async with AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas:
        with pytest.raises(NotFoundError) as raised:
            await afas.all_metainfo()
        assert raised.value.connector == "Profit_Wide"
        assert len(await afas.all_metainfo()) == 20


@pytest.mark.parametrize(("name", "error"), [("Profit_Articles", BusinessError), ("../x", InvalidNameError)])
async def test_a_name_that_is_none_of_them(afas: AfasClient, name: str, error: type[Exception]) -> None:
    """The service refuses an unknown name in its own words, with a hint."""
    with pytest.raises(error) as raised:
        await afas.all_metainfo([name])
    assert getattr(raised.value, "hint", "did you mean Profit_Article?").startswith("did you mean Profit_Article?")


async def test_it_can_be_cancelled(simulator: Simulator) -> None:
    """A cancelled call leaves nothing in flight."""
    simulator.latency = Latency(base=100)
    async with AfasClient(base_url=simulator.base_url, auth=simulator.token, timeout=1) as afas:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await afas.all_metainfo()
        with pytest.raises(RequestTimeoutError):
            await afas.all_metainfo()
