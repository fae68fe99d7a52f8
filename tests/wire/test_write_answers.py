"""The keys in a successful response, in all the shapes that connectors have."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afas_async import WriteResult
from afas_async.policy.verdicts import applied
from afas_async.wire.write_answers import Body, Ending, read_answer
from tests.support.each_case import each_case

Keys = tuple[dict[str, str], ...]


def read_result(body: bytes, *, content_type: str, complete: bool, elements: int) -> WriteResult | str:
    """Return the result of a body, or why it is not a response of the service."""
    ending = Ending.MARKED if complete else Ending.BROKEN
    answer = read_answer(body, content_type=content_type, ending=ending, elements=elements)
    assert bool(answer.reason) == (applied(answer.body, ending, elements=elements, keys=len(answer.keys)) == 0)
    return answer.reason or WriteResult(answer.keys, body, not complete or answer.body is Body.BROKEN)


def result(
    body: bytes, *, elements: int = 1, complete: bool = True, content_type: str = "application/json"
) -> WriteResult:
    """Return the result of a body; it must come from the service."""
    found = read_result(body, content_type=content_type, complete=complete, elements=elements)
    assert isinstance(found, WriteResult), found
    assert found.raw == body
    return found


@each_case(
    ("body", "elements", "keys"),
    [
        # as documented
        ('{"results":{"KnSubject":{"SbId":"999999"}}}', 1, ({"SbId": "999999"},)),
        ('{"results":{"KnCustomK01":[{"SqNo":"4"},{"SqNo":"5"}]}}', 2, ({"SqNo": "4"}, {"SqNo": "5"})),
        ('{"results":{"FiEntryPar":{"UnId":"4","EnNo":"54605"}}}', 1, ({"UnId": "4", "EnNo": "54605"},)),
        ('{"results":{"FiEntries":{"EnNo":"1","InID":"IH003938"}}}', 1, ({"EnNo": "1", "InID": "IH003938"},)),
        ('{"results":{"HrIllness":{"VeId":"{6E2C-11}"}}}', 1, ({"VeId": "{6E2C-11}"},)),
        # the name of the member may be the root's, the connector's, or another
        ('{"results":{"KnOrgUnit":{"OuId":"1"}}}', 1, ({"OuId": "1"},)),
        ('{"results":{"anything":{"OuId":"1"}}}', 1, ({"OuId": "1"},)),
        # a list of one, and an object for several
        ('{"results":{"X":[{"Id":"1"}]}}', 1, ({"Id": "1"},)),
        ('{"results":{"X":{"Id":"1"}}}', 3, ({"Id": "1"},)),
        ('{"results":[{"Id":"1"},{"Id":"2"}]}', 2, ({"Id": "1"}, {"Id": "2"})),
        # without the wrapping
        ('{"PtMeasurement":{"MeId":"1"}}', 1, ({"MeId": "1"},)),
        ('{"PtMeasurement":[{"MeId":"1"},{"MeId":"2"}]}', 2, ({"MeId": "1"}, {"MeId": "2"})),
        ('{"MeId":"1"}', 1, ({"MeId": "1"},)),
        ('[{"MeId":"1"},{"MeId":"2"}]', 2, ({"MeId": "1"}, {"MeId": "2"})),
        # one key in two objects
        ('[{"OlNu":"1"},{"Code":"A"}]', 1, ({"OlNu": "1", "Code": "A"},)),
        ('{"results":{"PtOptionListLine":[{"OlNu":"1"},{"Code":"A"}]}}', 1, ({"OlNu": "1", "Code": "A"},)),
        ('[{"OlNu":"1"},{"Code":"A"}]', 2, ({"OlNu": "1"}, {"Code": "A"})),
        ('[{"CnId":"1"},{"CnId":"2"}]', 1, ({"CnId": "1"}, {"CnId": "2"})),
        # numbers, as they are written
        ('{"results":{"X":{"A":5,"B":-1,"C":1.50,"D":12345678901234567890123,"E":"007"}}}', 1,
         ({"A": "5", "B": "-1", "C": "1.50", "D": "12345678901234567890123", "E": "007"},)),
        # no keys at all
        ("", 1, ()),
        ("\r\n \t", 1, ()),
        ("{}", 1, ()),
        ("[]", 1, ()),
        ('{"results":{}}', 1, ()),
        ('{"results":[]}', 1, ()),
        ('{"results":null}', 1, ()),
        ('{"results":{"X":null}}', 1, ()),
        ('{"results":{"X":{}}}', 1, ()),
        ('{"results":{"X":{"Id":null}}}', 1, ()),
        ('{"results":""}', 1, ({"results": ""},)),
        # more than keys
        ('{"results":{"X":{"Id":"1","Lines":[{"No":"1"}],"More":{"a":"b"}}}}', 1, ({"Id": "1"},)),
        ('{"results":{"X":[{"Id":"1"},null,{"Id":"3"}]}}', 3, ({"Id": "1"}, {"Id": "3"})),
        ('\ufeff {"results":{"X":{"Id":"é"}}}\n', 1, ({"Id": "é"},)),
    ],
)  # fmt: skip
def test_keys(body: str, elements: int, keys: Keys) -> None:
    """Keys are found in every shape, by field, as texts."""
    for content_type in ("application/json", "application/xml; charset=utf-8", "text/html", ""):
        found = result(body.encode(), elements=elements, content_type=content_type)
        assert (found.keys, found.result_lost) == (keys, False)


@each_case(
    ("body", "reason"),
    [
        ("<html></html>", "AFAS does not document"),
        ("OK", "AFAS does not document"),
        ("1", "AFAS does not document"),
        ("null", "AFAS does not document"),
        ("true", "AFAS does not document"),
        ('"text"', "AFAS does not document"),
        ("\x00\x01", "AFAS does not document"),
        ('{"externalMessage":"Het veld is verplicht"}', "refusal in it: Het veld is verplicht"),
        ('{"errorNumber":7,"externalMessage":"No","profitLogReference":"REF"}', "No (Profit log reference REF)"),
        ('{"externalMessage":"\\u001b[31mred\\u202e"}', "\\u001b[31mred\\u202e"),
        ('{"externalMessage":null}', "refusal"),
    ],
)
@each_case("complete", [True, False])
def test_not_the_service(body: str, reason: str, *, complete: bool) -> None:
    """A success that does not look like the service's, or takes itself back, proves nothing."""
    found = read_result(body.encode(), content_type="application/json", complete=complete, elements=1)
    assert isinstance(found, str)
    assert reason in found
    assert "\x1b" not in found


def test_a_long_refusal_within_success() -> None:
    """The service's text is cut, as in other errors."""
    body = json.dumps({"externalMessage": "x" * 100_000}).encode()
    found = read_result(body, content_type="", complete=True, elements=1)
    assert isinstance(found, str)
    assert len(found) < 2_200


@pytest.mark.parametrize(
    ("body", "content_type", "lost"),
    [
        ("", "application/json", True),
        ("", "", True),
        ("", "application/xml", True),
        ("", "text/html; charset=utf-8", None),
        ("{", "application/json", True),
        ('{"results":{"X":{"Id":"1"}}', "application/json", True),
        ('{"results":{"X":{"Id":"1"}}}', "application/json", True),
        ("[", "text/html", True),
        ("<ht", "text/html", None),
        ("<ht", "application/json", None),
    ],
)
def test_broken_off(body: str, content_type: str, *, lost: bool | None) -> None:
    """A truncated body is a success with lost keys, if its beginning may come from the service."""
    found = read_result(body.encode(), content_type=content_type, complete=False, elements=1)
    assert isinstance(found, str) == (lost is None)
    if lost:
        assert isinstance(found, WriteResult)
        assert found.result_lost


def test_cut_at_every_byte() -> None:
    """A truncated result is never taken for a refusal or for another result."""
    body = '{"results":{"KnCustomK01":[{"SqNo":"4"},{"SqNo":"é"}]}}'.encode()
    for cut in range(len(body)):
        found = result(body[:cut], elements=2, complete=False)
        assert (found.result_lost, found.keys) == (True, ())
        if cut:
            assert result(body[:cut], elements=2).result_lost


_json: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)),
)


@given(_json, st.integers(1, 4), st.booleans())
def test_any_json(content: Any, elements: int, complete: bool) -> None:  # noqa: FBT001
    """JSON of any shape yields at most keys as texts."""
    found = read_result(json.dumps(content).encode(), content_type="", complete=complete, elements=elements)
    assert isinstance(found, (str, WriteResult))
    if isinstance(found, WriteResult):
        assert all(isinstance(text, str) for key in found.keys for pair in key.items() for text in pair)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes(body: bytes, complete: bool) -> None:  # noqa: FBT001
    """No bytes make it fail."""
    assert isinstance(
        read_result(body, content_type="application/json", complete=complete, elements=1), (str, WriteResult)
    )


@given(st.dictionaries(st.text("ABCabc", min_size=1), st.text(min_size=1), min_size=1, max_size=3), st.integers(1, 3))
def test_every_wrapping(key: dict[str, str], wrappings: int) -> None:
    """The keys of one element are the same in every wrapping."""
    content: Any = key
    for name in ["KnSubject", "results", "more"][:wrappings]:
        content = {name: content}
        for shape in (content, {name: [key]} if wrappings == 1 else content):
            assert result(json.dumps(shape).encode()).keys == (key,)
