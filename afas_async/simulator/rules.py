"""The switches: where releases of the service differ, or where nobody outside AFAS knows what it does."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from afas_async.simulator.messages import Language


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the service behaves where its documentation lets it choose.

    Each default is what AFAS documents, and otherwise what clients of the service report.

    Attributes:
        profit: The release whose way of writing is followed. Up to 6 a body has `skip`, `take` and `rows` on lines of
            their own and decimals without the zero before the point (`.5`, which is not valid JSON), and metainfo is
            on several lines; from 7 everything is on one line, and answers carry an `X-Trace-Identifier`
            (docs.afas.help, news of Profit 7).
        unknown_connector: The status for a connector that is not there or not allowed: 500 with a message
            (docs.afas.help, "Troubleshooting"), or 401 (AFAS's OpenAPI specification) or 404, both empty.
        take_zero: What `take=0` gives. A client's author saw one row in 2017; AFAS does not say.
        and_first: Whether `A,B;C` means (A and B) or C, which fits the only worked example (docs.afas.help, how-to of
            employees and Active Directory). Otherwise it means A and (B or C), as some clients believe.
        skip_alone: Whether `skip=-1` asks for everything whatever `take` is, as clients rely on; otherwise only
            together with `take=-1`, as documented, and with another `take` it counts as 0.
        most_cells: The most columns times rows that an answer may have before the service refuses with "Out of
            memory"; None for no limit. AFAS advises to stay below 150,000 (docs.afas.help, "GetConnector").
        page_cap: The most rows that an answer holds, whatever `take` is and without a word of it: it repeats `take` as
            it was asked. None for no cap, as nothing is documented of one; so a reader shows that it does not take a
            short page for the last one.
        time_limit: The most seconds that a request for rows or a write may take by the simulator's latency; one that
            would take longer is refused after that time. None for no limit: AFAS has one of 900 seconds
            (docs.afas.help, "Troubleshooting"), and few want to wait as long.
        finish_late: Whether a write that was refused so is carried out all the same when its time has come, as a
            request goes on at AFAS after a time-out (docs.afas.help, "Troubleshooting"); otherwise never.
        partial_lists: Whether of a list of elements those before one that is refused stay written; otherwise all of
            them are or none is. AFAS documents neither, and its answer never tells which element was refused. An
            element with its objects is always written as a whole, and so is a body with an `@Action` in it
            (docs.afas.help, "UpdateConnector").
        one_each: UpdateConnectors that refuse a call with several elements, as AFAS's endpoint notes of 2026 say of
            some.
        results: What the answer to a write tells: the keys as `{"results":{"KnSubject":[...]}}` ("wrapped"), without
            the `results` around it ("bare"), the key of the first element only ("first"), or nothing ("empty"). All
            occur in AFAS's OpenAPI specification and in the wild. None for what is usual at each connector.
        list_of_one: Whether the key of a single element is told as an object, or as a list of one.
        written: The status of a write that was carried out: both are a success, and AFAS's texts and its OpenAPI
            specification differ about it. A DELETE is always a 200.
        error_type: What an error with a JSON body claims to be: JSON, as a client's recorded errors, or XML, as AFAS's
            OpenAPI specification has it.
        profit_error: Whether errors also carry the obsolete `X-Profit-Error` header, the text in base64
            (docs.afas.help, news of Profit 5: to be removed).
        language: The base language of the environment, for requests whose `Accept-Language` is missing or names no
            language that the simulator speaks.

    Raises:
        ValueError: A limit is none.
    """

    profit: Literal[6, 7] = 7
    unknown_connector: Literal[500, 401, 404] = 500
    take_zero: Literal["one row", "no rows", "error"] = "one row"
    and_first: bool = True
    skip_alone: bool = True
    most_cells: int | None = None
    page_cap: int | None = None
    time_limit: float | None = None
    finish_late: bool = True
    partial_lists: bool = False
    one_each: tuple[str, ...] = ()
    results: Literal["wrapped", "bare", "first", "empty"] | None = None
    list_of_one: Literal["object", "list"] = "object"
    written: Literal[200, 201] = 201
    error_type: Literal["json", "xml"] = "json"
    profit_error: bool = False
    language: Language = "nl"

    def __post_init__(self) -> None:
        if self.page_cap is not None and self.page_cap < 1:
            raise ValueError("`page_cap` must be 1 row or more, or None for no cap")
        if self.time_limit is not None and not 0 < self.time_limit < math.inf:
            raise ValueError("`time_limit` must be more than 0 seconds and finite, or None for no limit")
