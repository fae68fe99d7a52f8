"""The options of a read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from afas_async.errors import UsageError
from afas_async.policy.sizing import EVERYTHING
from afas_async.vocabulary.arguments import check_type
from afas_async.vocabulary.filters import Condition


class ReadOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of `rows` and `pages`; `rows` describes them."""

    where: Condition | None = None
    order_by: str | Sequence[str] = ()
    take: int | None = None
    window: int | None = None
    after: str | None = None
    part: Mapping[str, Any] | None = None
    verify: bool = True

    def check(self, connector: str, most: int) -> None:
        """Check each option that can be checked by itself.

        Args:
            connector: The connector, for errors.
            most: How many requests the client may have in flight.

        Raises:
            UsageError: If an option is invalid.
        """
        check_type("verify", self.verify, bool, "True or False", connector=connector)
        check_type("window", self.window, int | None, f"a whole number from 1 to {most}", connector=connector)
        if self.window is not None and not 1 <= self.window <= most:
            raise UsageError(
                f"{connector}: window must be 1 to {most}, the client's max_concurrency, not {self.window}"
            )
        check_type("take", self.take, int | None, "a whole number such as 100", connector=connector)
        if self.take is not None and self.take < 1 and self.take != EVERYTHING:
            raise UsageError(f"{connector}: take must be 1 or more, not {self.take}")
