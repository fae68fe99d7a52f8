"""The client that a command uses, the client that its variables name, or that of a simulator of its own."""

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
    "The environment is that of the variables AFAS_TOKEN (or AFAS_CLIENT_ID and AFAS_CLIENT_SECRET), and"
    " AFAS_ENVIRONMENT (with AFAS_ENVIRONMENT_TYPE) or AFAS_BASE_URL."
)
HIDDEN: Final = ENVIRONMENT + " Its values are printed only with --show: they may be personal data."


@asynccontextmanager
async def client(*, simulator: bool, language: str = "nl-nl") -> AsyncGenerator[AfasClient, None]:
    """A client of the environment, or of a simulator of its own."""
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
    """Return a client of the environment that the variables name."""
    try:
        return AfasClient.from_env(max_concurrency=max_concurrency, on_event=event_listener(), **options)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error} (or give --simulator, which needs no environment)") from None


def completed(work: Coroutine[Any, Any, _T]) -> _T:
    """Run the work of a command to its end, in an event loop of its own."""
    return asyncio.run(work)
