"""The recipes for other tools do their work: with fakes of what they import, as the tools take minutes to install.

A fake has what a recipe uses: decorators that keep the functions, and just enough to call them as the tool would.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from afas_async import UsageError
from afas_async.simulator import Simulator
from tests.support import canary
from tests.support.cluster import check_rows

RECIPES = Path(__file__).parent
CONNECTORS = ("Profit_Article", "Profit_Wide")


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with Simulator.running(rows=600, token=canary.TOKEN) as running:
        monkeypatch.setenv("AFAS_TOKEN", canary.TOKEN)
        monkeypatch.setenv("AFAS_BASE_URL", running.base_url)
        yield running


def keep(*functions: Callable[..., Any], **options: Any) -> Any:
    """Stand for a decorator, with or without options: the function stays unchanged, and its options stay on it."""
    if functions:
        return functions[0]

    def decorate(function: Any) -> Any:
        function.options = options
        return function

    return decorate


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Import a recipe where a fake stands for the tool."""

    def load(name: str, **fakes: ModuleType | SimpleNamespace) -> Any:
        for module, fake in fakes.items():
            parts = module.split("__")
            for depth in range(1, len(parts)):
                monkeypatch.setitem(sys.modules, ".".join(parts[:depth]), ModuleType(parts[0]))
            monkeypatch.setitem(sys.modules, ".".join(parts), fake)  # type: ignore[arg-type]
            if len(parts) == 2:
                setattr(sys.modules[parts[0]], parts[1], fake)
        spec = importlib.util.spec_from_file_location(name, RECIPES / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        recipe = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(recipe)
        return recipe

    return load


def test_airflow(simulator: Simulator, tmp_path: Path, load: Callable[..., Any]) -> None:
    """The mapped tasks write each row once, one request at a time, and the last one checks that nothing is missing."""
    dags: list[Callable[[], None]] = []

    def dag(**_: Any) -> Callable[..., Any]:
        return lambda function: lambda: dags.append(function)

    recipe = load("airflow_plan", airflow__sdk=SimpleNamespace(dag=dag, task=keep))
    assert len(dags) == 1
    recipe.TO = str(tmp_path)
    files = recipe.plan(ds="2024-01-31")
    assert len(files) == 16
    rows = [recipe.read(file) for file in files[1:]]
    with pytest.raises(UsageError, match="1 of 16 parts are missing"):
        recipe.check(files, rows)
    rows.append(recipe.read(files[0]))
    assert recipe.check(files, rows) == 1_200
    check_rows(tmp_path / "2024-01-31" / "production", simulator, connectors=CONNECTORS)
    assert simulator.counters.peak_in_flight == 1
    assert recipe.read.options["pool"] == "afas"


def test_dagster(
    simulator: Simulator, tmp_path: Path, load: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan adds a partition for each part, each partition writes its own, and the last asset checks them all."""
    monkeypatch.setenv("TARGET_FOLDER", str(tmp_path))
    fake = SimpleNamespace(
        AssetExecutionContext=SimpleNamespace,
        Definitions=SimpleNamespace,
        DynamicPartitionsDefinition=SimpleNamespace,
        RetryPolicy=SimpleNamespace,
        asset=keep,
    )
    recipe = load("dagster_plan", dagster=fake)
    partitions: list[str] = []
    metadata: list[int] = []
    instance = SimpleNamespace(add_dynamic_partitions=lambda _, names: partitions.extend(names))
    recipe.plan(SimpleNamespace(instance=instance))
    assert len(partitions) == 16
    for name in partitions:
        recipe.part(
            SimpleNamespace(partition_key=name, add_output_metadata=lambda found: metadata.append(found["rows"]))
        )
    assert recipe.rows() == sum(metadata) == 1_200
    (tmp_path / "plan.json").unlink()
    check_rows(tmp_path / "production", simulator, connectors=CONNECTORS)
    assert simulator.counters.peak_in_flight == 1
    assert recipe.part.options["pool"] == "afas"


def test_ray(simulator: Simulator, load: Callable[..., Any]) -> None:
    """Each block of the dataset is a part, and nothing is read before the blocks are."""
    found: list[SimpleNamespace] = []

    def from_items(items: list[dict[str, str]], **_: Any) -> Any:
        def map_batches(function: Callable[[pa.Table], pa.Table], **options: Any) -> SimpleNamespace:
            found.append(SimpleNamespace(items=items, function=function, options=options))
            return found[-1]

        return SimpleNamespace(map_batches=map_batches)

    recipe = load("ray_plan", ray__data=SimpleNamespace(from_items=from_items))
    parts = asyncio.run(recipe.plan(5))
    dataset = recipe.ray_dataset(parts)
    assert dataset.options["batch_size"] == 1
    assert simulator.counters.rows < 600  # the plan looks at single rows
    tables = [dataset.function(pa.Table.from_pylist([item])) for item in dataset.items]
    assert sorted(pa.concat_tables(tables)["ItemCode"].to_pylist()) == [f"{number:06}" for number in range(1, 601)]
