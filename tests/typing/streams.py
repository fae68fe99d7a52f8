"""Checked by mypy and pyright, never run: streams as editors and type checkers see them."""

from typing import Any, assert_type

import msgspec

from afas_async import AfasClient, Changes, F, GetConnector, Page, Pages, Rows


class Article(msgspec.Struct, frozen=True):
    item_code: str = msgspec.field(name="ItemCode")


ARTICLES = GetConnector("Profit_Article", Article, key="ItemCode")
DEBTORS = GetConnector("Profit_Debtor", key="DebtorId")
RAW = GetConnector("Profit_Article", msgspec.Raw, key="ItemCode")
LINES = GetConnector("Profit_JournalLines", dict, key=("UnitId", "EntryNo", "LineNo"))


async def typed_rows(afas: AfasClient) -> None:
    assert_type(ARTICLES, GetConnector[Article])
    assert_type(afas.rows(ARTICLES), Rows[Article])
    async for article in afas.rows(ARTICLES):
        assert_type(article, Article)
    async with afas.rows(ARTICLES, window=2) as rows:
        async for article in rows:
            assert_type(article, Article)
        assert_type(await anext(rows), Article)
    async for batch in afas.rows(ARTICLES).batches():
        assert_type(batch, list[Article])
    assert_type(await afas.rows(ARTICLES).to_list(), list[Article])
    assert_type(await afas.rows(ARTICLES).first(), Article | None)


async def typed_pages(afas: AfasClient) -> None:
    assert_type(afas.pages(ARTICLES), Pages[Article])
    async for page in afas.pages(ARTICLES):
        assert_type(page, Page[Article])
        assert_type(page.rows, list[Article])
    assert_type(await afas.page(ARTICLES, skip=0, take=20, order_by="-Price"), Page[Article])


async def dict_and_raw_rows(afas: AfasClient) -> None:
    assert_type(DEBTORS, GetConnector[dict[str, Any]])
    async for row in afas.rows("Profit_Debtor", key="DebtorId"):
        assert_type(row, dict[str, Any])
    async for row in afas.rows(DEBTORS):
        assert_type(row, dict[str, Any])
    async for raw in afas.rows(RAW):
        assert_type(raw, msgspec.Raw)
    async for page in afas.pages("Profit_Debtor", key="DebtorId"):
        assert_type(page, Page[dict[str, Any]])
    assert_type(await afas.page("Profit_Debtor"), Page[dict[str, Any]])


async def options(afas: AfasClient, token: str) -> None:
    parts = await afas.plan(ARTICLES, parts=4, where=F.ItemCode > "000100")
    assert_type(parts, list[dict[str, Any]])
    assert_type(afas.rows(ARTICLES, part=parts[0], after=token), Rows[Article])
    assert_type(afas.pages(ARTICLES, where=None, window=4, verify=True, order_by=["-ItemCode"]), Pages[Article])
    assert_type(afas.rows(ARTICLES).cursor, str)
    assert_type(afas.changes(ARTICLES, modified="ModifiedOn", since=token), Changes[Article])
    assert_type(afas.changes("Profit_Debtor", key="DebtorId", modified="ModifiedOn"), Changes[dict[str, Any]])
    assert_type(afas.pages("Profit_Debtor", key="DebtorId", after=token).cursor, str)
    assert_type(await afas.page("Profit_Debtor", where=F.DebtorId == "1"), Page[dict[str, Any]])


async def misuse(afas: AfasClient) -> None:
    afas.rows(ARTICLES, key="ItemCode")  # type: ignore[call-overload] # pyright: ignore[reportCallIssue, reportArgumentType]
    afas.rows(ARTICLES, parts=4)  # type: ignore[call-overload] # pyright: ignore[reportCallIssue]
    afas.pages(ARTICLES, after=1)  # type: ignore[call-overload] # pyright: ignore[reportCallIssue, reportArgumentType]
    with afas:  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportGeneralTypeIssues]
        pass
