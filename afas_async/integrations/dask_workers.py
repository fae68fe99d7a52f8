"""What a worker of a Dask cluster holds: one open client for each environment, under a limit that all workers share."""

# pyright: reportUnknownMemberType=false
# Dask leaves most of its types open.

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeAlias

from afas_async.client.client import AfasClient
from afas_async.client.pool import ClientPool
from afas_async.errors import AfasError, ConfigurationError, UsageError
from afas_async.http.options import Priority
from afas_async.http.shared_limiter import MOST
from afas_async.vocabulary.arguments import check_type

try:
    from distributed import Semaphore, Worker, WorkerPlugin
except ImportError:  # pragma: no cover
    raise ImportError('install Dask: pip install "afas-async[dask]"') from None

Secrets: TypeAlias = Callable[[str], Mapping[str, Any]]

_PREFIX: Final = "AFAS_"


class EnvironmentClients(WorkerPlugin):
    """Opens a client on a worker when a task there first needs it, and closes it with the worker or the run.

    Only the limit and the name of a function travel to the workers. Each makes its clients from what it finds there.

    Args:
        limit: Requests in flight at a time, in each environment, all workers together.
        secrets: Returns the arguments of `AfasClient` for an environment; None for the worker's variables.

    Attributes:
        name: By what it is told from others on a worker, where one lasts as long as the worker.
        pool: The clients, on a worker.

    Raises:
        UsageError: If an argument is of a wrong type or makes no sense, or the function would be pickled by value.
    """

    idempotent: bool = True
    pool: ClientPool

    def __init__(self, limit: int, secrets: Secrets | None) -> None:
        check_type("limit", limit, int, f"a whole number from 1 to {MOST}")
        if not 1 <= limit <= MOST:
            raise ConfigurationError(f"limit must be 1 to {MOST}, not {limit}")
        if secrets is not None and not _is_pickled_by_name(secrets):
            raise UsageError(
                "secrets: give a function of a module that the workers can import, not of __main__, no lambda and no"
                " method: those are pickled with whatever they refer to"
            )
        self._limit = limit
        self._secrets = secrets
        # One for all frames of a cluster that need the same clients.
        self.name: str = f"afas-{limit}-{secrets.__module__}.{secrets.__qualname__}" if secrets else f"afas-{limit}"

    async def setup(self, worker: Worker) -> None:
        """Begin without a client."""
        self._worker = worker
        self._limiters: list[ClusterLimiter] = []
        self.pool = ClientPool(self._make)
        await self.pool.__aenter__()

    async def teardown(self, worker: Worker) -> None:  # noqa: ARG002 - the name is the interface's
        """Close all clients. What they are reading ends with an error."""
        await self.pool.__aexit__(None, None, None)
        for limiter in self._limiters:
            limiter.stop()

    async def _make(self, environment: str) -> AfasClient:
        limiter = ClusterLimiter(self._worker, environment, self._limit)
        self._limiters.append(limiter)
        await limiter.join()
        if self._secrets is None:
            return AfasClient.from_env(variables_of(environment, os.environ), limiter=limiter)
        arguments: Mapping[str, Any] = {}
        failure = ""
        try:
            arguments = await asyncio.to_thread(self._secrets, environment)
            return AfasClient(**arguments, limiter=limiter)
        except AfasError:
            raise
        except Exception as error:  # noqa: BLE001 - its text may hold a secret, and goes to logs and dashboards
            failure = type(error).__name__
        finally:
            del arguments
        raise ConfigurationError(f"secrets({environment!r}) gave no arguments of a client: {failure}")


def variables_of(environment: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of one environment, as `AfasClient.from_env` takes them.

    Args:
        environment: Its name: AFAS_TOKEN_12345 is the AFAS_TOKEN of "12345". It is the participant number, too, unless
            there is an AFAS_ENVIRONMENT_... or an AFAS_BASE_URL_... for it.
        variables: All variables.
    """
    ending = "_" + environment.upper().replace("-", "_")
    own = {
        name.removesuffix(ending): value
        for name, value in variables.items()
        if name.startswith(_PREFIX) and name.endswith(ending)
    }
    del variables  # no error may show a credential among the locals of this frame
    if own.keys() & {"AFAS_TOKEN", "AFAS_CLIENT_ID"}:
        return {"AFAS_ENVIRONMENT": environment} | own
    del own
    raise ConfigurationError(f"set AFAS_TOKEN{ending} on the workers, or give secrets=")


def _is_pickled_by_name(function: Any) -> bool:
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    return module != "__main__" and getattr(sys.modules.get(module or ""), name, None) is function


class ClusterLimiter:
    """A limit over all workers: a `SharedLimiter` on a semaphore of Dask's scheduler.

    The scheduler frees the slots of a killed worker when its leases have expired, after 30 to 40 seconds (the options
    `distributed.scheduler.locks.lease-timeout` and `.lease-validation-interval`). At once would be too early, as the
    service may still be at work on the requests of that worker. A worker that stood still for longer has lost its
    slots, and takes them again when it goes on: until its requests are answered, the limit can be exceeded by them.

    Args:
        worker: The worker.
        environment: The environment, by the name that the semaphore has.
        limit: How many slots there are.
    """

    def __init__(self, worker: Worker, environment: str, limit: int) -> None:
        self.limit: int = limit
        self._environment = environment
        self._semaphore: Any = Semaphore(limit, f"afas-{environment}", worker.scheduler, worker.loop)
        self._returns: set[asyncio.Future[bool]] = set()

    async def join(self) -> None:
        """Make the semaphore known to the scheduler, unless it is.

        Raises:
            ConfigurationError: If it is known with another limit.
        """
        with suppress(ValueError):
            await self._semaphore
            return
        raise ConfigurationError(
            f"{self._environment}: this cluster has another limit for it than {self.limit}, until its scheduler is"
            " restarted: give the same limit"
        )

    @asynccontextmanager
    async def slot(self, priority: Priority) -> AsyncGenerator[None, None]:  # noqa: ARG002 - the scheduler has one queue
        """Return a block that holds a slot; see `SharedLimiter`."""
        taking = asyncio.ensure_future(self._semaphore.acquire())
        try:
            await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(self._give_back)
            raise
        try:
            yield
        finally:
            await self._semaphore.release()

    def _give_back(self, taking: asyncio.Future[bool]) -> None:
        """Give back a slot that came after whoever waited for it was cancelled."""
        if not taking.cancelled() and taking.exception() is None:
            self._returns.add(task := asyncio.ensure_future(self._semaphore.release()))
            task.add_done_callback(self._returns.discard)

    def stop(self) -> None:
        """Refresh no leases any more."""
        if (
            refresh := getattr(self._semaphore, "refresh_callback", None)
        ) is not None:  # without an expiry there is none
            refresh.stop()
