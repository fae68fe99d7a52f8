"""A bound: decodes bytes from memory, in slices of 64 KiB that end with a row."""

from __future__ import annotations

from urllib.request import Request, urlopen

import msgspec

from afas_async import AppToken
from benchmarks.rows import WideRow
from benchmarks.task import Tally, Task

_SLICE = 1 << 16


def read(task: Task, tally: Tally) -> None:
    """Decode all slices. Fetching and slicing are not measured."""
    slices = _slices(task)
    decoder = msgspec.json.Decoder(list[WideRow])
    tally.start()
    for text in slices:
        tally.add(decoder.decode(text))


def _slices(task: Task) -> list[bytes]:
    request = Request(f"{task.url}?skip=-1&take=-1", headers={"Authorization": AppToken(task.token).header()})  # noqa: S310
    with urlopen(request) as answer:  # noqa: S310 - the benchmark's own server
        body: bytes = answer.read()
    text = body[body.index(b"[") + 1 : body.rindex(b"]")]
    slices = list[bytes]()
    start = 0
    while start < len(text):
        end = text.rfind(b"},{", start, start + _SLICE) + 1 if start + _SLICE < len(text) else len(text)
        slices.append(b"[" + text[start:end] + b"]")
        start = end + 1
    return slices
