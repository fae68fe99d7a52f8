"""Responses to successful writes: the keys in them, in all the shapes that AFAS has (AFAS, OpenAPI)."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, cast

import msgspec

from afas_async.wire.error_answers import clean
from afas_async.wire.json_documents import BOM, Unreadable, decode

_DECODER: Final = msgspec.json.Decoder(float_hook=str)  # a number in a key is a name, and keeps its spelling


class Body(Enum):
    """The kind of the body of a success."""

    EMPTY = "nothing, as half of the connectors respond"
    KEYS = "keys, or JSON without any"
    BROKEN = "JSON that cannot be read to its end"
    REFUSAL = "a refusal by Profit"
    PAGE = "a page of HTML"
    FOREIGN = "something else"


class Ending(Enum):
    """How the body of a response ended."""

    MARKED = "at the length or the last chunk that marks its end"
    UNMARKED = "with the connection, which looks the same if it breaks"
    BROKEN = "too early"


class Answer(msgspec.Struct, frozen=True):
    """The body of a success, read.

    Args:
        body: Its kind.
        keys: The keys in it.
        reason: The reason if it is not a response of the service; otherwise empty.
    """

    body: Body
    keys: tuple[dict[str, str], ...] = ()
    reason: str = ""


def read_answer(body: bytes, *, content_type: str, ending: Ending, elements: int) -> Answer:
    """Return the kind and the keys of the body of a success.

    Args:
        body: The decoded body, as much of it as arrived.
        content_type: The content type, which decides only if the body does not.
        ending: How the body ended.
        elements: How many elements were sent.
    """
    text, is_page = body.removeprefix(BOM).strip(), "html" in content_type.lower()
    if not text:
        # Half of the connectors return no key (AFAS, OpenAPI), and then with the content type of XML.
        if ending is Ending.BROKEN and is_page:
            return Answer(Body.PAGE, reason="a success with a page of HTML")
        return Answer(Body.EMPTY)
    content = decode(text, _DECODER)
    if isinstance(content, Unreadable) and text[:1] in b"{[":
        return Answer(Body.BROKEN)
    if isinstance(content, dict) and "externalMessage" in content:
        refusal = cast("dict[str, Any]", content)
        reference = (
            f" (Profit log reference {clean(str(number))})" if (number := refusal.get("profitLogReference")) else ""
        )
        reason = f"a success with a refusal in it: {clean(str(refusal['externalMessage']))}{reference}"
        return Answer(Body.REFUSAL, reason=reason)
    if isinstance(content, Unreadable) or not isinstance(content, (dict, list)):
        return Answer(
            Body.PAGE if is_page else Body.FOREIGN, reason="a success with a body that AFAS does not document"
        )
    return Answer(Body.KEYS, _merged(_keys(cast("object", content)), elements))


def _keys(content: object) -> list[dict[str, str]]:
    """Return the keys in `{"results": {NAME: KEYS}}`; any level may be missing, and KEYS be an object or a list."""
    while isinstance(content, dict) and len(members := cast("dict[str, Any]", content)) == 1:
        (inner,) = members.values()
        if not isinstance(inner, (dict, list)):
            break
        content = cast("object", inner)
    if isinstance(content, dict):
        return [key] if (key := _texts(cast("dict[str, Any]", content))) else []
    found = cast("list[dict[str, Any] | None]", content)
    return [_texts(key) for key in found if isinstance(key, dict)]


def _texts(key: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in key.items() if isinstance(value, (str, int))}


def _merged(keys: list[dict[str, str]], elements: int) -> tuple[dict[str, str], ...]:
    # PtOptionListLine returns one key in two objects: [{"OlNu": ...}, {"Code": ...}].
    if elements == 1 and len(keys) > 1 and len({name for key in keys for name in key}) == sum(map(len, keys)):
        return ({name: value for key in keys for name, value in key.items()},)
    return tuple(keys)
