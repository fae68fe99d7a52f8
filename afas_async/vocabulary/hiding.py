"""Base classes for objects that must not print everything they hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from afas_async.errors import ConfigurationError


class OwnRepr:
    """Makes rich show the `__repr__` of a class and nothing else.

    Many programs print their tracebacks, with local variables, through rich. It prefers `__rich_repr__`, which a
    `msgspec.Struct` defines to show all its fields. A Struct that hides something therefore has this class as its
    first base.
    """

    __slots__ = ()

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        shown, start = repr(self), f"{type(self).__name__}("  # rich prints this part itself
        return [("", _Text(shown[len(start) : -1] if shown.startswith(start) else shown))]


class _Text:
    """A text whose repr has no quotation marks."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


class Secret:
    """A secret that no repr, format, pickle, copy, slot or traceback shows.

    The only slot holds a bound method that is implemented in C. Its repr does not show the secret, so printing all
    slots is safe. Calling it creates no Python frame. Never bind the result of `_reveal` to a variable.
    """

    __slots__ = ("_reveal",)

    def __init__(self, secret: str | None, malformed: str) -> None:
        if secret is None:
            raise ConfigurationError(malformed)
        # A Python function with the secret in its closure would show it among its local variables while it runs.
        self._reveal: Callable[[], str] = secret.__str__

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} cannot be pickled or copied: create a new one where you need it")
