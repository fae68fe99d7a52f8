"""A simulated AFAS Profit REST service, to test and to demonstrate against.

It is a real HTTP server on a loopback port, and rows lie in SQLite, so ordering, filtering and paging are a database's.
What no documentation decides follows what clients of the service report.

On the command line
-------------------

`python -m afas_async simulate` prints a token, a curl line, a line for `requests` and an address for a browser. It
serves whatever speaks the protocol. Writes through its sample UpdateConnectors change what reads return.

In your own tests
-----------------

There it is an object, and you script what goes wrong:

    >>> import asyncio
    >>> from afas_async import AfasClient
    >>> from afas_async.simulator import Fault, Rules, Simulator
    >>> ARTICLES = [{"ItemCode": f"A{number:03}", "Stock": number} for number in range(250)]
    >>> async def main():
    ...     async with (
    ...         Simulator(connectors={"My_Articles": ARTICLES}, rules=Rules(profit=6)) as simulator,
    ...         AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ...     ):
    ...         simulator.faults.add(Fault(status=503, retry_after=1), Fault(cut="reset", at=5_000, after=2))
    ...         rows = await afas.rows("My_Articles", key="ItemCode").to_list()
    ...         print(len(rows), "rows; the first request was answered with", simulator.requests[0].status)
    ...         print("faults that did not happen:", simulator.faults.left)
    >>> asyncio.run(main())
    250 rows; the first request was answered with 503
    faults that did not happen: []

Rows vanish, change and appear between two pages with `simulator.changes.add(Change(...))`. `Rules` caps pages silently
(`page_cap`), runs out of time (`time_limit`) or memory (`most_cells`), and has the other switches. A page that starts
after a key is found by that key, also deep in a million rows.

Writes
------

Its UpdateConnectors take lists, objects within elements (`FiEntries`, `KnPerson`) and `@Action`, and check each
record. A write is done at the end of its `Latency` (`per_element`), also when its client has gone. You can make it
difficult:

- `Rules(time_limit=..., finish_late=...)` and `Fault(cut="reset", works_after=600)` make writes that land after their
  client has given up.
- `Fault(refusal="locked", times=3)` locks records.
- `simulator.latency` may be assigned while it runs.

A 503 that asks to wait a minute costs your test no time on a `SkippingLoop`.

Your own connectors
-------------------

`updates=` takes the metainfo of your environment: save the JSON of `GET metainfo/update/FbSales` in a file, and give
its path. A few lines of Python do as well. `written()` returns what was carried out, and `reset()` goes back to the
start in a millisecond, so that your tests can share one simulator.

`test_orders.py`, which tests your `place_order`:

    import pytest
    from afas_async import AfasClient
    from afas_async.simulator import Fault, Simulator
    from shop import place_order


    @pytest.mark.anyio
    async def test_an_order_meets_a_lock():
        async with (
            Simulator(updates={"FbSales": "FbSales.json"}) as simulator,
            AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
        ):
            with simulator.faults.expect(Fault(connector="FbSales", refusal="locked")):
                assert await place_order(afas, "10001") == "1"
            order = {"@Action": "insert", "DbId": "10001", "FbSalesLines": [{"ItCd": "A7", "QuUn": 2}]}
            assert simulator.written("FbSales") == [order]

With pytest-asyncio the mark is `@pytest.mark.asyncio`, and in its auto mode you need none. The client tries again some
seconds after it has met the lock. With these lines your tests do not wait for that.

`conftest.py`, for anyio and for pytest-asyncio 1.4 or later:

    import pytest
    from afas_async.simulator import SkippingLoop


    @pytest.fixture
    def anyio_backend():
        return "asyncio", {"loop_factory": SkippingLoop}


    @pytest.hookimpl(optionalhook=True)
    def pytest_asyncio_loop_factories(config, item):
        return {"skipping": SkippingLoop}

The same in Python is `OwnUpdateConnector(fields={"OrNu": "string(12)", ...}, key="OrNu", ...)`; with `read_as=` a
GetConnector reads the records. `OwnGetConnector` gives your own rows the fields of metainfo.

A recording of your environment
-------------------------------

    AFAS_ENVIRONMENT=12345 AFAS_TOKEN=... python -m afas_async simulate --record environment.json
    python -m afas_async simulate --from environment.json

The file has the metainfo of all connectors that the token may use, the number of their rows, and how often a field is
empty, how long it is and whether it is unique. No value of a row is in it. `Simulator(recording="environment.json")`
has these connectors, with made-up rows of these shapes (`python -m pydoc afas_async.simulator.own.recordings`). What
you write is in `written()`; a recorded GetConnector does not show it.

Without an event loop
---------------------

`Simulator.running()` runs it in a thread of its own, so that code and tests without async can use and script it:

    @pytest.fixture
    def simulator():
        with Simulator.running(rows=1_000) as simulator:
            yield simulator

    def test_maintenance(simulator):
        simulator.faults.add(Fault(status=503, retry_after=1))
        assert len(your_reader(simulator.base_url, simulator.token)) == 1_000
        assert simulator.requests[0].status == 503

`test_web.py`, which tests a web application by FastAPI's TestClient, with real waits:

    from fastapi.testclient import TestClient
    from afas_async.simulator import Fault, Simulator
    from shop import web


    def test_an_order_meets_a_lock():
        with (
            Simulator.running(updates={"FbSales": "FbSales.json"}) as simulator,
            TestClient(web(simulator.base_url, simulator.token)) as client,
        ):
            with simulator.faults.expect(Fault(connector="FbSales", refusal="locked")):
                assert client.post("/orders/10001").json() == "1"
            order = {"@Action": "insert", "DbId": "10001", "FbSalesLines": [{"ItCd": "A7", "QuUn": 2}]}
            assert simulator.written("FbSales") == [order]

In a process of its own
-----------------------

`spawn()` runs one in a process of its own, also with connectors of your own. You script and ask it by the names of
`Simulator`, with an `await`:

    async with spawn(updates={"FbSales": "metainfo/FbSales.json"}) as simulator:
        async with simulator.faults.expect(Fault(connector="FbSales", refusal="locked")):
            await place_order(simulator.base_url, simulator.token)
        assert len(await simulator.written("FbSales")) == 1
        await simulator.reset()

`otp_code()` is the one-time password that the service would have sent, `oauth.state()` has the client credentials, and
`files.images()` the images with their ids. Other programs do the same over HTTP
(`python -m pydoc afas_async.simulator.control`):

    curl -d '{"status":503,"retry_after":2}' http://127.0.0.1:8765/simulator/faults
"""

from afas_async.simulator.changes import Change
from afas_async.simulator.faults import Fault
from afas_async.simulator.latency import Latency
from afas_async.simulator.own.get_connectors import OwnGetConnector
from afas_async.simulator.own.update_connectors import OwnObject, OwnUpdateConnector
from afas_async.simulator.process import spawn
from afas_async.simulator.remote import SimulatorError, SimulatorProcess
from afas_async.simulator.rules import Rules
from afas_async.simulator.server import Simulator, serve
from afas_async.simulator.skipping import SkippingLoop
from afas_async.simulator.storage.store import Checksum
from afas_async.simulator.traffic import RequestRecord

__all__ = [
    "Change",
    "Checksum",
    "Fault",
    "Latency",
    "OwnGetConnector",
    "OwnObject",
    "OwnUpdateConnector",
    "RequestRecord",
    "Rules",
    "Simulator",
    "SimulatorError",
    "SimulatorProcess",
    "SkippingLoop",
    "serve",
    "spawn",
]
