"""Environments that the workers of a cluster read, and the rows that they must find."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from afas_async import AfasClient
from afas_async.simulator import Simulator
from tests.support.sample_connectors import connector_of, truth

CONNECTORS = ("Profit_Article", "Profit_JournalLines", "Profit_Wide")


def arguments_of(environment: str) -> dict[str, Any]:
    """Return the arguments of a client, as a vault would: a function that workers import."""
    url, token = os.environ["TEST_VAULT_" + environment].split(" ")
    return {"base_url": url, "auth": token, "max_retries": 0}


def broken_vault(environment: str) -> dict[str, Any]:
    """Fail as a vault does that puts too much into its errors."""
    raise LookupError(os.environ["TEST_VAULT_" + environment])


def no_environment(environment: str) -> dict[str, Any]:
    """Return the token without the environment that it is for."""
    return {"auth": arguments_of(environment)["auth"]}


async def plans_of(simulator: Simulator, parts: int, *, connectors: tuple[str, ...] = CONNECTORS) -> list[Any]:
    """Return the parts of some connectors."""
    async with AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas:
        return [
            part for name in connectors for part in await afas.plan(connector_of(simulator, name, dict), parts=parts)
        ]


def files_in(folder: Path, ending: str) -> list[Path]:
    """Return the files with an ending anywhere in a folder."""
    return [path for path in folder.rglob("*" + ending) if path.is_file()]


def rows_of(simulator: Simulator, *connectors: str) -> int:
    """Return how many rows some connectors have."""
    return sum(len(truth(simulator, name)) for name in connectors)


def check_rows(folder: Path, simulator: Simulator, *, connectors: tuple[str, ...] = CONNECTORS) -> None:
    """Check that the files in an environment's folder hold each row of each connector exactly once."""
    for name in connectors:
        sample = simulator.store.connectors[name]
        table = pq.read_table(sorted((folder / name).glob("*.parquet")))
        found = Counter(zip(*[table[field].to_pylist() for field in sample.key], strict=True))
        assert found.most_common(1)[0][1] == 1, "doubled"
        assert table.num_rows == rows_of(simulator, name), "lost"
    assert {path.suffix for path in files_in(folder, "")} == {".parquet", ".json"}, "stray files"
