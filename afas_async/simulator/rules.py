"""Switches for what releases of the service do differently, and for what AFAS does not document."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from afas_async.simulator.messages import Language


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Switches for your simulator, where AFAS documents several behaviours or none.

    Each default follows AFAS's documentation. Where you find nothing there, it follows what clients of the service
    report. You test that your code works with either:

        async with Simulator(rules=Rules(page_cap=50, results="bare")) as simulator:
            ...  # your code

    Attributes:
        profit: The release whose format you get (docs.afas.help, news of Profit 7). Up to 6, `skip`, `take` and `rows`
            are on separate lines, decimals lack the zero before the point (`.5`, which is not valid JSON), and
            metainfo has several lines. From 7 all is on one line, and responses have an `X-Trace-Identifier`.
        unknown_connector: The status for a connector that does not exist or that you may not use. 500 has a message
            (docs.afas.help, "Troubleshooting"); 401 (AFAS's OpenAPI specification) and 404 are empty.
        take_zero: The result of `take=0`. A client's author saw one row in 2017; AFAS documents nothing.
        and_first: Whether `A,B;C` means (A and B) or C, as in AFAS's only worked example (docs.afas.help, how-to of
            employees and Active Directory). Otherwise it means A and (B or C), as some clients believe.
        skip_alone: Whether `skip=-1` returns all rows for any `take`, as clients rely on. Otherwise you need `take=-1`
            too, as documented, and with another `take` the skip counts as 0.
        most_cells: The most columns times rows in a response before it is refused with "Out of memory"; None for no
            limit. AFAS advises you to stay below 150,000 (docs.afas.help, "GetConnector").
        page_cap: The most rows in a response, or None for no cap. The response still repeats your `take`, so you see
            whether your reader takes a short page for the last one. AFAS documents no such cap.
        time_limit: The most seconds of latency for a read or a write, or None for no limit. A longer request is refused
            after that time. AFAS allows 900 seconds (docs.afas.help, "Troubleshooting"), too long for most tests.
        finish_late: Whether a write that exceeds `time_limit` is carried out later all the same. AFAS continues with a
            request after a time-out (docs.afas.help, "Troubleshooting").
        partial_lists: Whether elements before a refused one stay written. Otherwise a list is written as a whole or
            not at all. AFAS documents neither, and its response never names the refused element. An element with its
            objects is always written as a whole, and so is a body with an `@Action` (docs.afas.help,
            "UpdateConnector").
        one_each: UpdateConnectors that refuse several elements in one call, as AFAS's endpoint notes of 2026 describe.
        results: The body of the response to a write. "wrapped" returns the keys as `{"results":{"KnSubject":[...]}}`,
            "bare" without `results`, "first" only the key of the first element, "empty" nothing. You meet all of them
            in AFAS's OpenAPI specification and in practice. None uses the usual form of each connector.
        list_of_one: Whether the key of a single element comes as an object, or as a list of one.
        written: The status of a successful write. AFAS's texts and its OpenAPI specification differ here. A DELETE
            always returns 200.
        error_type: The content type of an error with a JSON body: JSON, as in a client's recorded errors, or XML, as in
            AFAS's OpenAPI specification.
        profit_error: Whether errors also have the obsolete `X-Profit-Error` header, with the text in base64
            (docs.afas.help, news of Profit 5: to be removed).
        language: The language of messages, if your request's `Accept-Language` is missing or names neither Dutch nor
            English.

    Raises:
        ValueError: `page_cap` or `time_limit` is not a positive number.
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
