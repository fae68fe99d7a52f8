"""The examples in the docstrings run as they stand there."""

from __future__ import annotations

import asyncio
import doctest
import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import afas_async
from afas_async.simulator import Simulator


def _modules() -> Iterator[str]:
    for module in pkgutil.walk_packages(afas_async.__path__, "afas_async."):
        if not module.name.endswith("__main__"):
            yield module.name


@pytest.mark.parametrize("name", list(_modules()))
def test_the_examples_run(name: str) -> None:
    """Every docstring example of a module gives what it says."""
    names = {name: getattr(afas_async, name) for name in afas_async.__all__}
    names |= {"asyncio": asyncio, "Simulator": Simulator, "models": afas_async.models}
    assert doctest.testmod(importlib.import_module(name), extraglobs=names).failed == 0
