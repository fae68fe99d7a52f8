"""Answers to writes that succeeded: what they tell about keys, in all the shapes that AFAS has (AFAS, OpenAPI)."""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from afas_async.vocabulary.outcomes import WriteResult
from afas_async.wire.error_answers import clean
from afas_async.wire.json_documents import BOM, Unreadable, decode

_DECODER: Final = msgspec.json.Decoder(float_hook=str)  # a number in a key is a name, and stays as it is written


def read_result(body: bytes, *, content_type: str, complete: bool, elements: int) -> WriteResult | str:
    """Return what the body of a success tells, or why it is no answer of the service's.

    Args:
        body: The decoded body, as much as arrived of it.
        content_type: The content type, which decides only where the body cannot.
        complete: Whether all of it arrived.
        elements: How many elements were sent.
    """
    text = body.removeprefix(BOM).strip()
    if not text:
        # Half of the connectors answer no key (AFAS, OpenAPI), and then with the type of XML.
        foreign = not complete and "html" in content_type.lower()
        return "a success with a page of HTML" if foreign else WriteResult(raw=body, result_lost=not complete)
    content = decode(text, _DECODER)
    if isinstance(content, Unreadable):
        if text[:1] in b"{[":
            return WriteResult(raw=body, result_lost=True)
        return "a success with a body that is not the service's"
    if isinstance(content, dict) and "externalMessage" in content:
        refusal = cast("dict[str, Any]", content)
        reference = (
            f" (Profit log reference {clean(str(number))})" if (number := refusal.get("profitLogReference")) else ""
        )
        return f"a success with a refusal in it: {clean(str(refusal['externalMessage']))}{reference}"
    if not isinstance(content, (dict, list)):
        return "a success with a body that is not the service's"
    return WriteResult(_merged(_keys(cast("object", content)), elements), body, result_lost=not complete)


def _keys(content: object) -> list[dict[str, str]]:
    """The keys in `{"results": {NAME: KEYS}}`, where each wrapping may be missing and KEYS be an object or a list."""
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
    # PtOptionListLine answers one key in two objects: [{"OlNu": ...}, {"Code": ...}].
    if elements == 1 and len(keys) > 1 and len({name for key in keys for name in key}) == sum(map(len, keys)):
        return ({name: value for key in keys for name, value in key.items()},)
    return tuple(keys)
