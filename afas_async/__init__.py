"""The asyncio client for the AFAS Profit REST API: connectors as typed, memory-bounded streams."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from afas_async.vocabulary.version import __version__ as __version__

if TYPE_CHECKING:
    from afas_async import models as models
    from afas_async import otp as otp
    from afas_async.public import *  # noqa: F403 - the names stand there once, in `__all__`
    from afas_async.public import __all__ as __all__
else:

    def __getattr__(name: str) -> Any:
        """Import the public names when the first of them is asked for.

        A program that needs none, such as `afas-async --help` or a simulator's process, starts in half of the time.
        """
        if name.startswith("__") and name != "__all__":  # what the import system and `inspect` ask every module for
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        public = import_module("afas_async.public")
        names = {each: getattr(public, each) for each in (*public.__all__, "__all__")}
        names |= {each: import_module(f"afas_async.{each}") for each in ("models", "otp")}
        globals().update(names)
        if name not in names:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return names[name]

    def __dir__() -> list[str]:
        """Return the public names, for completion and `help`."""
        return sorted({*globals(), *__getattr__("__all__")})
