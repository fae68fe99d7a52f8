"""The elements that were carried out, for the assertions of your tests."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from afas_async.simulator.write.elements import Action, Element

_MOST: Final = 10_000


class Written:
    """Keeps the last 10,000 elements that were carried out, in order."""

    def __init__(self) -> None:
        self._elements: deque[tuple[str, dict[str, Any]]] = deque(maxlen=_MOST)

    def add(self, connector: str, element: Mapping[str, Any]) -> None:
        """Keep an element of an UpdateConnector."""
        self._elements.append((connector, dict(element)))

    def of(self, connector: str) -> list[dict[str, Any]]:
        """Return the elements of an UpdateConnector."""
        return [element for name, element in self._elements if name == connector]

    def clear(self) -> None:
        """Remove all elements."""
        self._elements.clear()


def as_given(element: Element, action: Action | None, inner_action: Action | None = None) -> dict[str, Any]:
    """Return an element as a dict that the client's `insert` accepts.

    Args:
        element: The element.
        action: The `@Action` to add to it, or None.
        inner_action: The `@Action` to add to elements within it that have none, or None.
    """
    found: dict[str, Any] = {} if action is None else {"@Action": action}
    found |= element.as_sent
    for inner in element.within:
        name, one = inner.kind.name, as_given(inner, inner.action or inner_action)
        if name in found:
            others = found[name]
            found[name] = [*(others if isinstance(others, list) else [others]), one]
        else:
            found[name] = [one] if inner.listed else one
    return found
