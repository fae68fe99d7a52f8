"""Writes that the service carries out not at all, only in part, or without saying so."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import aiohttp
import pytest

from afas_async.simulator import Fault, Rules, Simulator
from tests.support.raw_writes import ARTICLE, BOLT, article, elements, said, send, table

MEBIBYTE = 1024 * 1024

REFUSED: list[tuple[str, str, bytes | None, str]] = [
    ("PUT", ARTICLE, elements("FbItemArticle", {"ItCd": "X", "Ds": "y"}), "'Item code' does not exist"),
    ("POST", ARTICLE, elements("FbItemArticle", {"ItCd": "000007", "Ds": "y"}), "'Item code' already exists"),
    ("PUT", ARTICLE, elements("FbItemArticle", {"Ds": "y"}), "Enter a value for 'Item code'"),
    ("POST", ARTICLE, elements("FbItemArticle", {"ItCd": "", "Ds": "y"}), "Enter a value for 'Item code'"),
    ("POST", ARTICLE, elements("FbItemArticle", {"ItCd": "X"}), "Enter a value for 'Description'"),
    ("POST", ARTICLE, elements("FbItemArticle", {"ItCd": "X", "Ds": None}), "Enter a value for 'Description'"),
    ("POST", "connectors/KnSubject", elements("KnSubject", {"StId": 1, "St": "X"}), "'Status' is not valid"),
    ("PUT", "connectors/KnSubject", elements("KnSubject", {"SbId": 7, "St": "a"}), "'Status' is not valid"),
    ("PUT", ARTICLE, elements("FbItemArticle", {"ItCd": "000007", "Nope": 1}), "field 'Nope' not found"),
    ("PUT", ARTICLE, elements("FbItemArticle", {"ItCd": "000007", "Stock": 1}), "field 'Stock' not found"),
    ("PUT", ARTICLE, b'{"FbItemArticle":{"Element":{"@ItCd":"000007","@Ds":"x"}}}', "field '@Ds' not found"),
    ("PUT", ARTICLE, b'{"FbItemArticle":{"Element":{"ItCd":"000007"}}}', "field 'ItCd' not found"),
    ("PUT", ARTICLE, b'{"FbItemArticle":{"Element":{"@ItCd":"000007","Objects":[{"A":{}}]}}}', "'A' not found"),
    ("PUT", ARTICLE, b'{"FbItemArticle":{"Element":{"@ItCd":"000007","Fields":{"ItCd":"000008"}}}}', "unexpected"),
    ("PUT", ARTICLE, b'{"FbItemArticle":{"Element":{"@ItCd":"000007","Fields":[1]}}}', "unexpected"),
    ("PUT", ARTICLE, b'{"Nothing":{"Element":{}}}', "'Nothing' not found"),
    ("PUT", ARTICLE, b'{"FbItemArticle":{"Element":[]}}', "unexpected"),
    ("PUT", ARTICLE, b'{"FbItemArticle":{"Element":{}}}', "unexpected"),
    ("PUT", ARTICLE, b'{"FbItemArticle":{"Elements":{}}}', "unexpected"),
    ("PUT", ARTICLE, b"{}", "unexpected"),
    ("PUT", ARTICLE, b"[]", "unexpected"),
    ("PUT", ARTICLE, b"1" * 5000, "unexpected"),
    ("POST", "connectors/KnNothing", BOLT, "UpdateConnector not supported"),
    ("POST", "connectors/Profit_Article", BOLT, "UpdateConnector not supported"),
    ("GET", ARTICLE, None, "GetConnector not supported"),
    ("DELETE", f"{ARTICLE}/FbItemArticle/@ItCd/X", None, "'Item code' does not exist"),
    ("DELETE", f"{ARTICLE}/Nothing/@ItCd/000007", None, "'Nothing' not found"),
    ("DELETE", f"{ARTICLE}/FbItemArticle/@Ds/000007", None, "field 'Ds' not found"),
    ("DELETE", f"{ARTICLE}/FbItemArticle/@ItCd/000007,000008", None, "unexpected"),
    ("DELETE", f"{ARTICLE}/FbItemArticle/@ItCd,@ItCd/000007,000008", None, "unexpected"),
    ("DELETE", "connectors/KnDimCode/KnDimCode/@AxId/1", None, "Enter a value for 'Dimension code'"),
    ("DELETE", "connectors/KnDimCode/KnDimCode/@AxId,@VbCo/x,D001", None, "'Dimension axis' is not valid"),
]


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("method", "target", "body", "message"), REFUSED)
async def test_refusals(simulator: Simulator, method: str, target: str, body: bytes | None, message: str) -> None:
    """A write that cannot be carried out is a 500 with a message, in English or in Dutch, and changes nothing."""
    before = [table(simulator, name) for name in ("Profit_Article", "Profit_DimensionCodes")]
    assert message in said(await send(simulator, method, target, body, {"Accept-Language": "en-us"}))
    assert message not in said(await send(simulator, method, target, body))
    assert [table(simulator, name) for name in ("Profit_Article", "Profit_DimensionCodes")] == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Ds", "x" * 81),
        ("Ds", ["x"]),
        ("Ds", "a\0b"),
        ("SaPr", "1.234,50"),
        ("SaPr", "12,505"),
        ("QuSt", "12,0"),
        ("SaPr", "1.505"),
        ("SaPr", 1e300),
        ("SaPr", "1e-300"),
        ("SaPr", "NaN"),
        ("SaPr", True),
        ("QuSt", 1.5),
        ("QuSt", "many"),
        ("QuSt", 10**9),
        ("QuSt", 10**30),
        ("Bl", "ja"),
        ("Bl", 2),
        ("Bl", {"x": 1}),
    ],
)
async def test_values_that_do_not_fit(simulator: Simulator, field: str, value: Any) -> None:
    """A value that the column could not show unchanged is refused."""
    old = article(simulator, "000007")
    body = elements("FbItemArticle", {"ItCd": "000007", field: value})
    assert "ongeldig" in said(await send(simulator, "PUT", ARTICLE, body))
    assert article(simulator, "000007") == old


@pytest.mark.parametrize("date", ["2024-02-30", "28-02-1990", "1990-02-28T25:00:00", "1990-02-28T10:00:00+01:00", "x"])
async def test_dates_that_are_none(simulator: Simulator, date: str) -> None:
    """A date is written as documented, and exists."""
    body = elements("AfasEmployee", {"EmId": "E00001", "DaBi": date})
    assert "ongeldig" in said(await send(simulator, "PUT", "connectors/KnEmployee", body))


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"",
        b"{",
        b'{"FbItemArticle":',
        b"<xml/>",
        BOLT + b"x",
        b"\xff\xfe{\x00}\x00",
        b'{"a":"\\ud800"}',
        b"[" * 9999,
    ],
    ids=repr,
)
async def test_invalid_json(simulator: Simulator, body: bytes | None) -> None:
    """A body that is not JSON is a 400 that says so."""
    reply = await send(simulator, "POST", ARTICLE, body)
    assert (reply.status, reply.body) == (400, b'{"message":"Invalid json"}')
    assert len(table(simulator)) == 300


@pytest.mark.parametrize("unknown", [401, 404])
async def test_unknown_connector(unknown: Any) -> None:
    """The status for a connector that is not there is that of reads; without the token nothing is written."""
    async with Simulator(rows=5, rules=Rules(unknown_connector=unknown)) as simulator:
        assert (await send(simulator, "POST", "connectors/KnNothing", b"{}")).status == unknown
        assert (await send(simulator, "POST", ARTICLE, BOLT, {"Authorization": "x"})).status == 401
        assert article(simulator, "B1") is None


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("partial", [False, True])
async def test_lists_with_a_refused_element(method: str, partial: bool) -> None:  # noqa: FBT001
    """All elements of a list are written or none; by the other rule those before the refused one stay."""
    codes = ["000001", "000002", "NO", "000004"] if method == "PUT" else ["N1", "N2", "000001", "N4"]
    async with Simulator(rows=5, rules=Rules(partial_lists=partial)) as simulator:
        before = table(simulator)
        body = elements("FbItemArticle", *({"ItCd": code, "Ds": "new"} for code in codes))
        assert "Item code" in said(await send(simulator, method, ARTICLE, body))
        written = simulator.store.execute("SELECT ItemCode FROM Profit_Article WHERE Description = 'new' ORDER BY 1")
        assert written == ([(codes[0],), (codes[1],)] if partial else [])
        assert (table(simulator) == before) != partial
        assert (await send(simulator, "POST", ARTICLE, BOLT)).status == 201


async def test_one_key_twice_in_a_list(simulator: Simulator) -> None:
    """The second element with a key is refused, and the first with it."""
    body = elements("FbItemArticle", {"ItCd": "B1", "Ds": "one"}, {"ItCd": "b1", "Ds": "two"})
    assert "bestaat al" in said(await send(simulator, "POST", ARTICLE, body))
    assert article(simulator, "B1") is None


async def test_a_read_goes_on_while_a_list_is_undone(simulator: Simulator) -> None:
    """A read that is under way does not break, and does not see the undone rows."""
    pages = simulator.store.blocks("Profit_Article", 0, -1, [("ItemCode", False)], size=10)
    rows = [next(pages).json]
    codes = [*(f"Z{number}" for number in range(50)), "000001"]
    body = elements("FbItemArticle", *({"ItCd": code, "Ds": "new"} for code in codes))
    assert (await send(simulator, "POST", ARTICLE, body)).status == 500
    rows += [page.json for page in pages]
    assert len(json.loads(b"[" + b",".join(rows) + b"]")) == 300


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("done", [False, True])
async def test_faults(simulator: Simulator, method: str, done: bool) -> None:  # noqa: FBT001
    """A write whose response comes from a fault is not carried out. A write whose response is lost on its way is."""
    body = {
        "POST": BOLT,
        "PUT": elements("FbItemArticle", {"ItCd": "000007", "Ds": "Bolt"}),
        "DELETE": None,
    }[method]
    target = f"{ARTICLE}/FbItemArticle/@ItCd/000007" if method == "DELETE" else ARTICLE
    before = table(simulator)
    simulator.faults.add(Fault(connector="FbItemArticle", method=method, status=None if done else 503, cut="reset"))
    with pytest.raises(aiohttp.ClientError):
        await send(simulator, method, target, body)
    assert (len(simulator.requests), simulator.faults.left) == (1, [])
    assert (table(simulator) != before) == done
    if done and method != "DELETE":
        found = article(simulator, "B1" if method == "POST" else "000007")
        assert found is not None
        assert found["Description"] == "Bolt"
    if done and method == "DELETE":
        assert article(simulator, "000007") is None


async def test_faults_with_an_answer(simulator: Simulator) -> None:
    """A 503 in place of a write leaves the table alone. A cut result belongs to a write that was carried out."""
    body = elements("KnSubject", {"StId": 1})
    simulator.faults.add(Fault(method="POST", status=503, retry_after=2), Fault(method="POST", cut="end", at=12))
    assert (await send(simulator, "POST", "connectors/KnSubject", body)).status == 503
    assert simulator.store.count("Profit_Subjects") == 200
    reply = await send(simulator, "POST", "connectors/KnSubject", body)
    assert (reply.status, reply.body) == (201, b'{"results":{')
    assert simulator.store.count("Profit_Subjects") == 201


@pytest.mark.parametrize(("size", "status"), [(75 * MEBIBYTE, 201), (75 * MEBIBYTE + 1, 413)])
async def test_largest_body(simulator: Simulator, size: int, status: int) -> None:
    """A body of 75 MB is carried out. A larger one is refused, also in chunks, and nothing of it is carried out."""
    reply = await send(simulator, "POST", ARTICLE, BytesIO(BOLT.ljust(size)))
    assert (reply.status, reply.body) == (status, b"")
    assert (article(simulator, "B1") is not None) == (status == 201)


async def test_largest_body_in_chunks(simulator: Simulator) -> None:
    """The limit also holds for a body whose length is not sent in advance."""

    async def pieces() -> AsyncIterator[bytes]:
        yield BOLT
        for _ in range(75):
            yield b" " * MEBIBYTE

    assert (await send(simulator, "POST", ARTICLE, pieces())).status == 413
    assert article(simulator, "B1") is None
