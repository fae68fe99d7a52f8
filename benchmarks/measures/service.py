"""P20: how much slower a web service responds while it streams a connector, loads records, or does both."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Callable, Iterator
from time import perf_counter

import msgspec

from afas_async.simulator import Latency
from benchmarks.figures import Figure, Scale, Section
from benchmarks.progress import show
from benchmarks.stage import simulator, web_service

LATENCY = Latency(base=0.05, per_row=0.00002, per_element=0.001)
EVERY_SECONDS = 0.01
MORE_MS = 20.0


def service(scale: Scale) -> Section:
    """Compare `/health` of a busy service with that of an idle service on the same core, in turn."""
    elements = scale.elements * 6
    idle = 0.2 if scale.quick else 10.0
    with simulator(scale.rows, LATENCY) as server, web_service(server) as port, web_service(server) as control:

        def stream() -> None:
            found = sum(piece.count(b"\n") for piece in _ask(port, "GET", "/rows"))
            if found != scale.rows:
                raise RuntimeError(f"the stream has {found:,} of {scale.rows:,} rows")

        def load() -> None:
            applied = msgspec.json.decode(b"".join(_ask(port, "POST", f"/load?elements={elements}")))["applied"]
            if applied != elements:
                raise RuntimeError(f"only {applied:,} of {elements:,} elements were applied")

        works: dict[str, list[Callable[[], None]]] = {
            "nothing": [],
            f"a stream of {scale.rows:,} rows": [stream],
            f"a journalled load of {elements:,}": [load],
            "both": [stream, load],
        }
        stream()  # fills the table of the simulator
        figures, notes = list[Figure](), list[str]()
        for busy_with, work in works.items():
            show(f"/health during {busy_with}")
            ours, theirs = (_p99_ms(taken) for taken in asyncio.run(_probe([port, control], work, idle)))
            what = f"/health during {busy_with}: p99, minus that of an idle service"
            figures.append(Figure("P20", what, ours - theirs, "ms", MORE_MS, at_most=True))
            notes.append(f"during {busy_with}: p99 {ours:.1f} ms, idle service {theirs:.1f} ms")
    return Section("A web service", figures, notes=notes)


def _ask(port: int, method: str, path: str) -> Iterator[bytes]:
    """Send a request, and yield the body in pieces."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.request(method, path)
    response = connection.getresponse()
    while piece := response.read1(1 << 20):
        yield piece
    connection.close()


async def _probe(ports: list[int], work: list[Callable[[], None]], idle: float) -> list[list[float]]:
    """Request the health of the services in turn until the work is done. Returns the seconds of each request."""
    connections = [await asyncio.open_connection("127.0.0.1", port) for port in ports]
    taken: list[list[float]] = [[] for _ in ports]
    working = [asyncio.ensure_future(asyncio.to_thread(each)) for each in work or [lambda: None]]
    until = perf_counter() + idle
    while not all(task.done() for task in working) or perf_counter() < until:
        for (reader, writer), times in zip(connections, taken, strict=True):
            began = perf_counter()
            writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await reader.readuntil(b'{"status":"ok"}')
            times.append(perf_counter() - began)
        await asyncio.sleep(EVERY_SECONDS)
    await asyncio.gather(*working)
    for _, writer in connections:
        writer.close()
    return taken


def _p99_ms(taken: list[float]) -> float:
    return sorted(taken)[int(len(taken) * 0.99)] * 1e3
