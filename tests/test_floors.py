"""The architecture, checked: who may import whom, and where aiohttp may be used."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import afas_async

PACKAGE = Path(afas_async.__file__).parent

# Rooms from the ground up. A room imports from rooms before it, and from itself.
FLOORS = (
    (
        "errors",
        "names",
        "values",
        "filters",
        "environment",
        "credentials",
        "metainfo",
        "connectors",
        "shapes",
        "models",
        "elements",
        "outcomes",
        "wire",
        "policy",
    ),
    ("http",),
    ("downloads", "metadata", "read", "write", "files", "raw"),
    (
        "get_connectors",
        "copies",
        "update_connectors",
        "catalogue",
        "data_connectors",
        "client",
        "otp",
        "simulator",
        "terminal",
        "keys",
        "demo",
        "inspection",
        "modelling",
        "journals",
        "cli",
        "__init__",
        "__main__",
    ),
)
ROOMS = [room for floor in FLOORS for room in floor]
GROUND = FLOORS[0]
PUBLIC = "__init__"  # what `from afas_async import AfasClient` imports from


MODULES = [(path.relative_to(PACKAGE).parts[0].removesuffix(".py"), path) for path in sorted(PACKAGE.rglob("*.py"))]


def _imports(path: Path) -> set[str]:
    """The modules that a file imports anywhere in it, by their full names."""
    found = set[str]()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _rooms_imported(path: Path) -> set[str]:
    rooms = set[str]()
    for name in _imports(path):
        parts = name.split(".")
        if parts[0] == "afas_async":
            rooms.add(parts[1] if len(parts) > 1 and parts[1] in ROOMS else PUBLIC)
    return rooms


@pytest.mark.parametrize(("room", "path"), MODULES, ids=lambda value: str(getattr(value, "name", value)))
def test_a_room_imports_only_from_below(room: str, path: Path) -> None:
    """A module imports from the floors below, from an earlier room of its own floor, or from its own room."""
    allowed = ROOMS[: ROOMS.index(room) + 1]
    assert _rooms_imported(path) - set(allowed) == set()


def test_every_module_has_a_room() -> None:
    """No file stands outside the plan."""
    assert {room for room, _ in MODULES} - set(ROOMS) == set()


@pytest.mark.parametrize(("room", "path"), MODULES, ids=lambda value: str(getattr(value, "name", value)))
def test_aiohttp_is_used_only_at_the_edges(room: str, path: Path) -> None:
    """The HTTP library is known to one module of the client, and to the simulator."""
    uses = any(name.split(".")[0] in {"aiohttp", "yarl"} for name in _imports(path))
    assert not uses or room == "simulator" or (room, path.name) == ("http", "transport.py")


@pytest.mark.parametrize(("room", "path"), MODULES, ids=lambda value: str(getattr(value, "name", value)))
def test_the_ground_does_no_io(room: str, path: Path) -> None:
    """Words, wire and policy are pure: no event loop, no sockets, no files, no clock."""
    if room in GROUND:
        outside = {name.split(".")[0] for name in _imports(path)}
        assert (
            outside & {"asyncio", "anyio", "aiohttp", "socket", "time", "random", "os", "pathlib", "threading"} == set()
        )


@pytest.mark.parametrize(("room", "path"), MODULES, ids=lambda value: str(getattr(value, "name", value)))
def test_no_generator_yields_within_a_scope(room: str, path: Path) -> None:
    """No async generator of the library is suspended while it holds a task group, time-out or any other context."""
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.AsyncFunctionDef) and not _is_context_manager(function):
            for block in ast.walk(function):
                if isinstance(block, (ast.AsyncWith, ast.With)):
                    yields = [node for node in ast.walk(block) if isinstance(node, (ast.Yield, ast.YieldFrom))]
                    assert yields == [], f"{room}: {path.name}:{block.lineno}"


def _is_context_manager(function: ast.AsyncFunctionDef) -> bool:
    return any("contextmanager" in ast.unparse(decorator) for decorator in function.decorator_list)


CALLBACKS = {"add_done_callback", "call_soon", "call_soon_threadsafe", "call_later", "call_at"}


def test_no_callback_uses_anyio() -> None:
    """Callbacks run in no task, where anyio raises if `sniffio` is installed: they read the event loop's own clock."""
    for room, path in MODULES:
        tree = ast.parse(path.read_text())
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
        given = [call.args[0] for call in calls if getattr(call.func, "attr", "") in CALLBACKS]
        names = {getattr(callback, "attr", getattr(callback, "id", None)) for callback in given}
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name in names]
        for callback in [*given, *functions]:
            assert "anyio" not in ast.unparse(callback), f"{room}: {path.name}:{callback.lineno}"
        # Nor can a function that a callback calls read anyio's clock.
        assert "anyio.current_time" not in path.read_text(), f"{room}: {path.name}"
