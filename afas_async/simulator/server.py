"""The simulator: a service on a port of your computer."""

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

# More than aiohttp's 8 KiB, so that a query that is too long reaches the service and gets its 404.
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

        async with Simulator(rows=1_000) as simulator:
            ...  # your code calls simulator.base_url with simulator.token

    In code without an event loop you use `Simulator.running`. You can use the properties from any thread. See the guide
    `afas_async.simulator`.

    You find these samples in it. What you write with an UpdateConnector, you read with its GetConnector:

    | UpdateConnector | Element or object | GetConnector |
    |---|---|---|
    | `FbItemArticle` | `FbItemArticle` | `Profit_Article` |
    | `KnEmployee` | `AfasEmployee` | `Profit_Employees` |
    | `KnDimCode` | `KnDimCode` | `Profit_DimensionCodes` |
    | `KnSubject` | `KnSubject` | `Profit_Subjects` |
    | | `KnSubjectAttachment` | `Profit_SubjectAttachments` |
    | | `KnSubjectLink` | `Profit_SubjectLinks` |
    | `KnPerson` | `KnPerson` | `Profit_Persons` |
    | | `KnBasicAddressAdr`, one at most | `Profit_Addresses` |
    | `FiEntries` | `FiEntryPar` | `Profit_JournalEntries` |
    | | `FiEntries` | `Profit_JournalLines` |
    | | | `Profit_Wide`, `Profit_Debtor`, `Profit_Accounts` and `Profit_Empty` |

    `Profit_Article` and `Profit_Wide` have `rows` rows, `Profit_Empty` has none, and the others are smaller.
    `KnSubject` numbers its records, so you see a duplicate write as two rows. Its `Ds`, the field `Subject`, has room
    for your own reference. `files` has attachments with awkward names, images in three sizes, and reports over
    `Profit_Article` and `Profit_Debtor`.

    Args:
        rows: The number of rows of the large samples.
        seed: The same seed gives you the same sample rows and files, byte for byte.
        latency: How long each response takes.
        gzip: Whether to compress responses for clients that accept it.
        token: The whole XML token that your client must use; random by default.
        connectors: Your own GetConnectors by name; they replace samples of the same name. Give the path of a `.csv`,
            `.ndjson` or `.jsonl` file, dicts (see `afas_async.simulator.storage.tables`), or an `OwnGetConnector` with
            your metainfo. They have no key.
        updates: Your own UpdateConnectors by name; they replace samples of the same name. Give the JSON of `GET
            metainfo/update/X` as a dict, as bytes or as the path of a file, or an `OwnUpdateConnector`.
        recording: The path of a recording of your environment, which replaces all samples. A GetConnector has as many
            made-up rows as it had then, and `rows` at most.
        rules: How the service behaves where releases differ or AFAS documents nothing.
        host: A loopback address, or `localhost`.
        port: The port; 0 takes a free one.

    Raises:
        ValueError: An argument is invalid, or one of your connectors or the recording is wrong.
        OSError: A file cannot be read.

    Attributes:
        store: The rows. You can use it before `start`, and until `stop`.
        files: The attachments, images and reports. You can `add` attachments at any time.
        oauth: The client credentials that you can use, and the access tokens that were issued for them.
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
        """Run a simulator in its own thread until your block ends, for code without an event loop.

        It has its own event loop, so your thread may have one too. At the end of the block, requests in flight are cut
        off.

            with Simulator.running(rows=1_000) as simulator:
                simulator.faults.add(Fault(status=503))
                your_reader(simulator.base_url, simulator.token)
                assert simulator.requests[0].status == 503

        Args:
            options: The arguments of `Simulator`.

        Yields:
            The running simulator, for you to call and to script.

        Raises:
            ValueError: As for `Simulator`.
            OSError: As for `Simulator`, or the port is in use.
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
            RuntimeError: You have not started the simulator.
        """
        if not self._started:
            raise RuntimeError("the simulator has no URL before start(): use `async with`, or call start() first")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}/{API_ROOT}"

    @property
    def token(self) -> str:
        """The whole XML token. Your client sends it in base64, in the `Authorization` header."""
        return self._token

    @property
    def otp_code(self) -> str | None:
        """The last one-time password that the service would have e-mailed, or None once you have used it."""
        return self._otp.code

    @property
    def requests(self) -> deque[RequestRecord]:
        """The last 10,000 requests in order of arrival."""
        return self._traffic.requests

    @property
    def counters(self) -> Counters:
        """Sums over all requests, which you see change as requests come and go."""
        return self._traffic.counters

    @property
    def faults(self) -> Faults:
        """Your script of faults; empty at first."""
        return self._delivery.faults

    @property
    def latency(self) -> Latency:
        """How long each response takes. You can assign it at any time, for the requests that follow."""
        return self._delivery.latency

    @latency.setter
    def latency(self, latency: Latency) -> None:
        self._delivery.latency = latency

    @property
    def clock(self) -> Callable[[], datetime]:
        """Returns the current time for the `ModifiedOn` of rows; you can assign your own function.

        It returns a moment with a time zone, or wall time in Amsterdam without one.
        """
        return self._service.updates.clock

    @clock.setter
    def clock(self, clock: Callable[[], datetime]) -> None:
        self._service.updates.clock = clock

    @property
    def changes(self) -> Changes:
        """Your script of changes to the rows during a read; empty at first."""
        return self._service.changes

    def define_get(self, connector: str, source: Source | OwnGetConnector) -> None:
        """Add your own GetConnector to a running simulator, until `reset`.

        It replaces a connector of the same name. Define it before you write: all rows go back to those of the start.

            simulator.define_get("My_Articles", [{"ItemCode": "A1", "Stock": 3}])

        Args:
            connector: Its name.
            source: Its rows, or an `OwnGetConnector`, as in `connectors=` of `Simulator`.

        Raises:
            ValueError: The name, the rows or the metainfo is wrong; the message says where.
            OSError: A file cannot be read.
        """
        self.store.define([_table(connector, source)])
        self._service.learn_connectors()

    def define_update(self, connector: str, source: UpdateSource) -> None:
        """Add your own UpdateConnector to a running simulator, until `reset`.

        It replaces a connector of the same name. Define it before you write: all rows go back to those of the start.

            simulator.define_update("FbSales", "metainfo/FbSales.json")

        Args:
            connector: Its name.
            source: Its metainfo, or an `OwnUpdateConnector`, as in `updates=` of `Simulator`.

        Raises:
            ValueError: The name or the metainfo is wrong; the message says where.
            OSError: A file cannot be read.
        """
        own = read_update(connector, source)
        self.store.define(own.shown, [own.connector], own.tables)
        self._service.learn_connectors()

    def written(self, connector: str) -> list[dict[str, Any]]:
        """Return the elements that your code wrote with an UpdateConnector, for the assertions of your test.

        You get each element once, and none that was refused.

            assert simulator.written("FbSales") == [{"@Action": "insert", "DbId": "10001"}]

        Args:
            connector: The name of the UpdateConnector; letter case does not count.

        Returns:
            The elements in the order in which they were carried out, as dicts that `insert` accepts, with their
            `@Action`. Values are as you sent them, with a Decimal for a number with a decimal point. A delete has the
            key from its URL, as texts. The simulator keeps the last 10,000 elements of all connectors together.

        Raises:
            ValueError: The connector does not exist.
        """
        return self._service.written(connector)

    def reset(self) -> None:
        """Go back to the start between two of your tests, without a new port and without making the rows again.

        Rows, files, faults, changes, latency, clock, requests, counters and `written` are as they were at first. Your
        URL, token and access tokens stay valid. A pending write is abandoned, and its connection is closed.
        """
        self._service.reset()

    async def start(self) -> None:
        """Start to listen, as `async with` does for you. A second call does nothing.

        Raises:
            OSError: The port is in use.
            RuntimeError: You have stopped this simulator.
        """
        if self._stopped:
            raise RuntimeError("a stopped simulator cannot start again: make a new one")
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
        """Stop listening, cut off requests, and abandon pending writes and all rows. A second call does nothing."""
        self._stopped = True
        for site in self._runner.sites:
            await site.stop()
        if self._runner.server is not None:
            # A normal close would wait for a client that has stopped reading.
            for connection in self._runner.server.connections:
                if connection.transport is not None:
                    connection.transport.abort()
        await self._runner.cleanup()
        await self._service.stop()
        self.store.close()


def _in_place(recorded: Mapping[str, UpdateSource], updates: Mapping[str, UpdateSource]) -> Mapping[str, UpdateSource]:
    """Return the UpdateConnectors of the user, and the recorded ones with other names."""
    names = {name.lower() for name in updates}
    return {**updates, **{name: source for name, source in recorded.items() if name.lower() not in names}}


def _table(name: str, source: Source | OwnGetConnector) -> Table:
    return read_described_table(name, source) if isinstance(source, OwnGetConnector) else read_table(name, source)


def _quotes_no_request(record: logging.LogRecord) -> bool:
    """Whether to keep a log record. Those about invalid HTTP quote the request, with its token."""
    return record.exc_info is None or not isinstance(record.exc_info[1], (HttpProcessingError, web.RequestPayloadError))


_LOG.addFilter(_quotes_no_request)


async def serve(simulator: Simulator) -> None:
    """Run a simulator until you cancel this task. You may have started it already."""
    async with simulator:
        await asyncio.Event().wait()
