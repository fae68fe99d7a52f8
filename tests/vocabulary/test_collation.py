"""Collation: the differences that databases ignore when they compare, in one place for all callers."""

from __future__ import annotations

import pytest

from afas_async.vocabulary.collation import folded, widely_folded


@pytest.mark.parametrize(("one", "other"), [("Bolt", "BOLT"), ("Bolt", "bolt  "), ("straße", "STRASSE")])
def test_equal_for_most(one: str, other: str) -> None:
    """Both foldings ignore letter case and trailing blanks."""
    assert folded(one) == folded(other)
    assert widely_folded(one) == widely_folded(other)


@pytest.mark.parametrize(("one", "other"), [("Café", "cafe"), ("Ærø", "aero"), ("a\u00adb", "ab"), ("\uff21", "a")])
def test_equal_for_some(one: str, other: str) -> None:
    """Accents, ligatures, widths and invisible characters count only where that does no harm."""
    assert folded(one) != folded(other)
    assert widely_folded(one) == widely_folded(other)


@pytest.mark.parametrize(("one", "other"), [(" a", "a"), ("a b", "ab"), ("7", "07"), ("a-b", "ab")])
def test_different_for_all(one: str, other: str) -> None:
    """Blanks that are not at the end, digits and signs count."""
    assert widely_folded(one) != widely_folded(other)
