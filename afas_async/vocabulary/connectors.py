"""What a user declares about a connector: its name, and the type and key of its rows or how it is written to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Generic, TypeVar, cast, overload

import msgspec
from msgspec import inspect

from afas_async.errors import UnknownFieldError, UsageError
from afas_async.vocabulary.arguments import check_type, type_name
from afas_async.vocabulary.elements import Nulls
from afas_async.vocabulary.metainfo import UpdateMetainfo
from afas_async.vocabulary.names import connector_name, field_id

RowT = TypeVar("RowT")


# AFAS's OpenAPI specification and pages of 2026: the element in the body is not named as the connector in the URL.
_ROOTS: Final = {
    "FbGoodsReceivedPocket": "FbGoodsReceived",
    "FbSSCC": "FbSSCCLabels",
    "FiEntries": "FiEntryPar",
    "HrIllnessProgressInSite": "HrAbsIllnessProgress",
    "HrOnboarding": "AfasPerson",
    "KnEmpCompetenceScores": "KnEmployeeCompetence",
    "HrEmpBinMutInSite": "HrEmpBinMutInsite",
    "HrEmpMutInSite": "HrEmpMutInsite",
    "KnEmployee": "AfasEmployee",
    "KnEmployeeGUID": "AfasEmployee",
    "KnOrgUnit": "KnOrgunit",
    "KnSubjectReaction": "KnReaction",
    "KnSubjectWorkflowReaction": "KnWorkflow",
    "PtItemSet": "PtItemset",
}
# AFAS's endpoint notes of March 2026, and of KnContact: a call takes one element.
_ONE_EACH: Final = frozenset({"FiContract", "FiEntries", "FiIVY", "FiInvoice", "FiSepaDirectDebit", "KnContact"})


@dataclass(frozen=True, init=False)
class GetConnector(Generic[RowT]):
    """A GetConnector: its name, the type of its rows, and the key that makes a row unique.

    Args:
        name: The connector's name as it stands in the app connector, such as "Profit_Article".
        row_type: A `msgspec.Struct` class (the fast form; fields it does not name are skipped), `dict` (every field;
            decimals as `Decimal`, but a whole one that the service writes without a point as `int`), or `msgspec.Raw`
            (the undecoded bytes of each row, for pass-through). In a Struct, a `datetime` is wall time in Amsterdam,
            without a time zone, and a `date` is a date; in a dict, both stay texts such as "2024-01-31T09:30:00Z",
            whose `Z` is false.
        key: The field, or the fields in order, by whose value a row is unique. It must never be empty and never change,
            and be `str` or `int`: a float, decimal or moment does not survive being sent back in a filter. A date does
            if you declare it as `str`. A read of several pages is sorted by it. AFAS advises integer, indexed fields
            (AFAS, GET connector: sorting).

    Raises:
        InvalidNameError: If the name or a key field may not enter a URL.
        UnknownFieldError: If the row type has no such key field.
        UsageError: If an argument is of a wrong type, the row type is none of the three, or a key field is neither
            `str` nor `int`.

    Example:
        >>> class Article(msgspec.Struct, frozen=True):
        ...     item_code: str = msgspec.field(name="ItemCode")
        >>> GetConnector("Profit_Article", Article, key="ItemCode").key
        ('ItemCode',)
    """

    name: str
    row_type: type[RowT]
    key: tuple[str, ...]

    @overload
    def __init__(
        self: GetConnector[dict[str, Any]],
        name: str,
        row_type: type[dict[str, Any]] = ...,
        *,
        key: str | tuple[str, ...] = ...,
    ) -> None: ...

    @overload
    def __init__(self, name: str, row_type: type[RowT], *, key: str | tuple[str, ...] = ...) -> None: ...

    def __init__(self, name: str, row_type: type[Any] = dict, *, key: str | tuple[str, ...] = ()) -> None:
        fields = tuple(key) if isinstance(key, Iterable) and not isinstance(key, str) else (key,)  # pyright: ignore[reportUnnecessaryIsInstance]
        # Set before anything is checked: reports of errors print `self`.
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "row_type", row_type)
        object.__setattr__(self, "key", fields)
        connector_name(name)
        for field in fields:
            check_type("key", field, str, 'field ids such as "ItemCode"', connector=name)
            field_id(field)
        if len(set(fields)) < len(fields):
            raise UsageError(f"{name}: a field stands twice in the key {fields}")
        self._check_row_type()

    def _check_row_type(self) -> None:
        if self.row_type is dict or self.row_type is msgspec.Raw:
            return
        members = key_types(self.row_type)
        if members is None:
            given = type_name(self.row_type) if isinstance(self.row_type, type) else repr(self.row_type)  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UsageError(
                f"{self.name}: row_type: expected a msgspec.Struct class (neither array_like nor tagged), dict or"
                f" msgspec.Raw, got {given}"
            )
        for field, described in (row_fields(self.row_type) or {}).items():
            if any(isinstance(kind, inspect.DateTimeType) and kind.tz is not None for kind in kinds_of(described)):
                raise UsageError(
                    f"{self.name}: row_type: {field!r} demands or forbids a time zone: moments in rows are wall time in"
                    " Amsterdam and have none, so declare it as `datetime`"
                )
        renamed = {field.name: field.encode_name for field in msgspec.structs.fields(cast("Any", self.row_type))}
        for field in self.key:
            if field not in members and field in renamed:
                raise UnknownFieldError(
                    f"{self.name}: key: {field!r} is the attribute of {self.row_type.__name__}; give the field id"
                    f" {renamed[field]!r}"
                )
            if field not in members:
                raise UnknownFieldError(
                    f"{self.name}: key: {self.row_type.__name__} has no field {field!r}, but {', '.join(members)}"
                )
            if members[field] is None:
                raise UsageError(
                    f"{self.name}: the key field {field!r} must be str or int: other types do not survive"
                    " the round trip through a filter"
                )


@dataclass(frozen=True)
class UpdateConnector:
    """An UpdateConnector: its name, and how its calls differ from those of others.

    Args:
        name: The connector's name as it stands in the app connector, such as "KnSubject".
        root: The name of its element in a body, where that differs from `name`. None for the name that AFAS documents;
            a load that checks its elements takes it from metainfo then, and `described` makes a connector with it.
        single: Whether it takes one element in a call. Those of which AFAS says so need not be declared: FiContract,
            FiEntries, FiIVY, FiInvoice, FiSepaDirectDebit and KnContact.
        allow_none: Whether None is sent, as JSON's null. What the service does with it is documented nowhere; an empty
            str clears a field (AFAS, UpdateConnector).
        nulls: What None means in a field, which every DataFrame, SQL row and CSV reader gives: "refuse", which is an
            error before anything is sent; "omit", which leaves the field as it is; or "clear", which sends an empty
            str.
        key: The fields of its key, by which a load keeps the order of changes to one record; a load that checks its
            elements takes them from metainfo.

    Raises:
        InvalidNameError: If a name may not enter a URL.
        UsageError: If an argument is of a wrong type.

    Example:
        >>> UpdateConnector("FiEntries").element_name
        'FiEntryPar'
    """

    name: str
    root: str | None = None
    single: bool = False
    allow_none: bool = False
    key: str | tuple[str, ...] = ()
    nulls: Nulls = "refuse"

    def __post_init__(self) -> None:
        connector_name(self.name)
        check_nulls(self.nulls, self.name)
        check_type("key", self.key, str | tuple, "a field id, or several in a tuple", connector=self.name)
        object.__setattr__(self, "key", (self.key,) if isinstance(self.key, str) else self.key)
        for field in self.key:
            field_id(field)
        for argument in ("single", "allow_none"):
            check_type(argument, getattr(self, argument), bool, "True or False", connector=self.name)
        if self.root is not None:
            check_type("root", self.root, str, "the name of the element, or None", connector=self.name)
            connector_name(self.root)

    @classmethod
    def described(cls, metainfo: UpdateMetainfo, *, single: bool = False) -> UpdateConnector:
        """Return a connector with the name and the root that the service tells.

        Args:
            metainfo: What `update_metainfo` returned.
            single: See the class.
        """
        check_type("metainfo", metainfo, UpdateMetainfo, "what `await afas.update_metainfo(...)` returned")
        return cls(metainfo.id, root=metainfo.name or None, single=single)

    @property
    def takes_one(self) -> bool:
        """Whether a call takes one element: as declared, or by AFAS's notes."""
        return self.single or self.name in _ONE_EACH

    @property
    def element_name(self) -> str:
        """The name of its element in a body."""
        return self.root or _ROOTS.get(self.name, self.name)


def check_nulls(nulls: object, connector: str) -> None:
    """Raise UsageError unless a word is one for what None means."""
    if nulls not in ("refuse", "omit", "clear"):
        given = repr(nulls) if isinstance(nulls, str) else type_name(nulls)
        raise UsageError(f'{connector}: nulls must be "refuse", "omit" or "clear", not {given}')


def row_fields(row_type: type[Any]) -> dict[str, inspect.Type] | None:
    """Return the fields of a Struct row type by the service's names, or None if it is no Struct of plain objects."""
    if not (isinstance(row_type, type) and issubclass(row_type, msgspec.Struct)):  # pyright: ignore[reportUnnecessaryIsInstance]
        return None
    described = inspect.type_info(row_type)
    if not isinstance(described, inspect.StructType) or described.array_like or described.tag is not None:
        return None
    return {field.encode_name: field.type for field in described.fields}


def key_types(row_type: type[Any]) -> Mapping[str, type[str | int] | None] | None:
    """Return for each field of a Struct row type `str` or `int` if a read can be sorted by it; None if no Struct."""
    return _key_types(cast("Any", row_type)) if isinstance(row_type, type) else None  # pyright: ignore[reportUnnecessaryIsInstance]


@lru_cache(maxsize=256)
def _key_types(row_type: Any) -> Mapping[str, type[str | int] | None] | None:
    members = row_fields(row_type)
    return None if members is None else {name: _key_type(described) for name, described in members.items()}


def kinds_of(described: inspect.Type) -> tuple[inspect.Type, ...]:
    """Return the types of which a value may be: those of a union, or the one."""
    return described.types if isinstance(described, inspect.UnionType) else (described,)


def _key_type(described: inspect.Type) -> type[str | int] | None:
    # An optional field is accepted: generated models make every field optional, and a null key shows in the data.
    match [kind for kind in kinds_of(described) if not isinstance(kind, inspect.NoneType)]:
        case [inspect.StrType()]:
            return str
        case [inspect.IntType()]:
            return int
        case _:
            return None
