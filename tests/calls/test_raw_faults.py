"""Raw calls that fail: a GET is repeated like a read, everything else like a write."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from afas_async import (
    AfasError,
    AnswerError,
    AnswerLostError,
    BadRequestError,
    BusinessError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ServerError,
    UnavailableError,
)
from tests.calls.test_raw import every_write, reply, says
from tests.support.raw_server import RawServer
from tests.support.read_table import client, framed, head

# --- reads that go wrong ---


@pytest.mark.parametrize(
    "fault",
    [
        reply("503 Unavailable", b"", "Retry-After: 1"),
        reply("502 Bad Gateway"),
        reply("500 Error"),
        reply("429 Too Many", b"", "Retry-After: 1"),
        head("Content-Length: 100") + b'{"a":',
        framed(b"\x1f\x8b broken", "Content-Encoding: gzip"),
        b"",
        b"HTTP/1.1 200",
        b"garbage\r\n\r\n",
        head() + b'{"a":',
    ],
    ids=["503", "502", "500", "429", "cut", "gzip", "no answer", "half a head", "no http", "unframed and cut"],
)
async def test_a_read_is_repeated(fault: bytes) -> None:
    """A fault that may pass is retried."""
    async with RawServer(says(fault, framed(b'{"a":1}'), how="fin")) as server, client(server) as afas:
        assert (await afas.request("GET", "x")).json() == {"a": 1}
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (reply("400 Bad"), BadRequestError),
        (reply("403 Forbidden"), PermissionDeniedError),
        (reply("404 Not Found"), NotFoundError),
        (reply("501 No"), ServerError),
        (reply("500 Error", b'{"externalMessage":"Nee"}'), BusinessError),
        (reply("503 Unavailable", b"", "Retry-After: 7200"), UnavailableError),
        (head(status="204 No Content"), AnswerError),
        (reply("202 Accepted", b"{}"), AnswerError),
    ],
    ids=["400", "403", "404", "501", "refused", "503 for long", "204", "202"],
)
async def test_a_read_is_not_repeated(fault: bytes, kind: type[AfasError]) -> None:
    """A final fault is raised at once."""
    async with RawServer(says(fault)) as server, client(server) as afas:
        with pytest.raises(kind):
            await afas.request("GET", "x")
        assert len(server.requests) == 1


async def test_no_length() -> None:
    """Without a length, JSON proves that it is complete, and any other body is lost."""
    async with RawServer(says(head() + b'{"a":1}', how="fin")) as server, client(server) as afas:
        assert (await afas.request("GET", "x")).json() == {"a": 1}
    async with RawServer(says(head() + b"text", how="fin")) as server, client(server, max_retries=0) as afas:
        with pytest.raises(AnswerLostError):
            await afas.request("GET", "x")


# --- writes that go wrong ---


@pytest.mark.sampled(4)
@every_write
@pytest.mark.parametrize(
    "fault",
    [
        (b"", "fin"),
        (b"", "rst"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "fin"),
        (b"HTTP/1.1 200 OK\r\nContent-", "fin"),
        (b"garbage\r\n\r\n", "fin"),
        (reply("502 Bad Gateway"), "keep"),
        (reply("504 Timeout"), "keep"),
        (reply("500 Error"), "keep"),
        (reply("503 Unavailable"), "keep"),
        (reply("202 Accepted"), "keep"),
        (framed(b"<html>").replace(b"application/json", b"text/html"), "keep"),
    ],
    ids=["fin", "rst", "100", "half a head", "no http", "502", "504", "500", "bare 503", "202", "html"],
)
async def test_a_write_of_which_nobody_knows(method: Any, fault: tuple[bytes, Any]) -> None:
    """The write is sent once, and its outcome is unknown."""
    async with RawServer(says(fault[0], how=fault[1])) as server, client(server) as afas:
        with pytest.raises(OutcomeUnknownError) as raised:
            await afas.request(method, "x/y", json={})
        assert len(server.requests) == 1
        assert raised.value.connector == "x/y"


@every_write
@pytest.mark.parametrize(
    "fault",
    [reply("429 Too Many", b"", "Retry-After: 1"), reply("503 Unavailable", b"", "Retry-After: 1")],
    ids=["429", "503"],
)
async def test_a_write_that_had_no_effect(method: Any, fault: bytes) -> None:
    """If the service says that it did nothing, the write is sent again."""
    async with RawServer(says(fault, framed(b"{}"))) as server, client(server) as afas:
        assert (await afas.request(method, "x")).status == 200
        assert len(server.requests) == 2


@every_write
async def test_a_write_that_is_refused(method: Any) -> None:
    """A refusal means that nothing was applied."""
    for status, kind in (("400 Bad", BadRequestError), ("404 Not Found", NotFoundError)):
        async with RawServer(says(reply(status))) as server, client(server) as afas:
            with pytest.raises(kind):
                await afas.request(method, "x")
            assert len(server.requests) == 1


@every_write
@pytest.mark.parametrize(
    "answer",
    [head("Content-Length: 100") + b'{"a":', head() + b"text", head()],
    ids=["cut", "unframed text", "unframed nothing"],
)
async def test_a_write_whose_answer_is_lost(method: Any, answer: bytes) -> None:
    """The service reported success: only the response is lost."""
    async with RawServer(says(answer, how="fin")) as server, client(server) as afas:
        found = await afas.request(method, "x")
        assert (found.status, found.result_lost) == (200, True)
        assert len(server.requests) == 1


LIST = {"KnSubject": {"Element": [{"Fields": {"StId": 1}}, {"Fields": {"StId": 2}}]}}
TAGGED = {"KnSubject": {"Element": [{"@Action": "insert", "Fields": {"StId": 1}}, {"Fields": {"StId": 2}}]}}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (LIST, OutcomeUnknownError),
        (msgspec.Raw(json.dumps(LIST).encode()), OutcomeUnknownError),
        (TAGGED, BusinessError),
        ({"KnSubject": {"Element": LIST["KnSubject"]["Element"][0]}}, BusinessError),
    ],
    ids=["list", "encoded with spaces", "one transaction", "one"],
)
async def test_a_refused_list_may_be_applied_in_part(body: Any, kind: type[AfasError]) -> None:
    """A refused list may be applied in part unless it is marked as one transaction, in any spelling."""
    async with RawServer(says(reply("500 Error", b'{"externalMessage":"Nee"}'))) as server, client(server) as afas:
        with pytest.raises(kind):
            await afas.request("POST", "connectors/KnSubject", json=body)
