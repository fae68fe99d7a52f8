"""The row type of `Profit_Wide`."""

from __future__ import annotations

import msgspec


class WideRow(msgspec.Struct, frozen=True, gc=False, rename="pascal"):
    """A row of `Profit_Wide`, with the same values as the dicts of other contestants: decimals are `float`."""

    id: int
    code: str
    name: str
    description: str
    category: str
    region: str
    status: str
    quantity: int
    reserved: int
    score: int | None
    price: float
    cost: float
    discount: float | None
    weight: float
    active: bool
    blocked: bool
    created_on: str
    modified_on: str
    delivery_date: str | None
    remark: str | None
