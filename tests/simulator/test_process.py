"""The simulator as a process and as a command."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import os
import signal
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from afas_async import AfasClient, ClientCredentials, otp
from afas_async.simulator import (
    Change,
    Fault,
    Latency,
    OwnGetConnector,
    OwnUpdateConnector,
    Simulator,
    SimulatorError,
    process,
    spawn,
)
from afas_async.simulator.command import run
from afas_async.simulator.files.files import Files
from afas_async.simulator.latency import parse_latency
from afas_async.simulator.remote import SimulatorProcess
from tests.simulator.conftest import INHERITED, Client
from tests.support.own_metainfo import ORDERS, SALES


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_spawn(client: Client) -> None:
    """A spawned simulator responds as one in this process does, and its process is gone afterwards."""
    async with Simulator(rows=50, seed=4) as here, spawn(rows=50, seed=4, latency=Latency(base=0.001)) as there:
        assert is_running(there.pid)
        assert len((await client.get(there, "/connectors/Profit_Article")).rows) == 50
        assert await there.checksum("Profit_Article") == here.store.checksum("Profit_Article")
        counters = await there.counters()
        assert (counters.requests, counters.answered, counters.rows) == (1, 1, 50)
        with pytest.raises(SimulatorError, match="there is no GetConnector 'profit_nothing'"):
            await there.checksum("Profit_Nothing")
        assert there.token not in repr(there)
    assert not is_running(there.pid)


async def test_spawn_ends_with_its_block(client: Client) -> None:
    """The process is also gone when the block is cancelled, and no command line shows its token."""
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def use() -> None:
        async with spawn(rows=5, token=INHERITED, gzip=True) as there:
            assert there.token == INHERITED
            assert len((await client.get(there, "/connectors/Profit_Article")).rows) == 5
            ready.set_result(there.pid)
            await asyncio.Event().wait()

    using = asyncio.create_task(use())
    pid = await ready
    listing = await asyncio.create_subprocess_exec(
        "ps", "-ww", "-o", "args=", "-p", str(pid), stdout=asyncio.subprocess.PIPE
    )
    assert b"CANA4Y" not in (await listing.communicate())[0]
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    assert not is_running(pid)


async def test_process_that_does_not_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that does not end when asked to is killed."""
    monkeypatch.setattr("afas_async.simulator.process._END_SECONDS", 0.05)
    async with spawn(rows=5) as there:
        os.kill(there.pid, signal.SIGSTOP)
    assert not is_running(there.pid)


async def test_spawn_that_fails(capfd: pytest.CaptureFixture[str]) -> None:
    """A process that does not start is an error that says why."""
    with pytest.raises(SimulatorError, match=r"did not start: .*whole XML"):
        async with spawn(token="no token"):
            pass
    assert capfd.readouterr().err == ""


async def test_spawn_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that does not start in time is an error too."""
    monkeypatch.setattr(process, "_START_SECONDS", 0)
    with pytest.raises(SimulatorError, match="within 0 seconds"):
        async with spawn():
            pass


async def test_process_that_dies() -> None:
    """Any request to a process that has died is an error."""
    async with spawn(rows=5) as there:
        os.kill(there.pid, signal.SIGKILL)
        for ask in (there.checksum("Profit_Wide"), there.counters(), there.faults.add()):
            with pytest.raises(SimulatorError, match="did not answer"):
                await ask


async def test_process_that_fails() -> None:
    """An error within the process is reported, for example that a table does not fit into memory."""
    async with spawn(rows=2**63) as there:
        with pytest.raises(SimulatorError, match="'checksum/Profit_Wide': OverflowError: "):
            await there.checksum("Profit_Wide")


def test_process_is_its_own_session(apart: tuple[BlockingPortal, SimulatorProcess]) -> None:
    """Ctrl+C reaches a whole group of processes, but only the parent ends this one."""
    _, there = apart
    assert os.getsid(there.pid) == there.pid


async def test_inherited_token(client: Client, apart: tuple[BlockingPortal, SimulatorProcess]) -> None:
    """Without a given token it gets a random one, whatever this process has inherited."""
    _, there = apart
    assert there.token != INHERITED
    assert (await client.get(there, "/connectors/Profit_Debtor")).rows


@pytest.mark.parametrize(
    "latency", [Latency(), Latency(0.05, 0.00002), Latency(1.5, 0.001, 0.000003), Latency(0, 0, 0, 0.02)]
)
def test_latency_notation(latency: Latency) -> None:
    """The command line takes a latency in the notation of `str(latency)`."""
    parsed = parse_latency(str(latency))
    assert dataclasses.astuple(parsed) == pytest.approx(dataclasses.astuple(latency))
    assert parse_latency("0.5") == Latency(0.5)
    assert parse_latency("0.5,2") == Latency(0.5, 0.002)
    assert parse_latency("0.5,0,0,20") == Latency(0.5, per_element=0.02)


@pytest.mark.parametrize("times", [(-1.0,), (0.0, math.nan), (0.0, 0.0, math.inf)])
def test_latency_that_is_none(times: tuple[float, ...]) -> None:
    """A time that is negative or not finite is refused where it is given."""
    with pytest.raises(ValueError, match="0 or more seconds"):
        Latency(*times)


async def test_process_ends_when_its_parent_dies() -> None:
    """When standard input ends, as it does when the parent is killed, the process ends by itself."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "afas_async.simulator",
        "--json",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert (await process.stdout.readline()).startswith(b'{"base_url"')
    process.stdin.close()
    await process.communicate()
    assert process.returncode == 0


def test_bad_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Options that make no simulator end the command with status 2 and a reason."""
    with pytest.raises(SystemExit) as caught:
        run(["--rows=-1"])
    assert caught.value.code == 2
    assert "0 or more" in capsys.readouterr().err


async def test_port_in_use(simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """A port that is taken ends the command with status 1 and a reason."""
    port = simulator.base_url.rsplit(":", 1)[1].split("/")[0]
    with pytest.raises(SystemExit) as caught:
        await asyncio.to_thread(run, [f"--port={port}"])
    assert caught.value.code == 1
    assert port in capsys.readouterr().err


async def test_spawn_with_own_connectors(tmp_path: Path) -> None:
    """Connectors of your own are served by another process, which lists the written elements and can be reset."""
    rows = tmp_path / "rows.csv"
    rows.write_text("Order-nummer;Bedrag\n7;1,50\n")
    short = OwnUpdateConnector(fields={"Id": "int", "Am": "decimal(9,2)"}, key="Id", read_as="My_Things")
    async with (
        spawn(
            rows=5,
            connectors={"My_Orders": OwnGetConnector(ORDERS, rows), "None": OwnGetConnector(ORDERS), "Plain": rows},
            updates={"FbSales": SALES, "MyThing": short},
        ) as there,
        AfasClient(base_url=there.base_url, auth=there.token) as afas,
    ):
        (row,) = await afas.rows("My_Orders", key="Order-nummer").to_list()
        assert row["Bedrag"] == Decimal("1.50")
        assert await afas.rows("None", key="Order-nummer").to_list() == []
        assert (await afas.insert("MyThing", {"Am": Decimal("2.50")})).keys == ({"Id": "1"},)
        await afas.insert("FbSales", {"DbId": "1", "FbSalesLines": [{"ItCd": "A"}]})
        assert await there.written("MyThing") == [{"@Action": "insert", "Am": Decimal("2.50")}]
        await there.reset()
        assert (await there.written("MyThing"), (await there.counters()).requests) == ([], 0)
        assert await afas.rows("My_Things", key="Id").to_list() == []
        with pytest.raises(SimulatorError):
            await there.written("Nothing")


def test_one_time_password(apart: tuple[BlockingPortal, SimulatorProcess]) -> None:
    """A process shows the code that went out as well, and the code gives a token."""
    portal, there = apart

    async def use() -> None:
        assert await there.otp_code() is None
        keys = {"api_key": "A" * 32, "api_token": "E" * 32, "user_id": "12345.user"}
        await otp.request(base_url=there.base_url, **keys)
        code = await there.otp_code()
        token = await otp.validate(base_url=there.base_url, **keys, otp=code)
        assert token.header() == Client.authorization(there)["Authorization"]
        assert await there.otp_code() is None

    portal.call(use)


def test_rotation_of_tokens(apart: tuple[BlockingPortal, SimulatorProcess]) -> None:
    """Credentials can be read and assigned, and a client whose tokens were revoked gets another token."""
    portal, there = apart

    async def use() -> None:
        await there.oauth.assign(client_secret="CANA4Y", expires_in=500)
        state = await there.oauth.state()
        assert (state.client_secret, state.expires_in, state.issued, state.public_key) == ("CANA4Y", 500, 0, None)
        assert "CANA4Y" not in repr(state)
        auth = ClientCredentials(state.client_id, state.client_secret)
        async with AfasClient(base_url=there.base_url, auth=auth) as afas:
            await afas.metainfo()
            await there.oauth.revoke()
            await afas.metainfo(refresh=True)
        assert (await there.oauth.state()).issued == 2

    portal.call(use)


def test_files(apart: tuple[BlockingPortal, SimulatorProcess]) -> None:
    """Images with their ids, numbers among them, attachments and reports are listed; a file is added."""
    portal, there = apart

    async def use() -> None:
        drawn = Files(1, None)
        assert await there.files.images() == drawn.images
        assert await there.files.reports() == drawn.reports
        assert await there.files.attached() == drawn.attached
        (image,) = (image for image in await there.files.images() if image.id.isdecimal())
        added = await there.files.add("x.bin", b"\xff\x00", subject_id=7)
        async with AfasClient(base_url=there.base_url, auth=there.token) as afas:
            assert (await afas.image(int(image.id))).data == image.sizes[0]
            assert (await afas.subject(7, added)).data == b"\xff\x00"

    portal.call(use)


def test_scripts_and_requests(apart: tuple[BlockingPortal, SimulatorProcess]) -> None:
    """Faults that must happen fail a block in which they do not, and the log has those that did."""
    portal, there = apart

    async def use() -> None:
        async with AfasClient(base_url=there.base_url, auth=there.token) as afas:
            fault = Fault(path="profitversion", status=503)
            async with there.faults.expect(fault):
                await afas.version()
            assert [request.fault for request in (await there.requests())[-2:]] == [fault, None]
        await there.faults.add(Fault(status=503, times=None))
        with pytest.raises(AssertionError, match=r"did not happen: .*429"):
            async with there.faults.expect(Fault(status=429)):
                pass
        assert await there.faults.left() == [Fault(status=503, times=None), Fault(status=429)]
        await there.faults.clear()
        assert await there.faults.left() == []
        change = Change(connector="Profit_Debtor", delete=[{"DebtorId": "10001"}])
        await there.changes.add(change)
        assert await there.changes.left() == [change]
        await there.changes.clear()
        assert await there.changes.left() == []

    portal.call(use)


@pytest.mark.parametrize("rows", [[{"A": 1}], OwnGetConnector(ORDERS, [{"Aantal": 1}])])
async def test_spawn_takes_rows_from_files(rows: Any) -> None:
    """Rows of this process are refused before another one starts."""
    with pytest.raises(TypeError, match="X: give the rows as the path of a file"):
        async with spawn(connectors={"X": rows}):
            pass
