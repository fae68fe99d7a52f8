"""Declarations of connectors: the row type and key of a GetConnector, the call format of an UpdateConnector."""

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


# Connectors whose element in the body has another name than the connector in the URL (AFAS's OpenAPI specification and
# pages of 2026).
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
# Connectors that take one element per call (AFAS's endpoint notes of March 2026, and of KnContact).
_ONE_EACH: Final = frozenset({"FiContract", "FiEntries", "FiIVY", "FiInvoice", "FiSepaDirectDebit", "KnContact"})


@dataclass(frozen=True, init=False)
class GetConnector(Generic[RowT]):
    """Declares a GetConnector: its name, the type of its rows, and the key that identifies a row.

    Args:
        name: The name in the app connector, such as "Profit_Article".
        row_type: The type of each row. A `msgspec.Struct` class is fastest and skips all fields that you do not
            declare. `dict`, the default, gives every field: decimals as `Decimal`, but a whole number that the service
            writes without a point as `int`. `msgspec.Raw` gives the undecoded bytes of each row, to pass on as they
            are. In a Struct, a `datetime` is wall time in Amsterdam, without a time zone, and a `date` is a date. In a
            dict both stay texts such as "2024-01-31T09:30:00Z". Ignore the `Z`: the time is not UTC.
        key: The field, or several fields in order, whose values identify a row. They must never be empty and never
            change. Key fields must be `str` or `int`: a float, decimal or moment does not survive being sent back in a
            filter. A date does if you declare it as `str`. A read of several pages is sorted by the key. AFAS advises
            integer, indexed fields (AFAS, GET connector: sorting).

    Raises:
        InvalidNameError: If the name or a key field is not valid in a URL.
        UnknownFieldError: If the row type has no such key field.
        UsageError: If an argument has the wrong type, the row type is not one of these three, or a key field is neither
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
        # Set the attributes before the checks: a traceback with local variables prints `self`.
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "row_type", row_type)
        object.__setattr__(self, "key", fields)
        connector_name(name)
        for field in fields:
            check_type("key", field, str, 'field ids such as "ItemCode"', connector=name)
            field_id(field)
        if len(set(fields)) < len(fields):
            raise UsageError(f"{name}: the key {fields} has the same field twice")
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
                    f"{self.name}: row_type: declare {field!r} as plain `datetime`, without a rule for time zones:"
                    " moments in rows are wall time in Amsterdam, without a time zone"
                )
        renamed = {field.name: field.encode_name for field in msgspec.structs.fields(cast("Any", self.row_type))}
        for field in self.key:
            if field not in members and field in renamed:
                raise UnknownFieldError(
                    f"{self.name}: key: {field!r} is an attribute of {self.row_type.__name__}: use the field id"
                    f" {renamed[field]!r}"
                )
            if field not in members:
                raise UnknownFieldError(
                    f"{self.name}: key: {self.row_type.__name__} has no field {field!r}; it has {', '.join(members)}"
                )
            if members[field] is None:
                raise UsageError(
                    f"{self.name}: the key field {field!r} must be str or int: other types do not survive"
                    " the round trip through a filter"
                )


@dataclass(frozen=True)
class UpdateConnector:
    """Declares an UpdateConnector: its name, and how its calls differ from those of other connectors.

    Args:
        name: The name in the app connector, such as "KnSubject".
        root: The name of the element in a request body, where it differs from `name`. With None you get the name that
            AFAS documents, or the one from metainfo in a load that checks its elements. `described` takes the name from
            metainfo that you have.
        single: Whether a call takes one element only. You need not say so for the connectors that AFAS documents as
            such: FiContract, FiEntries, FiIVY, FiInvoice, FiSepaDirectDebit and KnContact.
        allow_none: Whether to send None, as JSON's null. AFAS does not document its effect. An empty str clears a field
            (AFAS, UpdateConnector).
        nulls: The meaning of None in a field, as DataFrames, SQL rows and CSV readers produce it. "refuse" raises an
            error before anything is sent, "omit" leaves the field as it is, and "clear" sends an empty str.
        key: The key field, or several in a tuple. A load keeps changes to the same record in order by it. A load that
            checks its elements takes the key from metainfo.

    Raises:
        InvalidNameError: If a name is not valid in a URL.
        UsageError: If an argument has the wrong type.

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
        """Return a connector with the name and the root that the service reports.

        Use it for a connector whose element has another name than AFAS documents. It sends nothing.

        Args:
            metainfo: The result of `await afas.update_metainfo(...)`.
            single: Whether a call takes one element only, which metainfo does not report.

        Raises:
            InvalidNameError: If a name is not valid in a URL.
            UsageError: If an argument has the wrong type.

        Example:
            >>> UpdateConnector.described(UpdateMetainfo(id="FiEntries", name="FiEntryPar", fields=[])).element_name
            'FiEntryPar'
        """
        check_type("metainfo", metainfo, UpdateMetainfo, "the result of `await afas.update_metainfo(...)`")
        return cls(metainfo.id, root=metainfo.name or None, single=single)

    @property
    def takes_one(self) -> bool:
        """Whether a call takes one element only, by `single` or by AFAS's notes."""
        return self.single or self.name in _ONE_EACH

    @property
    def element_name(self) -> str:
        """The name of the element in a request body."""
        return self.root or _ROOTS.get(self.name, self.name)


def check_nulls(nulls: object, connector: str) -> None:
    """Raise UsageError unless `nulls` is "refuse", "omit" or "clear"."""
    if nulls not in ("refuse", "omit", "clear"):
        given = repr(nulls) if isinstance(nulls, str) else type_name(nulls)
        raise UsageError(f'{connector}: nulls must be "refuse", "omit" or "clear", not {given}')


def row_fields(row_type: type[Any]) -> dict[str, inspect.Type] | None:
    """Return the fields of a Struct row type by the service's names.

    None means that the type is not a Struct, or one whose JSON is not a plain object.
    """
    if not (isinstance(row_type, type) and issubclass(row_type, msgspec.Struct)):  # pyright: ignore[reportUnnecessaryIsInstance]
        return None
    described = inspect.type_info(row_type)
    if not isinstance(described, inspect.StructType) or described.array_like or described.tag is not None:
        return None
    return {field.encode_name: field.type for field in described.fields}


def key_types(row_type: type[Any]) -> Mapping[str, type[str | int] | None] | None:
    """Return for each field of a Struct row type `str` or `int` if a read can be sorted by it, otherwise None.

    The result as a whole is None if the type is not such a Struct.
    """
    return _key_types(cast("Any", row_type)) if isinstance(row_type, type) else None  # pyright: ignore[reportUnnecessaryIsInstance]


@lru_cache(maxsize=256)
def _key_types(row_type: Any) -> Mapping[str, type[str | int] | None] | None:
    members = row_fields(row_type)
    return None if members is None else {name: _key_type(described) for name, described in members.items()}


def kinds_of(described: inspect.Type) -> tuple[inspect.Type, ...]:
    """Return the members of a union, or the type itself if it is not a union."""
    return described.types if isinstance(described, inspect.UnionType) else (described,)


def _key_type(described: inspect.Type) -> type[str | int] | None:
    # An optional field is accepted: generated models make every field optional, and a read reports a null key.
    match [kind for kind in kinds_of(described) if not isinstance(kind, inspect.NoneType)]:
        case [inspect.StrType()]:
            return str
        case [inspect.IntType()]:
            return int
        case _:
            return None
