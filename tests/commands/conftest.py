"""What the tests of the commands share."""

from __future__ import annotations

import pytest

from tests.support.command_line import simulate_within


@pytest.fixture
def within(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the simulators of commands in this process."""
    simulate_within(monkeypatch)
