"""A hidden value stays hidden from everything that prints objects: `repr`, and rich, which has its own protocol."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from functools import partial
from types import FrameType
from typing import Any

import msgspec
import pytest

import afas_async
from afas_async import AppToken, BearerToken, ClientCredentials, Environment, F
from afas_async.calls.file import File
from afas_async.calls.raw import RawAnswer
from afas_async.vocabulary.hiding import OwnRepr
from afas_async.wire.requests import Request, token_request
from tests.support import canary
from tests.support.each_case import each_case


def _records() -> Iterator[type]:
    """Return all Structs and dataclasses of the package."""
    for module in pkgutil.walk_packages(afas_async.__path__, "afas_async."):
        if not module.name.endswith("__main__"):
            for kind in vars(importlib.import_module(module.name)).values():
                yield from [kind] * (isinstance(kind, type) and is_dataclass(kind))
    yield from (kind for kind in _below(msgspec.Struct) if kind.__module__.startswith("afas_async."))


def _below(kind: type) -> Iterator[type]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def _writes_its_repr(kind: type) -> bool:
    """Return whether a class has a handwritten `__repr__`: that of a dataclass is wrapped."""
    return kind.__repr__ is not msgspec.Struct.__repr__ and not hasattr(kind.__repr__, "__wrapped__")


def test_whoever_has_a_repr_shows_no_more_with_rich() -> None:
    """A Struct or dataclass with a `__repr__` of its own has the `__rich_repr__` that shows the same."""
    found = {kind for kind in _records() if _writes_its_repr(kind)}
    assert {File, RawAnswer, Request} <= found
    structs = {kind for kind in found if issubclass(kind, msgspec.Struct)}
    assert {kind for kind in structs if kind.__rich_repr__ is not OwnRepr.__rich_repr__} == set()  # type: ignore[attr-defined]
    # rich asks others for their `__repr__`, unless they have this too.
    assert {kind for kind in found - structs if hasattr(kind, "__rich_repr__")} == set()


@each_case(
    ("thing", "shown"),
    [
        (Request("PUT", "x/y", "a=geheim", "x", b"geheim"), "Request(PUT x/y?a=...)"),
        (File("a.pdf", "application/pdf", b"geheim", 6), "File(name='a.pdf', mimetype='application/pdf', size=6)"),
        (RawAnswer("x", 200, {"a": "geheim"}, b"geheim"), "RawAnswer(path='x', status=200, 6 bytes)"),
        (F.A == 1, "Condition((F.A == '1'))"),
        (F.A.is_empty() | (F.B > 2), "Condition((F.A.is_empty() | (F.B > '2')))"),
        ((F.A == 1).groups(), "((Test((F.A == '1')),),)"),
        (Environment("12345"), "Environment(id='12345', type='production')"),
        (token_request(ClientCredentials("5f0c2b1e", canary.SECRET)), "Request(POST oauth/token)"),
    ],
)
def test_with_rich(thing: object, shown: str) -> None:
    """Rich prints an object as its `__repr__` does, after the name of its class."""
    assert _rich(thing) == shown


def _rich(thing: Any) -> str:
    """Return rich's output for an object, on one line (its documentation, "Rich Repr Protocol")."""
    if isinstance(thing, tuple):
        return f"({', '.join(map(_rich, thing))}{',' * (len(thing) == 1)})"
    if not hasattr(thing, "__rich_repr__"):
        return repr(thing)
    pieces = [f"{name}{'=' * bool(name)}{_rich(value)}" for name, value in thing.__rich_repr__()]
    return f"{type(thing).__name__}({', '.join(pieces)})"


@pytest.mark.parametrize(
    "read",
    [
        AppToken(canary.TOKEN).header,
        BearerToken(canary.ACCESS).header,
        partial(ClientCredentials("5f0c2b1e", canary.SECRET).form, "", 0),
    ],
    ids=["app", "bearer", "client"],
)
def test_no_frame_while_it_is_read(read: Callable[[], object]) -> None:
    """An interrupt during the reading of a secret finds no frame with the secret among its locals."""
    found: list[str] = []

    def look(frame: FrameType, _: str, __: object) -> None:
        found.extend(map(canary.spelled, frame.f_locals.values()))

    before = sys.gettrace()
    sys.settrace(look)
    try:
        read()
    finally:
        sys.settrace(before)
    assert found
    assert [text for text in found if canary.leaks(text)] == []
