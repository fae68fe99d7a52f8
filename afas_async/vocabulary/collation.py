"""Which values a database takes for equal: its collation is not known here, only what collations leave out of account.

`folded` leaves out what most of them do. `widely_folded` leaves out what any of them may: use it where taking two
values for different does harm, and taking them for equal costs little.
"""

from __future__ import annotations

import unicodedata
from typing import Final

# Marks on letters, and characters that do not show.
_IGNORED: Final = frozenset({"Mn", "Mc", "Me", "Cf"})
_LIGATURES: Final = str.maketrans({"æ": "ae", "œ": "oe", "þ": "th", "ø": "o", "đ": "d", "ł": "l"})


def folded(text: str) -> str:
    """Return a text without letter case and without blanks at its end.

    Example:
        >>> folded("Bolt M8 ") == folded("BOLT m8")
        True
    """
    return text.casefold().rstrip(" ")


def widely_folded(text: str) -> str:
    """Return a text without letter case, accents, characters that do not show, and blanks at its end.

    Example:
        >>> widely_folded("Café ") == widely_folded("CAFE")
        True
    """
    if not text.isascii():
        apart = unicodedata.normalize("NFKD", text).casefold()
        text = "".join(letter for letter in apart if unicodedata.category(letter) not in _IGNORED)
        text = text.translate(_LIGATURES)
    return folded(text)
