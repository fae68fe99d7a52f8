"""How long an answer takes."""

from __future__ import annotations

import argparse
import math
from dataclasses import astuple, dataclass
from typing import Final

NOTATION: Final = "BASE[,PER_1000_ROWS[,PER_1000_SKIPPED[,PER_1000_ELEMENTS]]]"


@dataclass(frozen=True, slots=True)
class Latency:
    """The time that the service spends on an answer before its first byte, in seconds.

    Raises:
        ValueError: A time is negative or not finite.

    Attributes:
        base: What every answer costs.
        per_row: What each row in the answer adds.
        per_skip: What each row passed over by `skip` adds
            (docs.afas.help, "GetConnector": a skip above 100,000 is unacceptably slow).
        per_element: What each element of a write adds, those in objects not counted. The write is carried out at the
            end of this time, also when its client has gone by then.
    """

    base: float = 0.0
    per_row: float = 0.0
    per_skip: float = 0.0
    per_element: float = 0.0

    def __post_init__(self) -> None:
        if not all(0 <= seconds < math.inf for seconds in astuple(self)):
            raise ValueError(f"a latency is 0 or more seconds, and finite, which {self} is not")

    def delay(self, *, rows: int = 0, skip: int = 0, elements: int = 0) -> float:
        """Return the seconds that an answer takes that holds `rows` rows after `skip`, or of a write of elements."""
        return self.base + self.per_row * rows + self.per_skip * skip + self.per_element * elements

    def __str__(self) -> str:
        base, *singles = astuple(self)
        return ",".join(f"{seconds:g}" for seconds in (base, *(seconds * 1000 for seconds in singles)))


NO_LATENCY: Final = Latency()


def parse_latency(text: str) -> Latency:
    """Return the latency that is written in the notation of the command lines, as `str` of one is.

    Raises:
        argparse.ArgumentTypeError: It is none.

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
