"""A plan as an Airflow DAG: one mapped task for each part, and at the end the check that every part is there once.

Put this file into the folder of your DAGs, and install afas_async and its extra `dask` on the workers. Their variables
AFAS_TOKEN and AFAS_ENVIRONMENT hold the credentials; none gets into Airflow's database. Each task has one request in
flight, so the slots of the pool are the limit of the environment:

    airflow pools set afas 5 "requests at AFAS"

A task that failed or was killed is repeated by Airflow, or by you with "clear": what its part has written stays.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
from airflow.sdk import dag, task

from afas_async import AfasClient
from afas_async.columns import PartFile, check_tiling, manifests_of, part_files, sweep, write_part

TO = "/data/afas"  # a folder that all workers see, or a URL such as "s3://bucket/afas"
KEYS = {"Profit_Article": "ItemCode", "Profit_Wide": "Id"}
PARTS = 8


@task(pool="afas", retries=3)
def plan(ds: str | None = None) -> list[dict[str, Any]]:
    """Return a file for each part: Airflow gives the day, and every day gets its own folder."""

    async def parts() -> list[dict[str, Any]]:
        async with AfasClient.from_env(max_concurrency=1) as afas:
            return [part for name, key in KEYS.items() for part in await afas.plan(name, key=key, parts=PARTS)]

    files = part_files({"production": asyncio.run(parts())}, f"{TO}/{ds}")
    return [msgspec.to_builtins(file) for file in files]


@task(pool="afas", retries=3)
def read(file: dict[str, Any]) -> int:
    """Write one part, and return how many rows it has."""

    async def write() -> int:
        async with AfasClient.from_env(max_concurrency=1) as afas:
            return (await write_part(afas, msgspec.convert(file, PartFile))).rows

    return asyncio.run(write())


@task
def check(files: list[dict[str, Any]], rows: list[int]) -> int:
    """Fail unless each part is there once, and return how many rows there are."""
    expected = msgspec.convert(files, list[PartFile])
    manifests = manifests_of(expected)
    check_tiling(expected, manifests)
    sweep(expected)
    return sum(rows)


@dag(schedule="@daily", start_date=datetime(2024, 1, 1, tzinfo=UTC), catchup=False)
def afas_plan() -> None:
    """Read some connectors each night."""
    files = plan()
    check(files, read.expand(file=files))


afas_plan()
