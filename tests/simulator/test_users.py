"""Tests as users write them, which stand in the guide of the simulator: under each plugin, with `-n 2 -W error`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from afas_async import simulator
from tests.support.thoroughness import full_only

FILES = {
    name: dedent(text)
    for name, text in re.findall(r"^`(\w+\.py)`, .*:\n\n((?:    .*\n|\n)+)", simulator.__doc__ or "", re.MULTILINE)
}
METAINFO = {
    "id": "FbSales",
    "name": "FbSales",
    "description": "Verkooporder",
    "fields": [
        {"fieldId": "OrNu", "dataType": "string", "length": 12, "primaryKey": True},
        {"fieldId": "DbId", "dataType": "string", "length": 16, "mandatory": True},
    ],
    "objects": [
        {
            "name": "FbSalesLines",
            "fields": [
                {"fieldId": "ItCd", "dataType": "string", "length": 30, "mandatory": True},
                {"fieldId": "QuUn", "dataType": "decimal", "length": 9, "decimals": 2},
            ],
        }
    ],
}
SHOP = """
from contextlib import asynccontextmanager

from fastapi import FastAPI
from afas_async import AfasClient


async def place_order(afas, customer):
    lines = [{"ItCd": "A7", "QuUn": 2}]
    result = await afas.insert("FbSales", {"DbId": customer, "FbSalesLines": lines})
    return result.keys[0]["OrNu"]


def web(base_url, token):
    @asynccontextmanager
    async def life(app):
        async with AfasClient(base_url=base_url, auth=token) as app.state.afas:
            yield

    app = FastAPI(lifespan=life)

    @app.post("/orders/{customer}")
    async def order(customer: str) -> str:
        return await place_order(app.state.afas, customer)

    return app
"""


def folder(path: Path, **files: str) -> Path:
    """Make the folder of a user, with his tests, what they test, and the metainfo of his environment."""
    path.mkdir()
    (path / "FbSales.json").write_text(json.dumps(METAINFO))
    for name, text in {"shop": SHOP, "conftest": FILES["conftest.py"], **files}.items():
        (path / f"{name}.py").write_text(text)
    return path


def output(path: Path, *options: str) -> str:
    """Run pytest in a folder of a user as he does, with his own settings only, and return what it prints."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    settings = ("-c", os.devnull, "--rootdir=.", "-o", "asyncio_default_fixture_loop_scope=function")
    spared = ("-p", "no:hypothesispytest", "-p", "no:pytest_cov")  # which take longest to import
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *settings, *spared, "-n", "2", "-W", "error", *options, "."],
        cwd=path,
        env={**variables, "PYTHONPATH": str(Path(simulator.__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", ["test_orders.py", "test_web.py"])
def test_a_test_is_short(name: str) -> None:
    """The whole test, with its imports, is 15 lines."""
    assert len([line for line in FILES[name].splitlines() if line.strip()]) <= 15


@full_only
@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_they_run_under_each_plugin(mode: str, tmp_path: Path) -> None:
    """They pass under anyio, pytest-asyncio in both modes and TestClient, and fail if nobody met the lock."""
    anyio, web = FILES["test_orders.py"], FILES["test_web.py"]
    missed = anyio.replace('connector="FbSales", refusal', 'connector="FbPurchase", refusal')
    asyncio = anyio.replace("@pytest.mark.anyio\n", "@pytest.mark.asyncio\n" if mode == "strict" else "")
    files = {"test_anyio": anyio, "test_asyncio": asyncio, "test_web": web, "test_missed": missed}
    out = output(folder(tmp_path / mode, **files), f"--asyncio-mode={mode}")
    assert "1 failed, 3 passed in" in out, out
    assert "AssertionError: faults that did not happen: Fault(connector='FbPurchase', refusal='locked')" in out
