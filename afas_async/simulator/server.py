"""The simulator: a service on a port of this computer."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self, TypedDict, Unpack

from aiohttp import web
from aiohttp.http import HttpProcessingError
from anyio.from_thread import start_blocking_portal

from afas_async.simulator.changes import Changes
from afas_async.simulator.delivery import Delivery
from afas_async.simulator.faults import Faults
from afas_async.simulator.files.attachments import stored_attachments
from afas_async.simulator.files.files import Files
from afas_async.simulator.latency import NO_LATENCY, Latency
from afas_async.simulator.oauth import OAuth
from afas_async.simulator.otp import Otp
from afas_async.simulator.own.get_connectors import OwnGetConnector, read_described_table
from afas_async.simulator.own.made_up import recorded_connectors
from afas_async.simulator.own.update_connectors import UpdateSource, read_update
from afas_async.simulator.rules import Rules
from afas_async.simulator.samples.connectors import SAMPLES, Sample
from afas_async.simulator.service import API_ROOT, Service
from afas_async.simulator.storage.sources import Source
from afas_async.simulator.storage.store import Store
from afas_async.simulator.storage.tables import Table, read_table
from afas_async.simulator.traffic import Counters, RequestRecord, Traffic
from afas_async.vocabulary.environment import is_loopback

# Beyond aiohttp's 8 KiB, so that a query that is too long reaches the service and its 404.
_LONGEST_LINE: Final = 64 * 1024
_LOG: Final = logging.getLogger(__name__)


class SimulatorOptions(TypedDict, total=False):
    """The arguments of a `Simulator`."""

    rows: int
    seed: int
    latency: Latency
    gzip: bool
    token: str | None
    connectors: Mapping[str, Source | OwnGetConnector] | None
    updates: Mapping[str, UpdateSource] | None
    recording: str | os.PathLike[str] | None
    rules: Rules
    host: str
    port: int


class Simulator:
    """A simulated AFAS Profit REST service on a real loopback port, with its rows in SQLite.

    The sample GetConnectors are `Profit_Article` and `Profit_Wide` with `rows` rows each, the smaller
    `Profit_Debtor`, `Profit_Employees`, `Profit_Persons`, `Profit_Addresses`, `Profit_JournalEntries`,
    `Profit_JournalLines`, `Profit_Accounts`, `Profit_Subjects`, `Profit_SubjectAttachments`, `Profit_SubjectLinks` and
    `Profit_DimensionCodes`, and `Profit_Empty` with none. The UpdateConnectors write what these read:

    * `FbItemArticle` writes `Profit_Article`, `KnEmployee` (its element is `AfasEmployee`) `Profit_Employees`, and
      `KnDimCode` `Profit_DimensionCodes`.
    * `KnSubject` writes `Profit_Subjects`; each new one gets a number, so that a write done twice shows as two rows.
      Its `Ds`, the field `Subject`, has room for a reference of your own. Its object `KnSubjectAttachment` writes
      `Profit_SubjectAttachments`, whose `FileId` gives the file back, and `KnSubjectLink` writes `Profit_SubjectLinks`.
    * `KnPerson` writes `Profit_Persons`, with one address at most as the object `KnBasicAddressAdr`, which is the row
      of that person in `Profit_Addresses`.
    * `FiEntries` writes `Profit_JournalEntries` with its element `FiEntryPar`, and their lines in
      `Profit_JournalLines` with the object `FiEntries` in it.

    `files` has what the data connectors answer: attachments of dossier items with awkward names, images in three sizes,
    and reports over `Profit_Article` and `Profit_Debtor`. They come out of the seed, too.

        async with Simulator(rows=1_000) as simulator:
            ...  # call simulator.base_url with simulator.token

    `running` serves code without an event loop. You may use the properties from any thread while it runs.

    Args:
        rows: The size of the large sample connectors.
        seed: What the sample rows come from; the same seed gives the same bytes.
        latency: How long each answer takes.
        gzip: Whether to compress for clients that accept it.
        token: The whole XML token that clients must use; by default a random one.
        connectors: Connectors of your own, by name, each in place of a sample of its name: the path of a `.csv`,
            `.ndjson` or `.jsonl` file, or dicts (see `afas_async.simulator.storage.tables`), or an `OwnGetConnector`
            with the fields of metainfo. They have no key.
        updates: UpdateConnectors of your own, by name, each in place of a sample of its name: the JSON of `GET
            metainfo/update/X` as a dict, as bytes or as the path of a file, or an `OwnUpdateConnector`.
        recording: The file of a recorded environment (`afas_async.simulator.own.recordings`): its connectors take the
            place of all samples. Each GetConnector has as many made-up rows as were recorded, and `rows` at most.
        rules: How the service behaves where releases differ or its documentation is silent.
        host: A loopback address, or `localhost`.
        port: The port; 0 takes a free one.

    Raises:
        ValueError: The host is not loopback, the port is no port, the token is no XML token, `rows` is negative, or
            something is wrong with a connector of your own or with the recording.
        OSError: The file of such a connector, or of the recording, cannot be read.

    Attributes:
        store: The rows; usable until `stop`, also before `start`.
        files: The attachments, images and reports; `add` adds to them at any time.
        oauth: The client credentials that it accepts, and the access tokens that it has given for them.
    """

    def __init__(
        self,
        *,
        rows: int = 1_000,
        seed: int = 1,
        latency: Latency = NO_LATENCY,
        gzip: bool = False,
        token: str | None = None,
        connectors: Mapping[str, Source | OwnGetConnector] | None = None,
        updates: Mapping[str, UpdateSource] | None = None,
        recording: str | os.PathLike[str] | None = None,
        rules: Rules = Rules(),  # noqa: B008 (frozen)
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        if rows < 0:
            raise ValueError(f"rows is {rows}; it must be 0 or more")
        if not is_loopback(host):
            raise ValueError(f"host is {host!r}; the simulator listens on loopback addresses only, such as 127.0.0.1")
        if not 0 <= port <= 65_535:
            raise ValueError(f"port is {port}; it must be between 0 and 65535")
        if token is None:
            token = f"<token><version>1</version><data>{secrets.token_hex(32).upper()}</data></token>"
        elif not re.fullmatch(r"<token><version>1</version><data>[^<>\s]+</data></token>", token):
            raise ValueError("the token must be the whole XML: <token><version>1</version><data>...</data></token>")
        tables = [_table(name, source) for name, source in (connectors or {}).items()]
        samples: Sequence[Sample] = SAMPLES
        recorded_updates: Mapping[str, UpdateSource] = {}
        if recording is not None:
            samples, recorded_updates = recorded_connectors(recording)
        own = [read_update(name, source) for name, source in _in_place(recorded_updates, updates or {}).items()]
        self.store: Store = Store(
            rows,
            seed,
            [*tables, *(table for update in own for table in update.shown)],
            [update.connector for update in own],
            [table for update in own for table in update.tables],
            samples=samples,
        )
        self._rows = rows
        self._seed = seed
        self._host = host
        self._port = port
        self._token = token
        self._traffic = Traffic()
        self._delivery = Delivery(self._traffic, latency=latency, gzip=gzip, traced=rules.profit >= 7)
        self._otp = Otp(token)
        self.oauth: OAuth = OAuth()
        self.files: Files = Files(seed, stored_attachments(self.store))
        self._service = Service(
            self.store,
            self._traffic,
            self._delivery,
            token=token,
            otp=self._otp,
            oauth=self.oauth,
            files=self.files,
            rules=rules,
        )
        self._runner = web.AppRunner(
            self._service.application(),
            access_log=None,
            logger=_LOG,
            handle_signals=False,
            handler_cancellation=True,
            max_line_size=_LONGEST_LINE,
        )
        self._started = False
        self._stopped = False

    @classmethod
    @contextmanager
    def running(cls, **options: Unpack[SimulatorOptions]) -> Generator[Self, None, None]:
        """Run a simulator in a thread of its own until the block ends, for code without an event loop.

        The simulator brings its own event loop, so the calling thread may have one too. The end of the block cuts off
        the requests that are still under way.

            with Simulator.running(rows=1_000) as simulator:
                simulator.faults.add(Fault(status=503))
                your_reader(simulator.base_url, simulator.token)
                assert simulator.requests[0].status == 503

        Args:
            options: The arguments of `Simulator`.

        Raises:
            ValueError: As for `Simulator`.
            OSError: As for `Simulator`, or the port is not free.
        """
        simulator = cls(**options)
        with (
            start_blocking_portal("asyncio", name=f"{__name__} {id(simulator):x}") as portal,
            portal.wrap_async_context_manager(simulator),
        ):
            yield simulator

    def __repr__(self) -> str:
        state = "stopped" if self._stopped else self.base_url if self._started else "not started"
        return f"<Simulator rows={self._rows} seed={self._seed} {state}>"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def base_url(self) -> str:
        """The URL of the service, ending in `/profitrestservices`.

        Raises:
            RuntimeError: The simulator has not been started.
        """
        if not self._started:
            raise RuntimeError("the simulator has no URL before start()")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}/{API_ROOT}"

    @property
    def token(self) -> str:
        """The whole XML token; an `Authorization` header carries it in base64."""
        return self._token

    @property
    def otp_code(self) -> str | None:
        """The one-time password that the service would have sent by e-mail last, until it is used."""
        return self._otp.code

    @property
    def requests(self) -> deque[RequestRecord]:
        """The last 10,000 requests in order of arrival."""
        return self._traffic.requests

    @property
    def counters(self) -> Counters:
        """Sums over all requests; the object changes as they come and go."""
        return self._traffic.counters

    @property
    def faults(self) -> Faults:
        """The script of what goes wrong; empty at first."""
        return self._delivery.faults

    @property
    def latency(self) -> Latency:
        """How long each answer takes; may be assigned at any time, for the requests that come after."""
        return self._delivery.latency

    @latency.setter
    def latency(self, latency: Latency) -> None:
        self._delivery.latency = latency

    @property
    def clock(self) -> Callable[[], datetime]:
        """What tells the moment, or the wall time in Amsterdam, for the `ModifiedOn` of a row; may be assigned."""
        return self._service.updates.clock

    @clock.setter
    def clock(self, clock: Callable[[], datetime]) -> None:
        self._service.updates.clock = clock

    @property
    def changes(self) -> Changes:
        """The script of what happens to the rows while they are read; empty at first."""
        return self._service.changes

    def define_get(self, connector: str, source: Source | OwnGetConnector) -> None:
        """Add a GetConnector of your own to a simulator that runs, until `reset`.

        It takes the place of a connector of its name. Define before you write: all rows are those of the start again.

            simulator.define_get("My_Articles", [{"ItemCode": "A1", "Stock": 3}])

        Args:
            connector: Its name.
            source: Its rows, or an `OwnGetConnector`; see `connectors` of the class.

        Raises:
            ValueError: Something is wrong with it.
            OSError: Its file cannot be read.
        """
        self.store.define([_table(connector, source)])
        self._service.learn_connectors()

    def define_update(self, connector: str, source: UpdateSource) -> None:
        """Add an UpdateConnector of your own to a simulator that runs, until `reset`.

        It takes the place of a connector of its name. Define before you write: all rows are those of the start again.

            simulator.define_update("FbSales", "metainfo/FbSales.json")

        Args:
            connector: Its name.
            source: Its metainfo, or an `OwnUpdateConnector`; see `updates` of the class.

        Raises:
            ValueError: Something is wrong with it.
            OSError: Its file cannot be read.
        """
        own = read_update(connector, source)
        self.store.define(own.shown, [own.connector], own.tables)
        self._service.learn_connectors()

    def written(self, connector: str) -> list[dict[str, Any]]:
        """Return what an UpdateConnector has written, for the assertions of a test.

        Only what was carried out counts: nothing that was refused, and nothing twice.

        Args:
            connector: The UpdateConnector, in any case of letters.

        Returns:
            The elements in the order in which they were carried out, as dicts that `insert` takes, each with its
            `@Action`. Values are those of the bodies, with a Decimal for a number with a point; a delete has the key
            in its URL, as texts. Of all connectors together the last 10,000 are kept.

        Raises:
            ValueError: There is no such connector.
        """
        return self._service.written(connector)

    def reset(self) -> None:
        """Go back to the start between two tests, without a new port and without making the rows again.

        Tables, files, faults, changes, latency, clock, requests, counters and what was written are as they were at
        first. The URL, the token and access tokens stay. A write under way is given up, and its connection is closed.
        """
        self._service.reset()

    async def start(self) -> None:
        """Listen; harmless when started already.

        Raises:
            OSError: The port is not free.
            RuntimeError: The simulator has been stopped.
        """
        if self._stopped:
            raise RuntimeError("a stopped simulator does not start again; make a new one")
        if self._started:
            return
        try:
            await self._runner.setup()
            await web.TCPSite(self._runner, self._host, self._port).start()
        except BaseException:
            await self.stop()
            raise
        self._port = self._runner.addresses[0][1]
        self._started = True

    async def stop(self) -> None:
        """Stop listening, cut off requests, give up writes still to be done, and forget the rows; harmless again."""
        self._stopped = True
        for site in self._runner.sites:
            await site.stop()
        if self._runner.server is not None:
            # A connection that closes normally waits for a client that has stopped reading.
            for connection in self._runner.server.connections:
                if connection.transport is not None:
                    connection.transport.abort()
        await self._runner.cleanup()
        await self._service.stop()
        self.store.close()


def _in_place(recorded: Mapping[str, UpdateSource], updates: Mapping[str, UpdateSource]) -> Mapping[str, UpdateSource]:
    """Return the UpdateConnectors of the user and those recorded ones in whose place none of them is."""
    names = {name.lower() for name in updates}
    return {**updates, **{name: source for name, source in recorded.items() if name.lower() not in names}}


def _table(name: str, source: Source | OwnGetConnector) -> Table:
    return read_described_table(name, source) if isinstance(source, OwnGetConnector) else read_table(name, source)


def _quotes_no_request(record: logging.LogRecord) -> bool:
    """Whether a log record is not about a request that is no HTTP: aiohttp quotes its lines, with the token."""
    return record.exc_info is None or not isinstance(record.exc_info[1], (HttpProcessingError, web.RequestPayloadError))


_LOG.addFilter(_quotes_no_request)


async def serve(simulator: Simulator) -> None:
    """Run a simulator until this task is cancelled, starting it where it is not yet started."""
    async with simulator:
        await asyncio.Event().wait()
