"""A simulator that one thread makes, another runs, and several use."""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from afas_async import AfasClient
from afas_async.simulator import Change, Fault, Latency, Simulator
from afas_async.simulator.changes import Changes
from afas_async.simulator.faults import Faults
from afas_async.simulator.server import SimulatorOptions
from afas_async.simulator.storage.store import Store
from afas_async.simulator.traffic import RequestLog, RequestRecord
from tests.simulator.conftest import Client


def get(simulator: Simulator, connector: str = "Profit_Article", query: str = "orderbyfieldids=ItemCode") -> Any:
    """Read a page without an event loop; a refusal is its status."""
    url = URL(simulator.base_url)
    with closing(HTTPConnection(url.host or "", url.port, timeout=10)) as connection:
        token = base64.b64encode(simulator.token.encode()).decode()
        path = f"{url.path}/connectors/{connector}?{query}"
        connection.request("GET", path, headers={"Authorization": f"AfasToken {token}"})
        answer = connection.getresponse()
        return json.loads(answer.read())["rows"] if answer.status == 200 else answer.status


def sockets() -> list[str]:
    """Return the sockets of this process."""
    found: list[str] = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.append(str(descriptor.readlink()))
    return sorted(name for name in found if name.startswith("socket:"))


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Fail the test if it leaves a thread or a socket."""
    before = set(threading.enumerate()), sockets()
    yield
    assert (set(threading.enumerate()), sockets()) == before


@pytest.fixture
def hasty() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def at_once(*works: Callable[[], object]) -> None:
    """Call functions, each in a thread."""
    errors: list[BaseException] = []

    def call(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 (raised below)
            errors.append(error)

    threads = [threading.Thread(target=call, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_made_in_one_thread_and_run_in_another() -> None:
    """The thread that makes a simulator need not be the one whose event loop runs it."""
    simulator = Simulator(rows=5, connectors={"Own": [{"A": "1"}]})
    started, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with simulator:
            started.set()
            await asyncio.to_thread(over.wait, 10)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(10)
    assert len(get(simulator)) == 5
    assert get(simulator, "Own", "") == [{"A": "1"}]
    simulator.store.execute("UPDATE Profit_Article SET Stock = 4711")
    assert {row["Stock"] for row in get(simulator)} == {4711}
    over.set()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.usefixtures("nothing_left")
def test_without_an_event_loop() -> None:
    """The calling thread reads and scripts a simulator that runs in a thread of its own."""
    with Simulator.running(rows=5, seed=2, connectors={"Own": [{"A": "1"}]}) as simulator:
        assert len(get(simulator)) == 5
        simulator.faults.add(Fault(status=503, retry_after=1))
        simulator.changes.add(Change(connector="Profit_Article", after=1, delete=[{"ItemCode": "000003"}]))
        assert get(simulator) == 503
        assert [len(get(simulator)) for _ in range(2)] == [5, 4]
        assert (simulator.faults.left, simulator.changes.left) == ([], [])
        assert [request.status for request in simulator.requests] == [200, 503, 200, 200]
        assert simulator.counters.answered == 4
        simulator.latency = Latency(base=0.05)
        get(simulator, "Own", "")
        last = simulator.requests[-1]
        assert last.ended is not None
        assert last.ended - last.started >= 0.05
        assert simulator.store.count("Profit_Article") == 4
        assert simulator.base_url in repr(simulator)
    assert len(simulator.requests) == 5
    with pytest.raises(OSError, match="refused"):
        get(simulator)


@pytest.mark.usefixtures("nothing_left")
def test_several_side_by_side() -> None:
    """Simulators that run at the same time have nothing in common."""
    with Simulator.running(rows=5) as one, Simulator.running(rows=7) as other:
        assert (len(get(one)), len(get(other))) == (5, 7)
        assert (len(one.requests), len(other.requests)) == (1, 1)


async def test_beside_a_running_event_loop(client: Client) -> None:
    """The calling thread may have an event loop, which the simulator does not use."""
    before = set(threading.enumerate()), asyncio.all_tasks()
    with Simulator.running(rows=500) as simulator:
        assert len(get(simulator)) == 100  # in this thread, whose loop stands still
        assert len((await client.get(simulator, "/connectors/Profit_Article")).rows) == 100
        async with AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas:
            assert len(await afas.rows("Profit_Article", key="ItemCode").to_list()) == 500
    assert (set(threading.enumerate()), asyncio.all_tasks()) == before


@pytest.mark.usefixtures("nothing_left")
def test_errors_of_the_start() -> None:
    """The error that keeps a simulator from starting is raised where it should start."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"), Simulator.running(port=port):
            pytest.fail("it has started")
    with pytest.raises(ValueError, match="loopback"), Simulator.running(host="192.168.1.2"):
        pytest.fail("it has started")


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_errors_of_the_block(kind: type[BaseException]) -> None:
    """An error in the block comes out of it as it is, and the simulator stops."""
    error = kind("mine")
    running = Simulator.running(rows=5)
    simulator = running.__enter__()
    assert len(get(simulator)) == 5
    assert not running.__exit__(kind, error, None)
    with pytest.raises(OSError, match="refused"):
        get(simulator)


@pytest.mark.usefixtures("nothing_left")
def test_requests_under_way_are_cut_off() -> None:
    """The end of the block does not wait for responses that never come."""
    ended: list[type[BaseException]] = []

    def wait(simulator: Simulator) -> None:
        try:
            get(simulator)
        except Exception as error:  # noqa: BLE001 (of whatever kind)
            ended.append(type(error))

    with Simulator.running(rows=5) as simulator:
        simulator.faults.add(Fault(cut="stall", at=10))
        thread = threading.Thread(target=wait, args=(simulator,))
        thread.start()
        while not simulator.counters.bytes:
            thread.join(0.001)
    thread.join(10)
    assert len(ended) == 1


def test_the_options_are_those_of_the_simulator() -> None:
    """`running` takes all the options of a `Simulator`."""
    assert list(SimulatorOptions.__annotations__) == list(inspect.signature(Simulator).parameters)


@pytest.mark.usefixtures("hasty")
def test_no_fault_is_lost() -> None:
    """Each fault that one thread adds meets one of the requests of another."""
    faults = Faults()
    met: list[Fault | None] = []

    def take() -> None:
        while sum(fault is not None for fault in met) < 300:
            met.append(faults.take("GET", "/"))

    def add() -> None:
        for number in range(150):
            faults.add(Fault(status=400 + number % 10))

    at_once(take, add, add)
    assert faults.left == []


@pytest.mark.usefixtures("hasty")
def test_no_change_is_lost() -> None:
    """Each change that one thread adds is carried out by a request of another."""
    with closing(Store(5, 1)) as store:
        changes = Changes(store)

        def add(first: int) -> None:
            for number in range(first, first + 100):
                changes.add(Change(connector="Profit_Empty", insert=[{"Id": number}]))

        def read() -> None:
            while store.count("Profit_Empty") < 200:
                changes.count_request("Profit_Empty")

        at_once(read, lambda: add(0), lambda: add(100))
        assert changes.left == []


@pytest.mark.usefixtures("hasty")
def test_the_log_while_requests_arrive() -> None:
    """A thread can iterate over the log while another thread adds to it."""
    log = RequestLog()
    record = RequestRecord("GET", "/", {}, {}, ("", 0), 0.0)

    def look() -> None:
        while len(log) < 5_000:
            assert all(each is record for each in log)

    at_once(look, lambda: [log.append(record) for _ in range(5_000)])
    assert len(list(log)) == 5_000


@pytest.mark.usefixtures("hasty")
def test_transactions_of_several_threads() -> None:
    """A rollback in one thread undoes nothing that another has written, and samples are made once."""
    with closing(Store(3_000, 1)) as store:

        def undo() -> None:
            for number in range(100):
                with suppress(LookupError), store.transaction("Profit_Empty"):
                    store.insert("Profit_Empty", {"Id": -1 - number})
                    raise LookupError

        def write() -> None:
            for number in range(200):
                store.execute("INSERT INTO Profit_Empty (Id) VALUES (?)", (number,))

        def read() -> None:
            for name in store.connectors:
                store.count(name)

        at_once(undo, write, read, read)
        assert store.execute("SELECT count(*), min(Id) FROM Profit_Empty") == [(200, 0)]
        assert store.count("Profit_Wide") == 3_000
