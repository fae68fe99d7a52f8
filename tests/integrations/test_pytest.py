"""The pytest plugin, in runs of pytest of its own: what its fixtures give, and what it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.thoroughness import full_only

ROOT = Path(__file__).parent.parent.parent
PLUGIN = (
    "-p",
    "no:afas_async",
    "-p",
    "afas_async.integrations.pytest",
    "-p",
    "no:cacheprovider",
    "-W",
    "error",
    "-n",
    "0",
)
WITHOUT_ASYNCIO = ("-p", "no:asyncio")  # the plugin warns of a setting of its own
HEAD = """
import asyncio, os, subprocess, sys
from unittest import mock
import pytest
from afas_async import AfasClient, ConfigurationError
REAL = {"auth": "<token><version>1</version><data>x</data></token>"}
"""
SALES = """
METAINFO = {"name": "FbSales", "fields": [
    {"fieldId": "OrNu", "dataType": "string", "length": 12, "primaryKey": True},
    {"fieldId": "DbId", "dataType": "string", "length": 16, "mandatory": True}]}
"""


def run(pytester: pytest.Pytester, test: str, *options: str) -> pytest.RunResult:
    """Run a test file in this process, without a conftest."""
    pytester.makepyfile(HEAD + test)
    return pytester.runpytest_inprocess(*PLUGIN, *WITHOUT_ASYNCIO, *options)


def test_a_test_without_async(pytester: pytest.Pytester) -> None:
    """A program that reads its environment meets the simulator, whose connectors, faults and writes are the test's."""
    test = """
def test_an_order(afas_simulator, afas_env):
    afas_simulator.define_update("FbSales", METAINFO)
    afas_simulator.define_get("My_Debtors", [{"DebtorId": "10001"}])
    afas_simulator.fault(connector="FbSales", method="POST", status=503, retry_after=0)
    async def program():
        async with AfasClient.from_env() as afas:
            debtor = (await afas.page("My_Debtors")).rows[0]["DebtorId"]
            return (await afas.insert("FbSales", {"DbId": debtor})).keys
    assert asyncio.run(program()) == ({"OrNu": "1"},)
    assert afas_simulator.written("FbSales") == [{"@Action": "insert", "DbId": "10001"}]
    assert afas_env == {name: os.environ[name] for name in ("AFAS_BASE_URL", "AFAS_TOKEN")}

def test_everything_is_as_at_the_start(afas_simulator):
    assert not list(afas_simulator.requests)
    with pytest.raises(ValueError, match="FbSales"):
        afas_simulator.written("FbSales")

def test_the_variables_are_gone():
    assert "AFAS_TOKEN" not in os.environ
"""
    run(pytester, SALES + test).assert_outcomes(passed=3)


def test_a_fault_that_did_not_happen_fails_the_test(pytester: pytest.Pytester) -> None:
    """A test that passes without its fault proves nothing; one that fails keeps its own reason."""
    test = """
def test_nothing_is_asked(afas_simulator):
    afas_simulator.fault(status=503)

def test_that_fails_anyway(afas_simulator):
    afas_simulator.fault(status=503)
    assert 1 == 2

def test_that_may_happen(afas_simulator):
    afas_simulator.fault(status=503, times=None)

def test_that_cannot_be(afas_simulator):
    with pytest.raises(ValueError, match="statuz"):
        afas_simulator.fault(statuz=503)
"""
    result = run(pytester, test)
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["faults that did not happen: Fault(status=503)", "*assert 1 == 2*"])


REFUSED = """
async def opens(**options):
    async with AfasClient("12345", **REAL, **options):
        pass

def test_opened():
    with pytest.raises(ConfigurationError, match="https://12345.*afas_simulator.*--afas-real"):
        asyncio.run(opens())

def test_in_a_process_of_its_own():
    code = "import asyncio, afas_async; asyncio.run(afas_async.AfasClient('12345', auth=%r).open())" % REAL["auth"]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ConfigurationError" in done.stderr

def test_made_without_being_opened():
    assert "12345" in repr(AfasClient("12345", **REAL))
"""


def test_real_traffic_is_refused(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client of a real environment can be made, but not opened, in this process or another."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    run(pytester, REFUSED).assert_outcomes(passed=3)
    assert "AFAS_LOOPBACK_ONLY" not in os.environ


def test_real_traffic_on_request(pytester: pytest.Pytester) -> None:
    """With --afas-real a client of a real environment opens."""
    test = """
def test_opened():
    async def opens():
        async with AfasClient("12345", **REAL):
            pass
    asyncio.run(opens())
"""
    run(pytester, test, "--afas-real").assert_outcomes(passed=1)


def test_what_was_set_before_stays(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that forbids real traffic for all programs still holds after a run."""
    monkeypatch.setenv("AFAS_LOOPBACK_ONLY", "yes")
    run(pytester, "def test_nothing(): pass").assert_outcomes(passed=1)
    assert os.environ["AFAS_LOOPBACK_ONLY"] == "yes"


def run_apart(pytester: pytest.Pytester, test: str, *options: str) -> pytest.RunResult:
    """Run a test file in a process of its own."""
    pytester.makepyfile(HEAD + test)
    command = [sys.executable, "-m", "pytest", *PLUGIN, *options]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=pytester.path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return pytest.RunResult(done.returncode, done.stdout.splitlines(), done.stderr.splitlines(), 0)


READS = """
    async with afas_client as afas:
        assert len(await afas.rows("Profit_Article", key="ItemCode").to_list()) == 1_000
    assert afas_simulator.counters.in_flight == 0
"""


@full_only
def test_real_traffic_is_refused_in_a_cleared_environment(pytester: pytest.Pytester) -> None:
    """A test that clears the environment still meets the refusal."""
    test = """
def test_opened():
    with mock.patch.dict(os.environ, clear=True), pytest.raises(ConfigurationError):
        asyncio.run(AfasClient("12345", **REAL).open())
"""
    run_apart(pytester, test, *WITHOUT_ASYNCIO).assert_outcomes(passed=1)


def test_anyio(pytester: pytest.Pytester) -> None:
    """The fixtures are for anyio's tests."""
    backend = "@pytest.fixture\ndef anyio_backend(): return 'asyncio'\n"
    test = f"@pytest.mark.anyio\nasync def test_anyio(afas_client, afas_simulator):{READS}\n"
    run(pytester, backend + test).assert_outcomes(passed=1)


@full_only
@pytest.mark.parametrize(("mode", "processes"), [("strict", "0"), ("auto", "2")])
def test_pytest_asyncio(pytester: pytest.Pytester, mode: str, processes: str) -> None:
    """The fixtures are for pytest-asyncio's tests in both modes, in one process and in several."""
    mark = "@pytest.mark.asyncio\n" if mode == "strict" else ""
    tests = "".join(f"{mark}async def test_{number}(afas_client, afas_simulator):{READS}\n" for number in range(2))
    options = (f"asyncio_mode={mode}", "asyncio_default_fixture_loop_scope=function")
    run_apart(pytester, tests, "-n", processes, *(f"--override-ini={each}" for each in options)).assert_outcomes(
        passed=2
    )


def test_it_costs_no_import(pytester: pytest.Pytester) -> None:
    """A run that uses no fixture imports neither a library nor what needs one: 30 ms would be too much."""
    code = """
import sys
import pytest
class Look:
    def pytest_unconfigure(self):
        print([name for name in ("afas_async.public", "aiohttp", "anyio", "msgspec", "sqlite3") if name in sys.modules])
pytest.main(["--co", "-q", "-p", "no:afas_async", "-p", "afas_async.integrations.pytest", "-p", "no:anyio"], [Look()])
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=pytester.path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    assert done.stdout.splitlines()[-1] == "[]"
