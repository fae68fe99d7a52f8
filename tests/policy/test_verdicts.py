"""The table of verdicts: a success, the journal's note of it, and the next run.

`test_retrying_writes` has the table for failures, beside the writes that are sent again.
"""

from __future__ import annotations

import itertools

import pytest

from afas_async import errors
from afas_async.policy.verdicts import UPLOAD_GRACE, Resumption, State, applied, noted, resumed, upload_seconds
from afas_async.vocabulary.outcomes import Status
from afas_async.wire.write_answers import Body, Ending
from tests.policy.test_retrying import api, refused
from tests.support.each_case import each_case

SEND, KEEP, REFUSE = Resumption.SEND, Resumption.KEEP, Resumption.REFUSE


@each_case(
    ("body", "ending", "elements", "keys", "count"),
    [
        # Every body that may be the service's says that all of it is applied, also one that broke off.
        *((body, ending, 1, 0, 1) for body in (Body.EMPTY, Body.KEYS, Body.BROKEN) for ending in Ending),
        *((body, ending, 5, 0, 5) for body in (Body.EMPTY, Body.KEYS, Body.BROKEN) for ending in Ending),
        # As many keys as elements, or more than one for each.
        (Body.KEYS, Ending.MARKED, 5, 5, 5),
        (Body.KEYS, Ending.MARKED, 5, 7, 5),
        (Body.KEYS, Ending.MARKED, 1, 2, 1),
        # Fewer: the rest was dropped, or is in the part that is missing.
        (Body.KEYS, Ending.MARKED, 5, 1, 1),
        (Body.KEYS, Ending.UNMARKED, 5, 4, 4),
        (Body.KEYS, Ending.BROKEN, 5, 4, 5),
        # Responses that take the success back, or do not come from the service.
        *((body, ending, count, 0, 0) for body in (Body.REFUSAL, Body.PAGE) for ending in Ending for count in (1, 5)),
        (Body.FOREIGN, Ending.MARKED, 1, 0, 0),
    ],
)
def test_what_a_success_tells(body: Body, ending: Ending, elements: int, keys: int, count: int) -> None:
    assert applied(body, ending, elements=elements, keys=keys) == count


def test_a_success_of_a_path_that_is_not_known() -> None:
    """Any response may come from such a path, except a refusal and a page of a proxy."""
    for body in Body:
        count = applied(body, Ending.MARKED, elements=1, keys=0, known_path=False)
        assert count == (0 if body in {Body.REFUSAL, Body.PAGE} else 1)


@each_case(
    ("status", "elements", "error", "state"),
    [
        ("applied", 1, None, "applied"),
        ("applied", 9, None, "applied"),
        ("unknown", 1, api(500), "unknown"),
        ("unknown", 9, api(500), "unknown"),
        ("not_sent", 1, api(429), "planned"),
        ("not_sent", 9, api(429), "planned"),
        ("rejected", 1, refused("no"), "rejected"),
        ("rejected", 9, refused("no"), "planned"),  # nobody knows which element is at fault
        ("rejected", 1, api(401), "planned"),  # otherwise rejected for ever, whatever the next credential
        ("rejected", 1, api(403), "planned"),
    ],
)
def test_what_a_journal_notes(status: Status, elements: int, error: errors.AfasError, state: State) -> None:
    assert noted(status, elements=elements, error=error) == state


@each_case(
    ("state", "same", "elsewhere", "step"),
    [
        (None, False, False, SEND),
        ("planned", True, False, SEND),
        ("planned", False, False, SEND),  # corrected
        ("rejected", True, False, SEND),  # the fault may be mended in Profit
        ("rejected", False, False, SEND),
        ("applied", True, False, KEEP),
        ("unknown", True, False, KEEP),
        ("applied", False, False, REFUSE),
        ("unknown", False, False, REFUSE),
        # An element before it is missing, so that it has moved up.
        (None, False, True, REFUSE),
        ("planned", False, True, REFUSE),
        ("rejected", False, True, REFUSE),
        ("applied", False, True, REFUSE),
        # An equal element in a later place is another record.
        ("planned", True, True, SEND),
        ("applied", True, True, KEEP),
    ],
)
def test_what_the_next_run_does(state: State | None, step: Resumption, *, same: bool, elsewhere: bool) -> None:
    assert resumed(state, same=same, elsewhere=elsewhere) is step


def test_nothing_is_sent_that_may_be_there() -> None:
    """Whatever the facts, an element that is applied or unknown is never sent."""
    for state, same, elsewhere in itertools.product(("applied", "unknown"), (False, True), (False, True)):
        assert resumed(state, same=same, elsewhere=elsewhere) is not SEND  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("size", [0, 1_000, 75_000_000])
def test_an_upload_has_the_time_of_a_slow_line(size: int) -> None:
    assert UPLOAD_GRACE <= upload_seconds(size) == UPLOAD_GRACE + size / 16_384
