"""Type checks of arguments, with one form of error message."""

from __future__ import annotations

import inspect
from typing import Any, get_args

from afas_async.errors import UsageError


def check_type(argument: str, value: object, types: Any, expected: str, *, connector: str = "") -> None:
    """Raise UsageError unless an argument has one of the types.

    Args:
        argument: The name of the argument.
        value: The value that you passed. The error names only its type, because the value may be secret or personal.
        types: A class, a union of classes, or a tuple of classes. True and False count as numbers only if `bool` is
            among the types.
        expected: A description of valid values, for the message.
        connector: The name of the connector in the call, or "".

    Raises:
        UsageError: If the value has another type.

    Example:
        >>> check_type("take", "20", int | None, "a whole number such as 100", connector="Profit_Article")
        Traceback (most recent call last):
        afas_async.errors.UsageError: Profit_Article: take: expected a whole number such as 100, got str
    """
    if isinstance(value, types) and (type(value) is not bool or bool in (get_args(types) or (types,))):
        return
    given = type_name(value)
    del value  # keeps the value out of tracebacks that show local variables
    raise UsageError(f"{connector and f'{connector}: '}{argument}: expected {expected}, got {given}")


def check_callback(argument: str, value: object) -> None:
    """Raise UsageError unless an argument is None or a plain function.

    An async function is refused, because nothing would await the coroutine that it returns.
    """
    if value is None or (callable(value) and not inspect.iscoroutinefunction(value)):
        return
    given = "an async function" if callable(value) else type_name(value)
    raise UsageError(f"{argument}: expected a plain function (def, not async def) or None, got {given}")


def type_name(value: object) -> str:
    """Return the name of a value's type for an error message.

    Example:
        >>> type_name("20"), type_name(None), type_name(dict)
        ('str', 'None', 'the class dict')
    """
    if value is None:
        return "None"
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
