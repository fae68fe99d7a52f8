"""The asyncio client for the AFAS Profit REST API: connectors as typed, memory-bounded streams.

```python
async with AfasClient("12345", auth="<token>...</token>") as afas:
    async for article in afas.rows("Profit_Article", key="ItemCode"):
        print(article["ItemCode"])
```

`AfasClient` is where you begin: it has a method for everything that the API offers. The guides show whole programs, and
state what holds and where that ends:

- `afas_async.read`: rows as streams, with filters, cursors, parts and changes.
- `afas_async.write`: single records, loads in batches, outcomes and the journal.
- `afas_async.client`: credentials, limits, files, one-time passwords, many tenants.
- `afas_async.errors`: every error, and what to do about it.
- `afas_async.columns`: Parquet, polars, DuckDB, pandas, PostgreSQL.
- `afas_async.commands`: the command line.
- `afas_async.integrations`: FastAPI, pytest, OpenTelemetry, Dask and dlt.
- `afas_async.models`: typed rows and elements out of metainfo.
- `afas_async.simulator`: a simulated AFAS Profit for your own tests.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from afas_async.vocabulary.version import __version__ as __version__

__docformat__ = "google"

if TYPE_CHECKING:
    from afas_async import models as models
    from afas_async import otp as otp
    from afas_async.public import *  # noqa: F403 - the names stand there once, in `__all__`
    from afas_async.public import __all__ as __all__
else:
    _ROOMS = ("client", "columns", "commands", "errors", "integrations", "models", "otp", "read", "simulator", "write")

    def __getattr__(name: str) -> Any:
        """Import the public names when the first of them is asked for.

        A program that needs none, such as `afas-async --help` or a simulator's process, starts in half of the time.
        """
        if name in _ROOMS:
            return import_module(f"afas_async.{name}")
        if name.startswith("__") and name != "__all__":  # what the import system and `inspect` ask every module for
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
