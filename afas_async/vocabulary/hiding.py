"""Objects that show less than they hold, wherever they are printed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from afas_async.errors import ConfigurationError


class OwnRepr:
    """Shows with rich what the `__repr__` of the class shows, and no more.

    rich, which prints the tracebacks of many programs with their local variables, asks for `__rich_repr__` first, and a
    `msgspec.Struct` answers with all its fields. So a Struct that hides something has this as its first base.
    """

    __slots__ = ()

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        shown, start = repr(self), f"{type(self).__name__}("  # which rich prints itself
        return [("", _Text(shown[len(start) : -1] if shown.startswith(start) else shown))]


class _Text:
    """A text that is printed as it is, without quotation marks."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


class Secret:
    """A secret that no repr, format, pickle, copy, slot or traceback shows.

    It is kept in a bound method of C, whose repr does not show it: what prints the slots of an object shows that, and
    reading it needs no frame. Never bind what `_reveal` returns to a variable.
    """

    __slots__ = ("_reveal",)

    def __init__(self, secret: str | None, malformed: str) -> None:
        if secret is None:
            raise ConfigurationError(malformed)
        # A function with the secret in its closure would have it among its locals while it runs.
        self._reveal: Callable[[], str] = secret.__str__

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} is not pickled or copied: make it anew where you need it")
