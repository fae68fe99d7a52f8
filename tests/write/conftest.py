"""Shared fixtures of the tests of loads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.quick_folder import quick_folder


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Use a folder that syncs at once."""
    with quick_folder() as folder:
        yield folder
