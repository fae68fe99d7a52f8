"""The token of every test, and the search for it in all that a test leaves behind.

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
from collections.abc import Iterable
from urllib.parse import quote

from afas_async import AfasError

DATA = "CA9A27CA9A27CA9A27CA9A27CA9A27CA9A27CA9A27CA9A27CA9A27CA9A27CA9A"
TOKEN = f"<token><version>1</version><data>{DATA}</data></token>"
_HEADER = base64.b64encode(TOKEN.encode()).decode()

# The secret of client credentials, and what all access tokens begin with that a test has given for it.
SECRET = 'CA9A5EC2E7CA9A5EC2E7 ~+/=&"'
ACCESS = "CA9AACCE55CA9AACCE55"

# The base64 of a text depends on where its bytes fall, so a piece of the header is searched for, not one of the data.
# However a secret is escaped, its first letters are not.
SPELLINGS = (DATA, _HEADER, _HEADER[8:-8], quote(TOKEN, safe=""), repr(TOKEN), SECRET[:20], ACCESS)


def leaks(text: str) -> bool:
    """Whether a text shows the token."""
    return any(spelling in text for spelling in SPELLINGS)


class Watch(logging.Handler):
    """Collects what a test leaves behind.

    Attributes:
        texts: Everything that was logged, for the search.
        errors: Every error that was made.
        complaints: What the event loop found wrong, such as an exception that nobody looked at.
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
        for error in self.errors:
            texts += _texts(error)
        return [text for text in texts if leaks(text)]


def _texts(error: AfasError) -> Iterable[str]:
    yield str(error)
    yield repr(error)
    yield repr(error.args)
    yield repr(error.__dict__)
    yield pickle.dumps(error).decode("latin-1")
    # The frames of the tests hold the token by right; what counts are the frames of the library and of what it uses.
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    while report is not None:
        for frame in report.stack:
            if "/tests/" not in frame.filename and "/_pytest/" not in frame.filename:
                yield repr(frame.locals)
        yield "".join(report.format_exception_only())
        report = report.__cause__ or report.__context__
