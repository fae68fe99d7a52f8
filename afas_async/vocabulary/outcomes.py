"""The results of writes: one outcome for each element, and the report of a load."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec

from afas_async.errors import AfasError, Applied, Whose
from afas_async.vocabulary.hiding import OwnRepr

Status: TypeAlias = Literal["applied", "rejected", "unknown", "not_sent"]

LISTED: Final = 10_000


class WriteResult(msgspec.Struct, frozen=True):
    """The service's response to a write that it applied.

    `insert`, `update` and `delete` return it. If they return, the service has applied the write.

    Attributes:
        keys: The key of each element: its values by field id, always as text. Empty if the connector returns no keys.
            If the number differs from the number of elements sent, you cannot know which key belongs to which element.
        raw: The body of the response.
        result_lost: Whether the body is missing: the response broke off after it reported success, or took more than
            30 seconds from there. You can then only look up the keys.
        trace_id: The id by which AFAS finds the call; empty if the response has none (see `ApiError`).

    Example:
        >>> async def main():
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         return await afas.insert("KnSubject", {"StId": 1, "Ds": "Offer"})
        >>> asyncio.run(main()).keys
        ({'SbId': '201'},)
    """

    keys: tuple[dict[str, str], ...] = ()
    raw: bytes = b""
    result_lost: bool = False
    trace_id: str = ""


class Outcome(OwnRepr, msgspec.Struct, frozen=True):
    """The outcome of one element of a load.

    `AfasClient.outcomes` yields one for each element, and a `LoadReport` lists those that are not applied.

    Attributes:
        index: The number of the element, from 0, in the order in which you gave the elements.
        status: "applied": the service has the element, once. "rejected": the service refused it, and has nothing of it.
            "not_sent": the service never received it, or did not process it. "unknown": it may have been applied or
            not.
        key: The key that the service returned, by field id; None if it returned none.
        error: The reason why the element is not applied, for "unknown" an OutcomeUnknownError; None if it is applied.
        batch: The number of the call that the element was part of, from 0; None if it was not in a call.
        item: The element as you gave it, if it is not applied. The repr hides it, because it may be personal data.

    Example:
        >>> async def main():
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         return [outcome async for outcome in afas.outcomes("KnSubject", [{"StId": 1, "Ds": "Offer"}])]
        >>> asyncio.run(main())[0].status
        'applied'
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
    """The outcomes of the elements of a load, so far or at its end.

    It is the `report` of a `Load`, which you can also read while the load runs. Print it for a summary, or call
    `raise_for_failures` if every element must be applied.

    Attributes:
        total: The number of elements that you gave.
        counts: The number of elements by status. They add up to `total` once the load has ended.
        rejected: The outcomes of rejected elements, in order of arrival. As in the next two lists, at most the first
            10,000.
        unknown: The outcomes of elements that may have been applied or not.
        not_sent: The outcomes of elements that the service never received or did not process.
        beyond: The number of elements in the journal after the last one that you gave. If it is not 0, your source is
            shorter than when the load first ran.

    Example:
        >>> async def main():
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         async with afas.load("KnSubject") as load:
        ...             await load.add({"StId": 1, "Ds": "Offer"})
        ...         return load.report
        >>> print(asyncio.run(main()))
        1 element: 1 applied, 0 rejected, 0 unknown, 0 not_sent
    """

    total: int = 0
    counts: dict[Status, int] = msgspec.field(
        default_factory=lambda: {"applied": 0, "rejected": 0, "unknown": 0, "not_sent": 0}
    )
    rejected: list[Outcome] = []
    unknown: list[Outcome] = []
    not_sent: list[Outcome] = []
    beyond: int = 0

    @property
    def failed(self) -> list[Outcome]:
        """The outcomes in `rejected`, `unknown` and `not_sent`, in the order of your source."""
        return sorted((*self.rejected, *self.unknown, *self.not_sent), key=lambda outcome: outcome.index)

    def record(self, outcome: Outcome) -> None:
        """Count an outcome, and list it if it is not "applied"."""
        self.counts[outcome.status] += 1
        if outcome.status != "applied":
            listed = self.listed(outcome.status)
            if len(listed) < LISTED:
                listed.append(outcome)

    def correct(self, before: Outcome, after: Outcome) -> None:
        """Replace an unknown outcome by the one that was found later."""
        self.counts[before.status] -= 1
        self.unknown.remove(before)
        self.record(after)

    def listed(self, status: Status) -> list[Outcome]:
        """Return the list of outcomes with a status that is not "applied"."""
        return {"rejected": self.rejected, "unknown": self.unknown, "not_sent": self.not_sent}[status]

    def raise_for_failures(self) -> None:
        """Raise a LoadError unless every element is applied.

        Raises:
            LoadError: If an element is rejected, unknown or not sent. It holds this report.

        Example:
            See `LoadError`.
        """
        if self.counts["applied"] < self.total:
            raise LoadError(self)

    def __str__(self) -> str:
        text = f"{self.total:,} element{'' if self.total == 1 else 's'}: "
        text += ", ".join(f"{count:,} {status}" for status, count in self.counts.items())
        return text + (f"; {self.beyond:,} more in the journal" if self.beyond else "")


class LoadError(AfasError):
    """Some elements of a load are not known to be applied.

    `report.raise_for_failures()` raises it. The message has the counts, and the number and error of the first element
    that failed. `report.failed` lists them, each with its error.

    Attributes:
        report: The report of the load, with the outcomes of the elements that are not applied.

    Example:
        >>> async def main():
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         async with afas.load("KnSubject", validate=False) as load:
        ...             await load.add({"Ds": "Offer"})
        ...         try:
        ...             load.report.raise_for_failures()
        ...         except LoadError as error:
        ...             return [outcome.index for outcome in error.report.rejected]
        >>> asyncio.run(main())
        [0]
    """

    def __init__(self, report: LoadReport) -> None:
        first = next(iter(report.failed), None)
        text = str(report)
        if first is not None and first.error is not None:
            text += f"; the first is element {first.index}: {first.error}"
            self.whose: Whose = first.error.whose
        if report.counts["applied"] or report.counts["unknown"]:
            self.applied: Applied = "maybe"
        super().__init__(text)
        self.report = report
