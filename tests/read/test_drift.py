"""A field that the row type declares and no row has is reported: it was renamed, removed or misspelled."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from afas_async import AfasClient, F, GetConnector, SchemaDriftError, SchemaDriftWarning, models
from afas_async.simulator import Simulator
from afas_async.wire.row_answers import PageParser
from tests.support import canary
from tests.support.row_answers import page_of

ROWS = [{"ItemCode": f"A{number:03}", "Verkoopprijs": 12.5 + number, "Note": None} for number in range(250)]


class Article(msgspec.Struct, frozen=True):
    """The row type before an administrator renamed the field to `Verkoopprijs`."""

    item_code: str = msgspec.field(name="ItemCode")
    price: Decimal | None = msgspec.field(name="Price", default=None)
    note: str | None = msgspec.field(name="Note", default=None)


ARTICLES = GetConnector("Articles", Article, key="ItemCode")


@pytest.fixture
async def articles() -> AsyncIterator[AfasClient]:
    async with (
        Simulator(connectors={"Articles": ROWS}, token=canary.TOKEN) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ):
        yield afas


async def _rows(afas: AfasClient, connector: GetConnector[Any] = ARTICLES) -> int:
    return len([row async for row in afas.rows(connector)])


async def _pages(afas: AfasClient, connector: GetConnector[Any] = ARTICLES) -> int:
    return sum([len(page.rows) async for page in afas.pages(connector)])


async def _page(afas: AfasClient, connector: GetConnector[Any] = ARTICLES) -> int:
    return len((await afas.page(connector, take=250)).rows)


WAYS = [_rows, _pages, _page]


@pytest.mark.parametrize("read", WAYS)
async def test_a_renamed_field_is_reported_once(read: Callable[..., Any], articles: AfasClient) -> None:
    """The warning names both fields and the user's own line. All rows come, and null does not count as drift."""
    with pytest.warns(SchemaDriftWarning) as caught:
        assert [await read(articles), await read(articles)] == [len(ROWS)] * 2
    assert [str(warning.message)[:79] for warning in caught] == [
        "Articles: Article declares 'Price', which no row has (they have 'Verkoopprijs' "
    ]
    assert caught[0].filename == __file__


@pytest.mark.parametrize("read", WAYS)
async def test_a_renamed_field_can_be_an_error(read: Callable[..., Any], articles: AfasClient) -> None:
    """With `drift="error"` no row comes, also where warnings are errors."""
    with pytest.raises(SchemaDriftError, match="'Price'") as raised:
        await read(articles.with_options(drift="error"))
    assert raised.value.connector == "Articles"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(SchemaDriftWarning):
            await read(articles)


@pytest.mark.parametrize("read", WAYS)
async def test_a_generated_model_drifts_too(read: Callable[..., Any], articles: AfasClient) -> None:
    """A model made before the rename is reported; one made afterwards is not."""
    described = await articles.get_metainfo("Articles")
    fields = [
        msgspec.structs.replace(field, id=field.id.replace("Verkoopprijs", "Price")) for field in described.fields
    ]
    old = models.define(msgspec.structs.replace(described, fields=fields), key="ItemCode")
    with pytest.warns(SchemaDriftWarning, match="'Price'"):
        assert await read(articles, GetConnector("Articles", old, key="ItemCode")) == len(ROWS)
    new = models.define(described, key="ItemCode")
    assert await read(articles, GetConnector("Articles", new, key="ItemCode")) == len(ROWS)


def test_a_field_of_some_rows_is_no_drift() -> None:
    """If the service leaves a field out where it is empty, other rows still have it."""
    parser = PageParser(Article, connector="Articles", page=0, skip=0, take=100)
    rows = ['{"ItemCode":"1","Note":null}', '{"ItemCode":"2","Price":1,"Note":"x"}', '{"ItemCode":"3"}']
    assert len(parser.feed(page_of(*rows)) + parser.finish()) == len(rows)
    assert parser.drift is None


async def test_what_is_no_struct_does_not_drift(articles: AfasClient) -> None:
    """Rows that are not Structs do not drift, nor does a read without rows."""
    for row_type in (dict, msgspec.Raw):
        assert await _rows(articles, GetConnector("Articles", row_type, key="ItemCode")) == len(ROWS)
    assert await articles.rows(ARTICLES, where=F.ItemCode == "none").to_list() == []
