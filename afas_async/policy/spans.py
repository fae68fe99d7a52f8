"""What a read asks for, spans of rows, counted from its start or from a key; and what it does with those that come."""

from __future__ import annotations

import msgspec

from afas_async.policy.order import Key, Relation


class Bound(msgspec.Struct, frozen=True):
    """A condition on the key: rows from a key on (it included), after it, or with it."""

    relation: Relation
    key: Key


class Span(msgspec.Struct, frozen=True):
    """Rows `skip` up to `skip + take` of those that meet the bound; both -1 for all of them in one answer.

    Args:
        skip: Rows to leave out.
        take: Rows to answer at most.
        bound: Where the counting starts; None for the start of the read.
        overlap: Whether the first of the rows should be the last of those before the span.
    """

    skip: int
    take: int
    bound: Bound | None = None
    overlap: bool = False


class Step(msgspec.Struct, frozen=True):
    """What to do after rows were fed.

    Args:
        start: The first of these rows to hand out.
        stop: The row behind the last of them to hand out.
        again: Feed these rows again, when the span that is asked for in front of them is over.
        over: The first span is over: take it off the list; what is still to come of it is of no use.
        wanted: How many of the spans behind it are still wanted, None for all; those after them are to be dropped.
        front: Ask for this span, and put it at the head of the list.
    """

    start: int = 0
    stop: int = 0
    again: bool = False
    over: bool = False
    wanted: int | None = None
    front: Span | None = None
