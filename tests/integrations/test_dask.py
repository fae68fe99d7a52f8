"""Plans on a Dask cluster whose workers live in this process: limits, credentials, errors, and runs that continue."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import dask
import pyarrow as pa
import pytest
from distributed import Client, LocalCluster

from afas_async import ConfigurationError, UnavailableError, UsageError
from afas_async.columns import manifests_of, part_files
from afas_async.integrations.dask import PlanReport, _write, as_dask_dataframe, run_plan
from afas_async.integrations.dask_workers import ClusterLimiter, variables_of
from afas_async.simulator import Fault, Latency, Simulator
from tests.support import canary
from tests.support.cluster import (
    CONNECTORS,
    arguments_of,
    broken_vault,
    check_rows,
    files_in,
    no_environment,
    plans_of,
    rows_of,
)

ARTICLES = ("Profit_Article",)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Real time: a cluster looks at the clock of the computer, too."""
    return "asyncio", {}


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(rows=900, token=canary.TOKEN) as running:
        yield running


@pytest.fixture
def variables(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the workers find: the variables of one environment, and a vault for all."""
    monkeypatch.setenv("AFAS_TOKEN_ONE", canary.TOKEN)
    monkeypatch.setenv("AFAS_BASE_URL_ONE", simulator.base_url)
    monkeypatch.setenv("TEST_VAULT_one", f"{simulator.base_url} {canary.TOKEN.replace(' ', '')}")


@pytest.fixture
def quick_leases() -> Iterator[None]:
    with dask.config.set({
        "distributed.scheduler.locks.lease-timeout": "300ms",
        "distributed.scheduler.locks.lease-validation-interval": "50ms",
    }):
        yield


@pytest.fixture
async def cluster(variables: None) -> AsyncIterator[Any]:  # noqa: ARG001
    async with (
        LocalCluster(
            n_workers=2, threads_per_worker=2, processes=False, dashboard_address=":0", asynchronous=True
        ) as local,
        Client(local, asynchronous=True, set_as_default=False) as client,  # a user may have another one
    ):
        yield client


def workers_of(cluster: Any) -> list[Any]:
    return list(cluster.cluster.workers.values())


async def test_a_plan_on_a_cluster(cluster: Any, simulator: Simulator, tmp_path: Path) -> None:
    """Each row comes once, each part has a file and a manifest, and the workers have no client left."""
    async with Simulator(rows=300, token=canary.TOKEN) as other:
        plans = {"one": await plans_of(simulator, 4), "two": await plans_of(other, 2)}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AFAS_TOKEN_TWO", canary.TOKEN)
            patch.setenv("AFAS_BASE_URL_TWO", other.base_url)
            seen: list[PlanReport] = []
            report = await run_plan(cluster, plans, to=tmp_path, on_progress=seen.append)
        check_rows(tmp_path / "one", simulator)
        check_rows(tmp_path / "two", other)
        expected = rows_of(simulator, *CONNECTORS) + rows_of(other, *CONNECTORS)
        assert report.rows == expected
        assert report.bytes == sum(path.stat().st_size for path in files_in(tmp_path, ".parquet"))
        assert report.parts == report.planned == len(seen) == len(files_in(tmp_path, ".json"))
        assert [line.parts for line in seen] == list(range(1, report.planned + 1))
        assert str(report).startswith(f"{report.parts} of {report.parts} parts: {expected:,} rows, ")
    assert not [name for worker in workers_of(cluster) for name in worker.plugins if "shuffle" not in name]


async def test_the_limit_is_one_for_all_workers(cluster: Any, simulator: Simulator, tmp_path: Path) -> None:
    """The limit holds for the requests that all workers together have in flight at one environment."""
    parts = await plans_of(simulator, 6)
    simulator.reset()
    simulator.latency = Latency(base=0.02)
    await run_plan(cluster, {"one": parts}, to=tmp_path, limit=3)
    assert simulator.counters.peak_in_flight == 3
    assert leases(cluster) == {"afas-one": 0}


def leases(cluster: Any) -> dict[str, int]:
    held = cluster.cluster.scheduler.extensions["semaphores"].leases
    return {name: len(found) for name, found in held.items()}


async def test_a_run_goes_on(cluster: Any, simulator: Simulator, tmp_path: Path) -> None:
    """A second run reads the missing parts, and a complete run is not read again."""
    plans = {"one": await plans_of(simulator, 5, connectors=ARTICLES)}
    await run_plan(cluster, plans, to=tmp_path)
    (tmp_path / (part_files(plans, tmp_path)[3].name + ".json")).unlink()
    simulator.reset()
    report = await run_plan(cluster, plans, to=tmp_path)
    assert (report.kept, report.parts) == (4, 5)
    assert 0 < simulator.counters.rows < 500
    check_rows(tmp_path / "one", simulator, connectors=ARTICLES)
    simulator.reset()
    report = await run_plan(cluster, plans, to=tmp_path)
    assert (report.kept, report.rows, simulator.counters.requests) == (5, 900, 0)


async def test_secrets_of_a_vault(cluster: Any, simulator: Simulator, tmp_path: Path) -> None:
    """A function gives the arguments of the clients, on the workers; options say which columns and types."""
    plans = {"one": await plans_of(simulator, 2, connectors=ARTICLES)}
    options: Any = {"Profit_Article": {"select": ["ItemCode", "Stock"], "types": {"Stock": pa.float64()}}}
    report = await run_plan(cluster, plans, to=tmp_path, secrets=arguments_of, options=options)
    assert {str(manifest.columns) for manifest in report.manifests.values()} == {
        "{'ItemCode': 'string', 'Stock': 'double'}"
    }


async def test_a_vault_that_fails(cluster: Any, simulator: Simulator, tmp_path: Path) -> None:
    """An exception of a user's function may hold a secret, so only its type leaves the worker."""
    plans = {"one": await plans_of(simulator, 1, connectors=ARTICLES)}
    with pytest.raises(
        ConfigurationError, match=r"secrets\('one'\) failed, or did not return arguments of AfasClient: LookupError"
    ) as raised:
        await run_plan(cluster, plans, to=tmp_path, secrets=broken_vault)
    assert raised.value.__cause__ is None
    with pytest.raises(ConfigurationError, match="give an environment"):
        await run_plan(cluster, plans, to=tmp_path, secrets=no_environment)
    with pytest.raises(ConfigurationError, match="set AFAS_TOKEN_UNKNOWN_1 on the workers, or pass secrets="):
        await run_plan(cluster, {"unknown-1": plans["one"]}, to=tmp_path)


def _closure() -> Callable[[str], Any]:
    def closure(environment: str) -> dict[str, Any]:
        return arguments_of(environment)

    return closure


_BY_VALUE: dict[str, Any] = {
    "closure": _closure(),
    "lambda": lambda environment: {"auth": environment},
    "partial": functools.partial(arguments_of),
    "method": Path("x").joinpath,
}


@pytest.mark.parametrize("secrets", _BY_VALUE.values(), ids=_BY_VALUE)
def test_functions_that_would_be_pickled_by_value(secrets: Any) -> None:
    """A function with values of its own could take a credential into a pickle: it is refused."""
    with pytest.raises(UsageError, match="secrets: pass a function from a module that the workers can import"):
        run_plan(None, {}, to="x", secrets=secrets)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"limit": 9}, "limit must be 1 to 8, not 9"),
        ({"limit": "5"}, "limit"),
        ({"on_progress": asyncio.sleep}, "on_progress"),
        ({"plans": [1]}, "plans"),
    ],
)
def test_what_makes_no_sense(arguments: dict[str, Any], message: str) -> None:
    """Wrong arguments are refused before the cluster is asked."""
    with pytest.raises(UsageError, match=message):
        run_plan(None, **{"plans": {}, "to": "x", **arguments})  # type: ignore[arg-type]


async def test_a_part_that_fails_for_good(cluster: Any, simulator: Simulator, tmp_path: Path) -> None:
    """The other parts are written, Dask does not retry a permanent failure, and a later run continues."""
    plans = {"one": await plans_of(simulator, 3, connectors=("Profit_Article", "Profit_Wide"))}
    simulator.reset()
    simulator.faults.add(*[Fault(status=403, connector="Profit_Article") for _ in range(3)])
    with pytest.raises(Exception, match="Profit_Article: HTTP 403") as raised:
        await run_plan(cluster, plans, to=tmp_path)
    assert raised.value.__notes__ == ["3 of 6 parts are missing: repeat the run to read them"]
    assert len(manifests_of(part_files(plans, tmp_path))) == 3
    report = await run_plan(cluster, plans, to=tmp_path)
    assert (report.kept, report.parts) == (3, 6)


async def test_a_part_of_a_run_that_has_ended(cluster: Any, simulator: Simulator, tmp_path: Path) -> None:
    """A worker that begins late reports what happened, and Dask does not retry it."""
    (file, *_) = part_files({"one": await plans_of(simulator, 1)}, tmp_path)
    error = await cluster.submit(_write, file, "0123", {})
    assert isinstance(error, UsageError)
    assert "0123: this run has ended" in str(error)


async def test_an_error_that_passes(cluster: Any, simulator: Simulator, tmp_path: Path) -> None:
    """Dask retries a part as often as it should."""
    plans = {"one": await plans_of(simulator, 1, connectors=ARTICLES)}
    simulator.faults.add(*[Fault(status=503) for _ in range(2)])
    report = await run_plan(cluster, plans, to=tmp_path, secrets=arguments_of, retries=2)
    assert report.rows == 900
    simulator.faults.add(*[Fault(status=503) for _ in range(2)])
    with pytest.raises(UnavailableError):
        await run_plan(cluster, plans, to=tmp_path / "again", secrets=arguments_of, retries=1)


async def test_a_cancelled_run(cluster: Any, simulator: Simulator, tmp_path: Path) -> None:
    """The reads of the workers end, and their partial files are removed. Complete files stay."""
    plans = {"one": await plans_of(simulator, 12)}
    simulator.latency = Latency(base=0.1)
    some = asyncio.Event()
    run = asyncio.ensure_future(run_plan(cluster, plans, to=tmp_path, on_progress=lambda _: some.set()))
    await some.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(run, 8)
    for _ in range(100):
        if simulator.counters.in_flight == 0 and not files_in(tmp_path, ".part"):
            break
        await asyncio.sleep(0.05)
    assert files_in(tmp_path, ".part") == []
    before = simulator.counters.requests
    await asyncio.sleep(0.2)
    assert simulator.counters.requests == before
    assert 0 < len(manifests_of(part_files(plans, tmp_path))) < 36


async def test_another_limit_in_the_same_cluster(cluster: Any, simulator: Simulator, tmp_path: Path) -> None:
    """Two limits for one environment would add up: the second is refused."""
    plans = {"one": await plans_of(simulator, 1, connectors=ARTICLES)}
    await run_plan(cluster, plans, to=tmp_path / "1")
    with pytest.raises(ConfigurationError, match="one: this cluster has another limit for it"):
        await run_plan(cluster, plans, to=tmp_path / "2", limit=4)


async def test_a_cancelled_wait_leaves_no_lease(cluster: Any) -> None:
    """A slot that arrives after its call was cancelled is returned at once."""
    limiter = ClusterLimiter(workers_of(cluster)[0], "one", 1)
    await limiter.join()

    async def take() -> None:
        async with limiter.slot("background"):
            pass

    async with limiter.slot("background"):
        waiting = asyncio.create_task(take())
        await asyncio.sleep(0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    for _ in range(100):
        if leases(cluster) == {"afas-one": 0}:
            break
        await asyncio.sleep(0.02)
    await asyncio.wait_for(take(), 5)
    assert leases(cluster) == {"afas-one": 0}
    limiter.stop()


@pytest.mark.usefixtures("quick_leases")
async def test_a_slot_of_a_dead_or_slow_worker(cluster: Any) -> None:
    """A slot comes back when its worker no longer refreshes it. To return it late does no harm."""
    slow, other = [ClusterLimiter(worker, "one", 1) for worker in workers_of(cluster)]
    await slow.join()
    async with slow.slot("background"), asyncio.timeout(5):
        slow.stop()
        assert leases(cluster) == {"afas-one": 1}
        async with other.slot("background"):
            assert leases(cluster) == {"afas-one": 1}
    assert leases(cluster) == {"afas-one": 0}
    other.stop()


async def test_a_frame(cluster: Any, simulator: Simulator) -> None:
    """A frame requests the columns first, and the rows when it is computed. Values are exact."""
    parts = await plans_of(simulator, 4, connectors=ARTICLES)
    simulator.reset()
    frame = await as_dask_dataframe(cluster, "one", parts, select=["ItemCode", "Price", "Stock"])
    assert simulator.counters.rows == 0
    assert frame.npartitions == len(parts)
    assert [str(kind) for kind in frame.dtypes] == ["string[pyarrow]", "decimal128(18, 2)[pyarrow]", "int64[pyarrow]"]
    computed = await cluster.compute(frame)
    assert computed["ItemCode"].tolist() == [f"{number:06}" for number in range(1, 901)]
    assert isinstance(computed["Price"].dropna().iloc[0], Decimal)
    assert await cluster.compute(frame["Stock"].sum()) == computed["Stock"].sum()


async def test_a_frame_of_two_connectors(cluster: Any, simulator: Simulator) -> None:
    """Parts of two connectors have different columns: that is refused."""
    with pytest.raises(UsageError, match="one: expected the parts of one connector"):
        as_dask_dataframe(cluster, "one", await plans_of(simulator, 2))


def test_the_variables_of_an_environment() -> None:
    """Each environment has its own variables, and never those of another one."""
    found = {"AFAS_TOKEN": "a", "AFAS_TOKEN_12345": "b", "AFAS_BASE_URL_ACME_NL": "c", "AFAS_TOKEN_ACME_NL": "d"}
    assert variables_of("12345", found) == {"AFAS_ENVIRONMENT": "12345", "AFAS_TOKEN": "b"}
    assert variables_of("acme-nl", found) == {"AFAS_ENVIRONMENT": "acme-nl", "AFAS_BASE_URL": "c", "AFAS_TOKEN": "d"}
    with pytest.raises(ConfigurationError, match="set AFAS_TOKEN_NL on the workers"):
        variables_of("nl", {"AFAS_TOKEN": "a"})
    with pytest.raises(ConfigurationError, match="set AFAS_TOKEN_NL on the workers"):
        variables_of("nl", found)
