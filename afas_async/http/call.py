"""The interface between the engine and its callers: the request to send, and the methods that take the response."""

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

# The progress of an attempt. "connected": from now on the server may have the request. "sent": its last byte was sent.
# "waiting": it failed, and another one follows after a wait.
Stage: TypeAlias = Literal["connected", "sent", "waiting"]


class Call(ABC):
    """A request and its response, across all attempts.

    Args:
        connector: The connector or path, for errors.
        seconds_left: The time-out of all attempts together, in seconds.
        back_pressure: Pauses a response that is faster than its reader; None for responses that are never long.

    Attributes:
        failures: The failures of the attempts so far.
        credential: The credential of the last attempt.
        trace_id: The id by which AFAS finds the last attempt; empty until its response begins, or if that has no id.
        operation: The user's call that it is a part of, if somebody listens.
        elements: The number of elements that it writes.
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

    # --- the request ---

    @abstractmethod
    def request(self) -> Request:
        """Return the request for the next attempt, and discard the response of the last one."""

    async def prepare(self) -> None:  # noqa: B027 - reads have nothing to prepare
        """Called before each attempt. Raise AfasError to abandon the call."""

    def reached(self, stage: Stage) -> None:  # noqa: B027 - reads ignore it
        """Called when an attempt reaches a stage."""

    # --- the response ---

    @abstractmethod
    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Take the status and headers of a success. Raise AnswerError if its body cannot be read."""

    @abstractmethod
    def receive(self, data: bytes) -> None:
        """Take the next bytes of the body, as they came."""

    # --- retries ---

    @property
    def repeatable(self) -> bool:
        """Whether another attempt is wanted, and can continue where the last one stopped."""
        return True

    @abstractmethod
    def retry(self, *, max_retries: int, jitter: float) -> Retry | None:
        """Return how to send the request again after the last failure, or None to give up."""

    def halve(self) -> bool:
        """Request half as much from now on. Return False if that is not possible."""
        return False
