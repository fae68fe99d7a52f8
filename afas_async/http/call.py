"""What the engine sends, and where the answer goes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal, TypeAlias

from afas_async.errors import AfasError
from afas_async.http.back_pressure import BackPressure
from afas_async.http.events import Operation
from afas_async.policy.retrying import Retry
from afas_async.vocabulary.credentials import Credential
from afas_async.wire.requests import Request

# How far an attempt is: the server may have the request from now on; its last byte has left; it failed, and another one
# follows after a wait.
Stage: TypeAlias = Literal["connected", "sent", "waiting"]


class Call(ABC):
    """One request with its answer, kept by the caller across attempts.

    Args:
        connector: The connector or path, for errors.
        seconds_left: The time-out of all attempts together.
        back_pressure: Pauses an answer that its reader cannot keep up with; None for one that is never long.

    Attributes:
        failures: What became of its attempts.
        credential: What the last of them was signed with.
        trace_id: By what AFAS finds the last of them, once its answer has begun and if that says so.
        operation: What it is a part of, if somebody listens.
        elements: How many records it writes.
    """

    def __init__(self, connector: str, seconds_left: float, back_pressure: BackPressure | None = None) -> None:
        self.connector: str = connector
        self.failures: list[AfasError] = []
        self.seconds_left: float = seconds_left
        self.back_pressure: BackPressure | None = back_pressure
        self.credential: Credential | None = None
        self.trace_id: str = ""
        self.operation: Operation | None = None
        self.elements: int = 0

    # --- what to send ---

    @abstractmethod
    def request(self) -> Request:
        """Return the request for the next attempt, which starts the answer anew."""

    async def prepare(self) -> None:  # noqa: B027 - reads have nothing to prepare
        """Do what has to be done before each attempt; raise AfasError to abandon the call."""

    def reached(self, stage: Stage) -> None:  # noqa: B027 - reads have nothing to note
        """Take note of how far an attempt is."""

    # --- the answer ---

    @abstractmethod
    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Take the head of a success; raise AnswerError if its body cannot be read."""

    @abstractmethod
    def receive(self, data: bytes) -> None:
        """Take the next bytes of the body, as they came."""

    # --- another attempt ---

    @property
    def repeatable(self) -> bool:
        """Whether another attempt is wanted, and can go on where the last one stopped."""
        return True

    @abstractmethod
    def retry(self, *, max_retries: int, jitter: float) -> Retry | None:
        """Return how to send it again after the last of its failures, or None."""

    def halve(self) -> bool:
        """Ask for half from now on; return False if it cannot be halved."""
        return False
