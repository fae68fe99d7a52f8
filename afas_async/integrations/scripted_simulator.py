"""The simulator of your tests, with faults as keywords. See the guide `afas_async.integrations.pytest`."""

from __future__ import annotations

from typing import Any

import msgspec

from afas_async.simulator import Fault, Simulator


class ScriptedSimulator(Simulator):
    """The `Simulator` that you get from the fixture `afas_simulator`, with a short way to script a fault.

    Example:
        >>> with ScriptedSimulator.running(rows=10) as afas_simulator:
        ...     afas_simulator.fault(status=503, retry_after=1)
        ...     afas_simulator.faults.left
        [Fault(status=503, retry_after=1)]
    """

    def fault(self, **what: Any) -> None:
        """Script a fault. Your test fails if it does not happen.

        Args:
            what: The attributes of a `Fault`, such as `status=503, retry_after=1` or `connector="KnSubject",
                refusal="locked"`. With `times=None` all requests get it, and it need not happen.

        Raises:
            ValueError: A `Fault` has no such attribute, or the attributes do not fit together.
        """
        try:
            self.faults.add(msgspec.convert(what, Fault))
        except msgspec.ValidationError as error:
            raise ValueError(f"invalid fault: {error}") from None
