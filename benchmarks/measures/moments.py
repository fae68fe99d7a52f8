"""The cost of naive moments: rows with three of them, against the same rows with moments in UTC."""

from __future__ import annotations

from datetime import datetime
from statistics import median
from time import process_time

import msgspec

from afas_async.wire.slices import RowSlices
from benchmarks.figures import Figure, Scale, Section

SLICE_ROWS = 140  # about 64 KiB
TIMES = 400


class Row(msgspec.Struct, frozen=True):
    """A row of twenty fields, like those of a connector of articles, with three moments."""

    number: int
    created: datetime
    modified: datetime
    checked: datetime | None
    texts_1: str
    texts_2: str
    texts_3: str
    texts_4: str
    texts_5: str
    texts_6: str
    texts_7: str
    texts_8: str
    amount_1: float
    amount_2: float
    amount_3: float
    amount_4: float
    count_1: int
    count_2: int
    blocked: bool
    text_9: str | None


def moments(scale: Scale) -> Section:
    """Compare the processor time of decoding slices of rows."""
    text = msgspec.json.encode([_row(number) for number in range(SLICE_ROWS)])
    times = 10 if scale.quick else TIMES
    ratios = list[float]()
    for _ in range(scale.rounds * 3):
        seconds = list[float]()
        for naive in (True, False):
            started = process_time()
            for _ in range(times):
                _decode(text, naive=naive)
            seconds.append(process_time() - started)
        ratios.append(seconds[0] / seconds[1])
    what = "decoding rows with three moments as wall time, against UTC"
    figure = Figure("P16", what, median(ratios), "x", 1.05, at_most=True, low=min(ratios), high=max(ratios))
    return Section("Naive moments", [figure])


def _decode(text: bytes, *, naive: bool) -> None:
    slices = RowSlices(Row, connector="Own", page=0, take=SLICE_ROWS, columns=20)
    if not naive:
        setattr(slices, "_remove_zones", None)  # noqa: B010 - mypy forbids the assignment, rightly elsewhere
    slices.feed(text[1:])
    slices.finish()


def _row(number: int) -> dict[str, object]:
    moment = f"2024-07-01T{number % 24:02}:{number % 60:02}:{number % 50:02}Z"
    values: dict[str, object] = {"number": number, "created": moment, "modified": moment, "checked": moment}
    values |= {f"texts_{place}": f"Some text {number * place}" for place in range(1, 9)}
    values |= {f"amount_{place}": number * place / 4 for place in range(1, 5)}
    return values | {"count_1": number, "count_2": 7, "blocked": False, "text_9": None}
