"""How long an answer takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Latency:
    """The time that the service spends on an answer before its first byte, in seconds.

    Attributes:
        base: What every answer costs.
        per_row: What each row in the answer adds.
        per_skip: What each row passed over by `skip` adds
            (docs.afas.help, "GetConnector": a skip above 100,000 is unacceptably slow).
    """

    base: float = 0.0
    per_row: float = 0.0
    per_skip: float = 0.0

    def delay(self, rows: int, skip: int) -> float:
        """Return the seconds that an answer takes which passes over `skip` rows and holds `rows` rows."""
        return self.base + self.per_row * rows + self.per_skip * skip


NO_LATENCY: Final = Latency()
