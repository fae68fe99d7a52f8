"""A damaged response gives the rows of a strict parse of the same bytes, or an AfasError, and nothing else.

No other rows come, and no other exception. AFAS_FUZZ_EXAMPLES sets how many damaged responses are tried; each failure
names the seed that makes it again.
"""

from __future__ import annotations

import os
import re
from random import Random
from typing import Any

import msgspec
import pytest

from afas_async.wire import slices
from tests.support.row_answers import ROW_TYPES, bytewise, outcome, split, whole
from tests.support.thoroughness import by_default

EXAMPLES = max(by_default(1_500, 5_000), int(os.environ.get("AFAS_FUZZ_EXAMPLES", "0")))
ROUNDS = 10

SEEDS = tuple(
    text.encode()
    for text in (
        '{"skip":0,"take":1000,"rows":[{"Id":1,"Text":"a"},{"Id":2,"Text":"},{"},{"Id":3,"More":[{},{}]}]}',
        '{"rows":[{"Text":"\\\\\\"]}"},{"Note":"\\ud83d\\ude00","Id":2}],"take":1000,"x":[{"a":1},{}],"skip":0}',
        '{"skip":0,"rows":[ {"Id" : 1} , {"Id" : 2} ,\n{"Id" : 3} ] , "take":1000 }\r\n',
        '{"skip":0,"take":1000,"rows":[{"More":-.5},{"More":.25,"Text":"-.5, .5"},{"More":[.5,-.5]}]}',
        '{"x":"\\"rows\\":[","r\\u006fws":[{"},{":null,"Id":1},{}],"skip":0,"take":1000}',
        '{"skip":0,"take":1000,"rows":[]}',
        '{"skip":0,"take":1000,"rows":null}',
        '{"externalMessage":"Bestaat niet","errorNumber":-1,"profitLogReference":"AB"}',
        '{"skip":0,"take":1000,"rows":[{"Id":1},{"Id":2},{"Id":3},{"Id":4},{"Id":5},{"Id":6}],"y":[[],{}]}',
    )
)
BITS = (
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"},{", b'"rows":[', b"]}", b"null", b"0", b".", b"-", b"e1", b" ",
    b"\n", b'"skip":0,', b'{"Id":1}', b'{"Id":7},', b"\x00", b"\\u0000", b'":"', b"\x7f",
)  # fmt: skip


def damaged(random: Random, *, ascii_only: bool) -> bytes:
    """Return a response after one to three faults."""
    body = bytearray(random.choice(SEEDS))
    for _ in range(random.choice((1, 1, 2, 3))):
        if not body:
            break
        at, other = random.randrange(len(body)), random.randrange(len(body))
        low, high = min(at, other), max(at, other) + 1
        match random.randrange(7):
            case 0:  # cut
                del body[at:]
            case 1:  # one bit differs
                body[at] ^= 1 << random.randrange(7 if ascii_only else 8)
            case 2:  # a piece comes twice
                body[high:high] = body[low:high]
            case 3:  # something comes in between
                body[at:at] = random.choice(BITS)
            case 4:  # a piece is missing
                del body[at : at + random.choice((1, 1, 2, 5, 20))]
            case 5:  # something else stands there
                piece = random.choice(BITS)
                body[at : at + len(piece)] = piece
            case _:  # pieces of two responses are mixed up
                body[at:] = random.choice(SEEDS)[other:]
    return bytes(body)


def pieces_of(random: Random, body: bytes) -> list[bytes]:
    match random.randrange(4):
        case 0:
            return [body]
        case 1:
            return bytewise(body)
        case 2:
            return split(body, random.randint(0, len(body)))
        case _:
            return bytewise(body, random.randint(2, 40))


def strict(body: bytes, row_type: Any) -> list[Any] | None:
    """Return the rows of a response by parsing it as a whole, None if it has none."""
    body = body.removeprefix(b"\xef\xbb\xbf")
    try:
        members: dict[str, msgspec.Raw] = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        body = with_zeros(body)
        members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    if "rows" not in members or bytes(members["rows"]) == b"null":
        return [] if "rows" in members or {"skip", "take"} <= members.keys() else None
    return whole(body, row_type)


def with_zeros(body: bytes) -> bytes:
    """Return JSON with a zero before each decimal point that lacks one, outside strings: Profit 6's decimals."""
    parts = re.split(rb'("(?:[^"\\]|\\.)*")', body, flags=re.DOTALL)
    return b"".join(
        part if part.startswith(b'"') else re.sub(rb"(^|[:,\[\s])(-?)\.(?=[0-9])", rb"\1\g<2>0.", part)
        for part in parts
    )


@pytest.mark.timeout(0)
@pytest.mark.parametrize(
    "ascii_only",
    [
        pytest.param(True, id="ascii"),
        pytest.param(False, id="any bytes"),
    ],
)
@pytest.mark.parametrize("batch", range(ROUNDS))
def test_damaged_answers(batch: int, ascii_only: bool) -> None:  # noqa: FBT001
    """A damaged response gives the rows that are in it, or an error."""
    complete = 0
    for seed in range(batch * EXAMPLES // ROUNDS, (batch + 1) * EXAMPLES // ROUNDS):
        random = Random(seed)  # noqa: S311 - the same faults each time
        body = damaged(random, ascii_only=ascii_only)
        pieces, row_type = pieces_of(random, body), random.choice(ROW_TYPES)
        rows, error = outcome(pieces, row_type)
        if error is None:
            complete += 1
            assert rows == strict(body, row_type), (seed, body)
    assert complete > EXAMPLES // ROUNDS // 50


@pytest.mark.timeout(0)
def test_damaged_answers_in_small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same holds where no boundary is guessed and the structure is followed from the first byte."""
    monkeypatch.setattr(slices, "SLICE", 1)
    for seed in range(EXAMPLES // ROUNDS):
        random = Random(-1 - seed)  # noqa: S311
        body = damaged(random, ascii_only=True)
        row_type = random.choice(ROW_TYPES)
        rows, error = outcome(pieces_of(random, body), row_type)
        if error is None:
            assert rows == strict(body, row_type), (seed, body)


def test_undamaged_answers() -> None:
    """The responses that are damaged above are all sound, so that the test above means something."""
    for body in SEEDS:
        for row_type in ROW_TYPES:
            rows, error = outcome([body], row_type)
            if b"externalMessage" not in body:
                assert (rows, error) == (strict(body, row_type), None)
