"""Checked by mypy and pyright, never run: generated models as editors and type checkers see them."""

from datetime import date, datetime
from decimal import Decimal
from typing import assert_type

import msgspec
from msgspec import UNSET, UnsetType

from afas_async import AfasClient, GetConnector, GetMetainfo, Rows, UpdateConnector, UpdateMetainfo
from afas_async.models import define, source
from tests.typing import simulator_models as models


async def rows(afas: AfasClient) -> None:
    assert_type(models.ARTICLE, GetConnector[models.Article])
    assert_type(afas.rows(models.ARTICLE), Rows[models.Article])
    async for article in afas.rows(models.ARTICLE):
        assert_type(article.item_code, str)
        assert_type(article.price, Decimal | None)
        assert_type(article.modified_on, datetime | None)
    async for subject in afas.rows(models.SUBJECTS):
        assert_type(subject.status, models.SubjectsStatus | None)
        assert_type(subject.status is models.SubjectsStatus.ACTIVE, bool)


async def elements(afas: AfasClient) -> None:
    assert_type(models.KN_SUBJECT, UpdateConnector)
    subject = models.KnSubject(ds="Offerte", st=models.KnSubjectSt.ACTIVE, dt_fr=date(2024, 7, 1))
    assert_type(subject.dt_fr, date | UnsetType)
    assert_type(subject.sb_id, int | UnsetType)
    await afas.insert(models.KN_SUBJECT, subject)
    address = models.KnPersonKnBasicAddressAdr(zp_cd="3811 HN")
    await afas.insert(models.KN_PERSON, models.KnPerson(la_nm="Jansen", kn_basic_address_adr=address))
    await afas.insert(models.KN_PERSON, models.KnPerson(la_nm=UNSET, kn_basic_address_adr=[address]))
    async with afas.load(models.KN_SUBJECT) as load:
        await load.add(subject)


def at_run_time(article: GetMetainfo, subject: UpdateMetainfo) -> None:
    assert_type(source([article, subject], keys={"Profit_Article": "ItemCode"}), str)
    assert_type(define(article, key=("UnitId", "EntryNo")), type[msgspec.Struct])


def misuse(article: models.Article) -> None:
    models.KnSubject(ds=5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    models.KnSubject(status="A")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    article.price = None  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]
