"""Routes, the token, errors, and the headers of every response."""

from __future__ import annotations

import base64
import gzip
import re
from urllib.parse import quote

import aiohttp
import pytest

from afas_async.simulator import Fault, Latency, Simulator
from tests.simulator.conftest import Client


async def test_profitversion(client: Client, simulator: Simulator) -> None:
    """The version of Profit is one string."""
    assert (await client.get(simulator, "/profitversion")).json == {"version": "22.22.5"}


@pytest.mark.parametrize("path", ["/metainfo", "/MetaInfo", "//metainfo", "/metainfo/", "/METAINFO?skip=1&take=2"])
async def test_metainfo(client: Client, simulator: Simulator, path: str) -> None:
    """Metainfo lists the connectors of the token, however the path is written."""
    content = (await client.get(simulator, path)).json
    assert list(content) == ["updateConnectors", "getConnectors", "info"]
    assert {"id": "Profit_Debtor", "description": "Sales relations (Profit)"} in content["getConnectors"]
    assert [entry["id"] for entry in content["getConnectors"]] == list(simulator.store.connectors)
    assert content["info"]["tokenExpiry"] == "0"


async def test_metainfo_of_a_connector(client: Client, simulator: Simulator) -> None:
    """The fields of a connector come in the order and with the ids of its rows."""
    content = (await client.get(simulator, "/metainfo/get/Profit_Article")).json
    assert (content["name"], content["description"]) == ("Profit_Article", "Articles (Profit)")
    row = (await client.get(simulator, "/connectors/Profit_Article", take=1)).rows[0]
    assert [field["id"] for field in content["fields"]] == list(row)
    assert content["fields"][2] == {
        "id": "Price",
        "fieldId": "U003",
        "dataType": "decimal",
        "label": "Sales price",
        "length": 15,
        "controlType": 5,
        "decimals": 2,
        "decimalsFieldId": "",
    }


@pytest.mark.parametrize(
    "path", ["/connectors/profit_article", "/Connectors/PROFIT_ARTICLE", "/connectors//Profit_Article"]
)
async def test_paths_ignore_case(client: Client, simulator: Simulator, path: str) -> None:
    """Paths may be written in any case."""
    assert len((await client.get(simulator, path)).rows) == 100


@pytest.mark.parametrize("path", ["/connectors/Profit_Nothing", "/metainfo/get/Profit_Nothing"])
async def test_unknown_connector(client: Client, simulator: Simulator, path: str) -> None:
    """A connector that does not exist is refused as one that the user may not see."""
    reply = await client.get(simulator, path, client.authorization(simulator) | {"Accept-Language": "en-us"})
    assert reply.status == 500
    assert reply.headers["Content-Type"] == "application/json"
    assert set(reply.json) == {"externalMessage", "errorNumber", "profitLogReference"}
    assert reply.json["externalMessage"] == "GetConnector not supported for this app or the user is not authorized"
    assert re.fullmatch("[0-9A-F]{32}", reply.json["profitLogReference"])


@pytest.mark.parametrize("path", ["", "/nothing", "/connectors", "/connectors/Profit_Article/ItemCode", "/../other"])
async def test_unknown_route(client: Client, simulator: Simulator, path: str) -> None:
    """A URL that is not a route is not found."""
    reply = await client.get(simulator, path)
    assert (reply.status, reply.body) == (404, b"")


async def test_other_methods(client: Client, simulator: Simulator) -> None:
    """A method that the service does not know is not found, except a browser's preflight request."""
    assert (await client.get(simulator, "/connectors/Profit_Article", method="PATCH")).status == 404
    reply = await client.get(simulator, "/connectors/Profit_Article", headers={}, method="OPTIONS")
    assert (reply.status, reply.body, reply.headers["Content-Length"]) == (200, b"", "0")
    assert reply.headers["Access-Control-Allow-Methods"] == "GET, POST, PUT, DELETE, OPTIONS"
    assert (await client.get(simulator, "/../other", headers={}, method="OPTIONS")).status == 404


@pytest.mark.parametrize(("length", "status"), [(2048, 200), (2049, 404), (20_000, 404)])
async def test_query_length(client: Client, simulator: Simulator, length: int, status: int) -> None:
    """A query string of more than 2,048 characters is not found."""
    query = "take=1&x=".ljust(length, "x")
    assert (await client.get(simulator, f"/connectors/Profit_Article?{query}")).status == status


async def test_path_length(client: Client, simulator: Simulator) -> None:
    """A filter in the path has the same limit."""
    path = "/connectors/Profit_Article/ItemCode/".ljust(2100, "1")
    assert (await client.get(simulator, path)).status == 404
    assert (await client.get(simulator, path[:1900])).rows == []


@pytest.mark.parametrize("kind", ["missing", "empty", "bearer", "other token", "other scheme", "garbage", "bare data"])
async def test_wrong_token(client: Client, simulator: Simulator, kind: str) -> None:
    """A wrong or missing token gets an empty 401 that claims to be XML."""
    right = base64.b64encode(simulator.token.encode()).decode()
    other = base64.b64encode(b"<token><version>1</version><data>0</data></token>").decode()
    data = simulator.token.split("<data>")[1].split("<")[0]
    header = {
        "empty": "",
        "bearer": f"Bearer {right}",
        "other token": f"AfasToken {other}",
        "other scheme": right,
        "garbage": "AfasToken !",
        "bare data": f"AfasToken {base64.b64encode(data.encode()).decode()}",
    }
    headers = {} if kind == "missing" else {"Authorization": header[kind]}
    reply = await client.get(simulator, "/connectors/Profit_Article", headers=headers)
    assert (reply.status, reply.body) == (401, b"")
    assert reply.headers["Content-Length"] == "0"
    assert reply.headers["Content-Type"] == "application/xml; charset=utf-8"


async def test_documented_token(client: Client) -> None:
    """The header of the documentation's worked example fits its token."""
    data = "54740093832496081845474abcdefghijklmnopq740093832496081841234127"
    header = (
        "AfasToken PHRva2VuPjx2ZXJzaW9uPjE8L3ZlcnNpb24+PGRhdGE+NTQ3NDAwOTM4MzI0OTYwODE4NDU0NzRhYmNkZWZnaGlqa2xtbm9wcTc0"
        "MDA5MzgzMjQ5NjA4MTg0MTIzNDEyNzwvZGF0YT48L3Rva2VuPg=="
    )
    async with Simulator(token=f"<token><version>1</version><data>{data}</data></token>") as simulator:
        assert (await client.get(simulator, "/metainfo", headers={"Authorization": header})).status == 200


@pytest.mark.parametrize("scheme", ["AfasToken ", ""])
async def test_token_in_plain_xml(client: Client, simulator: Simulator, scheme: str) -> None:
    """A token that is not in base64 is a 500, not a 401."""
    headers = {"Authorization": scheme + simulator.token}
    assert (await client.get(simulator, "/metainfo", headers=headers)).status == 500


async def test_token_in_the_address_bar(client: Client, simulator: Simulator) -> None:
    """A browser may give the token as a parameter, in base64 or as XML; the log shows it nowhere."""
    base = base64.b64encode(simulator.token.encode()).decode()
    url = f"/connectors/Profit_Article?take=1&Token={base}"
    for query in (f"token={base}", f"Token={quote(base, safe='')}", f"token={quote(simulator.token)}&take=5"):
        reply = await client.get(simulator, f"/connectors/Profit_Article?{query}", headers={"Referer": url})
        assert reply.status == 200, query
    for query in ("token=", "token=x", f"token={base[:-4]}"):
        assert (await client.get(simulator, f"/metainfo?{query}", headers={})).status == 401
    headers = {"Authorization": "AfasToken x"}
    assert (await client.get(simulator, f"/metainfo?token={base}", headers=headers)).status == 401
    assert simulator.requests[2].query == {"take": "5"}
    shown = f"{simulator!r} {list(simulator.requests)}"
    assert base[8:-8] not in shown
    assert simulator.token not in shown


async def test_headers_of_every_answer(client: Client, simulator: Simulator) -> None:
    """Successes and refusals have the headers that the service's proxy adds to every response."""
    for path in ("/connectors/Profit_Article", "/connectors/Profit_Nothing", "/nothing"):
        headers = (await client.get(simulator, path)).headers
        assert headers["Strict-Transport-Security"] == "max-age=31536000"
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert "Authorization" in headers["Access-Control-Allow-Headers"]
        assert headers["Access-Control-Max-Age"] == "1728000"
        assert re.fullmatch("[0-9a-f]{32}", headers["X-Trace-Identifier"])
    identifiers = [request.trace_id for request in simulator.requests]
    assert identifiers[-1] == headers["X-Trace-Identifier"]
    assert len(set(identifiers)) == 3


async def test_an_identifier_that_a_fault_gives(client: Client, simulator: Simulator) -> None:
    """A fault may set the identifier of a response or remove it, and the log has the identifier that was sent."""
    for sent in ("ab", ""):
        simulator.faults.add(Fault(headers={"x-trace-identifier": sent}))
        headers = (await client.get(simulator, "/connectors/Profit_Article")).headers
        assert headers["X-Trace-Identifier"] == simulator.requests[-1].trace_id == sent
    simulator.faults.add(Fault(cut="reset", times=None))
    with pytest.raises(aiohttp.ClientError):
        await client.get(simulator, "/connectors/Profit_Article")
    assert simulator.requests[-1].trace_id == ""


async def test_success_headers(client: Client, simulator: Simulator) -> None:
    """A success is chunked JSON in UTF-8 that nobody may store."""
    headers = (await client.get(simulator, "/connectors/Profit_Article")).headers
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert headers["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in headers
    assert headers["Cache-Control"] == "no-store, no-cache"
    assert headers["X-AFAS-Proxy-Stats"].startswith("init(")


@pytest.mark.parametrize("offered", [True, False])
@pytest.mark.parametrize("accepted", ["gzip, deflate", "identity"])
async def test_gzip(offered: bool, accepted: str) -> None:  # noqa: FBT001
    """Only a simulator with gzip compresses, and only for a client that accepts it."""
    async with Simulator(rows=5000, gzip=offered) as simulator, aiohttp.ClientSession(auto_decompress=False) as session:
        headers = {
            "Authorization": f"AfasToken {base64.b64encode(simulator.token.encode()).decode()}",
            "Accept-Encoding": accepted,
        }
        url = f"{simulator.base_url}/connectors/Profit_Wide?skip=-1&orderbyfieldids=Id"
        async with session.get(url, headers=headers) as response:
            body = await response.read()
        compressed = offered and "gzip" in accepted
        assert (response.headers.get("Content-Encoding") == "gzip") == compressed
        assert simulator.requests[0].bytes == len(body)
        rows = b",".join(page.json for page in simulator.store.blocks("Profit_Wide", 0, -1, [("Id", False)], size=999))
        assert (gzip.decompress(body) if compressed else body) == b'{"skip":-1,"take":100,"rows":[' + rows + b"]}"


async def test_latency(client: Client) -> None:
    """A response takes its base, a time for each row in it and a time for each skipped row."""
    latency = Latency(base=0.01, per_row=0.001, per_skip=0.0001)
    assert latency.delay(rows=30, skip=200) == pytest.approx(0.06)
    async with Simulator(rows=230, latency=latency) as simulator:
        await client.get(simulator, "/connectors/Profit_Article", skip=200, take=100)
        await client.get(simulator, "/connectors/Profit_Nothing")
        page, error = [record.ended - record.started for record in simulator.requests]
        assert page >= 0.06
        assert error >= 0.01
