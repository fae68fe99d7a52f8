"""Environments: which host a number and a kind mean, and which base URLs may receive a token."""

from __future__ import annotations

import pytest

from afas_async import Environment
from afas_async.errors import ConfigurationError
from afas_async.vocabulary.environment import base_url_of, checked_base_url, is_loopback
from tests.support.each_case import each_case


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("production", "https://12345.rest.afas.online/profitrestservices"),
        ("test", "https://12345.resttest.afas.online/profitrestservices"),
        ("accept", "https://12345.restaccept.afas.online/profitrestservices"),
        ("course", "https://12345.restcursus.afas.online/profitrestservices"),
    ],
)
def test_hosts(kind: str, url: str) -> None:
    """Each kind of environment has the host that AFAS documents."""
    assert Environment("12345", kind).base_url == url  # type: ignore[arg-type]


def test_production_is_the_default() -> None:
    """A number alone means production, and environments are values."""
    assert Environment("10000") == Environment("10000", "production")
    assert hash(Environment("99999")) == hash(Environment("99999"))
    assert Environment("123456").base_url == "https://123456.rest.afas.online/profitrestservices"


@each_case(
    "number",
    [
        "",
        "1234",
        "01234",
        "00000",
        "1234567",
        "O12345AA",
        "A123456AC",
        "12345AA",
        " 12345",
        "12345 ",
        "12345\n",
        "\n12345",
        "12345\x00",
        "-12345",
        "+12345",
        "12345.0",
        "12_345",
        "1e5",
        "12345.evil.com/",
        "12345/",
        "12345#",
        "12345?x",
        "12345@evil",
        "12345:443",
        "\u0661\u0662\u0663\u0664\u0665",
        "\uff11\uff12\uff13\uff14\uff15",
        "12345\u200b",
        "\u00b2\u00b2\u00b2\u00b2\u00b2",
    ],
)
def test_bad_numbers(number: str) -> None:
    """A participant number is five or six ASCII digits, and nothing before or after them."""
    with pytest.raises(ConfigurationError) as caught:
        Environment(number)
    assert repr(number) in str(caught.value)


@pytest.mark.parametrize("kind", ["", "Production", "TEST", "test ", "test\n", "rest", "prod", "../x"])
def test_bad_kinds(kind: str) -> None:
    """A kind is one of the four words, and the error lists them."""
    with pytest.raises(ConfigurationError, match="production, test, accept, course"):
        Environment("12345", kind)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        ("https://12345.rest.afas.online/profitrestservices", "https://12345.rest.afas.online/profitrestservices"),
        ("https://12345.rest.afas.online/ProfitRestServices/", "https://12345.rest.afas.online/ProfitRestServices"),
        ("https://proxy.example:8443/afas/profit-rest_1.0~x", "https://proxy.example:8443/afas/profit-rest_1.0~x"),
        ("https://host", "https://host"),
        ("https://host/", "https://host"),
        ("https://10.0.0.1/x", "https://10.0.0.1/x"),
        ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443/x"),
        ("http://localhost:8765/profitrestservices", "http://localhost:8765/profitrestservices"),
        ("http://127.0.0.1:1/x", "http://127.0.0.1:1/x"),
        ("http://127.9.9.9/x", "http://127.9.9.9/x"),
        ("http://[::1]:8765/x/", "http://[::1]:8765/x"),
        ("https://localhost/x", "https://localhost/x"),
    ],
)
def test_good_base_urls(url: str, checked: str) -> None:
    """https to any host, and http to this machine, are accepted and lose a slash at the end."""
    assert checked_base_url(url) == checked


@each_case(
    "url",
    [
        "",
        "/",
        "x",
        "12345",
        "12345.rest.afas.online/profitrestservices",
        "//host/x",
        "https:",
        "https://",
        "https:///x",
        "https:/host/x",
        "https:host/x",
        "https://?",
        # clear text
        "http://12345.rest.afas.online/profitrestservices",
        "http://10.0.0.1/x",
        "http://localhost.evil.example/x",
        "http://127.0.0.1.evil.example/x",
        "http://[2001:db8::1]/x",
        "http://0.0.0.0/x",
        "ftp://localhost/x",
        "file:///etc/passwd",
        "ws://localhost/x",
        "javascript:alert(1)",
        # another host than it seems
        "https://user@host/x",
        "https://user:secret@host/x",
        "https://@host/x",
        "https://12345.rest.afas.online@evil.example/x",
        "https://host\\@evil.example/x",
        "https://host\\evil/x",
        "https://ho%73t/x",
        "https://host%00.evil/x",
        "https://h\u00f6st/x",
        "https://\uff48ost/x",
        "https://host\u2215evil/x",
        "https://ho st/x",
        "https://host;evil/x",
        "https://host,evil/x",
        "https://ho_st/x",
        # another path than it seems
        "https://host/x?",
        "https://host/x?a=b",
        "https://host/?a",
        "https://host?a",
        "https://host/x#",
        "https://host/x#f",
        "https://host/..",
        "https://host/x/..",
        "https://host/x/../y",
        "https://host/./x",
        "https://host/x/.",
        "https://host/%2e%2e/x",
        "https://host/a%2fb",
        "https://host//x",
        "https://host/x//y",
        "https://host/x;a=b",
        "https://host/x y",
        "https://host/x\\y",
        "https://host/\u00e9",
        # control characters
        " https://host/x",
        "https://host/x ",
        "https://host/x\n",
        "https://host/x\r\nX: y",
        "https://ho\nst/x",
        "https://host/\tx",
        "https://host/x\x00",
        "https://host/x\x7f",
        # ports
        "https://host:99999/x",
        "https://host:-1/x",
        "https://host:port/x",
        "https://host:\uff18\uff10/x",
        "https://[::1/x",
        "https://[::g]/x",
        "https://[::1%25eth0]/x",
        pytest.param("https://[v1.x]/x"),
    ],
)
def test_bad_base_urls(url: str) -> None:
    """URLs that could send the token in clear text, or elsewhere than they seem to, are refused."""
    with pytest.raises(ConfigurationError):
        checked_base_url(url)


@pytest.mark.parametrize("url", ["https://user:5ECRET@host/x", "https://host/x?token=5ECRET", "http://:5ECRET@[::1/x"])
def test_refusal_does_not_repeat(url: str) -> None:
    """The refusal of a base URL repeats none of its secrets."""
    with pytest.raises(ConfigurationError) as caught:
        checked_base_url(url)
    assert "5ECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.255.255.254", True),
        ("::1", True),
        ("0:0:0:0:0:0:0:1", True),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
        ("127.1", False),
        ("0.0.0.0", False),  # noqa: S104 - it is refused
        ("::", False),
        ("128.0.0.1", False),
        ("2130706433", False),
        ("", False),
        ("evil", False),
    ],
)
def test_loopback(host: str, loopback: bool) -> None:  # noqa: FBT001
    """Only names and addresses that certainly mean this machine count as this machine."""
    assert is_loopback(host) is loopback


@pytest.mark.parametrize("path", ["connectors", "connectors/", "metainfo", "ProfitRestServices/Connectors"])
def test_a_base_url_that_goes_too_far(path: str) -> None:
    """Users copy it from a request: with it, every connector would be unknown."""
    with pytest.raises(ConfigurationError, match="must not include `/connectors`"):
        base_url_of(None, f"https://12345.rest.afas.online/{path}")
