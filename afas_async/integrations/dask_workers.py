"""The clients on a Dask worker: one for each environment, under a limit that all workers share."""

# pyright: reportUnknownMemberType=false
# Dask has few types.

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

    Only the limit and the name of a function are sent to the workers. Each worker creates its clients from its own
    variables, or with that function.

    Args:
        limit: The number of requests in flight in each environment, for all workers together.
        secrets: Returns the arguments of `AfasClient` for an environment; None for the worker's variables.

    Attributes:
        name: The name of the plugin on a worker. Plugins with the same name share their clients.
        pool: The clients, on a worker.

    Raises:
        UsageError: If an argument has the wrong type, or the function would be pickled by value.
        ConfigurationError: If the limit is out of range.
    """

    idempotent: bool = True
    pool: ClientPool

    def __init__(self, limit: int, secrets: Secrets | None) -> None:
        check_type("limit", limit, int, f"a whole number from 1 to {MOST}")
        if not 1 <= limit <= MOST:
            raise ConfigurationError(f"limit must be 1 to {MOST}, not {limit}")
        if secrets is not None and not _is_pickled_by_name(secrets):
            raise UsageError(
                "secrets: pass a function from a module that the workers can import. Functions of __main__, lambdas and"
                " methods would be pickled with everything that they refer to"
            )
        self._limit = limit
        self._secrets = secrets
        # All frames of a cluster that need the same clients share one plugin.
        self.name: str = f"afas-{limit}-{secrets.__module__}.{secrets.__qualname__}" if secrets else f"afas-{limit}"

    async def setup(self, worker: Worker) -> None:
        """Start without clients."""
        self._worker = worker
        self._limiters: list[ClusterLimiter] = []
        self.pool = ClientPool(self._make)
        await self.pool.__aenter__()

    async def teardown(self, worker: Worker) -> None:  # noqa: ARG002 - the interface of Dask
        """Close all clients. Their running reads end with an error."""
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
        except Exception as error:  # noqa: BLE001 - its text may contain a secret, and appears in logs and dashboards
            failure = type(error).__name__
        finally:
            del arguments
        raise ConfigurationError(
            f"secrets({environment!r}) failed, or did not return arguments of AfasClient: {failure}"
        )


def variables_of(environment: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of one environment, for `AfasClient.from_env`.

    Args:
        environment: Its name: AFAS_TOKEN_12345 is the AFAS_TOKEN of "12345". The name is also the participant number,
            unless there is an AFAS_ENVIRONMENT_... or AFAS_BASE_URL_... variable for it.
        variables: All variables.

    Raises:
        ConfigurationError: If the environment has no credential.
    """
    ending = "_" + environment.upper().replace("-", "_")
    own = {
        name.removesuffix(ending): value
        for name, value in variables.items()
        if name.startswith(_PREFIX) and name.endswith(ending)
    }
    del variables  # a traceback with local variables must not show a credential
    if own.keys() & {"AFAS_TOKEN", "AFAS_CLIENT_ID"}:
        return {"AFAS_ENVIRONMENT": environment} | own
    del own
    raise ConfigurationError(f"set AFAS_TOKEN{ending} on the workers, or pass secrets=")


def _is_pickled_by_name(function: Any) -> bool:
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    return module != "__main__" and getattr(sys.modules.get(module or ""), name, None) is function


class ClusterLimiter:
    """A `SharedLimiter` for all workers, based on a semaphore of Dask's scheduler.

    The scheduler frees the slots of a killed worker when its leases expire, after 30 to 40 seconds (the options
    `distributed.scheduler.locks.lease-timeout` and `.lease-validation-interval`). Freeing them at once would be too
    early: the service may still work on the requests of that worker. A worker that hangs for longer loses its slots and
    takes them again when it resumes. Until its requests have responses, they can exceed the limit.

    Args:
        worker: The worker.
        environment: The name of the environment, which is part of the name of the semaphore.
        limit: The number of slots.
    """

    def __init__(self, worker: Worker, environment: str, limit: int) -> None:
        self.limit: int = limit
        self._environment = environment
        self._semaphore: Any = Semaphore(limit, f"afas-{environment}", worker.scheduler, worker.loop)
        self._returns: set[asyncio.Future[bool]] = set()

    async def join(self) -> None:
        """Register the semaphore with the scheduler, unless it is registered.

        Raises:
            ConfigurationError: If it is registered with another limit.
        """
        with suppress(ValueError):
            await self._semaphore
            return
        raise ConfigurationError(
            f"{self._environment}: this cluster has another limit for it than {self.limit}: use the same limit, or"
            " restart the scheduler"
        )

    @asynccontextmanager
    async def slot(self, priority: Priority) -> AsyncGenerator[None, None]:  # noqa: ARG002 - the scheduler has one queue
        """Hold a slot for the length of a block; see `SharedLimiter`."""
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
        """Release a slot that was acquired after its waiter was cancelled."""
        if not taking.cancelled() and taking.exception() is None:
            self._returns.add(task := asyncio.ensure_future(self._semaphore.release()))
            task.add_done_callback(self._returns.discard)

    def stop(self) -> None:
        """Stop refreshing leases."""
        if (
            refresh := getattr(self._semaphore, "refresh_callback", None)
        ) is not None:  # it is missing if leases never expire
            refresh.stop()
