"""The asyncio client for the AFAS Profit REST API: connectors as typed, memory-bounded streams.

You import all names from here, and try them against the simulator, which needs no AFAS environment:

    >>> import asyncio
    >>> from afas_async import AfasClient, F, GetConnector
    >>> from afas_async.simulator import Simulator
    >>> ARTICLES = GetConnector("Profit_Article", key="ItemCode")
    >>> async def main():
    ...     async with (
    ...         Simulator(rows=500) as simulator,  # yours: AfasClient("12345", auth="<token>")
    ...         AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ...     ):
    ...         async for article in afas.rows(ARTICLES, where=F.ItemCode >= "000499"):
    ...             print(article["ItemCode"])
    >>> asyncio.run(main())
    000499
    000500

`AfasClient` has a method for everything that the API offers. The guides show whole programs, with their
guarantees and limits. `python -m pydoc afas_async.read` prints one:

- `afas_async.client`: everything you can call, credentials, time-outs, logs and metrics.
- `afas_async.read`: rows as streams, filters, resuming, changes and deletions.
- `afas_async.write`: single writes, loads in batches, and the journal.
- `afas_async.errors`: each error, and what to do about it.
- `afas_async.models`: typed models of your connectors.
- `afas_async.columns`: rows as Arrow batches, Parquet files and database tables.
- `afas_async.integrations`: FastAPI, OpenTelemetry, Dask, dlt and pytest.
- `afas_async.commands`: the command line, `afas-async`.
- `afas_async.simulator`: a simulated AFAS Profit for your tests.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from afas_async.vocabulary.version import __version__ as __version__

__docformat__ = "google"

if TYPE_CHECKING:
    from afas_async import models as models
    from afas_async import otp as otp
    from afas_async.public import *  # noqa: F403 - its `__all__` is the only list of the names
    from afas_async.public import __all__ as __all__
else:
    _ROOMS = ("client", "columns", "commands", "errors", "integrations", "models", "otp", "read", "simulator", "write")

    def __getattr__(name: str) -> Any:
        """Import the public names when you first use one.

        A program that uses none, such as `afas-async --help` or a simulator's process, starts in half of the time.
        """
        if name in _ROOMS:
            return import_module(f"afas_async.{name}")
        if name.startswith("__") and name != "__all__":  # the import system and `inspect` look these up in every module
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        public = import_module("afas_async.public")
        names = {each: getattr(public, each) for each in public.__all__} | {"__all__": [*public.__all__, *_ROOMS]}
        globals().update(names)
        if name not in names:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return names[name]

    def __dir__() -> list[str]:
        """Return the public names, for completion and `help`."""
        return sorted({*globals(), *__getattr__("__all__")})
