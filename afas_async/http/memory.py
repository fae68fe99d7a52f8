"""The memory for answers that wait for their readers: one bound for a client, shared by its streams."""

from __future__ import annotations

from typing import Final, Protocol
from weakref import WeakSet

MEMORY: Final = 16 << 20
LEAST_MEMORY: Final = 1 << 20


class Claim(Protocol):
    """An answer that waits for its reader, or is on its way to it."""

    @property
    def claimed(self) -> int:
        """The bytes that it holds now, or will when it has come, as far as can be foretold."""
        ...


class Memory:
    """What the answers of a client may take together.

    Args:
        limit: How many bytes.
    """

    def __init__(self, limit: int = MEMORY) -> None:
        self.limit: int = limit
        self._claims: WeakSet[Claim] = WeakSet()

    def add(self, claim: Claim) -> None:
        """Take note of an answer, until nobody refers to it any more."""
        self._claims.add(claim)

    def room(self, *, beside: Claim | None) -> int:
        """Return how many bytes are free, 0 if none are.

        Args:
            beside: An answer that does not count: the one that is being read.
        """
        return max(0, self.limit - sum(claim.claimed for claim in self._claims if claim is not beside))
