"""What the commands have in common: arguments, and the client that they use."""

from __future__ import annotations

import argparse
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

from afas_async.client.client import AfasClient
from afas_async.commands.terminal import PROGRAM
from afas_async.errors import ConfigurationError
from afas_async.simulator import spawn

ENVIRONMENT = (
    "The environment is that of the variables AFAS_TOKEN (or AFAS_CLIENT_ID and AFAS_CLIENT_SECRET), and"
    " AFAS_ENVIRONMENT (with AFAS_ENVIRONMENT_TYPE) or AFAS_BASE_URL. Its values are printed only with --show: they may"
    " be personal data."
)


class Commands(Protocol):
    """Where a command adds itself to the command line."""

    def add_parser(self, name: str, /, **options: Any) -> argparse.ArgumentParser:
        """Return the parser of a command."""
        ...


def row_count(text: str) -> int:
    """Return a number of rows that was typed."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rows, 1 or more")
    return int(text)


def key_fields(text: str) -> tuple[str, ...]:
    """Return the fields of a key that was typed."""
    return tuple(text.split(","))


def inspect_command(options: argparse.Namespace) -> str:
    """Return the command that proposes a key for the connector of a command."""
    return f"{PROGRAM} inspect {'--simulator ' if options.simulator else ''}{options.connector}"


@asynccontextmanager
async def client(*, simulator: bool) -> AsyncGenerator[AfasClient, None]:
    """A client of the environment, or of a simulator of its own."""
    async with AsyncExitStack() as stack:
        if simulator:
            running = await stack.enter_async_context(spawn())
            afas = AfasClient(base_url=running.base_url, auth=running.token)
        else:
            afas = environment_client()
        yield await stack.enter_async_context(afas)


def environment_client(max_concurrency: int = 5) -> AfasClient:
    """Return a client of the environment that the variables name."""
    try:
        return AfasClient.from_env(max_concurrency=max_concurrency)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error} (or give --simulator, which needs no environment)") from None
