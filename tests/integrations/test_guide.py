"""The programs of the guide, as they stand there, over HTTP."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import requests
from aiohttp import web

import afas_async.integrations
from afas_async.simulator import Fault, Latency, Simulator
from tests.support import canary
from tests.support.thoroughness import full_only
from tests.support.web_server import get, served, until

ROOT = Path(afas_async.__file__).parent.parent
PROGRAMS = dict(re.findall(r"`(\w+)\.py`:\n\n((?:    .*\n|\n)+)", afas_async.integrations.__doc__ or ""))
KEY = {"X-Api-Key": "key of acme"}


def write(name: str, folder: Path) -> Path:
    path = folder / f"{name}.py"
    path.write_text(re.sub("^    ", "", PROGRAMS[name].rstrip() + "\n", flags=re.MULTILINE))
    return path


def load(name: str, folder: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import a program of the guide, whose environment is the simulator's."""
    monkeypatch.setenv("AFAS_BASE_URL", simulator.base_url)
    monkeypatch.setenv("AFAS_TOKEN", simulator.token)
    spec = importlib.util.spec_from_file_location(name, write(name, folder))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


class Service:
    """The complete service in a process of its own."""

    def __init__(self, folder: Path, simulator: Simulator) -> None:
        tenant = {"key": KEY["X-Api-Key"], "AFAS_BASE_URL": simulator.base_url, "AFAS_TOKEN": simulator.token}
        environment = {"TENANTS": json.dumps({"acme": tenant}), "JOURNALS": str(folder), "PYTHONPATH": str(ROOT)}
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-W", "error", "-m", "uvicorn", f"{write('relations', folder).stem}:app"),
                *("--port", "0", "--timeout-graceful-shutdown", "1", "--no-access-log"),
            ],
            cwd=folder,
            env=os.environ | environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        found = None
        while found is None:
            self.lines.append(self._line())
            found = re.search(r"http://127.0.0.1:\d+", self.lines[-1])
        self.url = found[0]
        self._reading = threading.Thread(target=lambda: self.lines.extend(iter(self._line, "")), daemon=True)
        self._reading.start()
        self.session = requests.Session()
        self.session.headers.update(KEY)

    def _line(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.readline()

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.session.get(self.url + path, timeout=30, **options)

    def put(self, path: str, content: object) -> requests.Response:
        return self.session.put(self.url + path, json=content, timeout=30)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self._reading.join()
        self.session.close()
        assert self.process.stderr is not None
        self.process.stderr.close()


@pytest.fixture
def apart() -> Iterator[Simulator]:
    """A simulator in a thread of its own, for programs in processes of their own."""
    with Simulator.running(rows=20_000, token=canary.TOKEN) as running:
        yield running


@contextmanager
def running(folder: Path, simulator: Simulator) -> Iterator[Service]:
    service = Service(folder, simulator)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.stop()


@pytest.fixture
def service(tmp_path: Path, apart: Simulator) -> Iterator[Service]:
    with running(tmp_path, apart) as service:
        yield service


def subjects(count: int) -> list[dict[str, Any]]:
    return [{"StId": 1, "Ds": f"Offerte {number}"} for number in range(count)]


def test_a_complete_service(service: Service, apart: Simulator) -> None:
    """Each of its operations responds, to a known tenant only, and a finished import is not made again."""
    assert requests.get(f"{service.url}/health", timeout=30).json() == {"status": "ok"}
    assert requests.get(f"{service.url}/articles", headers={"X-Api-Key": "?"}, timeout=30).status_code == 401
    listed = service.get("/articles?take=2&order_by=-ItemCode").json()
    assert ([row["ItemCode"] for row in listed["articles"]], listed["next_skip"]) == (["020000", "019999"], 2)
    assert service.get("/articles?take=1000&below=10").json()["next_skip"] is None
    assert service.get("/articles/000007").json()["ItemCode"] == "000007"
    assert service.get("/articles/none").status_code == 404
    *lines, last = service.get("/articles.ndjson").text.splitlines()
    assert len(lines) == 20_000
    apart.store.execute("INSERT INTO Profit_Article (ItemCode) VALUES ('020001')")
    assert len(service.get("/articles.ndjson", params={"after": json.loads(last)["cursor"]}).text.splitlines()) == 2
    assert service.get("/articles.csv").text.startswith("ItemCode;Description;Price\r\n000001;")
    added = service.session.post(f"{service.url}/subjects", json={"StId": 1, "Ds": "x"}, timeout=30)
    assert (added.status_code, list(added.json())) == (201, ["SbId"])
    refused = service.session.post(f"{service.url}/subjects", json={"StId": 1, "Ds": "x", "St": "Z"}, timeout=30)
    assert (refused.status_code, refused.headers["Content-Type"]) == (422, "application/problem+json")
    started = service.put("/imports/one", [*subjects(30), {"StId": "one"}])
    assert started.status_code == 202
    *_, ended, end, _ = service.get(started.json()["progress"]).text.split("\n\n")
    assert json.loads(ended.removeprefix("data: "))["ended"] is True
    assert end == "event: end\ndata: {}"
    report = service.get(started.json()["report"]).json()
    assert report["counts"] == {"applied": 30, "rejected": 0, "unknown": 0, "not_sent": 1}
    assert [failed["index"] for failed in report["failed"]] == [30]
    assert service.get("/imports/two").status_code == 404
    schema = service.get("/openapi.json").json()
    line = schema["paths"]["/articles.ndjson"]["get"]["responses"]["200"]["content"]["application/x-ndjson"]["schema"]
    assert list(line["properties"]) == ["ItemCode", "Description", "Price"]
    assert len(apart.written("KnSubject")) == 31


@full_only
def test_sigterm_in_the_middle_of_a_stream_and_an_import(service: Service, apart: Simulator, tmp_path: Path) -> None:
    """Nothing is unknown, the log has no traceback, and the import continues after the restart."""
    apart.latency = Latency(per_row=0.001, per_element=0.005)
    assert service.put("/imports/one", subjects(6_000)).status_code == 202
    with (
        service.get("/articles.ndjson", stream=True) as stream,
        service.get("/imports/one/progress", stream=True) as progress,
    ):
        chunks = stream.iter_content(100)
        assert next(chunks)
        assert next(progress.iter_lines())
        apart.latency = Latency(base=1.0, per_row=0.001, per_element=0.005)
        service.stop()
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            list(chunks)
    done = len(apart.written("KnSubject"))
    assert 0 < done < 6_000
    assert "Traceback" not in "".join(service.lines)
    assert apart.counters.in_flight == 0
    apart.latency = Latency()
    with running(tmp_path, apart) as again:
        assert again.put("/imports/one", subjects(6_000)).status_code == 202
        assert again.get("/imports/one/progress").status_code == 200
        counts = again.get("/imports/one").json()["counts"]
    assert counts == {"applied": 6_000, "rejected": 0, "unknown": 0, "not_sent": 0}
    assert sorted(row["Ds"] for row in apart.written("KnSubject")) == sorted(row["Ds"] for row in subjects(6_000))


def test_it_is_short() -> None:
    """A complete service has 190 lines at most."""
    assert len(PROGRAMS) == 3
    assert PROGRAMS["relations"].strip().count("\n") < 190


async def test_aiohttp_web(tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """In aiohttp.web an error has its status, a broken stream is cut, and a client that disconnects ends its read."""
    app = load("articles_aiohttp", tmp_path, simulator, monkeypatch).app
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    whole = await get(port, "/articles")
    assert (whole.status, whole.whole, whole.body.count(b"\n")) == (200, True, 3_000)
    assert json.loads((await get(port, "/articles/0")).body)[0]["ItemCode"] == "000001"
    simulator.faults.add(Fault(status=403))
    refused = await get(port, "/articles")
    assert (refused.status, refused.headers["content-type"]) == (502, "application/problem+json")
    simulator.faults.add(Fault(cut="close", at=1_000, after=2, times=None))
    assert not (await get(port, "/articles")).whole
    simulator.reset()
    simulator.latency = Latency(base=60.0)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /articles HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await until(lambda: simulator.counters.in_flight)
    writer.transport.abort()
    assert await until(lambda: not simulator.counters.in_flight) < 1.0
    await runner.cleanup()


async def test_litestar(tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """In Litestar an error has its status, and rows are described by their Struct."""
    pytest.importorskip("litestar", reason="Litestar brings sniffio and faker, which disturb other tests")
    app = load("articles_litestar", tmp_path, simulator, monkeypatch).app
    async with served(app) as port:
        whole = await get(port, "/articles")
        assert (whole.status, whole.whole, whole.body.count(b"\n")) == (200, True, 3_000)
        assert len(json.loads((await get(port, "/articles/first")).body)) == 3
        simulator.faults.add(Fault(status=403))
        refused = await get(port, "/articles")
        assert (refused.status, refused.headers["content-type"]) == (502, "application/problem+json")
    assert "ItemCode" in json.dumps(app.openapi_schema.to_schema())
