"""Names that may enter a URL, matched as a whole."""

from __future__ import annotations

import pytest

from afas_async.errors import InvalidNameError
from afas_async.vocabulary.names import connector_name, field_id

ALL_ASCII = [chr(code) for code in range(128)]


@pytest.mark.parametrize("place", ["{}", "{}a", "a{}", "a{}b"])
def test_every_character_of_connector_names(place: str) -> None:
    """Letters, digits and `_` anywhere; `.` and `-` anywhere but at the start; nothing else."""
    first = place.startswith("{")
    allowed = [character for character in ALL_ASCII if character.isalnum() or character in ("_" if first else "_.-")]
    assert [character for character in ALL_ASCII if accepts(connector_name, place.format(character))] == allowed


@pytest.mark.parametrize("place", ["{}", "{}a", "a{}", "a{}b"])
def test_every_character_of_field_ids(place: str) -> None:
    """Letters, digits and `_` anywhere; `-` anywhere but at the start; nothing else."""
    first = place.startswith("{")
    allowed = [character for character in ALL_ASCII if character.isalnum() or character in ("_" if first else "_-")]
    assert [character for character in ALL_ASCII if accepts(field_id, place.format(character))] == allowed


@pytest.mark.parametrize(
    "name", ["E-mail_werk", "Btw-nummer", "Cao-type", "AOW-datum", "Geboorteplaats_België", "Übergang"]
)
def test_ids_as_profit_makes_them(name: str) -> None:
    """Profit makes ids out of Dutch labels, with their hyphens and accents. They are allowed in fields only."""
    assert accepts(field_id, name)
    assert accepts(connector_name, name) == name.isascii()


@pytest.mark.parametrize(
    "character", ["\u0663", "\uff13", "\uff21", "\u212a", "\u200b", "\u2028", "\ud800", "\u0301", "\u00d7", "\u03b1"]
)
def test_no_other_alphabet(character: str) -> None:
    """Letters and digits of other alphabets are refused, even where they look the same or fold to ASCII."""
    assert not accepts(connector_name, f"a{character}")
    assert not accepts(field_id, f"a{character}")


@pytest.mark.parametrize(("check", "limit"), [(connector_name, 128), (field_id, 64)])
def test_lengths(check: object, limit: int) -> None:
    """The length of a name is limited."""
    assert [accepts(check, "a" * length) for length in (0, 1, limit, limit + 1)] == [False, True, True, False]


def accepts(check: object, name: str) -> bool:
    assert callable(check)
    try:
        return bool(check(name) == name)
    except InvalidNameError:
        return False
