"""Checks of names that become part of a URL.

Connector and field names often come from a tenant's configuration. A name such as `../metainfo` or `a?b` would change
the target of a request that carries a token. So the whole name must match the names that Profit itself uses. Profit
derives field ids from Dutch labels, with hyphens and accents: `E-mail_werk`, `Btw-nummer`, `Geboorteplaats_België`.
"""

from __future__ import annotations

import re

from afas_async.errors import InvalidNameError
from afas_async.vocabulary.arguments import check_type

_CONNECTOR = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}", re.ASCII)
# Latin letters, including the accented ones of Dutch labels.
_LETTERS = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f"
_FIELD = re.compile(rf"[{_LETTERS}0-9_][{_LETTERS}0-9_-]{{0,63}}")


def connector_name(name: str) -> str:
    """Return `name` if it is valid as a connector in a URL.

    Raises:
        InvalidNameError: If it is not valid.
        UsageError: If it is not a str.
    """
    check_type("connector", name, str, 'the name of a connector such as "Profit_Article"')
    if not _CONNECTOR.fullmatch(name):
        raise InvalidNameError(
            f"{name!r} cannot be the name of a connector: use at most 128 letters, digits, `_`, `.` and `-`, and start"
            " with a letter, a digit or `_`"
        )
    return name


def field_id(name: str) -> str:
    """Return `name` if it is valid as a field to sort or filter by.

    Raises:
        InvalidNameError: If it is not valid.
        UsageError: If it is not a str.
    """
    check_type("field", name, str, 'a field id such as "ItemCode"')
    if not _FIELD.fullmatch(name):
        raise InvalidNameError(
            f"you cannot sort or filter by {name!r}: a field id has at most 64 letters, digits, `_` and `-`, and does"
            " not start with `-`. Profit itself refuses ids with a dot: give the field another name in the connector"
        )
    return name
