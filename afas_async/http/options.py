"""The options of a view: everything that `with_options` can change."""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

import msgspec

from afas_async.errors import ConfigurationError
from afas_async.http.events import Listener
from afas_async.policy.retrying import WRITE_SECONDS
from afas_async.vocabulary.arguments import check_callback, check_type

_LANGUAGE: Final = re.compile(r"[A-Za-z]{2}-[A-Za-z]{2}", re.ASCII)


Priority: TypeAlias = Literal["interactive", "background"]


class Options(msgspec.Struct, frozen=True):
    """The options of a client or a view, as `AfasClient` and `with_options` document them.

    Raises:
        ConfigurationError: If a value is out of range.
        UsageError: If a value has the wrong type.
    """

    timeout: float
    max_retries: int
    language: str
    on_event: Listener | None
    drift: Literal["warn", "error"] = "warn"
    priority: Priority | None = None
    write_timeout: float = WRITE_SECONDS

    def __post_init__(self) -> None:
        check_type("timeout", self.timeout, int | float, "a number of seconds such as 30")
        check_type("write_timeout", self.write_timeout, int | float, "a number of seconds such as 60")
        check_type("max_retries", self.max_retries, int, "a whole number such as 3")
        check_type("language", self.language, str, 'a language such as "nl-nl"')
        check_type("drift", self.drift, str, '"warn" or "error"')
        check_type("priority", self.priority, str | None, '"interactive" or "background"')
        check_callback("on_event", self.on_event)
        if not self.timeout > 0:
            raise ConfigurationError(f"timeout must be more than 0 seconds, not {self.timeout}")
        if not 0 < self.write_timeout <= WRITE_SECONDS:
            raise ConfigurationError(
                f"write_timeout must be more than 0 and at most {WRITE_SECONDS:g} seconds, not {self.write_timeout}:"
                " the service never takes longer"
            )
        if self.max_retries < 0:
            raise ConfigurationError(f"max_retries must be 0 or more, not {self.max_retries}")
        if self.drift not in {"warn", "error"}:
            raise ConfigurationError(f'drift must be "warn" or "error", not {self.drift!r}')
        if self.priority not in {None, "interactive", "background"}:
            raise ConfigurationError(f'priority must be "interactive" or "background", not {self.priority!r}')
        if not _LANGUAGE.fullmatch(self.language):
            raise ConfigurationError(f"language must look like nl-nl, not {self.language!r}")
