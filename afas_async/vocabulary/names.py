"""Names that may enter a URL.

Connector and field names often come from a tenant's configuration. A name such as `../metainfo` or `a?b` would change
the target of a request that carries a token, so names are matched as a whole against what Profit itself uses. Ids of
fields are made of Dutch labels, with their hyphens and accents: `E-mail_werk`, `Btw-nummer`, `Geboorteplaats_België`.
"""

from __future__ import annotations

import re

from afas_async.errors import InvalidNameError
from afas_async.vocabulary.arguments import check_type

_CONNECTOR = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}", re.ASCII)
# Letters of Latin alphabets, with accents as Dutch labels have them.
_LETTERS = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f"
_FIELD = re.compile(rf"[{_LETTERS}0-9_][{_LETTERS}0-9_-]{{0,63}}")


def connector_name(name: str) -> str:
    """Return `name` if it may name a connector in a URL, else raise InvalidNameError; UsageError if it is no text."""
    check_type("connector", name, str, 'the name of a connector such as "Profit_Article"')
    if not _CONNECTOR.fullmatch(name):
        raise InvalidNameError(
            f"{name!r} cannot be the name of a connector: letters, digits, `_`, `.` and `-` only, 128 at most,"
            " starting with a letter, a digit or `_`"
        )
    return name


def field_id(name: str) -> str:
    """Return `name` if it may sort or filter by a field, else raise InvalidNameError; UsageError if it is no text."""
    check_type("field", name, str, 'a field id such as "ItemCode"')
    if not _FIELD.fullmatch(name):
        raise InvalidNameError(
            f"{name!r} cannot be sorted or filtered by: a field id has letters, digits, `_` and `-` only, 64 at most,"
            " and does not start with `-`. Profit itself refuses ids with a dot: give the field another name in the"
            " connector"
        )
    return name
