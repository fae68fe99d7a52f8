"""The possible rows of a sampled run, in the order of a service with a collation of its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Literal

import msgspec

from afas_async.policy.spans import Key

Kind = Literal["int", "text", "composite"]
KINDS: Sequence[Kind] = ("int", "text", "composite")
SIZE = 60
GROUPS = 5


@dataclass(frozen=True, eq=False)
class Record:
    """A possible row.

    Attributes:
        key: The values of its key.
        values: The values of all fields.
        ranks: The values by which the service compares the fields.
        encoded: The row as it is sent.
    """

    key: Key
    values: Mapping[str, Any]
    ranks: Mapping[str, int]
    encoded: bytes


@dataclass(frozen=True)
class Universe:
    """All possible rows.

    Attributes:
        key: The fields of the key.
        types: The type of each field.
        records: The rows.
        collation: The place of each text in the service's order.
    """

    key: tuple[str, ...]
    types: Mapping[str, type[int | str]]
    records: Sequence[Record]
    collation: Mapping[str, int]

    @cached_property
    def row_type(self) -> type[msgspec.Struct]:
        return msgspec.defstruct("Row", list(self.types.items()))

    @cached_property
    def keys_of(self) -> Mapping[Any, Callable[[Any], Key]]:
        """For each row type, what reads the key of a row."""
        decode = msgspec.json.Decoder(self.row_type).decode
        fields = self.key

        def of_struct(row: Any) -> Key:
            values: list[Any] = [getattr(row, field) for field in fields]
            return tuple(values) if len(values) > 1 else values[0]

        def of_dict(row: Any) -> Key:
            values: list[Any] = [row[field] for field in fields]
            return tuple(values) if len(values) > 1 else values[0]

        return {dict: of_dict, self.row_type: of_struct, msgspec.Raw: lambda row: of_struct(decode(row))}

    def compared(self, field: str, text: str) -> int:
        """Return the value that the service compares a field with, for the text of a filter."""
        return int(text) if self.types[field] is int else self.collation.get(text, -1)


@cache
def universe(kind: Kind) -> Universe:
    """Return the rows of one kind of key."""
    chance = random.Random(kind)  # noqa: S311
    marks = ("", "a", "Z", ",", ";", "%25", '"', "\\", " b", "é", "\N{EURO SIGN}", "[is leeg]", "&x=1", "+")
    texts = [f"{number % 7}{chance.choice(marks)}{number:02}" for number in range(SIZE)]
    chance.shuffle(texts)
    collation = {text: rank for rank, text in enumerate(texts)}
    types: dict[str, type[int | str]] = {"Id": int, "Code": str, "Line": int, "Group": int}
    numbers = chance.sample(range(-1_000, 1_000), SIZE)
    records: list[Record] = []
    keys: dict[Kind, tuple[str, ...]] = {"int": ("Id",), "text": ("Code",), "composite": ("Code", "Line")}
    key = keys[kind]
    for place, number in enumerate(sorted(numbers)):
        code = texts[place // 8 if kind == "composite" else place]
        values: dict[str, Any] = {"Id": number, "Code": code, "Line": place % 8, "Group": chance.randrange(GROUPS)}
        ranks: dict[str, int] = {
            field: collation[value] if isinstance(value, str) else value for field, value in values.items()
        }
        own: list[Any] = [values[field] for field in key]
        records.append(Record(tuple(own) if len(own) > 1 else own[0], values, ranks, msgspec.json.encode(values)))
    return Universe(key, types, records, collation)
