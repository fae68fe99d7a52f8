"""The sample connectors: their fields, and the SQL that makes their rows from a seed.

Rows are made inside SQLite, because a million of them should take seconds. Every expression can use three numbers: `n`,
the row's number from 0, and `g` and `h`, two pseudo-random numbers that depend on the row and the seed (see
`afas_async.simulator.storage.filling`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

FieldType = Literal["string", "int", "decimal", "boolean", "date", "blob"]

_LARGEST_BLOB: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a connector, as in metainfo.

    Attributes:
        id: Its name in rows, filters and sorting.
        type: The metainfo `dataType`; a date and a date-time are both `date`.
        length: The longest text or file, or the number of digits.
        decimals: The digits after the decimal point.
        label: Its name for users.
        exact: Whether the store keeps the digits of the decimal as they were given.
        is_file: Whether a blob is a file in base64; otherwise it is a remark of any length.
    """

    id: str
    type: FieldType
    length: int
    decimals: int
    label: str
    exact: bool = False
    is_file: bool = False

    @property
    def control_type(self) -> int:
        """How Profit shows it: 1 as a text, 5 as a number, 23 as a remark. Metainfo is known to have only these."""
        if self.type == "blob" and not self.is_file:
            return 23
        return 5 if self.type in {"int", "decimal"} else 1


@dataclass(frozen=True, slots=True)
class Connector:
    """A GetConnector.

    Attributes:
        name: The id in the URL.
        description: Its name for users.
        key: The ids of the fields whose values together are different in each row.
        fields: The fields in the order of a row.
        document: The metainfo that the user gave, if it is the user's own.
        hidden: Further columns of its table, which are not in its rows.
    """

    name: str
    description: str
    key: tuple[str, ...]
    fields: tuple[Field, ...]
    document: Mapping[str, Any] | None = field(default=None, compare=False)
    hidden: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """A connector whose rows come from a seed.

    Attributes:
        connector: The connector.
        rows: Returns its number of rows, from the `rows` of the simulator.
        values: The SQL expression over `n`, `g` and `h` for each field, by id.
    """

    connector: Connector
    rows: Callable[[int], int]
    values: Mapping[str, str]


def _sample(
    name: str, description: str, key: tuple[str, ...], rows: Callable[[int], int], *columns: tuple[Field, str]
) -> Sample:
    fields = tuple(field for field, _ in columns)
    return Sample(Connector(name, description, key, fields), rows, {field.id: value for field, value in columns})


def _string(name: str, length: int, label: str, value: str) -> tuple[Field, str]:
    return Field(name, "string", length, 0, label), value


def _remark(name: str, label: str, value: str) -> tuple[Field, str]:
    return Field(name, "blob", _LARGEST_BLOB, 0, label), value


def _int(name: str, length: int, label: str, value: str) -> tuple[Field, str]:
    return Field(name, "int", length, 0, label), value


def _decimal(name: str, decimals: int, label: str, value: str) -> tuple[Field, str]:
    """A decimal. The SQL expression counts units of its last digit."""
    return Field(name, "decimal", 15, decimals, label), f"({value}) / 1e{decimals}"


def _boolean(name: str, label: str, value: str) -> tuple[Field, str]:
    return Field(name, "boolean", 1, 0, label), value


def _date(name: str, label: str, day: str) -> tuple[Field, str]:
    """A date. The SQL expression counts days from 1970."""
    return Field(name, "date", 10, 0, label), f"strftime('%Y-%m-%dT00:00:00Z', ({day}) * 86400, 'unixepoch')"


def _moment(name: str, label: str, day: str, second: str) -> tuple[Field, str]:
    """A date-time in Amsterdam from 07:00 to 19:00, hours that no change of summer time skips."""
    instant = f"({day}) * 86400 + 25200 + ({second}) % 43200"
    return Field(name, "date", 19, 0, label), f"strftime('%Y-%m-%dT%H:%M:%SZ', {instant}, 'unixepoch')"


def _pick(draw: str, *texts: str) -> str:
    quoted = ["'" + text.replace("'", "''") + "'" for text in texts]
    cases = " ".join(f"WHEN {number} THEN {text}" for number, text in enumerate(quoted))
    return f"CASE ({draw}) % {len(texts)} {cases} END"


def _sometimes(condition: str, column: tuple[Field, str]) -> tuple[Field, str]:
    """The column, null in the rows that do not meet the condition."""
    field, value = column
    return field, f"CASE WHEN {condition} THEN {value} END"


# Names that break a reader if it searches texts for row boundaries, quotes by hand or guesses the encoding.
AWKWARD_TEXTS = (
    "Bakkerij Smit",
    'The "Quoted" Company',
    "O'Brien & Zn; afd. 1, 2",
    "back\\slash\\",
    'ends in a backslash and a quote \\"',
    "{curly} [square] },{",
    '"rows":[{"DebtorId":"1"},{"DebtorId":"2"}]}',
    '"},{"DebtorId":"',
    "100% korting, 50 % rest, _x_%",
    "first line\nsecond line\r\nthird line",
    "tab\tseparated\tname",
    "".join(map(chr, range(1, 32))) + "\x7f",
    "line \N{LINE SEPARATOR} and paragraph \N{PARAGRAPH SEPARATOR} separators",
    "no\N{NO-BREAK SPACE}break, zero\N{ZERO WIDTH SPACE}width, \N{ZERO WIDTH NO-BREAK SPACE}mark",
    "Caf\N{LATIN SMALL LETTER E WITH ACUTE} of Cafe\N{COMBINING ACUTE ACCENT}",
    "Friet \N{FRENCH FRIES} en gezin \N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}",
    "\u05d9\u05e8\u05d5\u05e9\u05dc\u05d9\u05dd \u0627\u0644\u0642\u062f\u0633 (RTL)",
    "\u682a\u5f0f\u4f1a\u793e \u6771\u4eac, \uc11c\uc6b8, \u5317\u4eac",
    "\N{EURO SIGN} 1.000,50 \N{MATHEMATICAL BOLD FRAKTUR CAPITAL A}",
    "\\u0041 \\n is no escape",
    "</script> <!-- &amp; -->",
    "  spaces around  ",
    "null",
    "NaN",
)

ATTACHMENTS = "Profit_SubjectAttachments"
SAMPLES = (
    _sample(
        "Profit_Article",
        "Articles (Profit)",
        ("ItemCode",),
        lambda rows: rows,
        _string("ItemCode", 30, "Item code", "printf('%06d', n + 1)"),
        _string("Description", 80, "Description", "'Article ' || (h % 5000) || ' in box ' || (g % 100)"),
        _sometimes("g % 11", _decimal("Price", 2, "Sales price", "h % 1000000 - 1000")),
        _boolean("Blocked", "Blocked", "g % 20 = 0"),
        _string("Unit", 10, "Unit", _pick("h / 64", "Piece", "Box", "Metre", "Litre", "Hour")),
        _int("Stock", 9, "Stock", "g / 16 % 2000 - 50"),
        _moment("CreatedOn", "Created on", "15000 + h % 3000", "g"),
        _moment("ModifiedOn", "Modified on", "18000 + g % 2000", "h"),
    ),
    _sample(
        "Profit_Debtor",
        "Sales relations (Profit)",
        ("DebtorId",),
        lambda rows: min(rows, 2000),
        _string("DebtorId", 16, "Debtor", "printf('%05d', 10001 + n)"),
        _string(
            "DebtorName",
            255,
            "Name",
            f"{_pick('n', *AWKWARD_TEXTS)} || CASE WHEN n < {len(AWKWARD_TEXTS)} THEN '' ELSE ' ' || (h % 1000) END",
        ),
        _string(
            "City", 50, "City", _pick("h / 32", "Leusden", "'s-Hertogenbosch", "Ljouwert", "Ath / Aat", "Enschede")
        ),
        _sometimes("g % 3", _string("Email", 100, "E-mail", "'debtor.' || n || '+' || (g % 90) || '@example.com'")),
        _sometimes("h % 4", _decimal("CreditLimit", 2, "Credit limit", "g % 5000000 - 250000")),
        _boolean("Blocked", "Blocked", "h % 13 = 0"),
        _moment("ModifiedOn", "Modified on", "18000 + h % 2000", "g"),
    ),
    _sample(
        "Profit_Employees",
        "Employees (Profit)",
        ("EmployeeId",),
        lambda rows: min(rows, 500),
        _string("EmployeeId", 15, "Employee", "printf('E%05d', n + 1)"),
        _string("FirstName", 50, "First name", _pick("g", "Anna", "Bram", "Chantal", "Dirk", "Emre", "Fleur", "Gijs")),
        _string("LastName", 50, "Last name", _pick("h / 8", "de Vries", "Jansen", "van 't Hof", "El Amrani", "Visser")),
        _date("BirthDate", "Date of birth", "h % 14000 - 3000"),
        _decimal("FTE", 4, "Full-time equivalent", "(1 + g % 40) * 250"),
        _boolean("Active", "In service", "h % 9 > 0"),
        _moment("ModifiedOn", "Modified on", "18000 + g % 2000", "h"),
    ),
    _sample(
        "Profit_JournalLines",
        "Journal entry lines (Profit)",
        ("UnitId", "EntryNo", "LineNo"),
        lambda rows: rows // 2,
        _int("UnitId", 4, "Administration", "1 + n / 4 % 3"),
        _int("EntryNo", 9, "Entry number", "1 + n / 12"),
        _int("LineNo", 6, "Line number", "1 + n % 4"),
        _string("Account", 16, "Account", "printf('%05d', 1000 + h % 900)"),
        _sometimes("n % 2 = 0", _decimal("Debit", 2, "Debit", "h % 900000")),
        _sometimes("n % 2", _decimal("Credit", 2, "Credit", "g % 900000")),
        _string("Description", 60, "Description", "'Invoice ' || (g % 100000)"),
        _date("EntryDate", "Entry date", "18000 + n / 12 % 2000"),
    ),
    _sample(
        "Profit_Empty",
        "A connector without rows",
        ("Id",),
        lambda _: 0,
        _int("Id", 9, "Id", "n"),
        _string("Name", 50, "Name", "''"),
        _moment("ModifiedOn", "Modified on", "n", "n"),
    ),
    _sample(
        "Profit_Wide",
        "Twenty fields of all types",
        ("Id",),
        lambda rows: rows,
        _int("Id", 9, "Id", "3 * n + 1"),
        _string("Code", 20, "Code", "printf('W%07d', n)"),
        _string("Name", 60, "Name", "'Part ' || (h % 10000) || ' of series ' || (g % 1000)"),
        _string(
            "Description",
            100,
            "Description",
            _pick(
                "h / 16",
                'Steel bracket, galvanised, with screws and "plugs"',
                "Oak panel with a rounded edge and two coats of oil",
                "Cable set for indoor use, grey, length as ordered",
                "Filter unit; replace after 500 hours at the latest",
            ),
        ),
        _string("Category", 20, "Category", _pick("g", "Basis", "Option", "Spare part")),
        _string("Region", 20, "Region", _pick("h / 128", "North", "East", "South", "West")),
        _string("Status", 10, "Status", _pick("g / 512", "Open", "Closed", "On hold")),
        _int("Quantity", 6, "Quantity", "h % 1000"),
        _int("Reserved", 6, "Reserved", "-(g % 100)"),
        _sometimes("h % 5", _int("Score", 6, "Score", "g % 10000")),
        _decimal("Price", 2, "Price", "h % 1000000"),
        _decimal("Cost", 4, "Cost", "g % 70000000"),
        _sometimes("g % 3", _decimal("Discount", 1, "Discount", "h % 200 - 100")),
        _decimal("Weight", 3, "Weight", "g % 50000"),
        _boolean("Active", "Active", "h % 10 > 0"),
        _boolean("Blocked", "Blocked", "g % 10 = 0"),
        _moment("CreatedOn", "Created on", "15000 + h % 3000", "g"),
        _moment("ModifiedOn", "Modified on", "18000 + g % 2000", "h"),
        _sometimes("g % 4", _date("DeliveryDate", "Delivery date", "18000 + h % 2000")),
        _sometimes("h % 2", _string("Remark", 100, "Remark", "'Checked and approved by colleague ' || (g % 500)")),
    ),
    _sample(
        "Profit_Subjects",
        "Dossier items (Profit)",
        ("SubjectId",),
        lambda rows: min(rows, 200),
        _int("SubjectId", 9, "Dossier item", "n + 1"),
        _int("TypeId", 5, "Type of dossier item", "1 + h % 20"),
        _string("Subject", 255, "Subject", "'Question ' || (g % 1000) || ' about order ' || (h % 5000)"),
        _sometimes("h % 3", _remark("Explanation", "Explanation", "'Called back on day ' || (g % 365)")),
        _moment("StartsOn", "Starts on", "18000 + h % 2000", "g"),
        _string("Status", 1, "Status", _pick("g", "A", "C")),
        _boolean("Done", "Done", "h % 4 = 0"),
    ),
    _sample(
        "Profit_DimensionCodes",
        "Dimension codes (Profit)",
        ("AxisId", "Code"),
        lambda rows: min(rows, 40),
        _int("AxisId", 2, "Dimension axis", "1 + n % 3"),
        _string("Code", 16, "Dimension code", "printf('D%03d', n / 3)"),
        _string("Description", 50, "Description", "'Cost centre ' || (h % 500)"),
        _boolean("Blocked", "Blocked", "g % 7 = 0"),
    ),
    _sample(
        "Profit_JournalEntries",
        "Journal entries (Profit)",
        ("UnitId", "EntryNo"),
        lambda rows: (rows // 2 + 3) // 4,  # each has four journal lines
        _int("UnitId", 4, "Administration", "1 + n % 3"),
        _int("EntryNo", 9, "Entry number", "1 + n / 3"),
        _string("Journal", 10, "Journal", _pick("g", "70", "73", "90")),
        _int("Year", 4, "Year", "2019 + n / 3 % 2000 / 365"),
        _int("Period", 3, "Period", "1 + n / 3 % 12"),
        _moment("ModifiedOn", "Modified on", "18000 + n / 3 % 2000", "h"),
    ),
    _sample(
        "Profit_Accounts",
        "Ledger accounts (Profit)",
        ("Account",),
        lambda _: 900,  # all accounts in the journal lines
        _string("Account", 16, "Account", "printf('%05d', 1000 + n)"),
        _string("Description", 50, "Description", _pick("h", "Sales", "Purchases", "Wages", "Housing", "Interest")),
        _boolean("Blocked", "Blocked", "g % 50 = 0"),
    ),
    _sample(
        "Profit_Persons",
        "Persons (Profit)",
        ("PersonId",),
        lambda rows: min(rows, 300),
        _int("PersonId", 9, "Person", "100001 + n"),
        _string("FirstName", 50, "First name", _pick("h", "Hanna", "Ilse", "Joris", "Karim", "Lotte", "Mees", "Noor")),
        _string("LastName", 50, "Last name", _pick("g / 8", "Bakker", "de Wit", "Kaya", "van den Berg", "Smits")),
        _sometimes("g % 5", _date("BirthDate", "Date of birth", "g % 14000 - 3000")),
        _sometimes("h % 3", _string("Email", 100, "E-mail", "'person.' || n || '@example.com'")),
        _moment("ModifiedOn", "Modified on", "18000 + h % 2000", "g"),
    ),
    _sample(
        "Profit_Addresses",
        "Addresses of persons (Profit)",
        ("PersonId",),
        lambda rows: min(rows, 300),
        _int("PersonId", 9, "Person", "100001 + n"),
        _string("Street", 60, "Street", _pick("g", "Dorpsstraat", "Kerkplein", "Stationsweg", "Lange Voorhout")),
        _int("HouseNumber", 6, "House number", "1 + h % 300"),
        _string("PostCode", 15, "Postal code", "(1000 + h % 9000) || ' ' || char(65 + g % 26, 65 + h % 26)"),
        _string("City", 50, "City", _pick("h / 32", "Leusden", "Amersfoort", "Zwolle", "Breda")),
        _string("Country", 3, "Country", "'NL'"),
    ),
    Sample(
        Connector(
            ATTACHMENTS,
            "Attachments of dossier items (Profit)",
            ("SubjectId", "FileId"),
            (
                Field("SubjectId", "int", 9, 0, "Dossier item"),
                Field("FileId", "string", 32, 0, "Attachment"),
                Field("FileName", "string", 255, 0, "File name"),
            ),
            hidden=(Field("FileStream", "blob", _LARGEST_BLOB, 0, "File", is_file=True),),
        ),
        lambda _: 0,  # `fill_sample` adds those of the seed
        {},
    ),
    _sample(
        "Profit_SubjectLinks",
        "Links of dossier items (Profit)",
        ("SubjectId", "LinkNo"),
        lambda _: 0,
        _int("SubjectId", 9, "Dossier item", "n"),
        _int("LinkNo", 9, "Link", "n"),
        _boolean("ToOrganisationPerson", "To organisation/person", "n"),
        _string("OrganisationPerson", 20, "Organisation/person", "n"),
        _int("DestinationType", 5, "Type of destination", "n"),
        _string("Destination", 20, "Destination", "n"),
    ),
)
