"""Arguments of a wrong type: one check, and one form of error for all of them."""

from __future__ import annotations

import inspect
from typing import Any, get_args

from afas_async.errors import UsageError


def check_type(argument: str, value: object, types: Any, expected: str, *, connector: str = "") -> None:
    """Raise UsageError unless an argument has one of the types.

    Args:
        argument: The name of the argument.
        value: What was given. The error has its type only, as the value may be secret or personal.
        types: A class, a union of classes, or a tuple of them. True and False are not numbers here, unless `bool` is
            among them.
        expected: What to give.
        connector: The connector that is called, if any.

    Raises:
        UsageError: If it has another type.

    Example:
        >>> check_type("take", "20", int | None, "a whole number such as 100", connector="Profit_Article")
        Traceback (most recent call last):
        afas_async.errors.UsageError: Profit_Article: take: expected a whole number such as 100, got str
    """
    if isinstance(value, types) and (type(value) is not bool or bool in (get_args(types) or (types,))):
        return
    given = type_name(value)
    del value  # no report of the error may show it among the locals of this frame
    raise UsageError(f"{connector and f'{connector}: '}{argument}: expected {expected}, got {given}")


def check_callback(argument: str, value: object) -> None:
    """Raise UsageError unless an argument is None or a plain function: nobody would await what an async one returns."""
    if value is None or (callable(value) and not inspect.iscoroutinefunction(value)):
        return
    given = "an async function" if callable(value) else type_name(value)
    raise UsageError(f"{argument}: expected a plain function (def, not async def) or None, got {given}")


def type_name(value: object) -> str:
    """Return how an error names what was given: by its type.

    Example:
        >>> type_name("20"), type_name(None), type_name(dict)
        ('str', 'None', 'the class dict')
    """
    if value is None:
        return "None"
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
