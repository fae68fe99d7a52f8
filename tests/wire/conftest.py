"""Fixtures for the tests of the wire."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def watch() -> None:
    """Switch the search for the token off: no token gets into these tests, and they make errors by the ten thousand."""
