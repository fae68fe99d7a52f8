"""What became of what was written: one outcome for each element, and the report of a load."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec

from afas_async.errors import AfasError
from afas_async.vocabulary.hiding import OwnRepr

Status: TypeAlias = Literal["applied", "rejected", "unknown", "not_sent"]

LISTED: Final = 10_000


class WriteResult(msgspec.Struct, frozen=True):
    """What the service answered to a write that it applied.

    Attributes:
        keys: For each element the values of its key, by field id, as text also where they are numbers; empty if the
            connector answers none. If there are not as many as elements were sent, nothing tells whose they are.
        raw: The body of the answer.
        result_lost: Whether the answer broke off after it told of the success, or its body took more than 30 seconds
            from there: the keys can be looked up only.
        trace_id: By what AFAS finds the call; empty if the answer does not say (see `ApiError`).
    """

    keys: tuple[dict[str, str], ...] = ()
    raw: bytes = b""
    result_lost: bool = False
    trace_id: str = ""


class Outcome(OwnRepr, msgspec.Struct, frozen=True):
    """What became of one element.

    Attributes:
        index: Its place in the order in which elements were given, from 0.
        status: "applied": the service has it, once. "rejected": the service refused it, and has nothing of it.
            "not_sent": the service never had it, or did not process it. "unknown": it may have been applied or not.
        key: The key that the service answered, if any, by field id.
        error: Why it is not applied; for "unknown" an OutcomeUnknownError.
        batch: The number of the call that it was part of, from 0; None if it was in none.
        item: The element as you gave it, for all that are not applied; its repr shows it not, as it may be personal.
    """

    index: int
    status: Status
    key: dict[str, str] | None = None
    error: AfasError | None = None
    batch: int | None = None
    item: Any = None

    def __repr__(self) -> str:
        return (
            f"Outcome(index={self.index}, status={self.status!r}, key={self.key!r}, error={self.error!r},"
            f" batch={self.batch!r})"
        )


class LoadReport(msgspec.Struct):
    """What became of the elements of a load, so far or in the end.

    Attributes:
        total: Elements given.
        counts: How many have each status. Their sum is `total` once the load has ended.
        rejected: Outcomes of rejected elements, in order of arrival, the first 10,000; as for the next two.
        unknown: Outcomes of elements that may have been applied.
        not_sent: Outcomes of elements that the service never had or did not process.
        beyond: Elements that the journal has in places after the last one given: the source is shorter than before.
    """

    total: int = 0
    counts: dict[Status, int] = msgspec.field(
        default_factory=lambda: {"applied": 0, "rejected": 0, "unknown": 0, "not_sent": 0}
    )
    rejected: list[Outcome] = []
    unknown: list[Outcome] = []
    not_sent: list[Outcome] = []
    beyond: int = 0

    def record(self, outcome: Outcome) -> None:
        """Count an outcome."""
        self.counts[outcome.status] += 1
        if outcome.status != "applied":
            listed = self.listed(outcome.status)
            if len(listed) < LISTED:
                listed.append(outcome)

    def correct(self, before: Outcome, after: Outcome) -> None:
        """Put what was found out later in the place of an unknown outcome."""
        self.counts[before.status] -= 1
        self.unknown.remove(before)
        self.record(after)

    def listed(self, status: Status) -> list[Outcome]:
        """Return the list of outcomes with a status that is not "applied"."""
        return {"rejected": self.rejected, "unknown": self.unknown, "not_sent": self.not_sent}[status]

    def raise_for_failures(self) -> None:
        """Raise a LoadError unless every element is applied."""
        if self.counts["applied"] < self.total:
            raise LoadError(self)

    def __str__(self) -> str:
        text = f"{self.total:,} elements: " + ", ".join(f"{count:,} {status}" for status, count in self.counts.items())
        return text + (f"; {self.beyond:,} more in the journal" if self.beyond else "")


class LoadError(AfasError):
    """Elements of a load are not known to be applied.

    Attributes:
        report: What became of which.
    """

    def __init__(self, report: LoadReport) -> None:
        failures = (*report.rejected, *report.unknown, *report.not_sent)
        first = min(failures, key=lambda outcome: outcome.index, default=None)
        text = str(report)
        if first is not None and first.error is not None:
            text += f"; the first is element {first.index}: {first.error}"
            self.whose = first.error.whose
        if report.counts["applied"] or report.counts["unknown"]:
            self.applied = "maybe"
        super().__init__(text)
        self.report = report
