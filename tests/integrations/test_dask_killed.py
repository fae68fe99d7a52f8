"""A real cluster, of processes: one of two workers is killed at any moment, and nothing is lost, doubled or shown."""

from __future__ import annotations

import asyncio
import gzip
import os
import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import dask
import pytest
import requests
from distributed import Client, LocalCluster

from afas_async.integrations.dask import PlanReport, run_plan
from afas_async.simulator import Latency, Simulator
from tests.support import canary
from tests.support.cluster import check_rows, files_in, plans_of
from tests.support.thoroughness import full_only

ROUNDS = int(os.environ.get("AFAS_CLUSTER_KILLS", "1"))
LIMIT = 3
# The pages of the dashboard's server in JSON and text; its pictures need bokeh.
PAGES = ("json/counts.json", "json/identity.json", "json/index.html", "info/main/workers.html", "info/main/logs.html")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator.running(rows=1_200, token=canary.TOKEN) as running:
        yield running


@pytest.fixture(scope="module")
def cluster(simulator: Simulator) -> Iterator[Any]:
    """Two workers that have the token among their variables; slots of a killed one come back within 5 seconds."""
    settings = {
        "distributed.scheduler.locks.lease-timeout": "4s",
        "distributed.scheduler.locks.lease-validation-interval": "500ms",
        "distributed.worker.multiprocessing-method": "forkserver",
    }
    # This process's own variables do not reach the workers: a server that forks them has those of its own start.
    variables = {"AFAS_TOKEN_ONE": canary.TOKEN, "AFAS_BASE_URL_ONE": simulator.base_url}
    options: Any = {"n_workers": 2, "threads_per_worker": 2, "processes": True, "dashboard_address": ":0"}
    # A cluster that closes may look for a worker that it does not know any more.
    with (
        suppress(KeyError),
        dask.config.set(settings),
        LocalCluster(**options, env=variables) as local,
        Client(local) as client,
    ):
        yield client


def _shown(cluster: Any, folder: Path) -> str:
    """Return all that a cluster shows now: tasks, workers, logs, plugins as they travel, and the dashboard's pages."""
    cluster.dump_cluster_state(str(folder / "state"))
    url = cluster.dashboard_link.removesuffix("status")
    pages = [requests.get(url + page, timeout=10).text for page in PAGES]
    plugins = cluster.run_on_scheduler(lambda dask_scheduler: b"".join(dask_scheduler.worker_plugins.values()))
    logs = [cluster.get_scheduler_logs(), cluster.get_worker_logs(), cluster.get_worker_logs(nanny=True)]
    state = gzip.decompress((folder / "state.msgpack.gz").read_bytes())
    return "\n".join([*pages, repr(logs), (plugins + state).decode("utf-8", "replace")])


@full_only
@pytest.mark.timeout(60 + 60 * ROUNDS)
def test_a_worker_killed_at_any_moment(cluster: Any, simulator: Simulator, tmp_path: Path) -> None:
    """20 ranges of 3 connectors give each row once, never more requests than the limit, no stray file and no token."""
    parts = asyncio.run(plans_of(simulator, 7))
    assert len(parts) >= 20
    seconds = 0.0
    for number in range(1 + ROUNDS):
        simulator.reset()
        simulator.latency = Latency(base=0.04, per_row=0.0001)
        folder = tmp_path / str(number)
        started = time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            run: Future[PlanReport] = pool.submit(run_plan, cluster, {"one": parts}, to=folder, limit=LIMIT)
            if number == 0:  # without a kill, to see how long it takes, and what the cluster shows meanwhile
                while not run.done() and not files_in(tmp_path, ".json"):
                    time.sleep(0.01)
                shown = _shown(cluster, tmp_path)
                assert "Profit_Article" in shown
                assert "EnvironmentClients" in shown
                assert not canary.leaks(shown)
            else:
                time.sleep(random.uniform(0, seconds))  # noqa: S311 - no secret
                os.kill(random.choice([*cluster.run(os.getpid).values()]), signal.SIGKILL)  # noqa: S311 - no secret
            report = run.result(60)
        seconds = seconds or time.monotonic() - started
        assert report.parts == len(parts)
        check_rows(folder / "one", simulator)
        assert simulator.counters.peak_in_flight <= LIMIT
    assert not canary.leaks(_shown(cluster, tmp_path))
