"""The headers of every kind of request: the id of the integration, and the language for the service's texts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from afas_async import AfasClient, BusinessError, F, GetConnector, Lookup, otp
from afas_async.simulator import Simulator
from tests.support import canary

ARTICLES = GetConnector("Profit_Article", key="ItemCode")
SUBJECTS = GetConnector("Profit_Subjects", key="SubjectId")
Call = Callable[[AfasClient, Simulator], Awaitable[Any]]


async def load(afas: AfasClient, _: Simulator) -> None:
    by_text = Lookup(SUBJECTS, lambda element: F.Subject == element.fields["Ds"])
    async with afas.load("KnSubject", lookup=by_text) as load:
        for number in range(20):
            await load.add({"StId": 1, "Ds": f"Load {number}"})


async def changes(afas: AfasClient, _: Simulator) -> None:
    await afas.changes(ARTICLES, modified="ModifiedOn", since=None).to_list()


CALLS: dict[str, Call] = {
    "rows": lambda afas, _: afas.rows(ARTICLES).to_list(),
    "page": lambda afas, _: afas.page(ARTICLES, take=1),
    "pages": lambda afas, _: anext(afas.pages(ARTICLES)),
    "plan": lambda afas, _: afas.plan(ARTICLES, parts=3),
    "changes": changes,
    "deleted_keys": lambda afas, _: afas.deleted_keys(ARTICLES, ["000001", "x"]),
    "metainfo": lambda afas, _: afas.metainfo(),
    "get_metainfo": lambda afas, _: afas.get_metainfo("Profit_Article"),
    "update_metainfo": lambda afas, _: afas.update_metainfo("KnSubject"),
    "insert": lambda afas, _: afas.insert("KnSubject", {"StId": 1, "Ds": "x"}),
    "update": lambda afas, _: afas.update("KnSubject", {"@SbId": 1, "Ds": "x"}),
    "delete": lambda afas, _: afas.delete("KnSubject", key={"SbId": 2}),
    "load": load,
    "version": lambda afas, _: afas.version(),
    "file": lambda afas, sim: afas.file(sim.files.attached[0].id, sim.files.attached[0].name),
    "subject": lambda afas, sim: afas.subject(sim.files.attached[0].subject_id, sim.files.attached[0].id, binary=True),
    "image": lambda afas, sim: afas.image(sim.files.images[0].id),
    "report": lambda afas, sim: afas.report(sim.files.reports[0].id),
    "request": lambda afas, _: afas.request("GET", "metainfo"),
    "raw write": lambda afas, _: afas.request("PUT", "connectors/KnSubject", json={
        "KnSubject": {"Element": {"@SbId": "3", "Fields": {"Ds": "x"}}}
    }),
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("view", [False, True], ids=["client", "view"])
async def test_every_kind_of_request(call: str, *, view: bool) -> None:
    """Each request has the id of the integration and the language; one of a view has the view's."""
    async with (
        Simulator(rows=200, token=canary.TOKEN) as simulator,
        AfasClient(
            base_url=simulator.base_url, auth=simulator.token, integration_id="12345_678900", language="en-us"
        ) as afas,
    ):
        await CALLS[call](afas.with_options(language="nl-be") if view else afas, simulator)
        assert simulator.requests
        for request in simulator.requests:
            assert request.headers["IntegrationId"] == "12345_678900"
            assert request.headers["Accept-Language"] == ("nl-be" if view else "en-us")


async def test_one_time_passwords() -> None:
    """The calls that need no client send these headers too."""
    keys: dict[str, Any] = {"api_key": "A" * 32, "api_token": "B" * 32, "user_id": "12345.user"}
    async with Simulator(rows=5, token=canary.TOKEN) as simulator:
        options: dict[str, Any] = {"base_url": simulator.base_url, "integration_id": "1_2", "language": "nl-be"}
        await otp.request(**keys, **options)
        await otp.validate(**keys, **options, otp=simulator.otp_code or "")
        assert len(simulator.requests) == 2
        for request in simulator.requests:
            assert (request.headers["IntegrationId"], request.headers["Accept-Language"]) == ("1_2", "nl-be")


async def test_none_by_default(afas: AfasClient, simulator: Simulator) -> None:
    """Without an id the header is absent, and the language is Dutch."""
    await afas.version()
    headers = simulator.requests[0].headers
    assert "IntegrationId" not in headers
    assert headers["Accept-Language"] == "nl-nl"


async def test_messages_come_in_the_language(afas: AfasClient) -> None:
    """The service uses the requested language."""
    params = {"orderbyfieldids": "Nope"}
    for language, text in (("en-us", "not found"), ("nl-nl", "niet gevonden")):
        with pytest.raises(BusinessError, match=text):
            await afas.with_options(language=language).request("GET", "connectors/Profit_Article", params=params)


async def test_a_language_whose_texts_are_not_documented(simulator: Simulator) -> None:
    """Labels use the user's language. Calls that depend on a text of the service then ask for English."""
    async with AfasClient(base_url=simulator.base_url, auth=simulator.token, language="de-de") as afas:
        await afas.metainfo()
        await afas.get_metainfo("Profit_Article")
        await afas.page("Profit_Article", take=1)
        await afas.insert("KnSubject", {"StId": 1, "Ds": "x", "St": "A"})
    languages = [request.headers["Accept-Language"] for request in simulator.requests]
    assert languages == ["de-de", "de-de", "en-us", "en-us"]
