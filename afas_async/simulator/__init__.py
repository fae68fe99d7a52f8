"""A simulated AFAS Profit REST service for your tests and demonstrations: the guide.

You get a real HTTP server on a loopback port. Its rows are in SQLite, so you sort, filter and page as in a database.
Where AFAS documents nothing, it does what clients of the service report.

On the command line
-------------------

`python -m afas_async simulate` prints a token, a curl line, a line for `requests` and an address for your browser. You
can use any client that speaks the protocol. What you write with its sample UpdateConnectors, you read back from its
GetConnectors.

In your own tests
-----------------

You create a `Simulator`, and script what goes wrong:

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

| You script | with |
|---|---|
| errors, delays and broken responses | `simulator.faults.add(Fault(...))` |
| rows that appear, vanish or change between two pages | `simulator.changes.add(Change(...))` |
| slow responses, at any time | `simulator.latency = Latency(...)` |
| pages that are silently short | `Rules(page_cap=...)` |
| reads and writes that take too long | `Rules(time_limit=...)` |
| responses that need too much memory | `Rules(most_cells=...)` |

`Rules` has the other switches. You can page through a million rows: a page that starts after a key is found by that
key.

If you use pytest, its fixtures save you most of this: see `afas_async.integrations.pytest`.

Writes
------

The UpdateConnectors accept lists, objects within elements (`FiEntries`, `KnPerson`) and `@Action`, and check each
record. A write is carried out after its `Latency` (`per_element`), even if your client has gone by then. You can make
writes difficult:

- `Rules(time_limit=..., finish_late=...)` and `Fault(cut="reset", works_after=600)` carry out a write after your client
  has given up.
- `Fault(refusal="locked", times=3)` locks records.

A 503 that asks your client to wait a minute costs your test no time on a `SkippingLoop`.

Your own connectors
-------------------

Save the JSON of `GET metainfo/update/FbSales` from your environment in a file, and pass its path in `updates=`.
`written()` returns the elements that your code wrote. `reset()` goes back to the start in a millisecond, so your tests
can share one simulator.

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

With pytest-asyncio you write `@pytest.mark.asyncio`; in its auto mode you need no mark. The client retries some seconds
after it meets the lock. With these lines your tests skip that wait.

`conftest.py`, for anyio and for pytest-asyncio 1.4 or later:

    import pytest
    from afas_async.simulator import SkippingLoop


    @pytest.fixture
    def anyio_backend():
        return "asyncio", {"loop_factory": SkippingLoop}


    @pytest.hookimpl(optionalhook=True)
    def pytest_asyncio_loop_factories(config, item):
        return {"skipping": SkippingLoop}

Without a file, you describe the connector in Python: `OwnUpdateConnector(fields={"OrNu": "string(12)", ...},
key="OrNu", ...)`. With `read_as=` you read its records through a GetConnector. `OwnGetConnector` gives your own rows
the fields of your metainfo.

A recording of your environment
-------------------------------

    AFAS_ENVIRONMENT=12345 AFAS_TOKEN=... python -m afas_async simulate --record environment.json
    python -m afas_async simulate --from environment.json

The file has the metainfo of all connectors that your token may use, and the number of their rows. Of each field it has
how often it is empty, how long its values are and whether they are unique. It has no value of any row.

`Simulator(recording="environment.json")` has these connectors, with made-up rows of the same shapes (see
`afas_async.simulator.own.recordings`). What you write is in `written()`; a recorded GetConnector does not show it.

Without an event loop
---------------------

`Simulator.running()` runs a simulator in its own thread, for code and tests without async:

    @pytest.fixture
    def simulator():
        with Simulator.running(rows=1_000) as simulator:
            yield simulator

    def test_maintenance(simulator):
        simulator.faults.add(Fault(status=503, retry_after=1))
        assert len(your_reader(simulator.base_url, simulator.token)) == 1_000
        assert simulator.requests[0].status == 503

`test_web.py`, which tests your web application with FastAPI's TestClient, with real waits:

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

In another process
------------------

`spawn()` runs a simulator in another process, with your own connectors if you like. You use the names of `Simulator`,
with an `await`:

    async with spawn(updates={"FbSales": "metainfo/FbSales.json"}) as simulator:
        async with simulator.faults.expect(Fault(connector="FbSales", refusal="locked")):
            await place_order(simulator.base_url, simulator.token)
        assert len(await simulator.written("FbSales")) == 1
        await simulator.reset()

`otp_code()` returns the one-time password that the service would have sent, `oauth.state()` the client credentials, and
`files.images()` the images with their ids.

Your other programs do the same over HTTP (see `afas_async.simulator.control`):

    curl -d '{"status":503,"retry_after":2}' http://127.0.0.1:8765/simulator/faults
"""

__docformat__ = "google"

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
