"""The architecture, checked: who may import whom, and where I/O and aiohttp may be used."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import afas_async

PACKAGE = Path(afas_async.__file__).parent

# Floors from the ground up. A room imports from the floors below, from rooms to its left, and from itself.
FLOORS = (
    ("errors",),
    ("vocabulary", "wire", "policy", "models"),
    ("http",),
    ("calls",),
    ("read", "write"),
    ("client", "otp", "public", "__init__", "columns"),
    ("integrations", "commands", "__main__"),
)
ROOMS = [room for floor in FLOORS for room in floor]
PURE = {"errors", "vocabulary", "wire", "policy", "models"}
# The simulator is another program, which shares the words with the client and nothing else.
BESIDE = {"simulator": {"errors", "vocabulary", "simulator"}}
WITH_SIMULATOR = {"integrations", "commands"}
IO = {"asyncio", "anyio", "aiohttp", "socket", "time", "random", "os", "pathlib", "threading"}
CALLBACKS = {"add_done_callback", "call_soon", "call_soon_threadsafe", "call_later", "call_at"}

MODULES = {
    path.relative_to(PACKAGE).as_posix(): (path.relative_to(PACKAGE).parts[0].removesuffix(".py"), path.read_text())
    for path in sorted(PACKAGE.rglob("*.py"))
}


@cache
def trees() -> dict[str, ast.Module]:
    """The modules as syntax; not parsed when tests are collected, which every worker does."""
    return {name: ast.parse(text) for name, (_, text) in MODULES.items()}


def _imports(tree: ast.Module) -> Iterator[str]:
    """The names that a module imports anywhere in it, in full."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _rooms(tree: ast.Module) -> set[str]:
    """The rooms of the package that a module imports from; `__init__` is what `from afas_async import F` reads."""
    parts = [name.split(".") for name in _imports(tree) if name.split(".")[0] == "afas_async"]
    return {names[1] if names[1:] and names[1] in {*ROOMS, *BESIDE} else "__init__" for names in parts}


def test_a_room_imports_only_from_below() -> None:
    """A module imports from the floors below, from an earlier room of its own floor, or from its own room."""
    climbs = {}
    for name, (room, _) in MODULES.items():
        allowed = BESIDE.get(room) or {*ROOMS[: ROOMS.index(room) + 1], *(BESIDE if room in WITH_SIMULATOR else ())}
        climbs[name] = _rooms(trees()[name]) - allowed
    assert {name: rooms for name, rooms in climbs.items() if rooms} == {}


def test_every_module_has_a_room() -> None:
    """No file stands outside the plan."""
    assert {room for room, _ in MODULES.values()} == {*ROOMS, *BESIDE}


def test_no_modules_import_each_other() -> None:
    """Within a room, too, imports make no circle."""
    names = {"afas_async." + name.removesuffix(".py").replace("/", "."): name for name in MODULES}
    names |= {name.removesuffix(".__init__"): file for name, file in names.items() if name.endswith(".__init__")}
    needs: dict[str, set[str]] = {
        file: {names[part] for name in _imports(tree) for part in (name, name.rpartition(".")[0]) if part in names}
        - {file, "__init__.py"}
        for file, tree in trees().items()
    }
    while ready := {file for file, needed in needs.items() if not needed}:
        needs = {file: needed - ready for file, needed in needs.items() if file not in ready}
    assert needs == {}


def test_aiohttp_is_used_only_at_the_edges() -> None:
    """The HTTP library is known to one module of the client, and to the simulator."""
    users = {name for name, tree in trees().items() if {"aiohttp", "yarl"} & {n.split(".")[0] for n in _imports(tree)}}
    assert {name for name in users if not name.startswith("simulator/")} == {"http/transport.py"}


def test_the_ground_does_no_io() -> None:
    """Words, wire, policy and models are pure: no event loop, no sockets, no files, no clock."""
    for name, (room, _) in MODULES.items():
        if room in PURE:
            assert {imported.split(".")[0] for imported in _imports(trees()[name])} & IO == set(), name


def test_no_two_types_share_a_name() -> None:
    """One thing has one name on every floor, and two things never share one; the simulator is another program."""
    for inside in (True, False):
        found: dict[str, set[str]] = {}
        for name, tree in trees().items():
            if name.startswith("simulator/") == inside:
                for type_name in _types(tree):
                    found.setdefault(type_name, set()).add(name)
        assert {name: files for name, files in found.items() if len(files) > 1} == {}


def _types(tree: ast.Module) -> Iterator[str]:
    """The public classes and aliases of types that a module makes; a type variable does not count."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield from [node.name] * (node.name[0] != "_")
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and not isinstance(node.value, ast.Call):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and target.id[0].isupper() and not target.id.isupper():
                yield target.id


def test_no_generator_yields_within_a_scope() -> None:
    """No async generator of the library is suspended while it holds a task group, time-out or any other context.

    FastAPI makes a context manager of a dependency.
    """
    for name, tree in trees().items() - {("integrations/fastapi.py", trees()["integrations/fastapi.py"])}:
        for function in ast.walk(tree):
            if isinstance(function, ast.AsyncFunctionDef) and not _is_context_manager(function):
                for block in ast.walk(function):
                    if isinstance(block, (ast.AsyncWith, ast.With)):
                        yields = [node for node in ast.walk(block) if isinstance(node, (ast.Yield, ast.YieldFrom))]
                        assert yields == [], f"{name}:{block.lineno}"


def _is_context_manager(function: ast.AsyncFunctionDef) -> bool:
    return any("contextmanager" in ast.unparse(decorator) for decorator in function.decorator_list)


def test_no_callback_uses_anyio() -> None:
    """Callbacks run in no task, where anyio raises if `sniffio` is installed: they read the event loop's own clock."""
    for name, tree in trees().items():
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
        given = [call.args[0] for call in calls if getattr(call.func, "attr", "") in CALLBACKS]
        names = {getattr(callback, "attr", getattr(callback, "id", None)) for callback in given}
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name in names]
        for callback in [*given, *functions]:
            assert "anyio" not in ast.unparse(callback), f"{name}:{callback.lineno}"
        # Nor can a function that a callback calls read anyio's clock.
        assert "anyio.current_time" not in MODULES[name][1], name
