"""Where a read stands: the slice that counts its next rows, and how many of them come before them."""

from __future__ import annotations

import pytest

from afas_async.policy.anchor import Anchor
from afas_async.policy.order import Order
from afas_async.policy.spans import Key, Slice, Span

TWO = Anchor(Order(("A", "B")))
THREE = Anchor(Order(("A", "-B", "C")))


def test_the_start() -> None:
    """Rows are counted from the start of the read, and the second page shares a row with the first."""
    assert TWO.span(0, 5) == Span(0, 5)
    assert TWO.span(5, 5) == Span(4, 6, overlap=True)


def test_rows_with_the_same_first_field_are_skipped() -> None:
    """A span skips the rows already read of them; it requests the last of those again."""
    anchor = TWO.advanced([(1, 1), (1, 2), (2, 1), (2, 2), (2, 3)])
    assert anchor.span(0, 5) == Span(2, 6, Slice("from", (2, 3)), overlap=True)
    assert anchor.advanced([(2, 4), (2, 5)]).span(3, 5) == Span(7, 6, Slice("from", (2, 5)), overlap=True)
    assert anchor.advanced([(2, 4), (3, 1)]).span(0, 5) == Span(0, 6, Slice("from", (3, 1)), overlap=True)


def test_fields_that_are_equal_for_the_service() -> None:
    """Fields that differ only in letter case or trailing blanks are one first field."""
    anchor = TWO.advanced([("ab", 1), ("AB ", 2), ("Ab", 3)])
    assert anchor.span(0, 5) == Span(2, 6, Slice("from", ("Ab", 3)), overlap=True)


def test_a_long_run_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """If too many rows share the first field, the slice is a deeper one. After them it uses the first field again."""
    monkeypatch.setattr("afas_async.policy.anchor.LONG_RUN", 3)
    anchor = THREE.advanced([(1, 9, 1), (1, 8, 1), (1, 8, 2)])
    assert anchor.span(0, 5) == Span(2, 6, Slice("from", (1, 8, 2)), overlap=True)
    anchor = anchor.advanced([(1, 8, 3)])
    assert anchor.span(0, 5) == Span(2, 6, Slice("from", (1, 8, 3), 1), overlap=True)
    anchor = anchor.advanced([(1, 8, 4)])
    assert anchor.span(0, 5) == Span(0, 6, Slice("from", (1, 8, 4), 2), overlap=True)
    anchor = anchor.advanced([(2, 9, 1)])
    assert anchor.span(0, 5) == Span(0, 6, Slice("from", (2, 9, 1)), overlap=True)


def test_the_slices_behind_a_key() -> None:
    """The slices after a key follow each other. In a descending field, the rows without a value are last."""
    anchor: Anchor | None = Anchor(THREE.order, (1, 8, 2)).exact()
    slices: list[Slice | None] = []
    while anchor is not None:
        slices.append(anchor.within)
        anchor = anchor.beyond(anchor.within)
    key = (1, 8, 2)
    assert slices == [
        Slice("from", key, 2),
        Slice("after", key, 1),
        Slice("empty", key, 1),
        Slice("after", key, 0),
    ]
    assert THREE.beyond(None) is None


def test_what_is_not_known_is_not_skipped() -> None:
    """A read resumed at a key cannot know how many rows before it have its first field."""
    anchor = Anchor(TWO.order, (1, 5)).exact()
    assert anchor.span(0, 5) == Span(0, 6, Slice("from", (1, 5), 1), overlap=True)
    anchor = anchor.advanced([(1, 6), (1, 7)])
    assert anchor.span(0, 5) == Span(0, 6, Slice("from", (1, 7), 1), overlap=True)
    assert anchor.advanced([(1, 8), (2, 1)]).span(0, 5) == Span(0, 6, Slice("from", (2, 1)), overlap=True)


def test_a_slice_that_was_left() -> None:
    """A span that was counted in a deeper slice is useless once the read is past that slice."""
    anchor = TWO.advanced([(1, 1), (2, 1)])
    assert anchor.has_left(Slice("from", (1, 1), 1))
    assert not anchor.has_left(Slice("from", (2, 0), 1))
    assert not anchor.has_left(Slice("from", (1, 1)))
    assert not anchor.has_left(None)


def test_whether_a_span_begins_at_the_last_row() -> None:
    """Only a span of the exact slice does. In a weaker slice, rows may have appeared before the last row."""
    anchor = TWO.advanced([(1, 1), (2, 1)])
    assert anchor.is_at(Span(0, 5, Slice("from", (2, 1), 1), overlap=True))
    assert not anchor.is_at(Span(0, 5, Slice("from", (2, 1)), overlap=True))
    assert not anchor.is_at(Span(1, 5, Slice("from", (2, 1), 1), overlap=True))


def test_keys_that_cannot_be_sent() -> None:
    """The anchor stays at the last key that can be sent, and counts and remembers the rows after it."""

    def fits(key: Key) -> bool:
        return key not in {"\t", "\n"}

    anchor = Anchor(Order(("A",)), fits=fits).advanced(["a", "b"]).advanced(["\t", "\n"])
    assert (anchor.origin, anchor.since, anchor.last) == ("b", ("\t", "\n"), "\n")
    assert anchor.span(0, 5) == Span(2, 6, Slice("from", "b"), overlap=True)
    assert anchor.exact() == anchor.after() == anchor
    again = anchor.again(anchor.since)
    assert again.span(0, 5) == Span(0, 6, Slice("from", "b"), overlap=True)
    assert again.skipped(["\t"]).span(0, 5) == Span(1, 6, Slice("from", "b"), overlap=True)
    assert anchor.advanced(["c"]).since == ()


def test_a_place_that_was_found_elsewhere() -> None:
    """Rows that have appeared before the last row count from then on."""
    anchor = TWO.advanced([(1, 1), (1, 2)])
    found = anchor.found(Span(1, 6, Slice("from", (1, 2)), overlap=True), 3)
    assert found.span(0, 5) == Span(3, 6, Slice("from", (1, 2)), overlap=True)
    assert anchor.found(Span(1, 6, Slice("from", (0, 2)), overlap=True), 3) == anchor


def test_the_rows_behind_the_last_one() -> None:
    """They come without the last row itself.

    For a key of several fields, those that differ only in the last field come first.
    """
    anchor = TWO.advanced([(1, 1), (1, 2)])
    assert anchor.trial(5) == Span(0, 5, Slice("after", (1, 2), 1))
    assert Anchor(None).advanced([1, 2]).trial(5) == Span(2, 5)
