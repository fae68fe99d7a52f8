"""What you ask of a simulator in another process, and script in it, under the names that `Simulator` has.

What is an attribute of a `Simulator` is asked for with an `await` here, as it lies in another process.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus
from typing import IO, Any, Final, Protocol

import aiohttp
import msgspec

from afas_async.simulator.changes import Change
from afas_async.simulator.control import CONTROL_ROOT, FileList, NewAttachment, OAuthAssignment, OAuthState
from afas_async.simulator.faults import Fault, check_all_happened
from afas_async.simulator.files.files import Attachment, Image, Report
from afas_async.simulator.latency import Latency
from afas_async.simulator.service import API_ROOT
from afas_async.simulator.storage.store import Checksum
from afas_async.simulator.traffic import Counters, RequestRecord

_WRITTEN: Final = msgspec.json.Decoder(list[dict[str, Any]], float_hook=Decimal)


class SimulatorError(RuntimeError):
    """A simulator's process did not come up, has died, or refuses what it is asked."""


class _Ask(Protocol):
    """Sends a request to the control door, and returns the body of its answer."""

    async def __call__(self, path: str, method: str = "GET", content: bytes | None = None) -> bytes: ...


@dataclass(frozen=True, slots=True)
class RemoteFaults:
    """The script of what goes wrong, as `Simulator.faults`."""

    _ask: _Ask = field(repr=False)

    async def left(self) -> list[Fault]:
        """Return the faults still to come, as `Faults.left`."""
        return msgspec.json.decode(await self._ask("faults"), type=list[Fault])

    async def add(self, *faults: Fault) -> None:
        """Put faults at the end of the script, as `Faults.add`."""
        await self._ask("faults", "POST", msgspec.json.encode(faults))

    async def clear(self) -> None:
        """Forget all faults."""
        await self._ask("faults", "DELETE")

    @asynccontextmanager
    async def expect(self, *faults: Fault) -> AsyncGenerator[None, None]:
        """Add faults that must happen in the block, as `Faults.expect`.

        Raises:
            AssertionError: At the end of a block that raises nothing: faults that did not happen.
        """
        await self.add(*faults)
        yield
        check_all_happened(await self.left())


@dataclass(frozen=True, slots=True)
class RemoteChanges:
    """The script of what happens to the rows, as `Simulator.changes`."""

    _ask: _Ask = field(repr=False)

    async def left(self) -> list[Change]:
        """Return the changes still to come, as `Changes.left`."""
        return msgspec.json.decode(await self._ask("changes"), type=list[Change])

    async def add(self, *changes: Change) -> None:
        """Put changes at the end of the script, as `Changes.add`.

        Raises:
            SimulatorError: There is no such connector or field, or the process has died.
        """
        await self._ask("changes", "POST", msgspec.json.encode(changes))

    async def clear(self) -> None:
        """Forget all changes."""
        await self._ask("changes", "DELETE")


@dataclass(frozen=True, slots=True)
class RemoteOAuth:
    """The client credentials, as `Simulator.oauth`.

    A test of your own rotation of tokens, in which the second call needs a new one:

        state = await simulator.oauth.state()
        credentials = ClientCredentials(state.client_id, state.client_secret)
        ...  # the first call
        await simulator.oauth.revoke()
        ...  # the second call
        assert (await simulator.oauth.state()).issued == 2
    """

    _ask: _Ask = field(repr=False)

    async def state(self) -> OAuthState:
        """Return the attributes that `Simulator.oauth` has."""
        return msgspec.json.decode(await self._ask("oauth"), type=OAuthState)

    async def assign(
        self,
        *,
        client_id: str | msgspec.UnsetType = msgspec.UNSET,
        client_secret: str | msgspec.UnsetType = msgspec.UNSET,
        public_key: str | msgspec.UnsetType | None = msgspec.UNSET,
        expires_in: float | msgspec.UnsetType = msgspec.UNSET,
    ) -> None:
        """Assign the attributes that are given, as you assign those of `Simulator.oauth`."""
        assigned = OAuthAssignment(
            client_id=client_id, client_secret=client_secret, public_key=public_key, expires_in=expires_in
        )
        await self._ask("oauth", "POST", msgspec.json.encode(assigned))

    async def revoke(self) -> None:
        """Make all tokens given so far invalid."""
        await self._ask("oauth", "DELETE")


@dataclass(frozen=True, slots=True)
class RemoteFiles:
    """The attachments, images and reports, as `Simulator.files`."""

    _ask: _Ask = field(repr=False)

    async def attached(self) -> list[Attachment]:
        """Return the attachments that no client has written."""
        return (await self._list()).attached

    async def images(self) -> list[Image]:
        """Return the images; the id of the last is a whole number."""
        return (await self._list()).images

    async def reports(self) -> list[Report]:
        """Return the reports."""
        return (await self._list()).reports

    async def add(
        self, name: str, data: bytes, *, mimetype: str = "application/octet-stream", subject_id: int = 1
    ) -> str:
        """Attach a file to a dossier item, and return its id."""
        new = NewAttachment(name=name, data=data, mimetype=mimetype, subject_id=subject_id)
        return msgspec.json.decode(await self._ask("files", "POST", msgspec.json.encode(new)), type=str)

    async def _list(self) -> FileList:
        return msgspec.json.decode(await self._ask("files"), type=FileList)


@dataclass(frozen=True, slots=True)
class SimulatorProcess:
    """A simulator that runs in another process.

    Every method, also of `faults`, `changes`, `oauth` and `files`, raises SimulatorError if the process has died.

    Attributes:
        base_url: The URL of the service, ending in `/profitrestservices`.
        token: The whole XML token.
        pid: The id of the process.
    """

    base_url: str
    token: str = field(repr=False)
    pid: int
    _session: aiohttp.ClientSession = field(repr=False)
    _said: IO[bytes] = field(repr=False)

    @property
    def faults(self) -> RemoteFaults:
        """The script of what goes wrong; empty at first."""
        return RemoteFaults(self._ask)

    @property
    def changes(self) -> RemoteChanges:
        """The script of what happens to the rows while they are read; empty at first."""
        return RemoteChanges(self._ask)

    @property
    def oauth(self) -> RemoteOAuth:
        """The client credentials that it accepts."""
        return RemoteOAuth(self._ask)

    @property
    def files(self) -> RemoteFiles:
        """The attachments, images and reports."""
        return RemoteFiles(self._ask)

    async def otp_code(self) -> str | None:
        """Ask for the one-time password that the service would have sent by e-mail last, until it is used."""
        return msgspec.json.decode(await self._ask("otp"), type=str | None)

    async def requests(self) -> list[RequestRecord]:
        """Ask for the last 10,000 requests in order of arrival; their times are those of the other process."""
        return msgspec.json.decode(await self._ask("requests"), type=list[RequestRecord])

    async def counters(self) -> Counters:
        """Ask for the counters as they are now."""
        return msgspec.json.decode(await self._ask("counters"), type=Counters)

    async def checksum(self, connector: str) -> Checksum:
        """Ask for what a complete reading of the connector must add up to.

        Raises:
            SimulatorError: There is no such connector, or the process has died.
        """
        return msgspec.json.decode(await self._ask(f"checksum/{connector}"), type=Checksum)

    async def written(self, connector: str) -> list[dict[str, Any]]:
        """Ask for what an UpdateConnector has written, as `Simulator.written` returns it.

        Raises:
            SimulatorError: There is no such connector, or the process has died.
        """
        return _WRITTEN.decode(await self._ask(f"written/{connector}"))

    async def set_latency(self, latency: Latency) -> None:
        """Say how long each answer takes from now on, as you assign `Simulator.latency`."""
        await self._ask("latency", "POST", msgspec.json.encode(latency))

    async def reset(self) -> None:
        """Go back to the start, as `Simulator.reset` does."""
        await self._ask("reset", "POST")

    async def _ask(self, path: str, method: str = "GET", content: bytes | None = None) -> bytes:
        url = f"{self.base_url.removesuffix(API_ROOT)}{CONTROL_ROOT}/{path}"
        try:
            async with self._session.request(method, url, data=content) as response:
                answer = await response.read()
                if response.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}:
                    raise SimulatorError(f"the simulator refuses this for {path!r}: {answer.decode()}")
                response.raise_for_status()
                return answer
        except (aiohttp.ClientError, TimeoutError) as error:
            reason = last_words(self._said) or repr(error)
            raise SimulatorError(f"the simulator did not answer {path!r}: {reason}") from None


def last_words(said: IO[bytes]) -> str:
    """Return the last line that a process has written to standard error: of a traceback it is the error."""
    said.seek(0)
    return said.read().decode(errors="replace").rstrip().rpartition("\n")[2]
