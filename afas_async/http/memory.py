"""The memory limit for responses that wait for their readers, shared by all streams of a client."""

from __future__ import annotations

from typing import Final, Protocol
from weakref import WeakSet

MEMORY: Final = 16 << 20
LEAST_MEMORY: Final = 1 << 20


class Claim(Protocol):
    """A response that waits for its reader, or is still arriving."""

    @property
    def claimed(self) -> int:
        """The bytes that the response holds now, or is expected to hold when it is complete."""
        ...


class Memory:
    """Keeps account of the memory that the responses of a client take together.

    Args:
        limit: The limit in bytes.
    """

    def __init__(self, limit: int = MEMORY) -> None:
        self.limit: int = limit
        self._claims: WeakSet[Claim] = WeakSet()

    def add(self, claim: Claim) -> None:
        """Count a response until it is removed, or garbage-collected."""
        self._claims.add(claim)

    def remove(self, claim: Claim) -> None:
        """Stop counting a response that is used up or no longer wanted."""
        self._claims.discard(claim)

    def room(self, *, beside: Claim | None) -> int:
        """Return the number of free bytes, at least 0.

        Args:
            beside: A response to leave out of the count: the one that is being read.
        """
        return max(0, self.limit - sum(claim.claimed for claim in self._claims if claim is not beside))
