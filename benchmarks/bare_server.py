"""A server that takes as little time as possible: it sends rows from memory, without processing them.

It supports paging, an anchor (`Id >= ...` or `Id > ...`), Content-Length, keep-alive, and gzip on request. It has one
connector and no other filters, does not check the token, and adds no latency. Measurements that need latency use the
simulator.
"""

from __future__ import annotations

import argparse
import re
import socket
import sys
import threading
import zlib
from functools import lru_cache
from typing import NamedTuple

import msgspec

from afas_async.simulator.metainfo import describe
from afas_async.simulator.storage.store import Store

_CONNECTOR = "Profit_Wide"
_BLOCK_ROWS = 2_000
_SKIP = re.compile(rb"[?&]skip=(-?\d+)")
_TAKE = re.compile(rb"[?&]take=(-?\d+)")
_FILTERS = re.compile(rb"[?&]filter[^ ]*")
_ANCHOR = re.compile(rb"[?&]filterfieldids=Id&filtervalues=(-?\d+)&operatortypes=([24])")


class Question(NamedTuple):
    """The parameters of a request.

    Args:
        skip: The number of rows to skip; -1 for all rows.
        take: The maximum number of rows to return.
        first: The number of the row from which to skip.
    """

    skip: int
    take: int
    first: int


class Rows:
    """The text of all rows, and the position of each row in it.

    Args:
        count: The number of rows.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._starts = [0]
        text = bytearray()
        store = Store(count, 1)
        for block in store.blocks(_CONNECTOR, 0, -1, [("Id", False)], size=_BLOCK_ROWS):
            for row in block.json[1:-1].split(b"},{"):  # no text in these rows contains it
                self._starts.append(self._starts[-1] + len(row) + len(b"{},"))
            text += block.json + b","
        self.metainfo: bytes = msgspec.json.encode(describe(store.connectors[_CONNECTOR]))
        store.close()
        self._text = memoryview(bytes(text))

    def page(self, question: Question) -> tuple[bytes, memoryview, bytes]:
        """Return the body in three parts: opening, rows, end."""
        skip, take, start = question
        opening = b'{"skip":%d,"take":%d,"rows":[' % (skip, take)
        first = min(start + max(skip, 0), self._count)
        last = self._count if skip < 0 else min(first + take, self._count)
        return opening, self._text[self._starts[first] : max(self._starts[first], self._starts[last] - 1)], b"]}"


class Server:
    """Serves rows on a loopback port, with a thread for each connection.

    Args:
        rows: The rows.
        gzip: Whether to compress. Each page is compressed once, at the first request for it.
    """

    def __init__(self, rows: Rows, *, gzip: bool) -> None:
        self._rows = rows
        self._gzip = gzip
        self._packed = lru_cache(maxsize=None)(self._pack)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    def run(self) -> None:
        """Accept connections forever."""
        while True:
            connection, _ = self._socket.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        received = b""
        try:
            while data := connection.recv(1 << 16):
                received += data
                while (end := received.find(b"\r\n\r\n")) >= 0:
                    self._answer(connection, received[: end + 2])
                    received = received[end + 4 :]
        except OSError:
            pass  # the client has disconnected
        finally:
            connection.close()

    def _answer(self, connection: socket.socket, head: bytes) -> None:
        if b"/metainfo/" in head.partition(b"\r\n")[0]:
            self._send(connection, b"", (self._rows.metainfo, b"", b""))
            return
        question = _question(head)
        coding, parts = b"", self._rows.page(question)
        if self._gzip and re.search(rb"(?i)\r\naccept-encoding:[^\r]*gzip", head):
            coding, parts = b"Content-Encoding: gzip\r\n", (b"", self._packed(question), b"")
        self._send(connection, coding, parts)

    @staticmethod
    def _send(connection: socket.socket, coding: bytes, parts: tuple[bytes, bytes | memoryview, bytes]) -> None:
        length = sum(map(len, parts))
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n%bContent-Length: %d\r\n\r\n%b"
            % (coding, length, parts[0])
        )
        connection.sendall(parts[1])
        connection.sendall(parts[2])

    def _pack(self, question: Question) -> memoryview:
        packer = zlib.compressobj(level=1, wbits=31)
        parts = [packer.compress(part) for part in self._rows.page(question)]
        return memoryview(b"".join([*parts, packer.flush()]))


def _question(head: bytes) -> Question:
    """Parse a request.

    Raises:
        ValueError: If it has any filter but an anchor, because the rows would be wrong.
    """
    skip, take, anchor = _SKIP.search(head), _TAKE.search(head), _ANCHOR.search(head)
    filters = _FILTERS.search(head)
    if filters and (anchor is None or anchor[0] != filters[0]):
        raise ValueError(f"the bare server only supports the filters Id >= ... and Id > ..., not {filters[0]!r}")
    # The ids are 1, 4, 7 and so on.
    first = max(0, (int(anchor[1]) + (2 if anchor[2] == b"4" else 1)) // 3) if anchor else 0
    return Question(int(skip[1]) if skip else 0, int(take[1]) if take else 100, first)


def main() -> None:
    """Serve until standard input ends. Prints the port when it is ready."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--gzip", action="store_true")
    options = parser.parse_args()
    server = Server(Rows(options.rows), gzip=options.gzip)
    threading.Thread(target=server.run, daemon=True).start()
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
