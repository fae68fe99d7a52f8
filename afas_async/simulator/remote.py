"""A simulator in another process, which you use by the names of `Simulator`.

You `await` here what you read as an attribute of a `Simulator`.
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
    """The process of a simulator did not start, has died, or refuses what you ask."""


class _Ask(Protocol):
    """Sends a request to the control routes, and returns the body of the response."""

    async def __call__(self, path: str, method: str = "GET", content: bytes | None = None) -> bytes: ...


@dataclass(frozen=True, slots=True)
class RemoteFaults:
    """Your script of faults, as `Simulator.faults`."""

    _ask: _Ask = field(repr=False)

    async def left(self) -> list[Fault]:
        """Return the faults that have not happened yet, as `Faults.left`."""
        return msgspec.json.decode(await self._ask("faults"), type=list[Fault])

    async def add(self, *faults: Fault) -> None:
        """Add faults to your script, as `Faults.add`."""
        await self._ask("faults", "POST", msgspec.json.encode(faults))

    async def clear(self) -> None:
        """Remove all faults from your script."""
        await self._ask("faults", "DELETE")

    @asynccontextmanager
    async def expect(self, *faults: Fault) -> AsyncGenerator[None, None]:
        """Add faults that must happen in the block, as `Faults.expect`.

        Raises:
            AssertionError: Some of the faults did not happen. A block that raises keeps its own exception.
        """
        await self.add(*faults)
        yield
        check_all_happened(await self.left())


@dataclass(frozen=True, slots=True)
class RemoteChanges:
    """Your script of changes to the rows, as `Simulator.changes`."""

    _ask: _Ask = field(repr=False)

    async def left(self) -> list[Change]:
        """Return the changes that have not happened yet, as `Changes.left`."""
        return msgspec.json.decode(await self._ask("changes"), type=list[Change])

    async def add(self, *changes: Change) -> None:
        """Add changes to your script, as `Changes.add`.

        Raises:
            SimulatorError: A connector or a field does not exist, or the process has died.
        """
        await self._ask("changes", "POST", msgspec.json.encode(changes))

    async def clear(self) -> None:
        """Remove all changes from your script."""
        await self._ask("changes", "DELETE")


@dataclass(frozen=True, slots=True)
class RemoteOAuth:
    """The client credentials, as `Simulator.oauth`.

    You test that your code gets a new token after `revoke`:

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
        """Set the attributes that you pass, as you set those of `Simulator.oauth`."""
        assigned = OAuthAssignment(
            client_id=client_id, client_secret=client_secret, public_key=public_key, expires_in=expires_in
        )
        await self._ask("oauth", "POST", msgspec.json.encode(assigned))

    async def revoke(self) -> None:
        """Make all tokens that were issued so far invalid."""
        await self._ask("oauth", "DELETE")


@dataclass(frozen=True, slots=True)
class RemoteFiles:
    """The attachments, images and reports, as `Simulator.files`."""

    _ask: _Ask = field(repr=False)

    async def attached(self) -> list[Attachment]:
        """Return the attachments, without those that your code wrote."""
        return (await self._list()).attached

    async def images(self) -> list[Image]:
        """Return the images. The id of the last is a whole number."""
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
    """A simulator in another process, from `spawn`.

    All methods, also those of `faults`, `changes`, `oauth` and `files`, raise SimulatorError if the process has died.

        async with spawn() as simulator:
            await simulator.faults.add(Fault(status=503))
            ...  # your code
            assert (await simulator.requests())[0].status == 503

    Attributes:
        base_url: The URL of the service, ending in `/profitrestservices`.
        token: The whole XML token.
        pid: The id of the process.
    """

    base_url: str
    token: str = field(repr=False)
    pid: int
    _session: aiohttp.ClientSession = field(repr=False)
    _stderr: IO[bytes] = field(repr=False)

    @property
    def faults(self) -> RemoteFaults:
        """Your script of faults; empty at first."""
        return RemoteFaults(self._ask)

    @property
    def changes(self) -> RemoteChanges:
        """Your script of changes to the rows during a read; empty at first."""
        return RemoteChanges(self._ask)

    @property
    def oauth(self) -> RemoteOAuth:
        """The client credentials that you can use."""
        return RemoteOAuth(self._ask)

    @property
    def files(self) -> RemoteFiles:
        """The attachments, images and reports."""
        return RemoteFiles(self._ask)

    async def otp_code(self) -> str | None:
        """Return the last one-time password that the service would have e-mailed, or None once you have used it."""
        return msgspec.json.decode(await self._ask("otp"), type=str | None)

    async def requests(self) -> list[RequestRecord]:
        """Return the last 10,000 requests in order of arrival, with the times of the other process's clock."""
        return msgspec.json.decode(await self._ask("requests"), type=list[RequestRecord])

    async def counters(self) -> Counters:
        """Return the counters of this moment."""
        return msgspec.json.decode(await self._ask("counters"), type=Counters)

    async def checksum(self, connector: str) -> Checksum:
        """Return the checksum of a GetConnector, which you compare with that of the rows that you read.

        Raises:
            SimulatorError: The connector does not exist, or the process has died.
        """
        return msgspec.json.decode(await self._ask(f"checksum/{connector}"), type=Checksum)

    async def written(self, connector: str) -> list[dict[str, Any]]:
        """Return the elements that your code wrote with an UpdateConnector, as `Simulator.written`.

        Raises:
            SimulatorError: The connector does not exist, or the process has died.
        """
        return _WRITTEN.decode(await self._ask(f"written/{connector}"))

    async def set_latency(self, latency: Latency) -> None:
        """Set how long responses take from now on, as you set `Simulator.latency`."""
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
                    raise SimulatorError(f"the simulator refused the request for {path!r}: {answer.decode()}")
                response.raise_for_status()
                return answer
        except (aiohttp.ClientError, TimeoutError) as error:
            reason = last_line(self._stderr) or repr(error)
            raise SimulatorError(f"the simulator did not answer {path!r}: {reason}") from None


def last_line(stderr: IO[bytes]) -> str:
    """Return the last line that a process wrote to standard error, which is the error if it wrote a traceback."""
    stderr.seek(0)
    return stderr.read().decode(errors="replace").rstrip().rpartition("\n")[2]
