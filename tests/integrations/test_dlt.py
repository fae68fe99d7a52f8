"""A connector as a resource of dlt: replaced, or merged by its key since the watermark in the pipeline's state."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from afas_async import AfasClient, GetConnector, RowError, UsageError
from afas_async.simulator import Change, Simulator
from tests.support import canary

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # from the modules that dlt itself imports
    dlt = pytest.importorskip("dlt", reason="dlt is not installed")
    from afas_async.integrations.dlt import resource

import duckdb
import pyarrow as pa

pytestmark = pytest.mark.filterwarnings("ignore:::dlt")
ARTICLES = GetConnector("Profit_Article", key="ItemCode")


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator.running(rows=300, token=canary.TOKEN) as running:
        yield running


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "data"))
    destination = dlt.destinations.duckdb(str(tmp_path / "afas.duckdb"))
    return dlt.pipeline(
        "afas", destination=destination, dataset_name="profit", pipelines_dir=str(tmp_path / "pipelines")
    )


def found(tmp_path: Path, statement: str) -> list[Any]:
    with duckdb.connect(tmp_path / "afas.duckdb") as database:
        return database.sql(statement).fetchall()


def test_changes_are_merged(simulator: Simulator, pipeline: Any, tmp_path: Path) -> None:
    """The second run requests the rows modified since the first, and updates by the key. Types are exact."""
    articles = resource(ARTICLES, modified="ModifiedOn", client=lambda: _client(simulator))
    pipeline.run(articles)
    before = len(simulator.requests)
    simulator.changes.add(
        Change(
            connector="Profit_Article",
            update=[({"ItemCode": "000007"}, {"Price": 12345.67, "ModifiedOn": "2024-12-31T10:00:00Z"})],
        )
    )
    pipeline.run(resource(ARTICLES, modified="ModifiedOn", client=lambda: _client(simulator)))
    assert any("ModifiedOn" in request.query.get("filterfieldids", "") for request in [*simulator.requests][before:])
    rows = "select count(*), count(distinct item_code), max(price), typeof(max(price)) from profit.profit_article"
    assert [row[:3] for row in found(tmp_path, rows)] == [(300, 300, Decimal("12345.67"))]
    assert found(tmp_path, rows)[0][3] == "DECIMAL(18,2)"
    assert found(tmp_path, "select modified_on::varchar from profit.profit_article where item_code = '000007'") == [
        ("2024-12-31 10:00:00",)
    ]


def test_without_a_field_of_changes_the_table_is_replaced(simulator: Simulator, pipeline: Any, tmp_path: Path) -> None:
    for _ in range(2):
        only = resource(ARTICLES, client=lambda: _client(simulator), name="articles", select=["ItemCode", "Stock"])
        pipeline.run(only)
    assert found(tmp_path, "select count(*), count(stock) from profit.articles") == [(300, 300)]


def test_errors_keep_their_cause(simulator: Simulator, pipeline: Any) -> None:
    wrong = resource(ARTICLES, types={"Price": pa.int64()}, client=lambda: _client(simulator))
    with pytest.raises(Exception, match="Price") as caught:
        pipeline.run(wrong)
    error: BaseException | None = caught.value
    while error is not None and not isinstance(error, RowError):
        error = error.__cause__
    assert error is not None
    with pytest.raises(UsageError, match="connector: expected a GetConnector"):
        resource("Profit_Article")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="client: expected a function"):
        resource(ARTICLES, client=_client(simulator))  # type: ignore[arg-type]


def _client(simulator: Simulator) -> AfasClient:
    return AfasClient(base_url=simulator.base_url, auth=simulator.token)
