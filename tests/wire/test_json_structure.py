"""Following strings and depth through text in pieces."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afas_async.wire.json_structure import Structure
from tests.support.row_answers import bytewise
from tests.support.thoroughness import by_default, examples


def tokens(pieces: list[bytes]) -> list[tuple[str, int]]:
    """Return the tokens of a text in pieces, each with the depth after it."""
    structure, text, found = Structure(), bytearray(), []
    for piece in pieces:
        text += piece
        found += [(text[start:end].decode(), structure.depth) for _, start, end in structure.walk(text)]
    return found


def test_tokens() -> None:
    """Brackets, commas, colons and whole strings are tokens; numbers, words and white space are not."""
    assert tokens([b'{"a": [1, true], "\\"]": ""}']) == [
        ("{", 1),
        ('"a"', 1),
        (":", 1),
        ("[", 2),
        (",", 2),
        ("]", 1),
        (",", 1),
        ('"\\"]"', 1),
        (":", 1),
        ('""', 1),
        ("}", 0),
    ]


_json = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(alphabet='\\"{}[],:aé', max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(alphabet='\\"{}a', max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)


@examples(100)
@given(_json, st.integers(1, 9))
def test_pieces_do_not_matter(value: object, size: int) -> None:
    """The tokens are the same however the text arrives, and the depth ends where it began."""
    text = json.dumps(value, ensure_ascii=False).encode()
    expected = tokens([text])
    assert tokens(bytewise(text, size)) == expected
    assert tokens(bytewise(text)) == expected
    assert [depth for _, depth in expected[-1:]] in ([], [0])


@examples(60)
@given(_json)
def test_every_byte_is_passed_once(value: object) -> None:
    """The position only ever grows, so that each byte is followed once."""
    text, structure, position = bytearray(), Structure(), 0
    for piece in bytewise(json.dumps(value).encode()):
        text += piece
        list(structure.walk(text))
        assert position <= structure._position <= len(text)
        position = structure._position
    assert position == len(text)


@pytest.mark.parametrize(
    ("text", "inside"),
    [(b"", False), (b"{", True), (b'{"a', True), (b'{"a"}', False), (b'"a', True), (b'"\\', True), (b'"\\""', False)],
)
def test_inside(text: bytes, inside: bool) -> None:  # noqa: FBT001
    """The state shows whether a string or a bracket is still open."""
    structure = Structure()
    list(structure.walk(bytearray(text)))
    assert structure.inside is inside


def test_depth_has_no_limit() -> None:
    """Following a text takes no stack, so any depth is followed."""
    depth = by_default(100_000, 1_000_000)
    assert tokens([b"[" * depth])[-1] == ("[", depth)
