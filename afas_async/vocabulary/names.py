"""Names that may enter a URL.

Connector and field names often come from a tenant's configuration. A name such as `../metainfo` or `a?b`
would change the target of a request that carries a token, so names are matched as a whole against what
Profit itself uses, in ASCII.
"""

from __future__ import annotations

import re

from afas_async.errors import InvalidNameError
from afas_async.vocabulary.arguments import check_type

_CONNECTOR = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127}", re.ASCII)
_FIELD = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)


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
            f"{name!r} cannot be sorted or filtered by: a field id has letters, digits and `_` only, 64 at most"
            " (Profit itself refuses ids with a dot)"
        )
    return name
