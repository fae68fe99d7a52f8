"""Everything that the `simulate` command shows works as printed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from afas_async.simulator.command import run
from tests.support import forking
from tests.support.own_metainfo import ORDERS, SALES

TOKEN = "<token><version>1</version><data>CANA4Y??~~</data></token>"  # with a plus, a slash and a padding in base64


@contextmanager
def start_up_text(*arguments: str, encoding: str = "utf-8") -> Iterator[list[str]]:
    """The lines that a running simulator has shown."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output"
        os.mkfifo(output)
        process = forking.start(
            output,
            forking.command,
            ["simulate", "--rows=20", *arguments],
            {"AFAS_SIMULATOR_TOKEN": TOKEN},
            encoding=encoding,
        )
        lines = list[str]()
        try:
            with output.open() as shown:
                while not lines or "&token=" not in lines[-1]:
                    line = shown.readline()
                    assert line, "it ended"
                    lines.append(line.rstrip("\n"))
                yield lines
        finally:
            process.terminate()
            process.join()


def after(lines: list[str], title: str) -> str:
    return lines[lines.index(title) + 1]


def test_what_is_shown_works() -> None:
    """The curl line, the line of Python and the browser's URL are complete, and give rows."""
    with start_up_text() as lines:
        shown = dict(line.split(maxsplit=1) for line in lines[2:6])
        assert shown["Token"] == TOKEN
        assert shown["Base"].startswith("URL   http://127.0.0.1:")
        assert shown["Header"].startswith("Authorization: AfasToken PHRva2Vu")
        with urllib.request.urlopen(after(lines, "In a browser:"), timeout=10) as answer:  # noqa: S310 (http)
            assert len(json.load(answer)["rows"]) == 3
        snippet = after(lines, "In Python:")
        assert shown["Header"].removeprefix("Authorization: ") in snippet
        answer = eval(snippet, {"requests": requests})  # noqa: S307 (the text that the command itself has shown)
        assert [row["ItemCode"] for row in answer["rows"]] == ["000001", "000002", "000003"]
        if shutil.which("curl"):
            curl = after(lines, "In a shell:")
            done = subprocess.run(curl, shell=True, capture_output=True, check=True, timeout=10)  # noqa: S602 (a shell is the point)
            assert [row["ItemCode"] for row in json.loads(done.stdout)["rows"]] == ["000001", "000002", "000003"]


@pytest.mark.skipif(not shutil.which("curl"), reason="the lines are of curl")
def test_lines_of_curl(capsys: pytest.CaptureFixture[str]) -> None:
    """The line with a filter finds a name with an accent, and the help's line makes the next request fail."""
    with pytest.raises(SystemExit):
        run(["--help"])
    (script,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("  curl "))
    with start_up_text("--rows=100") as lines:
        port = re.findall(r"127\.0\.0\.1:(\d+)", lines[2])[0]
        ask = after(lines, "With a filter, whose value curl must encode:")
        for line, answer in (
            (script.replace("8765", port), '"status":503'),
            (ask, "scheduled maintenance"),
            (ask, "Café of"),
        ):
            done = subprocess.run(line, shell=True, capture_output=True, check=True, timeout=10)  # noqa: S602
            assert answer in done.stdout.decode()


def test_a_character_set_without_accents() -> None:
    """A terminal that has no accents still gets the text."""
    with start_up_text(encoding="ascii") as lines:
        assert after(lines, "With a filter, whose value curl must encode:").endswith("'filtervalues=Caf?'")


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("command", "status", "message"),
    [("--json <&-", 0, ""), (">&-", 1, "there is no standard output"), ("--json <&- >&-", 1, "no standard output")],
)
def test_without_standard_streams(command: str, status: int, message: str) -> None:
    """A missing input counts as ended, and a missing output is reported. Neither causes a traceback."""
    done = subprocess.run(  # noqa: S602 (only a shell closes them)
        f"exec {sys.executable} -m afas_async simulate --rows=5 {command}",
        shell=True,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == status
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == (1 if message else 0)
    assert done.stdout.startswith('{"base_url"') == (not message)


@pytest.mark.parametrize("port", ["99999", "-1"])
def test_bad_ports(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An invalid port ends the command with status 2 and a reason."""
    with pytest.raises(SystemExit) as caught:
        run([f"--port={port}"])
    assert caught.value.code == 2
    assert "between 0 and 65535" in capsys.readouterr().err


def test_own_files(tmp_path: Path) -> None:
    """Files given as connectors are listed first and served, written as the chosen release writes."""
    first, second = tmp_path / "first.csv", tmp_path / "second.ndjson"
    first.write_text("Id,Price\n7,0.50\n")
    second.write_text('{"A":1}\n')
    with start_up_text(f"--connector=First={first}", "--connector", f"Second={second}", "--profit=6") as lines:
        url = after(lines, "In a browser:")
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 (http)
            assert answer.read() == b'{\n"skip":0,\n"take":3,\n"rows":[{"Id":7,"Price":.50}]\n}'
        with urllib.request.urlopen(url.replace("First", "Second").replace("=Id", "=A"), timeout=10) as answer:  # noqa: S310
            assert json.load(answer)["rows"] == [{"A": 1}]


def test_own_metainfo(tmp_path: Path) -> None:
    """Metainfo in files gives the fields of rows, and the UpdateConnectors."""
    rows, orders, sales = tmp_path / "rows.csv", tmp_path / "orders.json", tmp_path / "sales.json"
    rows.write_bytes("Order-nummer;Bedrag\n7;1.234,50\n".encode("cp1252"))
    orders.write_text(json.dumps(ORDERS))
    sales.write_text(json.dumps(SALES))
    arguments = (f"--connector=My={rows}", f"--metainfo=My={orders}", f"--metainfo=None={orders}")
    with start_up_text(*arguments, f"--update=FbSales={sales}") as lines:
        url = after(lines, "In a browser:")
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 (http)
            assert json.load(answer)["rows"][0]["Bedrag"] == 1234.5
        with urllib.request.urlopen(url.replace("/My?", "/None?"), timeout=10) as answer:  # noqa: S310 (http)
            assert json.load(answer)["rows"] == []
        metainfo = url.replace("connectors/My?", "metainfo/update/FbSales?")
        with urllib.request.urlopen(metainfo, timeout=10) as answer:  # noqa: S310 (http)
            assert json.load(answer) == SALES


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metainfo=X"], "'X' is not NAME=FILE"),
        (["--update=X=nothing.json"], "nothing.json"),
        (["--update=X=a", "--update=X=b"], "two connectors have the same name"),
        (["--metainfo=X=a", "--metainfo=X=b"], "two connectors have the same name"),
    ],
)
def test_bad_metainfo(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Metainfo that cannot be read ends the command with status 2 and a reason."""
    with pytest.raises(SystemExit) as caught:
        run(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["X"], "'X' is not NAME=FILE"),
        (["X=nothing.csv"], "nothing.csv"),
        (["a/b=x.csv"], "cannot be the name"),
        (["X=one.csv", "X=two.csv"], "two connectors have the same name"),
    ],
)
def test_bad_connectors(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A connector that cannot be served ends the command with status 2 and a reason."""
    with pytest.raises(SystemExit) as caught:
        run([f"--connector={argument}" for argument in arguments])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_rules() -> None:
    """The rules of the command line are those of the object, and go before --profit."""
    with (
        start_up_text("--profit=6", '--rules={"page_cap":2,"profit":7}') as lines,
        urllib.request.urlopen(after(lines, "In a browser:"), timeout=10) as answer,  # noqa: S310 (http)
    ):
        body = answer.read()
        assert body.startswith(b'{"skip":0,"take":3,"rows":[{')
        assert len(json.loads(body)["rows"]) == 2


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("page_cap=3", "malformed"),
        ("[]", "Expected `object`"),
        ('{"page_kap":3}', "page_kap"),
        ('{"page_cap":"3"}', "page_cap"),
        ('{"page_cap":0}', "1 row or more"),
        ('{"profit":5}', "profit"),
    ],
)
def test_bad_rules(rules: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Invalid rules end the command with status 2 and a reason."""
    with pytest.raises(SystemExit) as caught:
        run([f"--rules={rules}"])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
