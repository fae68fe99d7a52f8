"""The control door: how other programs ask a running simulator what came in, and script it.

All of it is JSON below `/simulator`, without a token.

| Path | GET | POST | DELETE |
|---|---|---|---|
| `counters`, `requests` | what came in | | |
| `checksum/X` | what the rows of a GetConnector add up to | | |
| `written/X` | what an UpdateConnector has written | | |
| `faults`, `changes` | what is left of the script | one, or an array of them | empty the script |
| `latency` | how long answers take | another one | |
| `otp` | the code that went out last | | |
| `oauth` | client credentials, and what was issued | what to assign of them | revoke all access tokens |
| `files` | attachments, images and reports | attach a file | |
| `reset` | | go back to the start | |
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web

from afas_async.simulator.changes import Change, Changes
from afas_async.simulator.delivery import Delivery
from afas_async.simulator.faults import Fault, Faults
from afas_async.simulator.files.files import Attachment, Files, Image, Report
from afas_async.simulator.latency import Latency
from afas_async.simulator.oauth import OAuth
from afas_async.simulator.otp import Otp
from afas_async.simulator.storage.store import Checksum
from afas_async.simulator.traffic import Traffic
from afas_async.vocabulary.hiding import OwnRepr

CONTROL_ROOT: Final = "simulator"
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


class UnknownConnectorError(ValueError, LookupError):
    """There is no connector of this name."""


class OAuthState(OwnRepr, msgspec.Struct, frozen=True, kw_only=True):
    """The client credentials that a simulator accepts, and what it has issued for them.

    Attributes:
        client_id: The client id that tokens are given for.
        client_secret: Its secret.
        public_key: The public key in PEM of an app that signs with a private one, or None.
        expires_in: For how many seconds the next tokens are valid.
        issued: How many tokens were given.
    """

    client_id: str
    client_secret: str
    public_key: str | None
    expires_in: float
    issued: int

    def __repr__(self) -> str:
        return f"<OAuthState issued={self.issued} expires_in={self.expires_in:g}>"


class OAuthAssignment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to assign to the attributes of an `OAuth`; an attribute that is not named stays."""

    client_id: str | msgspec.UnsetType = msgspec.UNSET
    client_secret: str | msgspec.UnsetType = msgspec.UNSET
    public_key: str | msgspec.UnsetType | None = msgspec.UNSET
    expires_in: float | msgspec.UnsetType = msgspec.UNSET


class FileList(msgspec.Struct, frozen=True):
    """All files of a simulator, with their bytes in base64."""

    attached: list[Attachment]
    images: list[Image]
    reports: list[Report]


class NewAttachment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The arguments of `Files.add`."""

    name: str
    data: bytes
    mimetype: str = "application/octet-stream"
    subject_id: int = 1


class Control:
    """Answers what is asked below `/simulator`.

    Args:
        traffic: What came in.
        delivery: Has the faults and the latency.
        changes: What happens to the rows.
        otp: Has the one-time password that went out last.
        oauth: The client credentials.
        files: The files.
        checksum: Adds up the rows of a GetConnector.
        written: Returns what an UpdateConnector has written.
        reset: Goes back to the start.
    """

    def __init__(
        self,
        *,
        traffic: Traffic,
        delivery: Delivery,
        changes: Changes,
        otp: Otp,
        oauth: OAuth,
        files: Files,
        checksum: Callable[[str], Awaitable[Checksum]],
        written: Callable[[str], list[dict[str, Any]]],
        reset: Callable[[], None],
    ) -> None:
        self._shown: dict[str, Callable[[], Any]] = {
            "counters": lambda: traffic.counters,
            "requests": lambda: list(traffic.requests),
            "otp": lambda: otp.code,
            "files": lambda: FileList(files.attached, files.images, files.reports),
        }
        self._scripts: dict[str, Faults | Changes] = {"faults": delivery.faults, "changes": changes}
        self._delivery = delivery
        self._oauth = oauth
        self._files = files
        self._checksum = checksum
        self._written = written
        self._reset = reset

    async def answer(self, method: str, segments: list[str], body: bytes) -> web.Response:
        """Answer a request.

        Args:
            method: Its method.
            segments: The parts of its path after `/simulator`.
            body: Its body.

        Returns:
            JSON; a 404 if there is no such path or connector, or a 400 with the reason if the body is refused.
        """
        try:
            content = await self._outcome(method, segments, body)
        except LookupError as error:
            return web.Response(status=HTTPStatus.NOT_FOUND, text=str(error))
        except ValueError as error:
            return web.Response(status=HTTPStatus.BAD_REQUEST, text=str(error))
        return web.Response(body=_ENCODER.encode(content), content_type="application/json")

    async def _outcome(self, method: str, segments: list[str], body: bytes) -> Any:
        match [method, *segments]:
            case ["GET", what] if what in self._shown:
                return self._shown[what]()
            case ["GET", "checksum", name]:
                return await self._checksum(name)
            case ["GET", "written", name]:
                return self._written(name)
            case ["GET" | "POST" | "DELETE", "faults" | "changes" as what]:
                return self._script(method, what, body)
            case ["GET" | "POST", "latency"]:
                if method == "POST":
                    self._delivery.latency = msgspec.json.decode(body, type=Latency)
                return self._delivery.latency
            case ["GET" | "POST" | "DELETE", "oauth"]:
                return self._credentials(method, body)
            case ["POST", "files"]:
                new = msgspec.json.decode(body, type=NewAttachment)
                return self._files.add(new.name, new.data, mimetype=new.mimetype, subject_id=new.subject_id)
            case ["POST", "reset"]:
                self._reset()
                return self._shown["counters"]()
            case _:
                raise LookupError(f"the control door has no {method} of {'/'.join(segments)!r}")

    def _script(self, method: str, what: str, body: bytes) -> Sequence[Fault] | Sequence[Change]:
        script = self._scripts[what]
        if method == "POST":
            script.add_json(body)
        elif method == "DELETE":
            script.clear()
        return script.left

    def _credentials(self, method: str, body: bytes) -> OAuthState:
        if method == "POST":
            assigned = msgspec.json.decode(body, type=OAuthAssignment)
            for name in assigned.__struct_fields__:
                if (value := getattr(assigned, name)) is not msgspec.UNSET:
                    setattr(self._oauth, name, value)
        elif method == "DELETE":
            self._oauth.revoke()
        key = self._oauth.public_key
        return OAuthState(
            client_id=self._oauth.client_id,
            client_secret=self._oauth.client_secret,
            public_key=key.decode() if isinstance(key, bytes) else key,
            expires_in=self._oauth.expires_in,
            issued=self._oauth.issued,
        )
