"""Rows that hold on to the text they came from: it must not change under them when the next rows are decoded."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.support.row_answers import bytewise, outcome, page_of


class Member(msgspec.Struct):
    Id: int
    Extra: msgspec.Raw


class Members(msgspec.Struct):
    Id: int
    Extra: msgspec.Raw = msgspec.Raw()
    More: list[Members] = []


class Deep(msgspec.Struct):
    Id: int
    Extra: dict[str, list[msgspec.Raw]]


def number(row: Any) -> int:
    extra = row.Extra["a"][0] if isinstance(row.Extra, dict) else row.Extra
    return int(bytes(extra))


@pytest.mark.parametrize("size", [7, 64, 1 << 16])
@pytest.mark.parametrize("row_type", [Member, Members, Deep])
def test_raw_members_stay_what_they_were(row_type: Any, size: int) -> None:
    """A Struct with `msgspec.Raw` in it, however deep, keeps its own text."""
    form = '{{"Id":{0},"Extra":{{"a":[{0}]}}}}' if row_type is Deep else '{{"Id":{0},"Extra":{0}}}'
    rows, error = outcome(bytewise(page_of(*(form.format(one) for one in range(500))), size), row_type)
    assert error is None
    assert [number(row) for row in rows] == [row.Id for row in rows] == list(range(500))


@pytest.mark.parametrize("size", [7, 1 << 16])
def test_raw_rows_stay_what_they_were(size: int) -> None:
    """A row that is only its text keeps it too."""
    body = page_of(*(f'{{"Id":{one}}}' for one in range(500)))
    rows, error = outcome(bytewise(body, size), msgspec.Raw)
    assert error is None
    assert [bytes(row) for row in rows] == [b'{"Id":%d}' % one for one in range(500)]
