"""Follows the structure of JSON text that arrives in pieces: strings and depth, nothing else.

This is not a parser. msgspec decides whether the text is well-formed, on the pieces that are cut with its help. It
reads every byte once, however the text was cut into pieces, so the cost is linear.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

QUOTE: Final = ord('"')
OPEN_OBJECT: Final = ord("{")
OPEN_ARRAY: Final = ord("[")
CLOSE_ARRAY: Final = ord("]")
COLON: Final = ord(":")
COMMA: Final = ord(",")

# A string without escapes is one token; a lone quote opens a string with escapes, or one that is still incomplete.
_TOKEN = re.compile(rb'"[^"\\]*"|["{}\[\],:]')
_IN_STRING = re.compile(rb'["\\]')
_OPENING = b"{["
_CLOSING = b"}]"


class Structure:
    """The position in a text: how deep, and whether inside a string."""

    __slots__ = ("_position", "_string", "depth")

    def __init__(self) -> None:
        self.depth: int = 0
        self._position = 0
        self._string = -1

    def walk(self, text: bytearray) -> Iterator[tuple[int, int, int]]:
        """Walk the new part of `text`, and yield (first byte, start, end) of each token.

        A token is one of `{ } [ ] , :` outside strings, with `depth` already counting it, or a whole string. You may
        leave the walk at any token, and resume it with the same text, extended at its end.
        """
        while True:
            if self._string >= 0:
                stop = _IN_STRING.search(text, self._position)
                if stop is None:
                    self._position = len(text)
                    return
                if text[stop.start()] != QUOTE:
                    if stop.end() == len(text):  # the escaped character has not arrived
                        self._position = stop.start()
                        return
                    self._position = stop.end() + 1
                    continue
                start, self._string, self._position = self._string, -1, stop.end()
                yield QUOTE, start, stop.end()
                continue
            token = _TOKEN.search(text, self._position)
            if token is None:
                self._position = len(text)
                return
            start, end = token.span()
            self._position = end
            first = text[start]
            if first == QUOTE:
                if end - start == 1:
                    self._string = start
                    continue
            elif first in _OPENING:
                self.depth += 1
            elif first in _CLOSING:
                self.depth -= 1
            yield first, start, end

    @property
    def inside(self) -> bool:
        """Whether a bracket or string is still open."""
        return self.depth > 0 or self._string >= 0
