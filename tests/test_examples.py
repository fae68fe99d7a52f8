"""The examples in the docstrings run as they stand there."""

from __future__ import annotations

import asyncio
import doctest
import importlib.util
import pkgutil
import re
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

import afas_async
from afas_async import columns
from afas_async.simulator import Simulator
from tests.support.virtual_time import VirtualTimeLoop


def _modules() -> Iterator[str]:
    """Return the names of the modules that have an example."""
    yield "afas_async"
    for module in pkgutil.walk_packages(afas_async.__path__, "afas_async."):
        spec = importlib.util.find_spec(module.name)
        text = Path(spec.origin).read_text() if spec is not None and spec.origin is not None else ""
        if re.search(r"^ +>>> ", text, re.MULTILINE):
            yield module.name


def _run(main: Coroutine[Any, Any, object]) -> object:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


@pytest.mark.parametrize("name", list(_modules()))
def test_the_examples_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every docstring example of a module gives what it says, and does not wait for it."""
    monkeypatch.setattr(asyncio, "run", _run)
    names = {name: getattr(afas_async, name) for name in afas_async.__all__}
    names |= {"asyncio": asyncio, "Simulator": Simulator, "models": afas_async.models, "columns": columns}
    results = doctest.testmod(importlib.import_module(name), extraglobs=names)
    assert results.failed == 0
    assert results.attempted > 0
