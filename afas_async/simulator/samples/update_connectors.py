"""What may be written: the sample UpdateConnectors, and what a request may say to each.

The rows that they write are those that the sample GetConnectors read.
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
        id: The name used in requests.
        column: The field of the GetConnector that shows it.
        mandatory: Whether a new record must have it.
        codes: What it may be, each with its description; empty where that is open.
        refers: The GetConnector and its field among whose values it must be, if it refers to another record.
        is_file: Whether it has a file in base64. An element with one cannot be changed.
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
        name: Its name in requests and answers.
        table: The GetConnector that reads its rows. An object's has the key of the element around it in columns of
            the same names, in front of what is the key of its own.
        key: Those of the fields that make its own key; none for an object of which there can be one only.
        fields: All fields, by id.
        objects: The objects that may stand in it, by name. One without a key of its own is `single`, or has a record
            number that no request can name.
        numbered: When the service gives a new record the last part of its key: a number, or an id of 32 hex digits.
        single: Whether only one may stand in the element around it.
        stamped: Whether its rows show when they were written last.
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
        """All kinds of elements that may stand in it, also those in other ones."""
        for inner in self.objects.values():
            yield inner
            yield from inner.within()

    def tables(self) -> Iterator[str]:
        """All GetConnectors that it takes to write one, with those that its fields refer to."""
        yield self.table
        yield from (field.refers[0] for field in self.fields.values() if field.refers)
        for inner in self.objects.values():
            yield from inner.tables()


@dataclass(frozen=True, slots=True)
class UpdateConnector:
    """An UpdateConnector.

    Attributes:
        name: The id in the URL.
        description: What a person reads.
        root: Its element, whose name is the `name` in metainfo.
        returns_key: Whether an answer tells the key, or else has no body.
        document: Its metainfo as it was given, for one of the user's own.
    """

    name: str
    description: str
    root: UpdateObject
    returns_key: bool = True
    document: Mapping[str, Any] | None = field(default=None, compare=False)


def record_number(taken: Collection[str]) -> UpdateField:
    """Return the key of records that have no other: a number that the simulator gives and no request names.

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
    """Tie the fields of an element to those of a sample."""
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
    if number is not None:  # the key of records that have no other
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
