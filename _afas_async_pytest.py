"""What pytest loads at each start: the options and fixtures of `afas_async.integrations.pytest`, which is the guide.

It is a module of its own, as importing a module of a package imports the package: a third of a second, which only
tests that use a fixture should pay.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from afas_async import AfasClient
    from afas_async.integrations.pytest import ScriptedSimulator
    from afas_async.simulator.server import SimulatorOptions

# Read by afas_async.http.transport, also in processes that the tests start.
_VARIABLE: Final = "AFAS_LOOPBACK_ONLY"
_set_here = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that allows requests to AFAS."""
    group = parser.getgroup("afas-async")
    group.addoption(
        "--afas-real", action="store_true", help="let tests call real AFAS environments, not only simulators"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Refuse requests to AFAS, before a conftest imports the client."""
    if not early_config.known_args_namespace.afas_real and not os.environ.get(_VARIABLE):
        os.environ[_VARIABLE] = "1"
        early_config.stash[_set_here] = True


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave the environment as it was."""
    if config.stash.get(_set_here, default=False):
        os.environ.pop(_VARIABLE, None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Fail a test that passed although a fault that it scripted did not happen."""
    yield
    simulator: ScriptedSimulator | None = getattr(item, "funcargs", {}).get("afas_simulator")
    missed = [] if simulator is None else [fault for fault in simulator.faults.left if fault.times is not None]
    if missed:
        pytest.fail(f"faults that did not happen: {', '.join(map(repr, missed))}", pytrace=False)


@pytest.fixture(scope="session")
def afas_simulator_options() -> SimulatorOptions:
    """The arguments of the `Simulator` that all tests share: override it in your conftest."""
    return {}


@pytest.fixture(scope="session")
def _afas_running(afas_simulator_options: SimulatorOptions) -> Generator[ScriptedSimulator]:
    from afas_async.integrations.pytest import ScriptedSimulator  # noqa: PLC0415 - see the docstring of the module

    with ScriptedSimulator.running(**afas_simulator_options) as simulator:
        yield simulator


@pytest.fixture
def afas_simulator(_afas_running: ScriptedSimulator) -> Generator[ScriptedSimulator]:
    """A simulated AFAS Profit in a thread of its own, as it was at its start: script it with `.fault(status=503)`."""
    yield _afas_running
    _afas_running.reset()


@pytest.fixture
def afas_env(afas_simulator: ScriptedSimulator, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """The environment variables with which `AfasClient.from_env()` makes a client of the simulator."""
    variables = {"AFAS_BASE_URL": afas_simulator.base_url, "AFAS_TOKEN": afas_simulator.token}
    for other in ("ENVIRONMENT", "ENVIRONMENT_TYPE", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.delenv(f"AFAS_{other}", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.fixture
def afas_client(afas_simulator: ScriptedSimulator) -> AfasClient:
    """A client of the simulator, which the test opens in its own event loop: `async with afas_client as afas:`."""
    from afas_async import AfasClient  # noqa: PLC0415 - see the docstring of the module

    return AfasClient(base_url=afas_simulator.base_url, auth=afas_simulator.token)
