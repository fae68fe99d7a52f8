"""The client that a command uses: for the environment in its variables, or for a simulator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, TypeVar

from afas_async.client.client import AfasClient
from afas_async.commands.json_log import event_listener
from afas_async.errors import ConfigurationError

_T = TypeVar("_T")

ENVIRONMENT: Final = (
    "Set your environment in the variables AFAS_TOKEN (or AFAS_CLIENT_ID and AFAS_CLIENT_SECRET), and AFAS_ENVIRONMENT"
    " (with AFAS_ENVIRONMENT_TYPE) or AFAS_BASE_URL."
)
HIDDEN: Final = ENVIRONMENT + " Values are printed only with --show: they may be personal data."


@asynccontextmanager
async def client(*, simulator: bool, language: str = "nl-nl") -> AsyncGenerator[AfasClient, None]:
    """Open a client for the environment in the variables, or for a new simulator."""
    async with AsyncExitStack() as stack:
        if simulator:
            from afas_async.simulator import spawn  # noqa: PLC0415 - a server that few commands need

            running = await stack.enter_async_context(spawn())
            afas = AfasClient(
                base_url=running.base_url, auth=running.token, language=language, on_event=event_listener()
            )
        else:
            afas = environment_client(language=language)
        yield await stack.enter_async_context(afas)


def environment_client(max_concurrency: int = 5, **options: Any) -> AfasClient:
    """Return a client for the environment in the variables."""
    try:
        return AfasClient.from_env(max_concurrency=max_concurrency, on_event=event_listener(), **options)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error} (or try it with --simulator)") from None


def completed(work: Coroutine[Any, Any, _T]) -> _T:
    """Run the work of a command to its end, in a new event loop."""
    return asyncio.run(work)
