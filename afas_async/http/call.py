"""What the engine sends, and where the answer goes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from afas_async.errors import AfasError
from afas_async.policy.retrying import Retry
from afas_async.vocabulary.credentials import Credential
from afas_async.wire.requests import Request


class Call(ABC):
    """What the engine sends, and where the answer goes. Kept by the caller across attempts.

    Args:
        connector: The connector or path, for errors.
        seconds_left: The time-out of all attempts together.

    Attributes:
        failures: What became of its attempts.
        credential: What the last of them was signed with.
    """

    def __init__(self, connector: str, seconds_left: float) -> None:
        self.connector: str = connector
        self.failures: list[AfasError] = []
        self.seconds_left: float = seconds_left
        self.credential: Credential | None = None

    @property
    def repeatable(self) -> bool:
        """Whether another attempt is wanted, and can go on where the last one stopped."""
        return True

    @abstractmethod
    def retry(self, *, max_retries: int, jitter: float) -> Retry | None:
        """Return how to send it again after the last of its failures, or None."""

    def ready(self) -> None:  # noqa: B027 - most calls have nothing to do
        """Do what must be done before each attempt; raise AfasError to give up. The slot is taken, nothing is sent."""

    @abstractmethod
    def request(self) -> Request:
        """Return the request for the next attempt, which starts the answer anew."""

    def connected(self) -> None:  # noqa: B027
        """Take note that from now on the server may have the request."""

    def waiting(self) -> None:  # noqa: B027
        """Take note that another attempt follows after a wait."""

    @abstractmethod
    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Take the head of a success; raise AnswerError if its body cannot be read."""

    @abstractmethod
    def receive(self, data: bytes) -> None:
        """Take the next bytes of the body, as they came."""

    @property
    def full(self) -> bool:
        """Whether the answer must pause until its reader has caught up."""
        return False

    async def room(self) -> None:  # noqa: B027
        """Wait until the answer may go on."""

    def hurry(self) -> None:  # noqa: B027
        """Never be full again."""

    def halve(self) -> bool:
        """Ask for half from now on; return False if it cannot be halved."""
        return False
