"""Fixtures for your tests: a simulated AFAS Profit, and no request to a real one.

You have them in every pytest run once `afas-async` is installed. They are synchronous, so you can use them with anyio,
with pytest-asyncio in both modes, with a `TestClient`, and in tests without async.

| Fixture | You get |
|---|---|
| `afas_simulator` | one `Simulator` for the whole run, in its own thread, reset after each test |
| `afas_env` | AFAS_BASE_URL and AFAS_TOKEN, so that `AfasClient.from_env()` in your code calls the simulator |
| `afas_client` | a client of the simulator; open it in your test with `async with afas_client as afas:` |

To change the arguments of the `Simulator`, such as `{"rows": 50_000}`, return them from a fixture
`afas_simulator_options` in your conftest, with `scope="session"`.

You test a program, here one that reads its settings from the environment:

    def test_an_order_survives_a_lock(afas_simulator, afas_env):
        afas_simulator.define_update("FbSales", "tests/metainfo/FbSales.json")
        afas_simulator.fault(connector="FbSales", refusal="locked")
        with TestClient(app) as http:
            assert http.post("/orders", json={"debtor": "10001"}).status_code == 201
        assert afas_simulator.written("FbSales")[0]["DbId"] == "10001"

Your test fails if a fault that you scripted did not happen: without it, the test proves nothing.

Real traffic
------------

If your code opens a client for another address than those of your computer, it raises ConfigurationError. That holds
in processes that your tests start, too: they find AFAS_LOOPBACK_ONLY in their environment. You can set that variable
without pytest as well.

With `pytest --afas-real` your tests may call AFAS. With `-p no:afas_async` you turn the whole plugin off.
"""

from __future__ import annotations

__docformat__ = "google"

import os
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from afas_async import AfasClient
    from afas_async.integrations.scripted_simulator import ScriptedSimulator
    from afas_async.simulator.server import SimulatorOptions

# pytest imports this module at each start. The client and the simulator take a third of a second to import, so only
# the fixtures that need them do.

# afas_async.http.transport reads it, also in processes that the tests start.
_VARIABLE: Final = "AFAS_LOOPBACK_ONLY"
_set_here = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that allows requests to AFAS."""
    group = parser.getgroup("afas-async")
    group.addoption(
        "--afas-real", action="store_true", help="let your tests call real AFAS environments, not only simulators"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Refuse requests to AFAS, before a conftest imports the client."""
    if not early_config.known_args_namespace.afas_real and not os.environ.get(_VARIABLE):
        os.environ[_VARIABLE] = "1"
        early_config.stash[_set_here] = True


def pytest_unconfigure(config: pytest.Config) -> None:
    """Restore the environment."""
    if config.stash.get(_set_here, default=False):
        os.environ.pop(_VARIABLE, None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Fail a test that passed although one of its faults did not happen."""
    yield
    simulator: ScriptedSimulator | None = getattr(item, "funcargs", {}).get("afas_simulator")
    missed = [] if simulator is None else [fault for fault in simulator.faults.left if fault.times is not None]
    if missed:
        pytest.fail(f"faults that did not happen: {', '.join(map(repr, missed))}", pytrace=False)


@pytest.fixture(scope="session")
def afas_simulator_options() -> SimulatorOptions:
    """The arguments of the `Simulator` that your tests share. Override it in your conftest, with `scope="session"`."""
    return {}


@pytest.fixture(scope="session")
def _afas_running(afas_simulator_options: SimulatorOptions) -> Generator[ScriptedSimulator]:
    from afas_async.integrations.scripted_simulator import ScriptedSimulator  # noqa: PLC0415 - see above

    with ScriptedSimulator.running(**afas_simulator_options) as simulator:
        yield simulator


@pytest.fixture
def afas_simulator(_afas_running: ScriptedSimulator) -> Generator[ScriptedSimulator]:
    """A simulated AFAS Profit, reset after each of your tests. Script it with `afas_simulator.fault(status=503)`."""
    yield _afas_running
    _afas_running.reset()


@pytest.fixture
def afas_env(afas_simulator: ScriptedSimulator, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """The environment variables with which `AfasClient.from_env()` in your code calls the simulator."""
    variables = {"AFAS_BASE_URL": afas_simulator.base_url, "AFAS_TOKEN": afas_simulator.token}
    for other in ("ENVIRONMENT", "ENVIRONMENT_TYPE", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.delenv(f"AFAS_{other}", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.fixture
def afas_client(afas_simulator: ScriptedSimulator) -> AfasClient:
    """A client of the simulator. Open it in your test: `async with afas_client as afas:`."""
    from afas_async import AfasClient  # noqa: PLC0415 - see above

    return AfasClient(base_url=afas_simulator.base_url, auth=afas_simulator.token)
