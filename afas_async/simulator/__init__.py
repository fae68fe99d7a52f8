"""A simulated AFAS Profit REST service, to test and to demonstrate against.

It is a real HTTP server on a loopback port with SQLite behind it, so ordering and paging are a database's. What no
documentation decides follows what clients of the service report.
"""

from afas_async.simulator.changes import Change
from afas_async.simulator.faults import Fault
from afas_async.simulator.latency import Latency
from afas_async.simulator.process import SimulatorError, spawn
from afas_async.simulator.rules import Rules
from afas_async.simulator.server import Simulator, serve
from afas_async.simulator.storage.store import Checksum
from afas_async.simulator.traffic import RequestRecord

__all__ = [
    "Change",
    "Checksum",
    "Fault",
    "Latency",
    "RequestRecord",
    "Rules",
    "Simulator",
    "SimulatorError",
    "serve",
    "spawn",
]
