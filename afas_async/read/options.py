"""How a read goes about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from afas_async.errors import UsageError
from afas_async.policy.sizing import EVERYTHING
from afas_async.vocabulary.filters import Condition


class ReadOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of `rows` and `pages`; `rows` describes them.

    Raises:
        UsageError: If one of them makes no sense.
    """

    where: Condition | None = None
    order_by: str | Sequence[str] = ()
    take: int | None = None
    window: int | None = None
    after: str | None = None
    part: Mapping[str, Any] | None = None
    verify: bool = True

    def __post_init__(self) -> None:
        if self.take is not None and self.take < 1 and self.take != EVERYTHING:
            raise UsageError(f"take must be 1 or more, not {self.take}")

    def window_of(self, most: int) -> int:
        """Return how many pages may be on their way, of a client that allows so many requests at a time.

        Raises:
            UsageError: If more are asked for.
        """
        if self.window is not None and not 1 <= self.window <= most:
            raise UsageError(f"window must be 1 to {most}, the client's max_concurrency, not {self.window}")
        return self.window or most
