"""A bound: a blocking socket, without an event loop or an HTTP library. It decodes whole pages, one by one."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import msgspec

from afas_async import AppToken
from benchmarks.rows import WideRow
from benchmarks.task import Tally, Task


class _Page(msgspec.Struct):
    rows: list[WideRow]


def read(task: Task, tally: Tally) -> None:
    """Read all pages."""
    url, decoder, take = urlsplit(task.url), msgspec.json.Decoder(_Page), task.take or 1_000
    with socket.create_connection((url.hostname or "", url.port or 0)) as connection:
        for skip in range(0, task.rows + take, take):
            head = (
                f"GET {url.path}?skip={skip}&take={take}&orderbyfieldids=Id HTTP/1.1\r\n"
                f"Host: localhost\r\nAuthorization: {AppToken(task.token).header()}\r\n\r\n"
            )
            connection.sendall(head.encode())
            tally.add(decoder.decode(_body(connection)).rows)


def _body(connection: socket.socket) -> bytearray:
    received = bytearray()
    while (end := received.find(b"\r\n\r\n")) < 0:
        received += connection.recv(1 << 18)
    head = bytes(received[:end]).lower()
    length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
    body = bytearray(length)
    have = len(received) - end - 4
    body[:have] = received[end + 4 :]
    view = memoryview(body)
    while have < length:
        have += connection.recv_into(view[have:])
    return body
