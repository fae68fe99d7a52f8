"""Connectors of AFAS Profit, as their metainfo describes them.

Made by `python -m afas_async models`: make it again rather than change it. Moments are wall time in Amsterdam, without
a time zone. A code that the service has added since is a member of its enum that has no name here.
"""

# fmt: off
# ruff: noqa: E501

from datetime import date, datetime
from decimal import Decimal

from msgspec import UNSET, Struct, UnsetType, field

from afas_async import GetConnector, UpdateConnector
from afas_async.models import Codes


class Accounts(Struct, frozen=True, kw_only=True):
    """Ledger accounts (Profit): a row of Profit_Accounts."""

    account: str = field(name="Account")
    """Account (string, length 16, key)."""
    description: str | None = field(name="Description", default=None)
    """Description (string, length 50)."""
    blocked: bool | None = field(name="Blocked", default=None)
    """Blocked (boolean, length 1)."""


ACCOUNTS = GetConnector("Profit_Accounts", Accounts, key="Account")


class AddressesCountry(Codes):
    """Country: its codes."""

    NETHERLANDS = "NL"
    BELGIUM = "BE"
    GERMANY = "DE"


class Addresses(Struct, frozen=True, kw_only=True):
    """Addresses of persons (Profit): a row of Profit_Addresses."""

    person_id: int = field(name="PersonId")
    """Person (int, length 9, key)."""
    street: str | None = field(name="Street", default=None)
    """Street (string, length 60)."""
    house_number: int | None = field(name="HouseNumber", default=None)
    """House number (int, length 6)."""
    post_code: str | None = field(name="PostCode", default=None)
    """Postal code (string, length 15)."""
    city: str | None = field(name="City", default=None)
    """City (string, length 50)."""
    country: AddressesCountry | None = field(name="Country", default=None)
    """Country (string, length 3)."""


ADDRESSES = GetConnector("Profit_Addresses", Addresses, key="PersonId")


class Article(Struct, frozen=True, kw_only=True):
    """Articles (Profit): a row of Profit_Article."""

    item_code: str = field(name="ItemCode")
    """Item code (string, length 30, key)."""
    description: str | None = field(name="Description", default=None)
    """Description (string, length 80)."""
    price: Decimal | None = field(name="Price", default=None)
    """Sales price (decimal, length 15, decimals 2)."""
    blocked: bool | None = field(name="Blocked", default=None)
    """Blocked (boolean, length 1)."""
    unit: str | None = field(name="Unit", default=None)
    """Unit (string, length 10)."""
    stock: int | None = field(name="Stock", default=None)
    """Stock (int, length 9)."""
    created_on: datetime | None = field(name="CreatedOn", default=None)
    """Created on (date, length 19)."""
    modified_on: datetime | None = field(name="ModifiedOn", default=None)
    """Modified on (date, length 19)."""


ARTICLE = GetConnector("Profit_Article", Article, key="ItemCode")


class Debtor(Struct, frozen=True, kw_only=True):
    """Sales relations (Profit): a row of Profit_Debtor."""

    debtor_id: str = field(name="DebtorId")
    """Debtor (string, length 16, key)."""
    debtor_name: str | None = field(name="DebtorName", default=None)
    """Name (string, length 255)."""
    city: str | None = field(name="City", default=None)
    """City (string, length 50)."""
    email: str | None = field(name="Email", default=None)
    """E-mail (string, length 100)."""
    credit_limit: Decimal | None = field(name="CreditLimit", default=None)
    """Credit limit (decimal, length 15, decimals 2)."""
    blocked: bool | None = field(name="Blocked", default=None)
    """Blocked (boolean, length 1)."""
    modified_on: datetime | None = field(name="ModifiedOn", default=None)
    """Modified on (date, length 19)."""


DEBTOR = GetConnector("Profit_Debtor", Debtor, key="DebtorId")


class DimensionCodes(Struct, frozen=True, kw_only=True):
    """Dimension codes (Profit): a row of Profit_DimensionCodes."""

    axis_id: int = field(name="AxisId")
    """Dimension axis (int, length 2, key)."""
    code: str = field(name="Code")
    """Dimension code (string, length 16, key)."""
    description: str | None = field(name="Description", default=None)
    """Description (string, length 50)."""
    blocked: bool | None = field(name="Blocked", default=None)
    """Blocked (boolean, length 1)."""


DIMENSION_CODES = GetConnector("Profit_DimensionCodes", DimensionCodes, key=("AxisId", "Code"))


class Employees(Struct, frozen=True, kw_only=True):
    """Employees (Profit): a row of Profit_Employees."""

    employee_id: str = field(name="EmployeeId")
    """Employee (string, length 15, key)."""
    first_name: str | None = field(name="FirstName", default=None)
    """First name (string, length 50)."""
    last_name: str | None = field(name="LastName", default=None)
    """Last name (string, length 50)."""
    birth_date: datetime | None = field(name="BirthDate", default=None)
    """Date of birth (date, length 10)."""
    fte: Decimal | None = field(name="FTE", default=None)
    """Full-time equivalent (decimal, length 15, decimals 4)."""
    active: bool | None = field(name="Active", default=None)
    """In service (boolean, length 1)."""
    modified_on: datetime | None = field(name="ModifiedOn", default=None)
    """Modified on (date, length 19)."""


EMPLOYEES = GetConnector("Profit_Employees", Employees, key="EmployeeId")


class Empty(Struct, frozen=True, kw_only=True):
    """A connector without rows: a row of Profit_Empty."""

    id: int = field(name="Id")
    """Id (int, length 9, key)."""
    name: str | None = field(name="Name", default=None)
    """Name (string, length 50)."""
    modified_on: datetime | None = field(name="ModifiedOn", default=None)
    """Modified on (date, length 19)."""


EMPTY = GetConnector("Profit_Empty", Empty, key="Id")


class JournalEntries(Struct, frozen=True, kw_only=True):
    """Journal entries (Profit): a row of Profit_JournalEntries."""

    unit_id: int = field(name="UnitId")
    """Administration (int, length 4, key)."""
    entry_no: int = field(name="EntryNo")
    """Entry number (int, length 9, key)."""
    journal: str | None = field(name="Journal", default=None)
    """Journal (string, length 10)."""
    year: int | None = field(name="Year", default=None)
    """Year (int, length 4)."""
    period: int | None = field(name="Period", default=None)
    """Period (int, length 3)."""
    modified_on: datetime | None = field(name="ModifiedOn", default=None)
    """Modified on (date, length 19)."""


JOURNAL_ENTRIES = GetConnector("Profit_JournalEntries", JournalEntries, key=("UnitId", "EntryNo"))


class JournalLines(Struct, frozen=True, kw_only=True):
    """Journal entry lines (Profit): a row of Profit_JournalLines."""

    unit_id: int = field(name="UnitId")
    """Administration (int, length 4, key)."""
    entry_no: int = field(name="EntryNo")
    """Entry number (int, length 9, key)."""
    line_no: int = field(name="LineNo")
    """Line number (int, length 6, key)."""
    account: str | None = field(name="Account", default=None)
    """Account (string, length 16)."""
    debit: Decimal | None = field(name="Debit", default=None)
    """Debit (decimal, length 15, decimals 2)."""
    credit: Decimal | None = field(name="Credit", default=None)
    """Credit (decimal, length 15, decimals 2)."""
    description: str | None = field(name="Description", default=None)
    """Description (string, length 60)."""
    entry_date: datetime | None = field(name="EntryDate", default=None)
    """Entry date (date, length 10)."""


JOURNAL_LINES = GetConnector("Profit_JournalLines", JournalLines, key=("UnitId", "EntryNo", "LineNo"))


class Persons(Struct, frozen=True, kw_only=True):
    """Persons (Profit): a row of Profit_Persons."""

    person_id: int = field(name="PersonId")
    """Person (int, length 9, key)."""
    first_name: str | None = field(name="FirstName", default=None)
    """First name (string, length 50)."""
    last_name: str | None = field(name="LastName", default=None)
    """Last name (string, length 50)."""
    birth_date: datetime | None = field(name="BirthDate", default=None)
    """Date of birth (date, length 10)."""
    email: str | None = field(name="Email", default=None)
    """E-mail (string, length 100)."""
    modified_on: datetime | None = field(name="ModifiedOn", default=None)
    """Modified on (date, length 19)."""


PERSONS = GetConnector("Profit_Persons", Persons, key="PersonId")


class SubjectAttachments(Struct, frozen=True, kw_only=True):
    """Attachments of dossier items (Profit): a row of Profit_SubjectAttachments."""

    subject_id: int = field(name="SubjectId")
    """Dossier item (int, length 9, key)."""
    file_id: str = field(name="FileId")
    """Attachment (string, length 32, key)."""
    file_name: str | None = field(name="FileName", default=None)
    """File name (string, length 255)."""


SUBJECT_ATTACHMENTS = GetConnector("Profit_SubjectAttachments", SubjectAttachments, key=("SubjectId", "FileId"))


class SubjectLinks(Struct, frozen=True, kw_only=True):
    """Links of dossier items (Profit): a row of Profit_SubjectLinks."""

    subject_id: int = field(name="SubjectId")
    """Dossier item (int, length 9, key)."""
    link_no: int = field(name="LinkNo")
    """Link (int, length 9, key)."""
    to_organisation_person: bool | None = field(name="ToOrganisationPerson", default=None)
    """To organisation/person (boolean, length 1)."""
    organisation_person: str | None = field(name="OrganisationPerson", default=None)
    """Organisation/person (string, length 20)."""
    destination_type: int | None = field(name="DestinationType", default=None)
    """Type of destination (int, length 5)."""
    destination: str | None = field(name="Destination", default=None)
    """Destination (string, length 20)."""


SUBJECT_LINKS = GetConnector("Profit_SubjectLinks", SubjectLinks, key=("SubjectId", "LinkNo"))


class SubjectsStatus(Codes):
    """Status: its codes."""

    ACTIVE = "A"
    CLOSED = "C"


class Subjects(Struct, frozen=True, kw_only=True):
    """Dossier items (Profit): a row of Profit_Subjects."""

    subject_id: int = field(name="SubjectId")
    """Dossier item (int, length 9, key)."""
    type_id: int | None = field(name="TypeId", default=None)
    """Type of dossier item (int, length 5)."""
    subject: str | None = field(name="Subject", default=None)
    """Subject (string, length 255)."""
    explanation: str | None = field(name="Explanation", default=None)
    """Explanation (blob, length 1073741824)."""
    starts_on: datetime | None = field(name="StartsOn", default=None)
    """Starts on (date, length 19)."""
    status: SubjectsStatus | None = field(name="Status", default=None)
    """Status (string, length 1)."""
    done: bool | None = field(name="Done", default=None)
    """Done (boolean, length 1)."""


SUBJECTS = GetConnector("Profit_Subjects", Subjects, key="SubjectId")


class Wide(Struct, frozen=True, kw_only=True):
    """Twenty fields of all types: a row of Profit_Wide."""

    id: int = field(name="Id")
    """Id (int, length 9, key)."""
    code: str | None = field(name="Code", default=None)
    """Code (string, length 20)."""
    name: str | None = field(name="Name", default=None)
    """Name (string, length 60)."""
    description: str | None = field(name="Description", default=None)
    """Description (string, length 100)."""
    category: str | None = field(name="Category", default=None)
    """Category (string, length 20)."""
    region: str | None = field(name="Region", default=None)
    """Region (string, length 20)."""
    status: str | None = field(name="Status", default=None)
    """Status (string, length 10)."""
    quantity: int | None = field(name="Quantity", default=None)
    """Quantity (int, length 6)."""
    reserved: int | None = field(name="Reserved", default=None)
    """Reserved (int, length 6)."""
    score: int | None = field(name="Score", default=None)
    """Score (int, length 6)."""
    price: Decimal | None = field(name="Price", default=None)
    """Price (decimal, length 15, decimals 2)."""
    cost: Decimal | None = field(name="Cost", default=None)
    """Cost (decimal, length 15, decimals 4)."""
    discount: Decimal | None = field(name="Discount", default=None)
    """Discount (decimal, length 15, decimals 1)."""
    weight: Decimal | None = field(name="Weight", default=None)
    """Weight (decimal, length 15, decimals 3)."""
    active: bool | None = field(name="Active", default=None)
    """Active (boolean, length 1)."""
    blocked: bool | None = field(name="Blocked", default=None)
    """Blocked (boolean, length 1)."""
    created_on: datetime | None = field(name="CreatedOn", default=None)
    """Created on (date, length 19)."""
    modified_on: datetime | None = field(name="ModifiedOn", default=None)
    """Modified on (date, length 19)."""
    delivery_date: datetime | None = field(name="DeliveryDate", default=None)
    """Delivery date (date, length 10)."""
    remark: str | None = field(name="Remark", default=None)
    """Remark (string, length 100)."""


WIDE = GetConnector("Profit_Wide", Wide, key="Id")


class FbItemArticle(Struct, frozen=True, kw_only=True):
    """Article: an element of FbItemArticle."""

    it_cd: str | UnsetType = field(name="@ItCd", default=UNSET)
    """Item code (string, length 30, key, mandatory)."""
    ds: str | UnsetType = field(name="Ds", default=UNSET)
    """Description (string, length 80, mandatory)."""
    sa_pr: Decimal | UnsetType = field(name="SaPr", default=UNSET)
    """Sales price (decimal, length 15, decimals 2)."""
    bl: bool | UnsetType = field(name="Bl", default=UNSET)
    """Blocked (boolean, length 1)."""
    bi_un: str | UnsetType = field(name="BiUn", default=UNSET)
    """Unit (string, length 10)."""
    qu_st: int | UnsetType = field(name="QuSt", default=UNSET)
    """Stock (int, length 9)."""


FB_ITEM_ARTICLE = UpdateConnector("FbItemArticle")


class FiEntriesFiEntries(Struct, frozen=True, kw_only=True):
    """The object FiEntries in an element."""

    se_no: int | UnsetType = field(name="@SeNo", default=UNSET)
    """Line number (int, length 6, key)."""
    ac_nr: str | UnsetType = field(name="AcNr", default=UNSET)
    """Account (string, length 16, mandatory)."""
    en_da: date | UnsetType = field(name="EnDa", default=UNSET)
    """Entry date (date, length 10)."""
    ds: str | UnsetType = field(name="Ds", default=UNSET)
    """Description (string, length 60)."""
    am_de: Decimal | UnsetType = field(name="AmDe", default=UNSET)
    """Debit (decimal, length 15, decimals 2)."""
    am_cr: Decimal | UnsetType = field(name="AmCr", default=UNSET)
    """Credit (decimal, length 15, decimals 2)."""


class FiEntries(Struct, frozen=True, kw_only=True):
    """Financial entries: an element of FiEntries."""

    un_id: int | UnsetType = field(name="@UnId", default=UNSET)
    """Administration (int, length 4, key, mandatory)."""
    en_no: int | UnsetType = field(name="@EnNo", default=UNSET)
    """Entry number (int, length 9, key)."""
    jo_co: str | UnsetType = field(name="JoCo", default=UNSET)
    """Journal (string, length 10, mandatory)."""
    year: int | UnsetType = field(name="Year", default=UNSET)
    """Year (int, length 4)."""
    peri: int | UnsetType = field(name="Peri", default=UNSET)
    """Period (int, length 3)."""
    fi_entries: FiEntriesFiEntries | list[FiEntriesFiEntries] | UnsetType = field(name="FiEntries", default=UNSET)
    """FiEntries: one, or a list."""


FI_ENTRIES = UpdateConnector("FiEntries")


class KnDimCode(Struct, frozen=True, kw_only=True):
    """Dimension code: an element of KnDimCode."""

    ax_id: int | UnsetType = field(name="@AxId", default=UNSET)
    """Dimension axis (int, length 2, key, mandatory)."""
    vb_co: str | UnsetType = field(name="@VbCo", default=UNSET)
    """Dimension code (string, length 16, key, mandatory)."""
    ds: str | UnsetType = field(name="Ds", default=UNSET)
    """Description (string, length 50, mandatory)."""
    bl: bool | UnsetType = field(name="Bl", default=UNSET)
    """Blocked (boolean, length 1)."""


KN_DIM_CODE = UpdateConnector("KnDimCode")


class KnEmployee(Struct, frozen=True, kw_only=True):
    """Employee: an element of KnEmployee."""

    em_id: str | UnsetType = field(name="@EmId", default=UNSET)
    """Employee (string, length 15, key, mandatory)."""
    fi_nm: str | UnsetType = field(name="FiNm", default=UNSET)
    """First name (string, length 50)."""
    la_nm: str | UnsetType = field(name="LaNm", default=UNSET)
    """Last name (string, length 50, mandatory)."""
    da_bi: date | UnsetType = field(name="DaBi", default=UNSET)
    """Date of birth (date, length 10)."""
    fte: Decimal | UnsetType = field(name="Fte", default=UNSET)
    """Full-time equivalent (decimal, length 15, decimals 4)."""
    ac: bool | UnsetType = field(name="Ac", default=UNSET)
    """In service (boolean, length 1)."""


KN_EMPLOYEE = UpdateConnector("KnEmployee")


class KnPersonKnBasicAddressAdrCoId(Codes):
    """Country: its codes."""

    NETHERLANDS = "NL"
    BELGIUM = "BE"
    GERMANY = "DE"


class KnPersonKnBasicAddressAdr(Struct, frozen=True, kw_only=True):
    """The object KnBasicAddressAdr in an element."""

    co_id: KnPersonKnBasicAddressAdrCoId | UnsetType = field(name="CoId", default=UNSET)
    """Country (string, length 3, mandatory)."""
    ad: str | UnsetType = field(name="Ad", default=UNSET)
    """Street (string, length 60)."""
    hm_nr: int | UnsetType = field(name="HmNr", default=UNSET)
    """House number (int, length 6)."""
    zp_cd: str | UnsetType = field(name="ZpCd", default=UNSET)
    """Postal code (string, length 15, mandatory)."""
    rs: str | UnsetType = field(name="Rs", default=UNSET)
    """City (string, length 50)."""


class KnPerson(Struct, frozen=True, kw_only=True):
    """Person: an element of KnPerson."""

    bc_co: int | UnsetType = field(name="@BcCo", default=UNSET)
    """Person (int, length 9, key)."""
    fi_nm: str | UnsetType = field(name="FiNm", default=UNSET)
    """First name (string, length 50)."""
    la_nm: str | UnsetType = field(name="LaNm", default=UNSET)
    """Last name (string, length 50, mandatory)."""
    da_bi: date | UnsetType = field(name="DaBi", default=UNSET)
    """Date of birth (date, length 10)."""
    em_ad: str | UnsetType = field(name="EmAd", default=UNSET)
    """E-mail (string, length 100)."""
    kn_basic_address_adr: KnPersonKnBasicAddressAdr | list[KnPersonKnBasicAddressAdr] | UnsetType = field(name="KnBasicAddressAdr", default=UNSET)
    """KnBasicAddressAdr: one, or a list."""


KN_PERSON = UpdateConnector("KnPerson")


class KnSubjectSt(Codes):
    """Status: its codes."""

    ACTIVE = "A"
    CLOSED = "C"


class KnSubjectKnSubjectLink(Struct, frozen=True, kw_only=True):
    """The object KnSubjectLink in an element."""

    to_bc: bool | UnsetType = field(name="ToBC", default=UNSET)
    """To organisation/person (boolean, length 1)."""
    bc_id: str | UnsetType = field(name="BcId", default=UNSET)
    """Organisation/person (string, length 20)."""
    sf_tp: int | UnsetType = field(name="SfTp", default=UNSET)
    """Type of destination (int, length 5)."""
    sf_id: str | UnsetType = field(name="SfId", default=UNSET)
    """Destination (string, length 20)."""


class KnSubjectKnSubjectAttachment(Struct, frozen=True, kw_only=True):
    """The object KnSubjectAttachment in an element."""

    file_id: str | UnsetType = field(name="@FileId", default=UNSET)
    """Attachment (string, length 32, key)."""
    file_name: str | UnsetType = field(name="FileName", default=UNSET)
    """File name (string, length 255, mandatory)."""
    file_stream: str | bytes | UnsetType = field(name="FileStream", default=UNSET)
    """File (blob, length 1073741824, mandatory)."""


class KnSubject(Struct, frozen=True, kw_only=True):
    """Dossier item: an element of KnSubject."""

    sb_id: int | UnsetType = field(name="@SbId", default=UNSET)
    """Dossier item (int, length 9, key)."""
    st_id: int | UnsetType = field(name="StId", default=UNSET)
    """Type of dossier item (int, length 5, mandatory)."""
    ds: str | UnsetType = field(name="Ds", default=UNSET)
    """Subject (string, length 255)."""
    sb_tx: str | UnsetType = field(name="SbTx", default=UNSET)
    """Explanation (blob, length 1073741824)."""
    dt_fr: date | UnsetType = field(name="DtFr", default=UNSET)
    """Starts on (date, length 19)."""
    st: KnSubjectSt | UnsetType = field(name="St", default=UNSET)
    """Status (string, length 1)."""
    dn: bool | UnsetType = field(name="Dn", default=UNSET)
    """Done (boolean, length 1)."""
    kn_subject_link: KnSubjectKnSubjectLink | list[KnSubjectKnSubjectLink] | UnsetType = field(name="KnSubjectLink", default=UNSET)
    """KnSubjectLink: one, or a list."""
    kn_subject_attachment: KnSubjectKnSubjectAttachment | list[KnSubjectKnSubjectAttachment] | UnsetType = field(name="KnSubjectAttachment", default=UNSET)
    """KnSubjectAttachment: one, or a list."""


KN_SUBJECT = UpdateConnector("KnSubject")
