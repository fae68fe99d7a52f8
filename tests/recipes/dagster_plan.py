"""A plan as a Dagster asset: a partition for each part, and a second asset that is there when every part is.

Run it with `dagster dev -f tests/recipes/dagster_plan.py`. The processes that run the steps need AFAS_TOKEN and
AFAS_ENVIRONMENT. Materialize `plan` first: it adds the partitions. Each part has one request in flight, so
the limit of the environment is that of the pool `afas`, which you set under Deployment, Concurrency, or by

    dagster instance concurrency set afas 5
"""

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec
from dagster import AssetExecutionContext, Definitions, DynamicPartitionsDefinition, RetryPolicy, asset

from afas_async import AfasClient
from afas_async.columns import PartFile, check_tiling, manifests_of, part_files, sweep, write_part

TO = Path(os.environ.get("TARGET_FOLDER", "/data/afas"))  # a folder that all processes see; a new one for each plan
KEYS = {"Profit_Article": "ItemCode", "Profit_Wide": "Id"}
PARTS = 8

parts = DynamicPartitionsDefinition(name="afas_parts")


def _planned() -> dict[str, PartFile]:
    return {file.name: file for file in msgspec.json.decode((TO / "plan.json").read_bytes(), type=list[PartFile])}


@asset
def plan(context: AssetExecutionContext) -> None:
    """Cut the connectors into parts, and add a partition for each."""

    async def cut() -> list[dict[str, Any]]:
        async with AfasClient.from_env(max_concurrency=1) as afas:
            return [part for name, key in KEYS.items() for part in await afas.plan(name, key=key, parts=PARTS)]

    files = part_files({"production": asyncio.run(cut())}, TO)
    TO.mkdir(parents=True, exist_ok=True)
    (TO / "plan.json").write_bytes(msgspec.json.encode(files))
    context.instance.add_dynamic_partitions("afas_parts", [file.name for file in files])


@asset(partitions_def=parts, deps=[plan], pool="afas", retry_policy=RetryPolicy(max_retries=3))
def part(context: AssetExecutionContext) -> None:
    """Write one part."""

    async def write() -> int:
        async with AfasClient.from_env(max_concurrency=1) as afas:
            return (await write_part(afas, _planned()[context.partition_key])).rows

    context.add_output_metadata({"rows": asyncio.run(write())})


@asset(deps=[part])
def rows() -> int:
    """Fail unless each part is there once, and return how many rows there are."""
    files = [*_planned().values()]
    manifests = manifests_of(files)
    check_tiling(files, manifests)
    sweep(files)
    return sum(manifest.rows for manifest in manifests.values())


definitions = Definitions(assets=[plan, part, rows])
