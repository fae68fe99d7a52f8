"""The public names, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys
import types

import pytest

import afas_async
import afas_async.public

HEAVY = ("aiohttp.web", "sqlite3", "pyarrow", "fastapi", "dask", "typer", "rich", "argparse", "opentelemetry")


def test_the_public_names_are_those_of_all() -> None:
    """Everything public in the package is in `__all__`, and nothing else is."""
    public = {
        name
        for name, value in vars(afas_async.public).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert public == set(afas_async.public.__all__)
    assert {name for name in public if not hasattr(afas_async, name)} == set()
    assert public <= set(dir(afas_async))


def test_the_rooms_of_a_user_are_public() -> None:
    """The other names of `__all__` are modules, each with a guide, which an attribute is enough to import."""
    rooms = set(afas_async.__all__) - set(afas_async.public.__all__)
    assert {"client", "columns", "errors", "integrations", "models", "otp", "read", "simulator", "write"} < rooms
    modules = {room: getattr(afas_async, room) for room in rooms}
    assert {room for room, module in modules.items() if not (module.__doc__ or "").strip()} == set()


def test_a_name_that_is_not_there() -> None:
    """An unknown name raises as in every module, and a module of the package is found."""
    with pytest.raises(AttributeError, match="module 'afas_async' has no attribute 'AfasCleint'"):
        afas_async.AfasCleint  # noqa: B018
    assert afas_async.models.source


def test_all_is_sorted() -> None:
    """The list is in order, so that a name is found."""
    assert afas_async.public.__all__ == sorted(afas_async.public.__all__)


def test_importing_the_package_is_lazy() -> None:
    """Importing the package imports no server, no database and nothing that an extra brings."""
    code = f"import sys, afas_async; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_error_of_the_tree_is_public() -> None:
    """A user can name each error that can be raised."""
    kinds = [afas_async.AfasError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert {kind.__name__ for kind in kinds if kind.__module__.startswith("afas_async")} <= set(afas_async.__all__)
