"""The options of a load, and its progress."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import NoneType
from typing import Any, Final, Literal, TypeAlias

import msgspec

from afas_async.errors import UsageError
from afas_async.vocabulary.arguments import check_callback, check_type
from afas_async.vocabulary.connectors import check_nulls
from afas_async.vocabulary.elements import Nulls
from afas_async.vocabulary.names import field_id
from afas_async.vocabulary.outcomes import Outcome
from afas_async.wire.element_bodies import BODY_LIMIT
from afas_async.write.lookups import Lookup

OnReject: TypeAlias = Literal["continue", "stop", "split"]
Must: TypeAlias = Literal["apply"]

_TYPES: Final[tuple[tuple[str, Any, str], ...]] = (
    ("max_elements", int, "a whole number such as 1_000"),
    ("max_bytes", int, "a whole number such as 4_000_000"),
    ("target_seconds", int | float, "a number of seconds such as 60"),
    ("in_flight", int, "a whole number such as 4"),
    ("on_reject", str, '"continue", "stop" or "split"'),
    ("transaction", bool, "True or False"),
    ("validate", bool, "True or False"),
    ("lookup", (Lookup, NoneType), "a Lookup"),
    ("journal", (str, os.PathLike, NoneType), "a path"),
    ("reference", (str, NoneType), "a field id"),
    ("load_id", (str, NoneType), "a text such as a date"),
    ("max_rejected", int | float | None, "a whole number, or a share such as 0.1"),
    ("failures", (str, os.PathLike, NoneType), "a path"),
    ("must", (str, NoneType), '"apply"'),
)


class LoadOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of `load` and `outcomes`; `AfasClient.load` describes them.

    Raises:
        UsageError: If a value cannot work, or does not go with another one.
    """

    max_elements: int = 1_000
    max_bytes: int = 4_000_000
    target_seconds: float = 60.0
    in_flight: int = 4
    on_reject: OnReject = "continue"
    transaction: bool = True
    validate: bool = True
    lookup: Lookup[Any] | None = None
    reference: str | None = None
    journal: str | os.PathLike[str] | None = None
    nulls: Nulls | None = None
    load_id: str | None = None
    max_rejected: float | None = None
    failures: str | os.PathLike[str] | None = None
    on_outcome: Callable[[Outcome], None] | None = None
    must: Must | None = None

    def __post_init__(self) -> None:
        for name, types, expected in _TYPES:
            check_type(name, getattr(self, name), types, expected)
        check_callback("on_outcome", self.on_outcome)
        if self.nulls is not None:
            check_nulls(self.nulls, "load")
        if self.reference is not None:
            field_id(self.reference)
        for wrong, text in (
            (self.max_elements < 1, f"max_elements must be 1 or more, not {self.max_elements}"),
            (not 1 <= self.max_bytes <= BODY_LIMIT, f"max_bytes must be 1 to {BODY_LIMIT}, not {self.max_bytes}"),
            (
                not 0 < self.target_seconds < 900,
                f"target_seconds must be more than 0 and below 900, the service's limit, not {self.target_seconds}",
            ),
            (self.load_id is not None and self.journal is None, "load_id needs a journal: give journal= too"),
            (
                self.max_rejected is not None
                and (self.max_rejected < 0 or (isinstance(self.max_rejected, float) and self.max_rejected >= 1)),
                f"max_rejected must be a number of records, or a share below 1, not {self.max_rejected}",
            ),
            (self.must not in {None, "apply"}, f'must must be "apply" or None, not {self.must!r}'),
            (self.in_flight < 1, f"in_flight must be 1 or more, not {self.in_flight}"),
            (
                self.on_reject not in {"continue", "stop", "split"},
                f'on_reject must be "continue", "stop" or "split", not {self.on_reject!r}',
            ),
            (
                self.on_reject == "split" and not self.transaction,
                'on_reject="split" needs transaction=True: without it, a refused call may be applied in part',
            ),
        ):
            if wrong:
                raise UsageError(text)


class LoadProgress(msgspec.Struct, frozen=True):
    """The progress of a load.

    You get it from `load.progress`, `load.watch()` or `outcomes.progress`.

    Attributes:
        elements: Elements that have an outcome.
        waiting: Elements that you have added and that wait to be sent.
        in_flight: Elements in calls without a response yet.
        calls: Calls that have ended.
        seconds: Seconds since the load began, until it ended.
        looked_up: Unknown elements that have been looked up.
        failed: Elements with an outcome other than "applied".
        ended: Whether the load has ended, so that your report is complete.

    Example:
        >>> LoadProgress(elements=500, waiting=0, in_flight=100, calls=5, seconds=2.0).elements_per_second
        250.0
    """

    elements: int
    waiting: int
    in_flight: int
    calls: int
    seconds: float
    looked_up: int = 0
    failed: int = 0
    ended: bool = False

    @property
    def elements_per_second(self) -> float:
        """The average number of elements per second that got an outcome."""
        return self.elements / self.seconds if self.seconds else 0.0
