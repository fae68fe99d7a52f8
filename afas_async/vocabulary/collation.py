"""Compare texts as a database may compare them.

The collation of the database is unknown, but not what collations ignore. `folded` ignores what most of them ignore.
`widely_folded` ignores everything that any of them may ignore. Use it where it does harm to treat two values as
different, and costs little to treat them as equal.
"""

from __future__ import annotations

import unicodedata
from typing import Final

# Unicode categories: accents and other marks on letters, and invisible characters.
_IGNORED: Final = frozenset({"Mn", "Mc", "Me", "Cf"})
_LIGATURES: Final = str.maketrans({"æ": "ae", "œ": "oe", "þ": "th", "ø": "o", "đ": "d", "ł": "l"})


def folded(text: str) -> str:
    """Return a text in one letter case, without trailing spaces.

    Example:
        >>> folded("Bolt M8 ") == folded("BOLT m8")
        True
    """
    return text.casefold().rstrip(" ")


def widely_folded(text: str) -> str:
    """Return a text in one letter case, without accents, invisible characters and trailing spaces.

    Example:
        >>> widely_folded("Café ") == widely_folded("CAFE")
        True
    """
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text).casefold()
        text = "".join(letter for letter in decomposed if unicodedata.category(letter) not in _IGNORED)
        text = text.translate(_LIGATURES)
    return folded(text)
