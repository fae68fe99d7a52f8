"""The app connector's token, kept where no text, log or pickle shows it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import NoReturn

from afas_async.errors import ConfigurationError

# The data was 64 characters in AFAS's REST page and 60 in its samples, so the length is not checked.
_XML = re.compile(r"<token><version>([0-9]+)</version><data>([0-9A-Za-z]+)</data></token>", re.ASCII)
_LINE_BREAK = re.compile(r"\s*[\r\n]\s*")
_DATA = re.compile(r"[0-9A-Za-z]{20,128}", re.ASCII)


class AppToken:
    """The token of an app connector.

    AFAS wants the base64 of the whole XML text in the header (AFAS, REST API for developers). Three spellings are
    accepted: that XML text, its bare data, or the ready base64. White space around them is dropped, such as the line
    end that the one-time-password call adds, and so are line breaks, as AFAS's page prints them within the base64.

    The token is never part of `repr()`, `str()` or a format, and pickling or copying it is refused.

    Args:
        token: The token in one of the three spellings.

    Raises:
        ConfigurationError: If it is none of the three. The message does not repeat the text.

    Example:
        >>> AppToken("<token><version>1</version><data>" + "0" * 64 + "</data></token>")
        AppToken(***)
    """

    __slots__ = ("__header",)

    def __init__(self, token: str) -> None:
        xml = _xml(token) if isinstance(token, str) else None  # pyright: ignore[reportUnnecessaryIsInstance]
        del token  # even a malformed token must not stand in the locals of the traceback below
        if xml is None:
            raise ConfigurationError(
                "the token is malformed: give the whole <token>...</token> as str, its bare data, or its base64"
            )
        # In a closure: what prints the slots of an object or the locals of a frame shows a function, not its cells.
        header = "AfasToken " + base64.b64encode(xml.encode("ascii")).decode("ascii")
        self.__header: Callable[[], str] = lambda: header

    def header(self) -> str:
        """Return the value of the `Authorization` header. Do not bind it to a variable: tracebacks show those."""
        return self.__header()

    def __repr__(self) -> str:
        return "AppToken(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an AppToken is not pickled or copied: make it anew where it is needed")


def _xml(token: str) -> str | None:
    text = _LINE_BREAK.sub("", token.strip())
    if _XML.fullmatch(text):
        return text
    try:
        decoded = base64.b64decode(text, validate=True).decode("ascii").strip()
    except (binascii.Error, ValueError):
        decoded = ""
    if _XML.fullmatch(decoded):
        return decoded
    if _DATA.fullmatch(text):
        return f"<token><version>1</version><data>{text}</data></token>"
    return None
