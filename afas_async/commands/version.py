"""The command `version`: the version of Profit, and of this program."""

from __future__ import annotations

import platform
from typing import Final

from afas_async.commands.environment import ENVIRONMENT, client, completed
from afas_async.commands.options import OwnSimulator
from afas_async.vocabulary.version import __version__

EPILOG: Final = ENVIRONMENT


def command(*, simulator: OwnSimulator = False) -> int:
    """Show the version of Profit that your environment runs, and of this program."""

    async def work() -> str:
        async with client(simulator=simulator) as afas:
            return await afas.version()

    print(f"afas-async {__version__}, Python {platform.python_version()}", flush=True)
    print(f"Profit     {completed(work())}")
    return 0
