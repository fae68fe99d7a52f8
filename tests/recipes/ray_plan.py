"""A plan as a Ray dataset: lazy, a block for each part, read by the workers of a Ray cluster.

    dataset = ray_dataset(asyncio.run(plan()))
    dataset.write_parquet("/data/articles")

The variables AFAS_TOKEN and AFAS_ENVIRONMENT of the workers hold the credentials. Each part has one request in flight,
so `concurrency` is the limit of the environment. The rows are read again each time you compute the dataset.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pyarrow as pa
import ray.data

from afas_async import AfasClient
from afas_async.columns import to_table

CONNECTOR, KEY = "Profit_Article", "ItemCode"
LIMIT = 5


async def plan(parts: int = 40) -> list[dict[str, Any]]:
    """Return the parts of the connector."""
    async with AfasClient.from_env() as afas:
        return await afas.plan(CONNECTOR, key=KEY, parts=parts)


def ray_dataset(parts: list[dict[str, Any]]) -> Any:
    """Return the rows of the parts as a dataset, with exact Arrow types."""
    texts = ray.data.from_items([{"part": json.dumps(part)} for part in parts], override_num_blocks=len(parts))
    return texts.map_batches(_read, batch_size=1, batch_format="pyarrow", concurrency=LIMIT, zero_copy_batch=True)


def _read(texts: pa.Table) -> pa.Table:
    part = json.loads(texts["part"][0].as_py())

    async def read() -> pa.Table:
        async with AfasClient.from_env(max_concurrency=1) as afas:
            return await to_table(afas, part["connector"], key=tuple(part["key"]), part=part)

    return asyncio.run(read())
