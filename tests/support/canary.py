"""The token of every test, other secrets, and the search for it in all that a test leaves.

Each test runs with this token. After it, everything that could reach a log, a crash report or another process is
searched for the token in all its spellings: log records at DEBUG, warnings, events, and each error that was made, with
its texts, attributes, notes, pickle, and its traceback with the values of local variables, as crash reporters print
them.
"""

from __future__ import annotations

import base64
import logging
import pickle
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from itertools import islice
from typing import Any
from urllib.parse import quote

from afas_async import AfasError

DATA = "CA9A27CA9A27CA9A27CA9A27CA9A27CA9A27CA9A27CA9A27CA9A27CA9A27CA9A"
TOKEN = f"<token><version>1</version><data>{DATA}</data></token>"
_HEADER = base64.b64encode(TOKEN.encode()).decode()

# The secret of client credentials, and what all access tokens begin with that a test has given for it.
SECRET = 'CA9A5EC2E7CA9A5EC2E7 ~+/=&"'
ACCESS = "CA9AACCE55CA9AACCE55"

# A proxy that does not exist, and the password in its URL.
PASSWORD = "CA9APA55CA9APA55"
PROXY = f"http://user:{PASSWORD}@127.0.0.1:9"
_PROXY_HEADER = base64.b64encode(f"user:{PASSWORD}".encode()).decode()

# The base64 of a text depends on where its bytes fall, so a piece of the header is searched for, not one of the data.
# However a secret is escaped, its first letters are not.
SPELLINGS = (
    *(DATA, _HEADER, _HEADER[8:-8], quote(TOKEN, safe=""), repr(TOKEN)),
    *(SECRET[:20], ACCESS, PASSWORD, _PROXY_HEADER[8:-4]),
)


def leaks(text: str) -> bool:
    """Whether a text shows the token or another secret."""
    return any(spelling in text for spelling in SPELLINGS)


class Watch(logging.Handler):
    """Collects everything that a test leaves.

    Attributes:
        texts: Everything that was logged, for the search.
        errors: Every error that was made.
        complaints: Faults that the event loop reported, such as an exception that was never retrieved.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []
        self.errors: list[AfasError] = []
        self.complaints: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "asyncio" and record.levelno >= logging.ERROR:
            self.complaints.append(self.format(record))
        self.texts.append(self.format(record))
        self.texts.append(repr(record.__dict__))

    def found(self) -> list[str]:
        """Return the texts that show the token."""
        texts = [*self.texts]
        seen = set[tuple[type, str, str]]()
        for error in self.errors:
            if not (error.__traceback__ or error.__cause__ or error.__context__):  # a load makes one for each element
                plain = (type(error), repr(error.args), repr(error.__dict__))
                if plain in seen:
                    continue
                seen.add(plain)
            texts += _texts(error)
        # Nearly always there is nothing to find, and one long text is searched much faster than many short ones.
        return [text for text in texts if leaks(text)] if leaks("\n".join(texts)) else []


def _texts(error: AfasError) -> Iterator[str]:
    yield str(error)
    yield repr(error)
    yield repr(error.args)
    yield repr(error.__dict__)
    yield pickle.dumps(error).decode("latin-1")
    for each in chain_of(error):
        yield from map(spelled, local_values(each))
        yield "".join(traceback.format_exception_only(each))


def chain_of(error: BaseException) -> list[BaseException]:
    """Return an exception, and all that led to it."""
    found = [error]
    for each in found:
        found += [near for near in {each.__cause__, each.__context__} - {*found} if near is not None]
    return found


def local_values(error: BaseException) -> Iterator[object]:
    """The local variables of all frames of a traceback.

    The frames of the tests hold the token by right; what counts are the frames of the library and of what it uses.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if "/tests/" not in frame.f_code.co_filename and "/_pytest/" not in frame.f_code.co_filename:
            yield from frame.f_locals.values()


def spelled(value: object) -> str:
    """Return the texts in which crash reporters show a value; bytes as characters, as their `repr` takes long."""
    if isinstance(value, (bytes, bytearray)):
        return value.decode("latin-1")
    try:
        return f"{value!r} {_with_rich(value)}"
    except Exception:  # noqa: BLE001 (a crash reporter shows nothing of it)
        return ""


def _with_rich(value: Any, depth: int = 4) -> str:
    """Return what rich shows of a value besides its `repr`; of collections it shows ten members."""
    if isinstance(value, type) or not depth:
        return ""
    if hasattr(value, "__rich_repr__"):
        pieces = list(value.__rich_repr__())
        return " ".join([*map(repr, pieces), *(_with_rich(piece, depth - 1) for piece in pieces)])
    if is_dataclass(value) and hasattr(type(value).__repr__, "__wrapped__"):
        members = [getattr(value, field.name, None) for field in fields(value) if field.repr]
    elif isinstance(value, (list, tuple, set, frozenset, Mapping)):
        members = [*islice(value.values() if isinstance(value, Mapping) else value, 10)]
    else:
        return ""
    return " ".join(_with_rich(member, depth - 1) for member in members)
