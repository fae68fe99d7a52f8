"""Fixtures for tests of your own code: a simulated AFAS Profit, and no request to a real one.

With `afas-async` installed, every pytest run has them. They are synchronous, so they work with anyio, with
pytest-asyncio in both modes, with a `TestClient`, and in tests without async.

`afas_simulator`
    One `Simulator` for the whole run, in a thread of its own. Each test gets it as it was at the start.
`afas_env`
    AFAS_BASE_URL and AFAS_TOKEN, so that `AfasClient.from_env()` in your code meets the simulator.
`afas_client`
    A client of the simulator. Open it in your test with `async with afas_client as afas:`.
`afas_simulator_options`
    The arguments of `Simulator`, such as `{"rows": 50_000}`. Override it in your conftest, with `scope="session"`.

A test of a program that reads its settings from the environment:

    def test_an_order_survives_a_lock(afas_simulator, afas_env):
        afas_simulator.define_update("FbSales", "tests/metainfo/FbSales.json")
        afas_simulator.fault(connector="FbSales", refusal="locked")
        with TestClient(app) as http:
            assert http.post("/orders", json={"debtor": "10001"}).status_code == 201
        assert afas_simulator.written("FbSales")[0]["DbId"] == "10001"

A test fails if a fault that it scripted did not happen, because it would prove nothing.

Real traffic
------------

A client that is opened for any address but those of this machine raises ConfigurationError. That holds for processes
that your tests start, too: they find AFAS_LOOPBACK_ONLY in their environment, which works without pytest as well. With
`pytest --afas-real` your tests may call AFAS. `-p no:afas_async` leaves the whole plugin out.
"""

from __future__ import annotations

from typing import Any

import msgspec

from afas_async.simulator import Fault, Simulator

__all__ = ["ScriptedSimulator"]


class ScriptedSimulator(Simulator):
    """What the fixture `afas_simulator` returns: a `Simulator`, with `fault` for a test's script.

    Example:
        >>> with ScriptedSimulator.running(rows=10) as afas_simulator:
        ...     afas_simulator.fault(status=503, retry_after=1)
        ...     afas_simulator.faults.left
        [Fault(status=503, retry_after=1)]
    """

    def fault(self, **what: Any) -> None:
        """Script a fault, which must happen in the test.

        Args:
            what: The attributes of a `Fault`, such as `status=503, retry_after=1` or `connector="KnSubject",
                refusal="locked"`. With `times=None` it meets all requests, and may meet none.

        Raises:
            ValueError: A `Fault` has no such attribute, or together they make no sense.
        """
        try:
            self.faults.add(msgspec.convert(what, Fault))
        except msgspec.ValidationError as error:
            raise ValueError(f"no such fault: {error}") from None
