"""Which AFAS environment to talk to: participant number and kind, or an explicit base URL."""

from __future__ import annotations

import ipaddress
import re
from typing import Literal, get_args
from urllib.parse import urlsplit

import msgspec

from afas_async.errors import ConfigurationError
from afas_async.vocabulary.arguments import check_type
from afas_async.vocabulary.hiding import Secret

EnvironmentType = Literal["production", "test", "accept", "course"]

_HOSTS: dict[str, str] = {"production": "rest", "test": "resttest", "accept": "restaccept", "course": "restcursus"}
_NUMBER = re.compile(r"[1-9][0-9]{4,5}", re.ASCII)
_SHOWN = 20
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]+\]", re.ASCII)
_PATH = re.compile(r"(/[A-Za-z0-9_.~\-]+)*", re.ASCII)
_INTEGRATION_ID = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)
_USER_AGENT = re.compile(r"[!-~](?:[ -~]{0,198}[!-~])?", re.ASCII)


class Environment(msgspec.Struct, frozen=True):
    """One AFAS environment.

    The number is the participant number (AFAS, Quick start: 10000 to 99999; six digits are accepted), not the
    full environment id such as `O12345AA`.

    Args:
        id: The participant number, as digits.
        type: "production", "test", "accept" or "course".

    Raises:
        ConfigurationError: If the number or the type is malformed.
        UsageError: If one of them is not text.

    Example:
        >>> Environment("12345", "test").base_url
        'https://12345.resttest.afas.online/profitrestservices'
    """

    id: str
    type: EnvironmentType = "production"

    def __post_init__(self) -> None:
        check_type("id", self.id, str, 'the participant number as text, such as "12345"')
        check_type("type", self.type, str, f"one of {', '.join(get_args(EnvironmentType))}")
        if not _NUMBER.fullmatch(self.id):
            shown = repr(self.id) if len(self.id) <= _SHOWN or "://" in self.id else "the text"  # it may be a token
            raise ConfigurationError(f"{shown} is not a participant number: {_number_advice(self.id)}")
        if self.type not in _HOSTS:
            raise ConfigurationError(
                f"{self.type!r} is not an environment type: use one of {', '.join(get_args(EnvironmentType))}"
            )

    @property
    def base_url(self) -> str:
        """The base URL of the REST services, without a trailing slash (AFAS, REST API for developers)."""
        return f"https://{self.id}.{_HOSTS[self.type]}.afas.online/profitrestservices"


def base_url_of(environment: str | Environment | None, base_url: str | None) -> str:
    """Return the base URL that one of the two stands for.

    Raises:
        ConfigurationError: If it is malformed, or both are given, or none.
        UsageError: If one of them has a wrong type.
    """
    expected = 'the participant number as text, such as "12345", or an Environment'
    check_type("environment", environment, str | Environment | None, expected)
    check_type("base_url", base_url, str | None, "a URL as text")
    if environment is not None and base_url is None:
        return (Environment(environment) if isinstance(environment, str) else environment).base_url
    if environment is None and base_url is not None:
        return checked_base_url(base_url)
    raise ConfigurationError(
        "give an environment or a base_url: there is neither"
        if environment is None
        else "give an environment or a base_url, not both"
    )


def _number_advice(given: str) -> str:
    if "://" in given:
        return "give a URL as base_url="
    if re.match(r"[Tt]\d", given):
        return 'give its digits only, for a test environment as Environment("12345", "test")'
    return "give its digits only, such as '12345' (not 'O12345AA')"


def checked_base_url(url: str) -> str:
    """Return an explicit base URL without its trailing slash.

    Args:
        url: `https://host[:port]/path`; plain `http` is accepted for loopback hosts only.

    Raises:
        ConfigurationError: If the URL could send the token in clear text or to another target than it seems.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        bracketed = f"[{host}]" if "[" in parts.netloc else host
    except ValueError as error:
        raise ConfigurationError(f"the base URL is malformed: {error}") from None
    plain = re.fullmatch(r"[\x21-\x7e]+", url) and not (parts.query or parts.fragment or "?" in url or "#" in url)
    if (
        not plain
        or parts.username is not None
        or not _HOST.fullmatch(bracketed)
        or not _PATH.fullmatch(parts.path.rstrip("/"))
    ):
        raise ConfigurationError(
            "the base URL must look like https://host/profitrestservices: no user, query, fragment or escapes"
        )
    if parts.path.rstrip("/").rpartition("/")[2].lower() in {"connectors", "metainfo"}:
        raise ConfigurationError(
            "the base URL ends before `/connectors` or `/metainfo`, as in https://host/profitrestservices"
        )
    if any(segment in {".", ".."} for segment in parts.path.split("/")):
        raise ConfigurationError("the base URL must not contain `.` or `..` as a path segment")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ConfigurationError(
            "the base URL must be https: the token would travel in clear text (http: loopback only)"
        )
    return url.rstrip("/")


class Proxy(Secret):
    """The URL of an HTTP proxy, which may hold a password.

    Args:
        url: The URL, such as `http://user:password@proxy.example:3128`.

    Raises:
        ConfigurationError: If it is malformed. The message does not repeat it.

    Example:
        >>> Proxy("http://user:password@proxy.example:3128")
        Proxy(***)
    """

    __slots__ = ()

    def __init__(self, url: str) -> None:
        found = url if _is_proxy(url) else None
        del url
        super().__init__(found, "the proxy must be a URL such as http://proxy.example:3128, in ASCII")

    def url(self) -> str:
        """Return the URL. Do not bind it to a variable: tracebacks show those."""
        return self._reveal()


def checked_proxy(given: str | Proxy | None) -> Proxy | None:
    """Return the proxy that a client is to use, if any.

    Raises:
        ConfigurationError: If its URL is malformed.
        UsageError: If it is of another type.
    """
    try:
        check_type("proxy", given, str | Proxy | None, "a URL such as http://proxy.example:3128")
        return Proxy(given) if isinstance(given, str) else given
    finally:
        del given  # it must not stand in the locals of a traceback


def _is_proxy(url: str) -> bool:
    try:
        parts = urlsplit(url)
        called = parts.scheme in {"http", "https"} and _HOST.fullmatch(parts.hostname or "") and parts.port != 0
    except ValueError:
        return False
    return bool(called and re.fullmatch(r"[\x21-\x7e]+", url))


def checked_integration_id(text: str | None) -> str | None:
    """Return the id that a partner of AFAS sends if it is one, or None, else raise ConfigurationError."""
    check_type("integration_id", text, str | None, 'text such as "12345_678900"')
    if text is not None and not _INTEGRATION_ID.fullmatch(text):
        raise ConfigurationError("the integration_id must look like 12345_678900")
    return text


def checked_user_agent(text: str) -> str:
    """Return the name and version of a program if they can be in a header, else raise ConfigurationError."""
    check_type("user_agent", text, str, 'text such as "orders/2.1"')
    if not _USER_AGENT.fullmatch(text):
        raise ConfigurationError("the user_agent must look like orders/2.1, in ASCII and at most 200 characters")
    return text


def is_loopback(host: str) -> bool:
    """Whether a host name or address certainly means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
