"""The AFAS environment to connect to: a participant number and a type, or an explicit base URL."""

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
    """An AFAS environment, for `AfasClient(Environment("12345", "test"), ...)`.

    For a production environment you can give the client the participant number itself: `AfasClient("12345", ...)`. Use
    the participant number, not the full environment id such as `O12345AA`.

    Args:
        id: The participant number as text: 10000 to 99999 (AFAS, Quick start). Six digits are accepted as well.
        type: "production", "test", "accept" or "course".

    Raises:
        ConfigurationError: If the number or the type is malformed.
        UsageError: If one of them is not a str.

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
    """Return the base URL of an environment, or the explicit base URL.

    Raises:
        ConfigurationError: If it is malformed, or if both or neither are given.
        UsageError: If one of them has the wrong type.
    """
    expected = 'the participant number as text, such as "12345", or an Environment'
    check_type("environment", environment, str | Environment | None, expected)
    check_type("base_url", base_url, str | None, "a URL as text")
    if environment is not None and base_url is None:
        return (Environment(environment) if isinstance(environment, str) else environment).base_url
    if environment is None and base_url is not None:
        return checked_base_url(base_url)
    raise ConfigurationError(
        "give an environment or a base_url: both are missing"
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
        ConfigurationError: If the URL could send the token unencrypted, or to another target than the URL suggests.
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
            "the base URL must look like https://host/profitrestservices, without user, query, fragment or escapes"
        )
    if parts.path.rstrip("/").rpartition("/")[2].lower() in {"connectors", "metainfo"}:
        raise ConfigurationError(
            "the base URL must not include `/connectors` or `/metainfo`: give it as https://host/profitrestservices"
        )
    if any(segment in {".", ".."} for segment in parts.path.split("/")):
        raise ConfigurationError("the base URL must not contain `.` or `..` as a path segment")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ConfigurationError(
            "the base URL must use https, or the token is sent unencrypted: http is for loopback hosts only"
        )
    return url.rstrip("/")


class Proxy(Secret):
    """The URL of an HTTP proxy, which may hold a password.

    Args:
        url: The URL, such as `http://user:password@proxy.example:3128`.

    Raises:
        ConfigurationError: If the URL is malformed. The message does not repeat it.

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
        """Return the URL.

        Do not bind it to a variable, because a traceback may show local variables.
        """
        return self._reveal()


def checked_proxy(given: str | Proxy | None) -> Proxy | None:
    """Return the `proxy` argument of a client; a str becomes a `Proxy`.

    Raises:
        ConfigurationError: If the URL is malformed.
        UsageError: If it has another type.
    """
    try:
        check_type("proxy", given, str | Proxy | None, "a URL such as http://proxy.example:3128")
        return Proxy(given) if isinstance(given, str) else given
    finally:
        del given  # keeps the secret out of tracebacks that show local variables


def _is_proxy(url: str) -> bool:
    try:
        parts = urlsplit(url)
        has_target = parts.scheme in {"http", "https"} and _HOST.fullmatch(parts.hostname or "") and parts.port != 0
    except ValueError:
        return False
    return bool(has_target and re.fullmatch(r"[\x21-\x7e]+", url))


def checked_integration_id(text: str | None) -> str | None:
    """Return the `integration_id` argument of a client, the id that AFAS partners send.

    Raises:
        ConfigurationError: If it is malformed.
        UsageError: If it is neither a str nor None.
    """
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
    """Whether a host name or address certainly refers to this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
