"""How long a response takes."""

from __future__ import annotations

import argparse
import math
from dataclasses import astuple, dataclass
from typing import Final

NOTATION: Final = "BASE[,PER_1000_ROWS[,PER_1000_SKIPPED[,PER_1000_ELEMENTS]]]"


@dataclass(frozen=True, slots=True)
class Latency:
    """How long your client waits for the first byte of a response, in seconds.

        Simulator(latency=Latency(0.05, per_row=0.0001))  # 150 ms for a page of 1,000 rows

    Attributes:
        base: Seconds for every response.
        per_row: Seconds for each row in the response.
        per_skip: Seconds for each row that `skip` passes over
            (docs.afas.help, "GetConnector": a skip above 100,000 is unacceptably slow).
        per_element: Seconds for each element of a write, without those in objects. The write is carried out at the
            end of this time, even if your client has gone by then.

    Raises:
        ValueError: A time is negative or not finite.
    """

    base: float = 0.0
    per_row: float = 0.0
    per_skip: float = 0.0
    per_element: float = 0.0

    def __post_init__(self) -> None:
        if not all(0 <= seconds < math.inf for seconds in astuple(self)):
            raise ValueError(f"a latency must be 0 or more seconds, and finite: {self}")

    def delay(self, *, rows: int = 0, skip: int = 0, elements: int = 0) -> float:
        """Return the seconds for a response with `rows` rows after `skip`, or for a write of `elements`."""
        return self.base + self.per_row * rows + self.per_skip * skip + self.per_element * elements

    def __str__(self) -> str:
        base, *singles = astuple(self)
        return ",".join(f"{seconds:g}" for seconds in (base, *(seconds * 1000 for seconds in singles)))


NO_LATENCY: Final = Latency()


def parse_latency(text: str) -> Latency:
    """Read a latency from the command line: the inverse of `str(latency)`.

    Raises:
        argparse.ArgumentTypeError: The text is not a latency.

    Example:
        >>> parse_latency("0.05,0.02").delay(rows=1_000, skip=0)
        0.07
    """
    try:
        base, *per_1000 = map(float, text.split(","))
        return Latency(base, *(seconds / 1000 for seconds in per_1000))
    except (TypeError, ValueError):  # the first if there are too many
        raise argparse.ArgumentTypeError(
            f"{text!r} is not {NOTATION} in seconds, each 0 or more, such as 0.05,0.02"
        ) from None
