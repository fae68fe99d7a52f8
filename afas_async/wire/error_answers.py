"""Error responses: from status, headers and body to one error with all its facts.

The content type decides nothing: AFAS lists XML for its JSON errors, and clients have met both (AFAS, OpenAPI:
responses). The body comes first; the obsolete header `X-Profit-Error` is the fallback.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast

import msgspec

from afas_async import errors
from afas_async.wire.json_documents import decode

MESSAGE_LIMIT = 2_000
TRACE_LIMIT = 100
WAIT_LIMIT = 10**12  # seconds; a greater number means nothing

_BY_STATUS: dict[int, type[errors.ApiError]] = {
    400: errors.BadRequestError,
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    405: errors.BadRequestError,
    406: errors.BadRequestError,
    411: errors.BadRequestError,
    413: errors.PayloadTooLargeError,
    414: errors.BadRequestError,
    415: errors.BadRequestError,
    429: errors.RateLimitError,
    431: errors.BadRequestError,
    503: errors.UnavailableError,
}

_ADVICE: dict[int, str] = {
    401: "the token is invalid or expired, or its app connector does not include this connector",
    403: "access is refused: check the IP restriction of the app connector",
    404: "not found: the connector is missing or not permitted, or the query string was too long",
    413: "the request is larger than the service accepts (75 MB)",
    429: "too many requests",
    503: "the service is unavailable (maintenance or a disruption)",
}

_NO_TOKEN: dict[str, str] = {
    "invalid_client": "the private key, the client id or the client secret is wrong, from another environment, or"
    " expired (AFAS's secrets expire after 180 days by default)",
    "invalid_request": "the service does not understand the request for it",
    "unauthorized_client": "the app connector does not allow it: check its authentication type",
    "unsupported_grant_type": "the service does not know client credentials",
    "use_dpop_nonce": "the service requires DPoP, which is for clients without a secret",
}

# The service's texts, case-folded, in the languages that are documented (AFAS, Troubleshooting; versions of 2025 and
# 2026). A text that is not listed is an ordinary refusal.
LOCKED: Final = (
    "locked by",
    "blocked by another user",
    "deadlock",
    "vergrendeld door",
    "geblokkeerd door een andere gebruiker",
    "in gebruik door een andere gebruiker",
)

# Control characters, and characters that reorder or break lines: server text must not steer a terminal or a log.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_ANYTHING: Final = msgspec.json.Decoder()


def error_for(status: int, headers: Mapping[str, str], body: bytes, *, connector: str) -> errors.ApiError:
    """Return the error for a response.

    Args:
        status: The HTTP status, not a 2xx.
        headers: The response headers, looked up without regard to case.
        body: The decoded body, possibly empty, incomplete or not JSON at all.
        connector: The connector or path that was called.
    """
    said = _members(body)
    message = _text(said.get("externalMessage")) or _header_message(headers)
    profit = bool(message) or "profitLogReference" in said
    message = message or _text(said.get("message")) or _text(_object(said.get("error")).get("message"))
    if not message and "text/plain" in headers.get("Content-Type", headers.get("content-type", "")).lower():
        message = body.decode("utf-8", "replace")
    kind = _BY_STATUS.get(status, errors.ServerError if status >= 500 else errors.ApiError)
    if status == 500 and profit:
        kind = _refusal_of(message)
    return kind(
        clean(message) or _silent(status),
        status=status,
        connector=connector,
        error_number=_number(said.get("errorNumber")),
        log_reference=clean(_text(said.get("profitLogReference"))) or None,
        trace_id=trace_of(headers),
        retry_after=_retry_after(headers, said),
    )


def token_error_for(status: int, headers: Mapping[str, str], body: bytes, *, connector: str) -> errors.ApiError:
    """Return the error for a response that should have held a token (AFAS, Authentication).

    Only the code of the body is used: its texts might repeat the secret that the request had.

    Args:
        status: See `error_for`.
        headers: See `error_for`.
        body: See `error_for`.
        connector: See `error_for`.
    """
    said = _members(body)
    if status >= 500 or status in {408, 429}:
        error = error_for(status, {}, b"", connector=connector)
        error.retry_after = _retry_after(headers, said)
        error.trace_id = trace_of(headers)
        return error
    code = _text(said.get("error"))
    silent = _NO_TOKEN["invalid_client"] if status == 401 else _silent(status)
    reason = f"{_NO_TOKEN[code]} ({code})" if code in _NO_TOKEN else silent
    text = f"no token for the client credentials: {reason}"
    return errors.AuthenticationError(text, status=status, connector=connector, trace_id=trace_of(headers))


def refusal_in(body: bytes, *, connector: str) -> errors.BusinessError | None:
    """Return Profit's refusal if a body with a success status holds one, else None."""
    said = _members(body)
    if "externalMessage" not in said:
        return None
    message = _text(said["externalMessage"])
    return _refusal_of(message)(
        clean(message) or _silent(200),
        status=200,
        connector=connector,
        error_number=_number(said.get("errorNumber")),
        log_reference=clean(_text(said.get("profitLogReference"))) or None,
    )


def _refusal_of(message: str) -> type[errors.BusinessError]:
    text = message.casefold()
    return errors.LockedError if any(phrase in text for phrase in LOCKED) else errors.BusinessError


def trace_of(headers: Mapping[str, str]) -> str:
    """Return the id by which AFAS finds a call (AFAS, news of Profit 7), or else a proxy's id; empty without either.

    Args:
        headers: The response headers, by their names in lower case or without regard to case.
    """
    names = ("x-trace-identifier", "x-request-id")
    return next((text for name in names if (text := clean(headers.get(name, ""))[:TRACE_LIMIT])), "")


def clean(text: str) -> str:
    """Return a server's text with unsafe characters escaped, at most 2,000 characters long."""
    safe = _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text.strip())
    return safe if len(safe) <= MESSAGE_LIMIT else safe[: MESSAGE_LIMIT - 3] + "..."


def _silent(status: int) -> str:
    if 300 <= status < 400:
        return "the service responded with a redirect, which is never followed: check the base URL"
    return _ADVICE.get(status, "the service gave no message")


def _members(body: bytes) -> dict[str, Any]:
    return _object(decode(body, _ANYTHING))


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _header_message(headers: Mapping[str, str]) -> str:
    """Return the text of `X-Profit-Error`: base64 of UTF-8 as documented, of other encodings in practice."""
    raw = headers.get("X-Profit-Error", "").strip()
    try:
        data = base64.b64decode(raw, validate=True)
    except (binascii.Error, ValueError):
        return raw
    if data.startswith(b"\xff\xfe"):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _retry_after(headers: Mapping[str, str], said: dict[str, Any]) -> float | None:
    """Return the seconds to wait: the header first, as AFAS documents the body in two different shapes."""
    header = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,12}", header, re.ASCII):
        return float(header)
    until, now = _moment(header), _moment(headers.get("Date", ""))
    if until and now:
        return max(0.0, (until - now).total_seconds())
    stated = said.get("retry_after")
    if isinstance(stated, (int, float)) and not isinstance(stated, bool) and 0 <= stated <= WAIT_LIMIT:
        return float(stated)
    return None


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
