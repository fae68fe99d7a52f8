"""The commands that look at an environment: ping, connectors, fields, version."""

from __future__ import annotations

import json

import pytest

from afas_async.commands import ping
from afas_async.simulator import Fault
from tests.support import canary
from tests.support.command_line import environment, refused, run


def test_ping(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`ping` prints one line for each fact, and has status 0 if there is no problem."""
    with environment(monkeypatch) as simulator:
        ended = run(capsys, "ping")
        assert simulator.counters.rows == 0
    facts = {line[:17].strip(): line[18:] for line in ended.out.splitlines()}
    assert ended.status == 0
    assert facts["service"] == simulator.base_url
    assert (facts["version"], facts["token expires"], facts["GetConnectors"]) == ("22.22.5", "never", "14")
    assert facts["latency"].endswith(" ms")
    assert "the service" in facts["clock"]


def test_ping_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A version that may not be requested and a wrong clock are problems, and the status says so."""
    monkeypatch.setattr(ping, "_skew", lambda _: 3_600.0)
    with environment(monkeypatch) as simulator:
        simulator.faults.add(Fault(path="profitversion", status=403), Fault(path="profitversion", status=403))
        ended = run(capsys, "ping", "--json")
    told = json.loads(ended.out)
    assert (ended.status, told["ok"]) == (1, False)
    assert ["the version cannot be read" in told["problems"][0], "clock is 3600 s behind" in told["problems"][1]] == [
        True,
        True,
    ]
    with environment(monkeypatch):
        assert "problem           this computer's clock is 3600 s behind" in run(capsys, "ping").out


def test_a_clock_that_is_not_told() -> None:
    """There is no clock to compare with if responses have no date, or one that cannot be read."""
    assert ping._skew({}) is None
    assert ping._skew({"date": "today"}) is None


def test_a_wrong_token(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, status 1."""
    with environment(monkeypatch):
        monkeypatch.setenv("AFAS_TOKEN", canary.TOKEN.replace("CA9A27", "000000"))
        assert "HTTP 401" in refused(run(capsys, "ping"))


def test_connectors(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Connectors of both kinds are listed. A search looks in names and descriptions, and JSON is for programs."""
    with environment(monkeypatch):
        everything = run(capsys, "connectors")
        found = run(capsys, "connectors", "--search", "ARTICLE", "--json")
        nothing = run(capsys, "connectors", "--search", "nothing")
    assert everything.out.splitlines()[0].split() == ["name", "kind", "description"]
    assert len(everything.out.splitlines()) == 1 + 14 + 6
    assert [(each["name"], each["kind"]) for each in json.loads(found.out)] == [
        ("Profit_Article", "get"),
        ("FbItemArticle", "update"),
    ]
    assert (nothing.status, nothing.out) == (1, "")


def test_fields(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The fields of a GetConnector and of an UpdateConnector are listed, the latter by the names that `load` takes."""
    with environment(monkeypatch):
        read = run(capsys, "fields", "Profit_Article", "--language", "en-us")
        written = run(capsys, "fields", "KnPerson")
        forced = run(capsys, "fields", "KnSubject", "--update")
        told = json.loads(run(capsys, "fields", "KnPerson", "--json").out)
    assert read.out.splitlines()[1].split()[:2] == ["ItemCode", "string(30)"]
    lines = {line.split()[0]: line for line in written.out.splitlines()}
    assert "key" in lines["@BcCo"]
    assert "mandatory" in lines["KnBasicAddressAdr.CoId"]
    assert "NL=Netherlands" in lines["KnBasicAddressAdr.CoId"]
    assert "@SbId" in forced.out
    assert told["objects"][0]["name"] == "KnBasicAddressAdr"


def test_a_typo_in_a_connector(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The refusal suggests a similar name."""
    with environment(monkeypatch):
        assert "did you mean Profit_Article?" in refused(run(capsys, "fields", "Profit_Articel"))


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The versions of Profit and of the program are shown; `--version` sends no request."""
    with environment(monkeypatch) as simulator:
        assert "Profit     22.22.5" in run(capsys, "version").out
        requests = simulator.counters.requests
        assert run(capsys, "--version").out.startswith("afas-async 0.")
        assert simulator.counters.requests == requests
