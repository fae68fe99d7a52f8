"""Making a client: no loop, no I/O, and every bad argument refused."""

from __future__ import annotations

import copy
import pickle
import socket
import ssl
from typing import Any

import pytest

from afas_async import (
    AfasClient,
    AppToken,
    ClientCredentials,
    ConfigurationError,
    ConnectError,
    Environment,
    UsageError,
)
from tests.support import canary

URL = "http://127.0.0.1:9/profitrestservices"


def test_no_loop_and_no_io(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client is made in a plain function, without an event loop and without touching the network."""

    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("a socket was made")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    afas = AfasClient("12345", auth=canary.TOKEN)
    rows = afas.rows("Profit_Article", key="ItemCode")
    assert rows.progress.rows == 0
    assert afas.statistics().requests == 0


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ("12345", "https://12345.rest.afas.online/profitrestservices"),
        (Environment("12345"), "https://12345.rest.afas.online/profitrestservices"),
        (Environment("12345", "test"), "https://12345.resttest.afas.online/profitrestservices"),
        (Environment("123456", "accept"), "https://123456.restaccept.afas.online/profitrestservices"),
    ],
)
def test_environments(environment: Any, url: str) -> None:
    """The environment decides where requests go."""
    assert repr(AfasClient(environment, auth=canary.TOKEN)) == f"AfasClient(base_url={url!r})"


def test_base_url() -> None:
    """An explicit base URL loses its trailing slash."""
    assert URL in repr(AfasClient(base_url=URL + "/", auth=AppToken(canary.TOKEN)))


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"environment": "12345", "base_url": URL},
        {"environment": "O12345AA"},
        {"environment": ""},
        {"base_url": ""},
        {"base_url": "http://example.com/profitrestservices"},
        {"base_url": "https://user:word@example.com/x"},
        {"base_url": "https://example.com/x?y=z"},
        {"base_url": "ftp://127.0.0.1/x"},
        {"base_url": "https://example.com:port/x"},
        {"environment": "12345", "max_concurrency": 0},
        {"environment": "12345", "max_concurrency": 9},
        {"environment": "12345", "max_concurrency": -1},
        {"environment": "12345", "timeout": 0},
        {"environment": "12345", "timeout": -1},
        {"environment": "12345", "timeout": float("nan")},
        {"environment": "12345", "max_retries": -1},
        {"environment": "12345", "language": "dutch"},
        {"environment": "12345", "language": "nl-nl\r\nX: y"},
        {"environment": "12345", "integration_id": ""},
        {"environment": "12345", "integration_id": "a b"},
        {"environment": "12345", "integration_id": "x\r\nY: z"},
    ],
)
def test_bad_arguments(arguments: dict[str, Any]) -> None:
    """A malformed argument is refused at once, with a ConfigurationError."""
    with pytest.raises(ConfigurationError):
        AfasClient(auth=canary.TOKEN, **arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"environment": "O12345AA"},
        {"max_concurrency": 0},
        {"memory": 1},
        {"timeout": 0},
        {"language": "dutch"},
        {"integration_id": "a b"},
        {"auth": "x"},
        {"auth": None},
        {"proxy": f"ftp://user:{canary.PASSWORD}@x"},
        {"proxy": f"http://user:{canary.PASSWORD}@x:y"},
        {"proxy": f"http://user:{canary.PASSWORD}@€"},
        {"proxy": canary.PROXY.encode()},
        {"proxy": [canary.PROXY]},
    ],
)
def test_the_password_of_a_proxy(arguments: dict[str, Any], watch: canary.Watch) -> None:
    """No error about any argument shows the password, in no variable of any frame."""
    given: dict[str, Any] = {"environment": "12345", "auth": canary.TOKEN, "proxy": canary.PROXY, **arguments}
    with pytest.raises(UsageError):
        AfasClient(**given)
    token, number = given.pop("auth"), given.pop("environment")
    if token == canary.TOKEN:
        with pytest.raises(UsageError):
            AfasClient.from_env({"AFAS_TOKEN": token, "AFAS_ENVIRONMENT": number}, **given)
    assert watch.errors
    assert watch.found() == []


def test_the_password_of_a_proxy_and_bad_variables(watch: canary.Watch) -> None:
    """Errors about the environment variables do not show it either."""
    with pytest.raises(ConfigurationError):
        AfasClient.from_env({}, proxy=canary.PROXY)
    with pytest.raises(UsageError):
        AfasClient.from_env([canary.TOKEN], proxy=canary.PROXY)  # type: ignore[arg-type]
    assert watch.found() == []


async def test_a_proxy_that_is_not_there(watch: canary.Watch) -> None:
    """An error of a call, which has the URL of the proxy, does not show its password."""
    async with AfasClient(base_url=URL, auth=canary.TOKEN, proxy=canary.PROXY, max_retries=0) as afas:
        with pytest.raises(ConnectError):
            await afas.version()
        assert not canary.leaks(repr(vars(afas._session._transport)))
    assert watch.found() == []


def test_reports_of_refused_arguments(watch: canary.Watch) -> None:
    """A crash reporter that prints the locals of each frame can show the error without the token."""
    with pytest.raises(ConfigurationError):
        AfasClient("O12345AA", auth=canary.TOKEN)
    assert watch.found() == []


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "<token></token>",
        pytest.param(canary.TOKEN + "x"),
        pytest.param(canary.TOKEN.replace("token", "Token")),
        "Bearer " + "a" * 64,
    ],
)
def test_bad_tokens(token: str, watch: canary.Watch) -> None:
    """A malformed token is refused, and not repeated in the message."""
    with pytest.raises(ConfigurationError, match="the token is malformed") as raised:
        AfasClient("12345", auth=token)
    assert len(token) < 2 or token not in str(raised.value)
    assert watch.found() == []


def test_bad_ssl_contexts() -> None:
    """A context that accepts any server is refused, except for this machine."""
    blind = ssl.create_default_context()
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    with pytest.raises(ConfigurationError):
        AfasClient("12345", auth=canary.TOKEN, ssl_context=blind)
    AfasClient(base_url="https://localhost:9/x", auth=canary.TOKEN, ssl_context=blind)


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({"AFAS_ENVIRONMENT": "12345"}, "https://12345.rest.afas.online/profitrestservices"),
        (
            {"AFAS_ENVIRONMENT": "12345", "AFAS_ENVIRONMENT_TYPE": "test"},
            "https://12345.resttest.afas.online/profitrestservices",
        ),
        (
            {"AFAS_ENVIRONMENT": "12345", "AFAS_ENVIRONMENT_TYPE": ""},
            "https://12345.rest.afas.online/profitrestservices",
        ),
        ({"AFAS_BASE_URL": URL}, URL),
        ({"AFAS_BASE_URL": "", "AFAS_ENVIRONMENT": "12345"}, "https://12345.rest.afas.online/profitrestservices"),
    ],
)
def test_from_env(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str) -> None:
    """The environment variables make a client, given as a mapping or set in the process."""
    client = {"AFAS_CLIENT_ID": "5f0c2b1e", "AFAS_CLIENT_SECRET": canary.SECRET}
    assert url in repr(AfasClient.from_env(variables | client))
    variables = {**variables, "AFAS_TOKEN": canary.TOKEN}
    assert url in repr(AfasClient.from_env(variables))
    for name in ("AFAS_ENVIRONMENT", "AFAS_ENVIRONMENT_TYPE", "AFAS_BASE_URL", "AFAS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert url in repr(AfasClient.from_env(max_concurrency=2, timeout=10))


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"AFAS_TOKEN": canary.TOKEN},
        {"AFAS_ENVIRONMENT": "12345"},
        {"AFAS_TOKEN": "", "AFAS_ENVIRONMENT": "12345"},
        {"AFAS_TOKEN": "x", "AFAS_ENVIRONMENT": "12345"},
        {"AFAS_TOKEN": canary.TOKEN, "AFAS_ENVIRONMENT": "production"},
        {"AFAS_TOKEN": canary.TOKEN, "AFAS_ENVIRONMENT": "12345", "AFAS_ENVIRONMENT_TYPE": "live"},
        {"AFAS_TOKEN": canary.TOKEN, "AFAS_BASE_URL": "http://example.com"},
        {"AFAS_CLIENT_ID": "x", "AFAS_ENVIRONMENT": "12345"},
        {"AFAS_CLIENT_SECRET": canary.SECRET, "AFAS_ENVIRONMENT": "12345"},
        {"AFAS_CLIENT_ID": "", "AFAS_CLIENT_SECRET": canary.SECRET, "AFAS_ENVIRONMENT": "12345"},
        {"AFAS_CLIENT_ID": "\n", "AFAS_CLIENT_SECRET": canary.SECRET, "AFAS_ENVIRONMENT": "12345"},
        {"AFAS_CLIENT_ID": "x", "AFAS_CLIENT_SECRET": canary.SECRET},
        {
            "AFAS_TOKEN": canary.TOKEN,
            "AFAS_CLIENT_ID": "x",
            "AFAS_CLIENT_SECRET": canary.SECRET,
            "AFAS_ENVIRONMENT": "12345",
        },
    ],
)
def test_from_a_bad_env(variables: dict[str, str]) -> None:
    """Variables that are missing or malformed are a ConfigurationError."""
    with pytest.raises(ConfigurationError):
        AfasClient.from_env(variables)


def test_from_env_passes_options_on() -> None:
    """Further arguments are those of the constructor, and checked like those."""
    with pytest.raises(ConfigurationError, match="max_concurrency"):
        AfasClient.from_env({"AFAS_TOKEN": canary.TOKEN, "AFAS_ENVIRONMENT": "12345"}, max_concurrency=99)


@pytest.mark.parametrize("variables", [{}, {"AFAS_ENVIRONMENT": "production"}])
def test_reports_of_a_bad_env(monkeypatch: pytest.MonkeyPatch, watch: canary.Watch, variables: dict[str, str]) -> None:
    """The token does not show in the locals of the frames when the other variables are missing or malformed."""
    monkeypatch.delenv("AFAS_ENVIRONMENT", raising=False)
    monkeypatch.delenv("AFAS_BASE_URL", raising=False)
    monkeypatch.setenv("AFAS_TOKEN", canary.TOKEN)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError):
        AfasClient.from_env()
    assert watch.found() == []


def test_never_printed_pickled_or_copied() -> None:
    """No text of a client shows its token, and no copy of it can be made."""
    afas = AfasClient("12345", auth=canary.TOKEN)
    oauth = AfasClient("12345", auth=ClientCredentials("5f0c2b1e", canary.SECRET))
    for thing in (afas, afas.with_options(timeout=1), oauth):
        for text in (repr(thing), str(thing), f"{thing!s:>200}", repr(vars(thing))):
            assert not canary.leaks(text)
        for refuse in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="AfasClient"):
                refuse(thing)


@pytest.mark.parametrize("options", [{"timeout": 0}, {"max_retries": -1}, {"language": "x"}])
def test_bad_options(options: dict[str, Any]) -> None:
    """A view's options are checked like the client's."""
    with pytest.raises(ConfigurationError):
        AfasClient("12345", auth=canary.TOKEN).with_options(**options)


async def test_views_have_no_life_of_their_own() -> None:
    """You can neither open nor close a view."""
    afas = AfasClient(base_url=URL, auth=canary.TOKEN)
    for view in (afas.with_options(timeout=1), afas.with_options().with_options(max_retries=0)):
        with pytest.raises(UsageError, match="view"):
            await view.open()
        with pytest.raises(UsageError, match="view"):
            await view.aclose()
        with pytest.raises(UsageError, match="view"):
            async with view:
                pass
    async with afas:
        pass


@pytest.mark.parametrize(
    "base_url", ["https://a..b/x", "https://./x", "https://-a.b/x", f"https://{'a' * 64}.nl/x", "https://a_b/x"]
)
def test_hosts_that_cannot_be_called(base_url: str) -> None:
    """A host name that no resolver accepts is refused when the client is made."""
    with pytest.raises(ConfigurationError):
        AfasClient(base_url=base_url, auth=canary.TOKEN)


@pytest.mark.parametrize(
    "proxy", ["localhost:8080", "ftp://x", "http://", "http://a..b:1", "http://x:y", "http://u:€@x"]
)
def test_malformed_proxies(proxy: str) -> None:
    """A malformed proxy URL is refused when the client is made."""
    with pytest.raises(ConfigurationError, match="proxy"):
        AfasClient("12345", auth=canary.TOKEN, proxy=proxy)


@pytest.mark.parametrize("auth", [canary.TOKEN.encode(), None, 5])
def test_tokens_that_are_no_text(auth: Any) -> None:
    """A token file read as bytes, or a variable that is not set, gives a clear error without the token."""
    with pytest.raises(UsageError, match="auth: expected a token as str, "):
        AfasClient("12345", auth=auth)
