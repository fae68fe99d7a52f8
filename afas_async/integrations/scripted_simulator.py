"""The simulator of a test, with faults as keywords; see `afas_async.integrations.pytest`."""

from __future__ import annotations

from typing import Any

import msgspec

from afas_async.simulator import Fault, Simulator


class ScriptedSimulator(Simulator):
    """What the fixture `afas_simulator` returns: a `Simulator`, with `fault` for a test's script.

    Example:
        >>> with ScriptedSimulator.running(rows=10) as afas_simulator:
        ...     afas_simulator.fault(status=503, retry_after=1)
        ...     afas_simulator.faults.left
        [Fault(status=503, retry_after=1)]
    """

    def fault(self, **what: Any) -> None:
        """Script a fault, which must happen in the test.

        Args:
            what: The attributes of a `Fault`, such as `status=503, retry_after=1` or `connector="KnSubject",
                refusal="locked"`. With `times=None` it meets all requests, and may meet none.

        Raises:
            ValueError: A `Fault` has no such attribute, or together they make no sense.
        """
        try:
            self.faults.add(msgspec.convert(what, Fault))
        except msgspec.ValidationError as error:
            raise ValueError(f"no such fault: {error}") from None
