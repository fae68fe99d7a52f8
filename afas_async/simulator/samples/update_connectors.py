"""The sample UpdateConnectors: their elements, fields and objects.

You read what they write through the sample GetConnectors.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from afas_async.simulator.samples.connectors import SAMPLES, Field

Numbering = Literal["always", "absent", "never", "id"]


@dataclass(frozen=True, slots=True)
class UpdateField:
    """One field of an UpdateConnector.

    Attributes:
        id: Its name in requests.
        column: The field of the GetConnector that reads it.
        mandatory: Whether a new record must have it.
        codes: The values that it may have, each with its description; empty if it may have any.
        refers: The GetConnector and the field in which its value must exist, if it refers to another record.
        is_file: Whether it is a file in base64. An element with a file cannot be updated.
        not_zero: Whether it may not be 0.
    """

    id: str
    column: Field
    mandatory: bool
    codes: Mapping[str, str]
    refers: tuple[str, str] | None
    is_file: bool = False
    not_zero: bool = False


@dataclass(frozen=True, slots=True)
class UpdateObject:
    """One kind of element: that of an UpdateConnector itself, or an object within another element.

    Attributes:
        name: Its name in requests and responses.
        table: The GetConnector that reads its rows. For an object, the key of its table starts with that of the element
            around it, in columns of the same names.
        key: The fields of its own key; empty for a `single` object.
        fields: All fields, by id.
        objects: The objects in it, by name. An object without its own key is `single`, or has a record number that
            requests cannot use.
        numbered: When the service gives a new record the last part of its key: a number, or an id of 32 hex digits.
        single: Whether an element has one such object at most.
        stamped: Whether its rows have a `ModifiedOn`.
    """

    name: str
    table: str
    key: tuple[UpdateField, ...]
    fields: Mapping[str, UpdateField]
    objects: Mapping[str, UpdateObject]
    numbered: Numbering
    single: bool
    stamped: bool

    def within(self) -> Iterator[UpdateObject]:
        """All kinds of objects in it, at any depth."""
        for inner in self.objects.values():
            yield inner
            yield from inner.within()

    def tables(self) -> Iterator[str]:
        """The GetConnectors of its tables, and those to which its fields refer."""
        yield self.table
        yield from (field.refers[0] for field in self.fields.values() if field.refers)
        for inner in self.objects.values():
            yield from inner.tables()


@dataclass(frozen=True, slots=True)
class UpdateConnector:
    """An UpdateConnector.

    Attributes:
        name: The id in the URL.
        description: Its name for users.
        root: Its element, whose name is the `name` in metainfo.
        returns_key: Whether a response has the key; otherwise it has no body.
        document: The metainfo that the user gave, if it is the user's own.
    """

    name: str
    description: str
    root: UpdateObject
    returns_key: bool = True
    document: Mapping[str, Any] | None = field(default=None, compare=False)


def record_number(taken: Collection[str]) -> UpdateField:
    """Return a key for records without one: a number from the simulator, which requests cannot use.

    Args:
        taken: The names of the other columns.
    """
    name = "RecordNo"
    while name.lower() in {column.lower() for column in taken}:
        name += "_"
    return UpdateField(name, Field(name, "int", 18, 0, name), mandatory=False, codes={}, refers=None)


_SAMPLES: Final = {sample.connector.name: sample.connector for sample in SAMPLES}


def _element(
    name: str,
    table: str,
    columns: Mapping[str, str],
    *objects: UpdateObject,
    mandatory: frozenset[str],
    codes: Mapping[str, Mapping[str, str]] | None = None,
    refers: Mapping[str, tuple[str, str]] | None = None,
    numbered: Numbering = "never",
    single: bool = False,
    number: str | None = None,
) -> UpdateObject:
    """Create an element whose fields are stored in those of a sample."""
    sample = _SAMPLES[table]
    shown = {field.id: field for field in (*sample.fields, *sample.hidden)}
    fields = {
        field: UpdateField(
            field,
            shown[column],
            field in mandatory,
            (codes or {}).get(field, {}),
            (refers or {}).get(field),
            is_file=shown[column] in sample.hidden,
        )
        for field, column in columns.items()
    }
    key = [field for field in fields.values() if field.column.id in sample.key]
    if number is not None:  # the key of records without one
        key = [UpdateField(number, shown[number], mandatory=False, codes={}, refers=None)]
    return UpdateObject(
        name,
        table,
        tuple(key),
        fields,
        {each.name: each for each in objects},
        numbered,
        single,
        stamped="ModifiedOn" in shown,
    )


UPDATES: Final = (
    UpdateConnector(
        "FbItemArticle",
        "Article",
        _element(
            "FbItemArticle",
            "Profit_Article",
            {
                "ItCd": "ItemCode",
                "Ds": "Description",
                "SaPr": "Price",
                "Bl": "Blocked",
                "BiUn": "Unit",
                "QuSt": "Stock",
            },
            mandatory=frozenset({"ItCd", "Ds"}),
        ),
        returns_key=False,
    ),
    UpdateConnector(
        "KnSubject",
        "Dossier item",
        _element(
            "KnSubject",
            "Profit_Subjects",
            {
                "SbId": "SubjectId",
                "StId": "TypeId",
                "Ds": "Subject",
                "SbTx": "Explanation",
                "DtFr": "StartsOn",
                "St": "Status",
                "Dn": "Done",
            },
            _element(
                "KnSubjectLink",
                "Profit_SubjectLinks",
                {
                    "ToBC": "ToOrganisationPerson",
                    "BcId": "OrganisationPerson",
                    "SfTp": "DestinationType",
                    "SfId": "Destination",
                },
                mandatory=frozenset(),
                numbered="always",
                number="LinkNo",
            ),
            _element(
                "KnSubjectAttachment",
                "Profit_SubjectAttachments",
                {"FileId": "FileId", "FileName": "FileName", "FileStream": "FileStream"},
                mandatory=frozenset({"FileName", "FileStream"}),
                numbered="id",
            ),
            mandatory=frozenset({"StId"}),
            codes={"St": {"A": "Active", "C": "Closed"}},
            # A number that the request gives is ignored (help.afas.nl, App_Conect_UpdDsc_170: automatic numbering).
            numbered="always",
        ),
    ),
    UpdateConnector(
        "KnEmployee",
        "Employee",
        _element(
            "AfasEmployee",
            "Profit_Employees",
            {
                "EmId": "EmployeeId",
                "FiNm": "FirstName",
                "LaNm": "LastName",
                "DaBi": "BirthDate",
                "Fte": "FTE",
                "Ac": "Active",
            },
            mandatory=frozenset({"EmId", "LaNm"}),
        ),
    ),
    UpdateConnector(
        "KnDimCode",
        "Dimension code",
        _element(
            "KnDimCode",
            "Profit_DimensionCodes",
            {"AxId": "AxisId", "VbCo": "Code", "Ds": "Description", "Bl": "Blocked"},
            mandatory=frozenset({"AxId", "VbCo", "Ds"}),
        ),
        returns_key=False,
    ),
    UpdateConnector(
        "KnPerson",
        "Person",
        _element(
            "KnPerson",
            "Profit_Persons",
            {"BcCo": "PersonId", "FiNm": "FirstName", "LaNm": "LastName", "DaBi": "BirthDate", "EmAd": "Email"},
            _element(
                "KnBasicAddressAdr",
                "Profit_Addresses",
                {"CoId": "Country", "Ad": "Street", "HmNr": "HouseNumber", "ZpCd": "PostCode", "Rs": "City"},
                mandatory=frozenset({"CoId", "ZpCd"}),
                codes={"CoId": {"NL": "Netherlands", "BE": "Belgium", "DE": "Germany"}},
                single=True,  # as all objects of a person (AFAS's notes on KnPerson)
            ),
            mandatory=frozenset({"LaNm"}),
            numbered="absent",
        ),
    ),
    UpdateConnector(
        "FiEntries",
        "Financial entries",
        _element(
            "FiEntryPar",
            "Profit_JournalEntries",
            {"UnId": "UnitId", "EnNo": "EntryNo", "JoCo": "Journal", "Year": "Year", "Peri": "Period"},
            _element(
                "FiEntries",
                "Profit_JournalLines",
                {
                    "SeNo": "LineNo",
                    "AcNr": "Account",
                    "EnDa": "EntryDate",
                    "Ds": "Description",
                    "AmDe": "Debit",
                    "AmCr": "Credit",
                },
                mandatory=frozenset({"AcNr"}),
                refers={"AcNr": ("Profit_Accounts", "Account")},
                numbered="absent",
            ),
            mandatory=frozenset({"UnId", "JoCo"}),
            numbered="absent",
        ),
    ),
)
