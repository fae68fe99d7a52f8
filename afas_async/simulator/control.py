"""The control routes: your other programs inspect and script a running simulator over HTTP.

You send and receive JSON below `/simulator`, without a token:

    curl -d '{"status":503,"retry_after":2}' http://127.0.0.1:8765/simulator/faults

| Path | GET | POST | DELETE |
|---|---|---|---|
| `counters`, `requests` | the requests so far | | |
| `checksum/X` | the checksum of a GetConnector | | |
| `written/X` | the elements that you wrote | | |
| `faults`, `changes` | those that have not happened yet | add one, or an array | remove all |
| `latency` | the current latency | set another one | |
| `otp` | the last one-time password | | |
| `oauth` | client credentials and tokens issued | set some of them | revoke all access tokens |
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
    """A connector with this name does not exist."""


class OAuthState(OwnRepr, msgspec.Struct, frozen=True, kw_only=True):
    """The client credentials that you can use, and the number of tokens issued for them.

    Attributes:
        client_id: The client id.
        client_secret: Its secret.
        public_key: The public key, in PEM, of an app that signs with a private key; or None.
        expires_in: How many seconds new tokens are valid.
        issued: The number of tokens that were issued.
    """

    client_id: str
    client_secret: str
    public_key: str | None
    expires_in: float
    issued: int

    def __repr__(self) -> str:
        return f"<OAuthState issued={self.issued} expires_in={self.expires_in:g}>"


class OAuthAssignment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """New values for attributes of an `OAuth`. Those that you leave out stay."""

    client_id: str | msgspec.UnsetType = msgspec.UNSET
    client_secret: str | msgspec.UnsetType = msgspec.UNSET
    public_key: str | msgspec.UnsetType | None = msgspec.UNSET
    expires_in: float | msgspec.UnsetType = msgspec.UNSET


class FileList(msgspec.Struct, frozen=True):
    """All files of a simulator; in JSON their bytes are in base64."""

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
    """Responds to requests below `/simulator`.

    Args:
        traffic: The request log and the counters.
        delivery: Has the faults and the latency.
        changes: The script of changes.
        otp: Has the last one-time password.
        oauth: The client credentials.
        files: The files.
        checksum: Returns the checksum of a GetConnector.
        written: Returns the elements that an UpdateConnector wrote.
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
        """Respond to a request.

        Args:
            method: Its method.
            segments: The parts of its path after `/simulator`.
            body: Its body.

        Returns:
            JSON; or a 404 for an unknown path or connector, or a 400 with the reason for an invalid body.
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
                raise LookupError(
                    f"no {method} of {'/'.join(segments)!r}; `afas_async.simulator.control` has the paths"
                )

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
